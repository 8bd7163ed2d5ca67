import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonText } from "../src/output/json-text.js";

test("what a terminal would obey or nobody would see is escaped, and what is not stands as it is", () => {
  expect(jsonText({ name: "a\u001b\u007f\u009b31m\u202e\u{e0041}\u2028" })).toBe(
    '{"name":"a\\u001b\\u007f\\u009b31m\\u202e\\udb40\\udc41\\u2028"}',
  );
  expect(jsonText({ name: 'ä "漢" \u{1f600}' })).toBe('{"name":"ä \\"漢\\" \u{1f600}"}');
});

test("a parser reads what was written, and the layout is that of JSON.stringify", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
      const text = jsonText(value, 2);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(text.split("\n").length).toBe(JSON.stringify(value, undefined, 2).split("\n").length);
      expect(text).not.toMatch(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});

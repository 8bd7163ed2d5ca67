import { expect, test } from "vitest";
import { JsonDocument } from "../src/output/json-document.js";

function written(write: (document: JsonDocument) => void): string {
  const pieces: string[] = [];
  write(new JsonDocument({ text: (text) => pieces.push(text) }));
  return pieces.join("");
}

test("a document that is written piece by piece is laid out as JSON.stringify lays it out", () => {
  const file = { name: 'a "b"\n', sizes: [1, 2], empty: {}, none: [], deep: { target: null, more: [{ x: 1 }] } };
  const text = written((document) => {
    document.beginObject();
    document.members({ schema: "s/1", left: undefined, file });
    document.beginList("files");
    document.value(file);
    document.value(7);
    document.beginObject();
    document.value("x", "name");
    document.beginList("children");
    document.endTo(3);
    document.value(null, "target");
    document.endTo(2);
    document.beginList();
    document.endTo(1);
    document.value(true, "last");
    document.endTo(0);
  });
  const files = [file, 7, { name: "x", children: [], target: null }, []];
  expect(text).toBe(`${JSON.stringify({ schema: "s/1", file, files, last: true }, undefined, 2)}\n`);
});

test("all that is open is ended at once, and how much is open is known", () => {
  const text = written((document) => {
    document.beginObject();
    document.beginList("a");
    document.beginList();
    expect(document.depth).toBe(3);
    document.endTo(0);
  });
  expect(text).toBe(`${JSON.stringify({ a: [[]] }, undefined, 2)}\n`);
});

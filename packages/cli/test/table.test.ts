import { expect, test } from "vitest";
import { displayWidth, formatBytes, table } from "../src/output/table.js";
import { wrap } from "../src/output/wrap.js";

test("columns are aligned and the last one is not padded", () => {
  const lines = table([{ title: "name" }, { title: "size", align: "right" }, { title: "x" }], [["a", "10", "end"]]);
  expect(lines).toEqual(["name  size  x", "a       10  end"]);
});

test("a flexible column is cut to make the table fit, others are not", () => {
  const lines = table(
    [{ title: "device" }, { title: "label", flexible: true }],
    [["(xen/xvda,msdos1)", "a".repeat(60)]],
    40,
  );
  expect(lines[1]).toBe(`(xen/xvda,msdos1)  ${"a".repeat(20)}…`);
  expect(displayWidth(lines[1] ?? "")).toBe(40);
});

test("wide characters take two columns, combining marks none, colours none", () => {
  expect(displayWidth("日本")).toBe(4);
  expect(displayWidth("e\u0301")).toBe(1);
  expect(displayWidth("\u001b[1mbold\u001b[22m")).toBe(4);
  expect(table([{ title: "a" }, { title: "b" }], [["日本", "x"]])).toEqual(["a     b", "日本  x"]);
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1_572_864, "1.5 MiB"],
  [250 * 2 ** 30, "250 GiB"],
  [2 ** 53 - 1, "8.0 PiB"],
])("%d bytes read as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test("wrap breaks between words only", () => {
  expect(wrap("one two three superlongword x", 9)).toEqual(["one two", "three", "superlongword", "x"]);
});

import {
  childPath,
  hasTrailingSlash,
  isAbsolutePath,
  isDots,
  isPossibleName,
  isUsableName,
  joinPath,
  pathBytes,
  splitPath,
} from "@guestprobe/vfs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { text } from "./lib/memory-fs.js";

describe("splitPath", () => {
  test.each([
    ["", []],
    ["/", []],
    ["///", []],
    ["/a", ["a"]],
    ["a/b", ["a", "b"]],
    ["//a///b//", ["a", "b"]],
    ["/./a/../b/.", [".", "a", "..", "b", "."]],
    ["/...", ["..."]],
    ["/a\\b /ünï", ["a\\b ", "ünï"]],
  ])("%j", (path, parts) => expect(splitPath(path).map(text)).toEqual(parts));

  test("any bytes but the slash are a name's", () => {
    expect(splitPath(Uint8Array.of(0x2f, 0xff, 0x00, 0x2f, 0x0a))).toEqual([
      Uint8Array.of(0xff, 0),
      Uint8Array.of(0x0a),
    ]);
  });
  test("undoes joinPath", () => {
    const name = fc.uint8Array({ minLength: 1, maxLength: 8 }).filter((data) => !data.includes(0x2f));
    fc.assert(
      fc.property(fc.array(name), (parts) => {
        expect(splitPath(joinPath(parts)).map((part) => [...part])).toEqual(parts.map((part) => [...part]));
      }),
    );
  });
});

test("joinPath of nothing is the root", () => expect(text(joinPath([]))).toBe("/"));

test.each([
  ["/", "a", "/a"],
  ["/a", "b", "/a/b"],
  ["", "a", "/a"],
])("childPath(%j, %j)", (parent, name, path) => {
  expect(text(childPath(pathBytes(parent), pathBytes(name)))).toBe(path);
});

test.each([
  ["", false, false],
  ["/", true, false],
  ["//", true, true],
  ["/a", true, false],
  ["/a/", true, true],
  ["a/", false, true],
])("%j: absolute %s, trailing slash %s", (path, absolute, trailing) => {
  expect([isAbsolutePath(path), hasTrailingSlash(path)]).toEqual([absolute, trailing]);
});

describe("names", () => {
  test.each([
    ["a", true, false],
    ["...", true, false],
    ["a b", true, false],
    [".a", true, false],
    ["a.", true, false],
    [".", true, true],
    ["..", true, true],
    ["", false, false],
    ["a/b", false, false],
    ["a\0", false, false],
  ])("%j: possible %s, dots %s", (name, possible, dots) => {
    const data = pathBytes(name);
    expect([isPossibleName(data), isDots(data), isUsableName(data)]).toEqual([possible, dots, possible && !dots]);
  });
});

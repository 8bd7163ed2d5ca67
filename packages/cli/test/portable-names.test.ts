import { encodeText, type Finding } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { foldedName, PortableNames, reservedName } from "../src/portable-names.js";

describe("names that Windows has for something else", () => {
  test.each([
    ["CON", "device CON"],
    ["con", "device CON"],
    ["nul.txt", "device NUL"],
    ["Aux.tar.gz", "device AUX"],
    ["PRN .txt", "device PRN"],
    ["com1", "device COM1"],
    ["LPT9.log", "device LPT9"],
    ["COM\u00b2", "device COM\u00b2"],
    ["conin$", "device CONIN$"],
    ["file.", "the dot"],
    ["file ", "the space"],
    ["...", "the dot"],
    ["a:b", "no : in"],
    ["a?b", "no ? in"],
    ["a\\b", "no \\ in"],
    ["a\u001bb", "no control character (0x1b)"],
  ])("%j", (name, expected) => expect(reservedName(name)).toContain(expected));

  test.each([
    "console",
    "CONX",
    "COM",
    "COM10",
    "nul-device",
    "lpt",
    ".con",
    "a.CON",
    "file.txt",
    ".hidden",
    "a b",
    "ü漢",
  ])("%j is a name like any other", (name) => expect(reservedName(name)).toBeUndefined());
});

describe("names that are one where case does not count", () => {
  test.each([
    ["README", "readme"],
    ["\u00e9", "e\u0301"],
    ["STRASSE", "straße"],
    ["\u03c3", "\u03c2"],
  ])("%j and %j", (one, other) => expect(foldedName(encodeText(one))).toBe(foldedName(encodeText(other))));

  test.each([
    ["a", "b"],
    ["a", "a "],
    ["e", "\u00e9"],
  ])("%j and %j are two", (one, other) => expect(foldedName(encodeText(one))).not.toBe(foldedName(encodeText(other))));

  test("bytes that are no text are compared as bytes", () => {
    const [one, other] = [Uint8Array.of(0x66, 0xff), Uint8Array.of(0x66, 0xfe)];
    expect(foldedName(one)).not.toBe(foldedName(other));
    expect(foldedName(one)).toBe(foldedName(one.slice()));
  });
});

test("a walk: each directory by itself, and again after what lies deeper", () => {
  const found: Finding[] = [];
  const names = new PortableNames((entry) => found.push(entry), "xen/xvda");
  for (const path of ["/d", "/d/a", "/d/a/x", "/d/a/y/X", "/d/b", "/d/b/X", "/d/A", "/d/A/x", "/e/x", "/D", "/d2/a"]) {
    names.take(encodeText(path));
  }
  expect(found.map(({ code, path, message }) => [code, Buffer.from(path!).toString(), message])).toEqual([
    ["copy-names-clash", "/d/A", 'the same as "a", where case does not count'],
    ["copy-names-clash", "/D", 'the same as "d", where case does not count'],
  ]);
});

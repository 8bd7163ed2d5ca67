import { expect, test } from "vitest";
import { stopwatch } from "../../../test/lib/stopwatch.mjs";
import { UsageError } from "../src/exit.js";
import { globMatcher } from "../src/glob.js";

const matches = (pattern: string, name: string, ignoreCase = false): boolean =>
  globMatcher(pattern, ignoreCase)(new TextEncoder().encode(name));

test.each([
  ["*", "", true],
  ["vmlinuz*", "vmlinuz-6.1", true],
  ["vmlinuz*", "initrd", false],
  ["*.cfg", "grub.cfg", true],
  ["a*b*c", "aXbYbZc", true],
  ["a*b*c", "aXbYbZ", false],
  ["?", "x", true],
  ["?", "", false],
  ["[a-c]x", "bx", true],
  ["[!a-c]x", "bx", false],
  ["[^a-c]x", "dx", true],
  ["[]]", "]", true],
  ["[a", "[a", true],
  ["\\*", "*", true],
  ["\\*", "x", false],
])("%s against %s", (pattern, name, expected) => expect(matches(pattern, name)).toBe(expected));

test("letter case is folded only when asked for", () => {
  expect(matches("GRUB.*", "grub.cfg")).toBe(false);
  expect(matches("GRUB.*", "grub.cfg", true)).toBe(true);
});

test("names that are not UTF-8 match by their bytes", () => {
  expect(globMatcher("a?b", false)(Uint8Array.of(0x61, 0xff, 0x62))).toBe(true);
});

test("many stars against a long name that does not match take no exponential time", () => {
  const spent = stopwatch();
  expect(matches(`${"*a".repeat(50)}b`, "a".repeat(250))).toBe(false);
  // 250 x 100 steps; a matcher that tries every split would not end at all.
  expect(spent()).toBeLessThan(1000);
});

test("a lone backslash at the end is refused", () => {
  expect(() => globMatcher("a\\", false)).toThrow(UsageError);
});

import { ENVIRONMENT_SIGNATURE, editEnvironment, parseEnvironment } from "@guestprobe/grub/env";
import { describe, expect, it } from "vitest";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const block = (body: string, size = 1024) => bytes(`${ENVIRONMENT_SIGNATURE}${body}`.padEnd(size, "#"));
const values = (data: Uint8Array) => parseEnvironment(data).variables.map(({ name, value }) => [name, value]);

describe("environment blocks", () => {
  it("variables in order, and the room that is left", () => {
    const parsed = parseEnvironment(block("saved_entry=Debian>x\nkernelopts=a b=c\n"));
    expect(parsed).toMatchObject({ size: 1024, free: 1024 - 25 - 38 });
    expect(parsed.variables).toEqual([
      { name: "saved_entry", value: "Debian>x", offset: 25 },
      { name: "kernelopts", value: "a b=c", offset: 46 },
    ]);
  });

  it("backslashes keep the next byte, newlines included", () => {
    expect(values(block("a=x\\\\y\\\nz\nb=1\n"))).toEqual([
      ["a", "x\\y\nz"],
      ["b", "1"],
    ]);
  });

  it("comment lines, empty values, a line without an equal sign", () => {
    expect(values(block("#a=1\nb=\njunk\nc=2\n"))).toEqual([
      ["b", ""],
      ["junk\nc", "2"],
    ]);
  });

  it("any size past the signature; a last line without its newline is not read", () => {
    expect(values(bytes(`${ENVIRONMENT_SIGNATURE}#`))).toEqual([]);
    expect(values(bytes(`${ENVIRONMENT_SIGNATURE}a=1\nb=2`))).toEqual([["a", "1"]]);
    expect(values(bytes(`${ENVIRONMENT_SIGNATURE}a=1\\`))).toEqual([]);
  });

  it.each(["", ENVIRONMENT_SIGNATURE, "# GRUB Environment Block", "# grub environment block\na=1\n", "\r\n"])(
    "refuses %j",
    (start) => {
      expect(() => parseEnvironment(bytes(start))).toThrow(expect.objectContaining({ code: "not-this-format" }));
    },
  );

  it("edits: replace, add, remove, and no room", () => {
    const start = block("a=1\nb=2\n", 64);
    expect(values(editEnvironment(start, "a", "long\\er\n")!)).toEqual([
      ["a", "long\\er\n"],
      ["b", "2"],
    ]);
    expect(text(editEnvironment(start, "c", "3")!)).toBe(text(block("a=1\nb=2\nc=3\n", 64)));
    expect(text(editEnvironment(start, "a", undefined)!)).toBe(text(block("b=2\n", 64)));
    expect(editEnvironment(start, "none", undefined)).toEqual(start);
    expect(editEnvironment(start, "c", "x".repeat(60))).toBeUndefined();
  });
});

import { decodeText, encodeText } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { decodeBootCatalogue } from "../src/el-torito.js";
import { jolietKey, jolietName, plainName } from "../src/names.js";
import { decodePathTable } from "../src/path-table.js";
import { decodeRecord, isProblem } from "../src/record.js";
import { RockRidgeDecoder } from "../src/rock-ridge.js";
import { dateUuid, longTime, shortTime } from "../src/times.js";

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("names", () => {
  test.each([
    ["README.TXT;1", "readme.txt"],
    ["NOEXT.;1", "noext"],
    ["NOEXT;1", "noext"],
    ["OLD.TXT;2", "old.txt.2"],
    ["DIR", "dir"],
    ["DOT.", "dot."],
    ["A/B;1", "a.b"],
    ["AB\0CD;1", "ab"],
  ])("plain %j: %s", (raw, shown) => expect(decodeText(plainName(latin1(raw)))).toBe(shown));

  const utf16 = (text: string): Uint8Array =>
    Uint8Array.from([...Array(text.length).keys()].flatMap((n) => [text.charCodeAt(n) >> 8, text.charCodeAt(n) & 255]));
  test.each([
    ["Readme.txt;1", "Readme.txt"],
    ["name...", "name"],
    [".", "."],
    ["日本;1", "日本"],
    ["\u{1f50d}", "\u{1f50d}"],
    ["a\ud83d", "a"],
    ["\udd0db", "b"],
  ])("Joliet %j: %s", (raw, shown) => expect(decodeText(jolietName(utf16(raw)))).toBe(shown));

  test("Joliet's key disregards case of ASCII and dots behind", () => {
    expect(jolietKey(encodeText("ReadMe.TXT.."))).toBe(jolietKey(encodeText("readme.txt")));
    expect(jolietKey(encodeText("Ä"))).not.toBe(jolietKey(encodeText("ä")));
  });
});

describe("times", () => {
  test.each([
    [[123, 11, 14, 22, 13, 20, 0], 1_700_000_000n],
    // Two hours east of Greenwich: eight quarters.
    [[123, 11, 15, 0, 13, 20, 8], 1_700_000_000n],
    [[123, 11, 14, 17, 13, 20, 256 - 20], 1_700_000_000n],
    // An offset that no place on earth has is not believed.
    [[123, 11, 14, 22, 13, 20, 53], 1_700_000_000n],
    [[70, 1, 1, 0, 0, 0, 0], 0n],
    [[100, 2, 29, 0, 0, 0, 0], 951_782_400n],
    [[69, 12, 31, 23, 59, 59, 0], -1n],
  ])("%j", (date, seconds) => expect(shortTime(Uint8Array.from(date))).toBe(seconds * 1_000_000_000n));

  test("of seventeen bytes", () => {
    expect(longTime(latin1("2023111422132050\0"))).toBe(1_700_000_000_500_000_000n);
    expect(longTime(latin1("2023111500132000\x08"))).toBe(1_700_000_000_000_000_000n);
    for (const unset of ["0000000000000000\0", "\0".repeat(17), "2023-11-14 22:13"]) {
      expect(longTime(latin1(unset))).toBeUndefined();
    }
  });

  test("a date as UUID", () => {
    expect(dateUuid(latin1("2023111422132005\0"))).toBe("2023-11-14-22-13-20-05");
    expect(dateUuid(latin1("0".repeat(16)))).toBeUndefined();
  });
});

describe("records", () => {
  const record = (length: number, nameLength: number): Uint8Array => {
    const raw = new Uint8Array(2048);
    raw[0] = length;
    raw[32] = nameLength;
    return raw;
  };
  const problemOf = (data: Uint8Array, at = 0): string | undefined => {
    const result = decodeRecord(data, at, 0);
    return result !== undefined && isProblem(result) ? result.field : undefined;
  };
  test("zero ends the sector", () => expect(decodeRecord(new Uint8Array(2048), 0, 0)).toBeUndefined());
  test.each([1, 33])("a length of %i", (length) => expect(problemOf(record(length, 1))).toBe("length"));
  test("past its sector", () => expect(problemOf(record(40, 1).subarray(0, 39))).toBe("length"));
  test("a name past its record", () => expect(problemOf(record(40, 8))).toBe("name_len"));
  test("a name that fills it", () => expect(problemOf(record(40, 7))).toBeUndefined());
});

describe("system use", () => {
  const take = (...fields: number[][]): RockRidgeDecoder => {
    const decoder = new RockRidgeDecoder();
    for (const field of fields) decoder.take(Uint8Array.from(field), 1000);
    return decoder;
  };
  const field = (signature: string, ...data: number[]): number[] => [...latin1(signature), data.length + 4, 1, ...data];
  const name = (flags: number, text: string): number[] => field("NM", flags, ...latin1(text));
  const link = (flags: number, ...parts: (readonly [number, string])[]): number[] =>
    field("SL", flags, ...parts.flatMap(([bits, text]) => [bits, text.length, ...latin1(text)]));
  const target = (...fields: number[][]): string => decodeText(take(...fields).fields.target ?? new Uint8Array(0));

  test("a name in two fields", () => {
    expect(decodeText(take([...name(1, "one"), ...name(0, "two")]).fields.name!)).toBe("onetwo");
  });
  test("a name for the directory itself is none", () => expect(take(name(2, "")).fields.name).toBeUndefined());
  test("a name stops growing before 254 bytes", () => {
    const parts = Array.from({ length: 3 }, () => name(1, "x".repeat(100)));
    expect(take(parts.flat()).fields.name).toHaveLength(200);
  });
  test.each([
    [[link(0, [0, "a"], [0, "b"])], "a/b"],
    [[link(0, [8, ""], [0, "boot"])], "/boot"],
    [[link(0, [4, ""], [4, ""], [2, ""], [0, "x"])], "../.././x"],
    [[link(1, [0, "a"]), link(0, [0, "b"])], "a/b"],
    [[link(1, [1, "long"]), link(0, [0, "er"], [0, "x"])], "longer/x"],
    [[link(0, [8, ""])], "/"],
  ])("links %#: %s", (fields, expected) => expect(target(...fields)).toBe(expected));

  test("a component that ends past its field is dropped", () => {
    const bad = link(0, [0, "ab"]);
    bad[6] = 200;
    expect(take(bad).fields.target).toEqual(new Uint8Array(0));
  });
  test.each([
    [0, 0x0301, 3, 1],
    [8, 17, 8, 17],
    [0, 5, 0, 5],
  ])("device %i, %i", (high, low, major, minor) => {
    const words = [high, high, low, low].flatMap((word) => [word & 255, word >> 8, 0, 0]);
    expect(take(field("PN", ...words)).fields.rdev).toEqual({ major, minor });
  });
  test("times: creation stands for attributes where those are missing", () => {
    const date = [123, 11, 14, 22, 13, 20, 0];
    const ns = 1_700_000_000_000_000_000n;
    expect(take(field("TF", 1, ...date)).fields).toMatchObject({ ctimeNs: ns, crtimeNs: undefined });
    expect(take(field("TF", 9, ...date, ...date)).fields).toMatchObject({ ctimeNs: ns, crtimeNs: ns });
    expect(take(field("TF", 0x82, ...latin1("2023111422132000\0"))).fields.mtimeNs).toBe(ns);
    expect(take(field("TF", 2, 1, 2)).fields.mtimeNs).toBeUndefined();
  });
  test.each([
    ["shorter than four bytes", [0x4e, 0x4d, 3, 1, 0, 0], 1000],
    ["past its area", [...name(0, "ab"), 0x50, 0x58, 200, 1], 1007],
    ["PX with one byte", field("PX", 1), 1000],
  ])("a field %s", (_, bytes, offset) => {
    const { problem } = take(bytes);
    expect(problem?.offset).toBe(offset);
  });
  test("zeros fill the rest", () => expect(take([...name(0, "ab"), 0, 0, 0, 0, 0]).problem).toBeUndefined());
});

test("path table: both byte orders, and attributes before the content", () => {
  const little = [1, 0, 20, 0, 0, 0, 1, 0, 0, 0, 3, 1, 21, 0, 0, 0, 1, 0, 65, 66, 67, 0];
  expect(decodePathTable(Uint8Array.from(little), true)).toEqual([
    { offset: 0, block: 20, parent: 1 },
    { offset: 10, block: 22, parent: 1 },
  ]);
  expect(decodePathTable(Uint8Array.from([1, 0, 0, 0, 0, 20, 0, 1, 0, 0]), false)).toEqual([
    { offset: 0, block: 20, parent: 1 },
  ]);
  expect(decodePathTable(Uint8Array.from([255, 0, 1]), true)).toEqual([]);
});

test("a catalogue that is none", () => {
  expect(decodeBootCatalogue(new Uint8Array(2048)).problem).toBeDefined();
});

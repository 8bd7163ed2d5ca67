import { decodeText, encodeText } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { formatSerial } from "../src/boot-sector.js";
import { DirectoryDecoder } from "../src/directory.js";
import { entryAt, linkOf } from "../src/fat-entry.js";
import { longName, nameKey, shortName, shortNameChecksum } from "../src/names.js";
import { timeOf } from "../src/times.js";

const view = (...bytes: number[]): DataView => new DataView(Uint8Array.from(bytes).buffer);

describe("entries of the table", () => {
  test("FAT12: two in three bytes, the even one's top digit in the middle byte", () => {
    const table = view(0xf8, 0xff, 0xff, 0x23, 0x61, 0x45);
    expect([0, 1, 2, 3].map((n) => entryAt(12, table, n))).toEqual([0xff8, 0xfff, 0x123, 0x456]);
  });
  test("FAT32: the top four bits are not part of the number", () => {
    expect(entryAt(32, view(1, 0, 0, 0xf0), 0)).toBe(1);
  });
  test.each([
    [12, 0xff8, "end"],
    [12, 0xff7, "wrong"],
    [16, 0xfff8, "end"],
    [16, 0xfff7, "wrong"],
    [32, 0x0fff_fff8, "end"],
    [32, 0x0fff_fff7, "wrong"],
    [16, 0, "wrong"],
    [16, 1, "wrong"],
    [16, 2, "next"],
    [16, 101, "next"],
    [16, 102, "wrong"],
  ] as const)("FAT%i, %i, of 100 clusters: %s", (bits, value, kind) => {
    expect(linkOf(bits, value, 100).kind).toBe(kind);
  });
});

describe("names", () => {
  const short = (name: string, bits = 0) =>
    decodeText(
      shortName(
        Uint8Array.from(name, (c) => c.charCodeAt(0)),
        bits,
      ),
    );
  test.each([
    ["README  TXT", 0, "README.TXT"],
    ["README  TXT", 0x08, "readme.TXT"],
    ["README  TXT", 0x10, "README.txt"],
    ["README  TXT", 0x18, "readme.txt"],
    ["README     ", 0, "README"],
    ["A B     C D", 0, "A B.C D"],
    ["\x05BC     ", 0, "σBC"],
    ["\x8e\x99\x9a     ", 0, "ÄÖÜ"],
    ["\x8e\x99\x9a     ", 0x08, "äöü"],
    ["AB\0CDEFGHIJ", 0, "AB.HIJ"],
    ["        TXT", 0, ".TXT"],
    ["           ", 0, ""],
  ])("%j, case bits %i: %s", (raw, bits, expected) => {
    expect(short(raw.padEnd(11), bits)).toBe(expected);
  });

  test("checksum: each byte rotates what was there to the right by one, and is added", () => {
    const name = (...last: number[]): Uint8Array =>
      Uint8Array.from([...new Array<number>(11 - last.length).fill(0), ...last]);
    expect(shortNameChecksum(name(1))).toBe(1);
    expect(shortNameChecksum(name(1, 0))).toBe(0x80);
    expect(shortNameChecksum(name(0x81, 0xc0))).toBe(0x80);
    expect(shortNameChecksum(name(3, 0, 5))).toBe(0xc5);
  });

  const utf16 = (...units: number[]) => new Uint8Array(Uint16Array.from(units).buffer);
  test.each([
    [[0x61, 0x62, 0, 0xffff], "ab", false],
    [[0xd83d, 0xdd0d, 0], "\u{1f50d}", false],
    [[0x61, 0xd83d, 0x62], "ab", true],
    [[0x61, 0xdd0d, 0x62], "ab", true],
    [[0x61, 0xd83d], "a", true],
    [[0x20ac, 0xe4], "€ä", false],
    [[0], "", false],
  ])("units %j", (units, name, isMended) => {
    const decoded = longName(utf16(...units));
    expect([decodeText(decoded.name), decoded.isMended]).toEqual([name, isMended]);
  });

  test("names are the same in any case of ASCII, and with dots behind", () => {
    expect(nameKey(encodeText("ReadMe.TXT.."))).toBe("readme.txt");
    expect(nameKey(encodeText("Ä"))).toBe("Ä");
    for (const bad of ["", ".", "..", "a/b", "..."]) expect(nameKey(encodeText(bad))).toBeUndefined();
    expect(nameKey(Uint8Array.of(0xff))).toBeUndefined();
  });
});

test.each([
  [0x0021, 0, 0, 315_532_800_000_000_000n],
  [0, 0, 0, 315_532_800_000_000_000n],
  [(20 << 9) | (2 << 5) | 29, (23 << 11) | (59 << 5) | 29, 199, 951_868_799_990_000_000n],
  [(120 << 9) | (3 << 5) | 1, 0, 0, 4_107_542_400_000_000_000n],
  [(127 << 9) | (12 << 5) | 31, (23 << 11) | (59 << 5) | 29, 0, 4_354_819_198_000_000_000n],
])("date 0x%i, time %i, %i hundredths", (date, time, hundredths, expected) => {
  expect(timeOf(date, time, hundredths)).toBe(expected);
});

test("a serial keeps its zeros", () => expect(formatSerial(0x0001_00ab)).toBe("0001-00AB"));

describe("directory", () => {
  const entry = (name: string, attributes: number): number[] => {
    const raw = new Array<number>(32).fill(0);
    for (const [n, letter] of [...name.padEnd(11)].entries()) raw[n] = letter.charCodeAt(0);
    raw[11] = attributes;
    return raw;
  };
  const part = (order: number, checksum: number, text: string): number[] => {
    const raw = new Array<number>(32).fill(0);
    const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    raw[0] = order;
    raw[11] = 0x0f;
    raw[13] = checksum;
    for (const [n, at] of places.entries()) raw[at] = text.charCodeAt(n) || (n === text.length ? 0 : 0xff);
    return raw;
  };
  const decode = (...entries: number[][]) => {
    const odd: string[] = [];
    const decoder = new DirectoryDecoder(({ code }) => odd.push(code));
    const names = [...entries.flatMap((raw, n) => decoder.push(Uint8Array.from(raw), n * 32))];
    decoder.end();
    return { names: names.map(({ name, isPastEnd }) => `${decodeText(name)}${isPastEnd ? "!" : ""}`), odd };
  };
  const sum = shortNameChecksum(encodeText("LONGNA~1TXT"));

  test("a name of two parts, each in a piece of its own", () => {
    const { names, odd } = decode(part(0x42, sum, "n.txt"), part(1, sum, "long and longe"), entry("LONGNA~1TXT", 0x20));
    expect(names).toEqual(["long and longn.txt"]);
    expect(odd).toEqual([]);
  });
  test.each<[string, number[][], string[], string[]]>([
    [
      "the wrong checksum",
      [part(0x41, sum + 1, "name"), entry("LONGNA~1TXT", 0)],
      ["LONGNA~1.TXT"],
      ["fat-orphaned-long-name"],
    ],
    ["a part missing", [part(0x42, sum, "b"), entry("LONGNA~1TXT", 0)], ["LONGNA~1.TXT"], ["fat-orphaned-long-name"]],
    [
      "parts in the wrong order",
      [part(1, sum, "a"), part(0x42, sum, "b"), entry("A", 0)],
      ["A"],
      ["fat-orphaned-long-name", "fat-orphaned-long-name"],
    ],
    ["21 parts", [part(0x55, sum, "a"), entry("A", 0)], ["A"], ["fat-orphaned-long-name"]],
    ["no parts", [part(0x40, sum, "a"), entry("A", 0)], ["A"], ["fat-orphaned-long-name"]],
    [
      "parts before a deleted entry",
      [part(0x41, sum, "a"), entry("\xe5", 0), entry("A", 0)],
      ["A"],
      ["fat-orphaned-long-name"],
    ],
    ["a label", [entry("LABEL", 0x08), entry("A", 0)], ["A"], []],
    ["dot entries", [entry(".", 0x10), entry("..", 0x10), entry("A", 0x10)], ["A"], []],
    ["past the end mark", [entry("A", 0), entry("\0", 0), entry("B", 0)], ["A", "B!"], ["fat-past-end-mark"]],
    ["a slash in the short name", [entry("A/B", 0)], [], ["fat-bad-name"]],
    ["a slash in the long name", [part(0x41, sum, "a/b"), entry("LONGNA~1TXT", 0)], ["LONGNA~1.TXT"], ["fat-bad-name"]],
  ])("%s", (_, entries, names, odd) => {
    expect(decode(...entries)).toEqual({ names, odd });
  });
});

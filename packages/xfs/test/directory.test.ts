import { encodeText, type ImageError } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { decodeDataBlock, openDataBlock } from "../src/dir/data.js";
import { compareNames, hashName } from "../src/dir/name.js";
import { decodeShortForm } from "../src/dir/shortform.js";
import type { ForkBlock } from "../src/fork.js";
import { block, hex } from "./bytes.js";

const names = (entries: readonly { name: Uint8Array }[]): string[] =>
  entries.map(({ name }) => Buffer.from(name).toString("latin1"));

describe("hash of a name", () => {
  test.each([
    // What xfs_db prints for these names in the fixtures' directories.
    [".", 0x2e],
    ["..", 0x172e],
    ["file", 0x0cda7665],
  ])("%s", (name, hash) => {
    expect(hashName(encodeText(name))).toBe(hash);
  });

  test("four bytes at a time, as the specification has it, is the same", () => {
    const turn = (value: number, bits: number) => ((value << bits) | (value >>> (32 - bits))) >>> 0;
    const specified = (name: Uint8Array): number => {
      let hash = 0;
      let at = 0;
      for (; name.length - at >= 4; at += 4) {
        hash =
          ((name[at]! << 21) ^ (name[at + 1]! << 14) ^ (name[at + 2]! << 7) ^ name[at + 3]! ^ turn(hash, 28)) >>> 0;
      }
      const [a, b, c] = [name[at]!, name[at + 1]!, name[at + 2]!];
      if (name.length - at === 3) return ((a << 14) ^ (b << 7) ^ c ^ turn(hash, 21)) >>> 0;
      if (name.length - at === 2) return ((a << 7) ^ b ^ turn(hash, 14)) >>> 0;
      if (name.length - at === 1) return (a ^ turn(hash, 7)) >>> 0;
      return hash;
    };
    for (let length = 1; length <= 255; length += 1) {
      const name = Uint8Array.from({ length }, (_, at) => (at * 151 + length * 7) % 256);
      expect(hashName(name)).toBe(specified(name));
    }
  });

  test("without regard to case, in ISO 8859-1", () => {
    expect(hashName(hex("41 c0 d7 de 5a"), true)).toBe(hashName(hex("61 e0 d7 fe 7a")));
    expect(compareNames(hex("41c0"), hex("61e0"), true)).toBe("case");
    expect(compareNames(hex("41c0"), hex("61e0"), false)).toBeUndefined();
    expect(compareNames(hex("d7"), hex("f7"), true)).toBeUndefined();
    expect(compareNames(hex("4142"), hex("4142"), true)).toBe("exact");
  });
});

describe("short form", () => {
  // Two entries, 4-byte inode numbers, parent 128.
  const four = hex("02 00 00000080  03 0060 616263 00000083  01 0070 7a 00000084");
  test("4-byte inode numbers, no types", () => {
    const { entries, problem } = decodeShortForm(four, four.length, 0, false);
    expect(problem).toBeUndefined();
    expect(names(entries)).toEqual(["abc", "z"]);
    expect(entries.map(({ ino, type }) => [ino, type])).toEqual([
      [131, undefined],
      [132, undefined],
    ]);
  });

  test("8-byte inode numbers, types", () => {
    const eight = hex("01 01 0000000000000080  02 0060 6869 02 0000000200000083");
    const { entries, problem } = decodeShortForm(eight, eight.length, 0, true);
    expect(problem).toBeUndefined();
    expect(entries).toMatchObject([{ ino: 2 ** 33 + 131, type: "dir" }]);
  });

  test("what lies before the damage is kept", () => {
    const cut = decodeShortForm(four, four.length - 1, 1000, false);
    expect(names(cut.entries)).toEqual(["abc"]);
    expect(cut.problem).toMatchObject({ code: "corrupt", offset: 1016 });
    expect(decodeShortForm(four, 4000, 0, false)).toMatchObject({ entries: [], problem: { code: "corrupt" } });
    expect(decodeShortForm(four, 5, 0, false)).toMatchObject({ entries: [], problem: { code: "corrupt" } });
    expect(decodeShortForm(new Uint8Array(0), 6, 0, false)).toMatchObject({ problem: { code: "corrupt" } });
  });
});

describe("data block", () => {
  const layout = { crc: false, hasFtype: false };
  const forkBlock = (data: Uint8Array): ForkBlock => ({ data, at: 8192, byteAt: (offset) => 8192 + offset });
  const decode = (data: Uint8Array): { names: string[]; problem: ImageError | undefined } => {
    const { entries, problem } = decodeDataBlock(openDataBlock(forkBlock(data), layout), layout);
    return { names: names(entries), problem };
  };
  // Entries at bytes 16, 32 and 56; the rest is unused.
  const sound: readonly (readonly [number, string])[] = [
    [0, "58443244"],
    [16, "0000000000000083 01 61 00000000 0010"],
    [32, "0000000000000084 0a 6162636465666768696a 000000 0020"],
    [56, "0000000000000085 01 62 00000000 0038"],
    [72, "ffff 01b8"],
  ];

  test("entries, then an unused run", () => {
    expect(decode(block(512, ...sound))).toEqual({ names: ["a", "abcdefghij", "b"], problem: undefined });
  });

  test("an entry whose tag is wrong hides only itself", () => {
    const { names: found, problem } = decode(block(512, ...sound, [54, "0021"]));
    expect(found).toEqual(["a", "b"]);
    expect(problem).toMatchObject({ code: "corrupt", offset: 8192 + 32 });
  });

  test.each([
    ["an entry without a name", [40, "00"], ["a"], 32],
    ["a name past the block", [40, "ff"], ["a"], 32],
    ["an unused run of no bytes", [74, "0000"], ["a", "abcdefghij", "b"], 72],
    ["an unused run past the block", [74, "01c0"], ["a", "abcdefghij", "b"], 72],
    ["an unused run of odd length", [74, "01b7"], ["a", "abcdefghij", "b"], 72],
  ] as const)("%s", (_, change, found, offset) => {
    const short = block(512, ...sound, change);
    const result = decode(short);
    if (change[1] === "ff") {
      // 255 bytes of name fit the block here, but the tag at their end does not name the entry.
      expect(result.problem).toMatchObject({ code: "corrupt", offset: 8192 + 32 });
      return;
    }
    expect(result.names).toEqual(found);
    expect(result.problem).toMatchObject({ code: "corrupt", offset: 8192 + offset });
  });

  test("a block directory ends where its index begins", () => {
    const only = block(
      512,
      [0, "58443242"],
      [16, "0000000000000083 01 61 00000000 0010"],
      [32, "ffff 01d0"],
      [504, "00000001"],
    );
    const data = openDataBlock(forkBlock(only), layout);
    expect(data).toMatchObject({ start: 16, end: 496, index: { start: 496, count: 1 } });
    expect(names(decodeDataBlock(data, layout).entries)).toEqual(["a"]);
    only.set(hex("0000003f"), 504);
    expect(() => openDataBlock(forkBlock(only), layout)).toThrowError(expect.objectContaining({ offset: 8192 + 504 }));
  });
});

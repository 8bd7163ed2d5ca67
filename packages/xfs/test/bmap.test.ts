import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { decodeBmapBlock, decodeBmapRoot, decodeExtents } from "../src/bmap.js";
import { block, hex } from "./bytes.js";

/** Bits by hand: 1 unwritten, 54 first block of the file, 52 fsBlock, 21 count. */
const packed = (unwritten: boolean, startOff: bigint, startBlock: bigint, count: bigint): string => {
  const word = ((unwritten ? 1n : 0n) << 127n) | (startOff << 73n) | (startBlock << 21n) | count;
  return word.toString(16).padStart(32, "0");
};
const decode = (...records: string[]) => decodeExtents(viewOf(hex(records.join(""))), 0, records.length, 0);

describe("extents", () => {
  test("one block at the start, written out", () => {
    expect(decode("00000000000000000000000001800001")).toEqual([
      { startOff: 0, startBlock: 12, count: 1, unwritten: false },
    ]);
  });

  test("fields that cross words, at their greatest", () => {
    const last = (1n << 53n) - 1n - 0x1f_ffffn;
    expect(decode(packed(true, last, (1n << 52n) - 1n, 0x1f_ffffn))).toEqual([
      { startOff: Number(last), startBlock: 2 ** 52 - 1, count: 0x1f_ffff, unwritten: true },
    ]);
    expect(decode(packed(false, 0x12_3456_789an, 0x9_8765_4321_0fedn, 5n))).toMatchObject([
      { startOff: 0x12_3456_789a, startBlock: 0x9_8765_4321_0fed, count: 5 },
    ]);
  });

  test.each([
    ["empty", [packed(false, 0n, 1n, 0n)]],
    ["overlapping", [packed(false, 0n, 1n, 4n), packed(false, 3n, 9n, 1n)]],
    ["out of order", [packed(false, 10n, 1n, 1n), packed(false, 3n, 9n, 1n)]],
    ["past 2^53", [packed(false, (1n << 54n) - 1n, 1n, 1n)]],
  ])("%s", (_, records) => {
    expect(() => decode(...records)).toThrowError(expect.objectContaining({ code: "corrupt" }));
  });
});

describe("B+trees", () => {
  test("a root: keys, then pointers after room for as many keys as fit", () => {
    // 84 bytes hold five keys and five pointers after the header of four.
    const fork = block(
      84,
      [0, "0001 0002 0000000000000000 0000000000000064"],
      [44, "0000000000000011 0000000000000022"],
    );
    expect(decodeBmapRoot(fork, 0)).toEqual({ level: 1, keys: [0, 100], pointers: [17, 34] });
  });

  test.each([
    ["level 0", "0000 0001"],
    ["level 17", "0011 0001"],
    ["no keys", "0001 0000"],
    ["more keys than fit", "0001 0006"],
    ["keys out of order", "0001 0002 0000000000000064 0000000000000064"],
    ["a key of 2^53", "0001 0001 0020000000000000"],
  ])("a root with %s", (_, digits) => {
    expect(() => decodeBmapRoot(block(84, [0, digits]), 500)).toThrowError(
      expect.objectContaining({ code: "corrupt", structure: "xfs_bmdr_block" }),
    );
  });

  test("a fork too small for any root", () => {
    expect(() => decodeBmapRoot(new Uint8Array(8), 0)).toThrowError(expect.objectContaining({ code: "corrupt" }));
    expect(() => decodeBmapRoot(new Uint8Array(0), 0)).toThrowError(expect.objectContaining({ code: "corrupt" }));
  });

  test("leaves of version 4 and 5", () => {
    const record = packed(false, 7n, 9n, 2n);
    const four = block(512, [0, "424d4150 0000 0001"], [24, record]);
    const five = block(1024, [0, "424d4133 0000 0001"], [72, record]);
    const leaf = { level: 0, records: [{ startOff: 7, startBlock: 9, count: 2, unwritten: false }] };
    expect(decodeBmapBlock(four, 0, false, 0)).toEqual(leaf);
    expect(decodeBmapBlock(five, 0, true, 0)).toEqual(leaf);
    expect(() => decodeBmapBlock(four, 0, true, 0)).toThrowError(expect.objectContaining({ field: "bb_magic" }));
    expect(() => decodeBmapBlock(five, 0, true, 1)).toThrowError(expect.objectContaining({ field: "bb_level" }));
  });
});

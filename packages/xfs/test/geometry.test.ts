import { describe, expect, test } from "vitest";
import { fsBlockToByte, inodeToByte, realtimeBlockToByte } from "../src/geometry.js";
import { decodeSuperblock } from "../src/superblock.js";
import { block } from "./bytes.js";

/** Three groups of 5,000 blocks of 4 KiB, the last of 4,000: an fsBlock has 13 bits below its group, an inode 3 more. */
const raw = block(
  512,
  [0, "58465342 00001000 00000000000036b0"], // XFSB, 4096, 14000 blocks
  [32, "00112233445566778899aabbccddeeff"],
  [56, "0000000000000080"], // root 128
  [84, "00001388 00000003"],
  [100, "b4a5 0200 0200 0008 6c6162656c000000 00000000 0c 09 09 03 0d"],
  [200, "0000018a"],
  [216, "00000003"],
);
const sb = decodeSuperblock(raw, 0);

describe("superblock", () => {
  test("its fields", () => {
    expect(sb).toMatchObject({
      version: 5,
      blockSize: 4096,
      sectorSize: 512,
      inodeSize: 512,
      dirBlockSize: 4096,
      dataBlocks: 14_000,
      agBlocks: 5000,
      agCount: 3,
      agBlockSpan: 8192,
      inodesPerBlock: 8,
      rootInode: 128,
      hasFtype: true,
      ignoresCase: false,
      needsRepair: false,
    });
    expect(Buffer.from(sb.label).toString()).toBe("label");
  });

  test.each([
    ["another magic", [0, "00"], "not-this-format"],
    ["version 3", [100, "b4a3"], "unsupported"],
    ["version 0", [100, "b4a0"], "corrupt"],
    ["directories of version 1", [100, "94a5"], "unsupported"],
    ["an unknown incompatible feature", [216, "80000003"], "unsupported"],
    ["an unknown bit of the second word", [200, "0000118a"], "unsupported"],
    ["a block size of 512 in version 5", [4, "00000200"], "corrupt"],
    ["inodes larger than 2 KiB", [104, "1000"], "corrupt"],
    ["directory blocks larger than 64 KiB", [192, "05"], "corrupt"],
    ["a group logarithm too small", [124, "0c"], "corrupt"],
    ["one block more than the groups hold", [8, "0000000000003a99"], "corrupt"],
    ["one block too few for the groups", [8, "0000000000002710"], "corrupt"],
  ] as const)("%s", (_, [at, digits], code) => {
    const changed = raw.slice();
    changed.set(block(digits.length / 2, [0, digits]), at);
    expect(() => decodeSuperblock(changed, 1000)).toThrowError(expect.objectContaining({ code }));
  });
});

describe("address spaces", () => {
  test("blocks of a later group follow those of the one before without the gap in their numbers", () => {
    expect(fsBlockToByte(sb, 0)).toBe(0);
    expect(fsBlockToByte(sb, 4999)).toBe(4999 * 4096);
    expect(fsBlockToByte(sb, 5000)).toBeUndefined();
    expect(fsBlockToByte(sb, 8192)).toBe(5000 * 4096);
    expect(fsBlockToByte(sb, 2 * 8192 + 3999)).toBe(13_999 * 4096);
    expect(fsBlockToByte(sb, 2 * 8192 + 4000)).toBeUndefined();
    expect(fsBlockToByte(sb, 3 * 8192)).toBeUndefined();
  });

  test("a run of blocks does not cross its group", () => {
    expect(fsBlockToByte(sb, 4990, 10)).toBe(4990 * 4096);
    expect(fsBlockToByte(sb, 4990, 11)).toBeUndefined();
  });

  test("inodes", () => {
    expect(inodeToByte(sb, 128)).toBe(16 * 4096);
    expect(inodeToByte(sb, 131)).toBe(16 * 4096 + 3 * 512);
    expect(inodeToByte(sb, (8192 + 16) * 8 + 7)).toBe(5016 * 4096 + 7 * 512);
    for (const ino of [0, -8, 1.5, 5000 * 8, 3 * 8192 * 8, 2 ** 53]) expect(inodeToByte(sb, ino)).toBeUndefined();
  });

  test("realtime blocks: in one piece, in groups side by side, in groups with gaps, on the data device", () => {
    const plain = { ...sb, realtimeBlocks: 100 };
    expect(realtimeBlockToByte(plain, 99)).toBe(99 * 4096);
    expect(realtimeBlockToByte(plain, 99, 2)).toBeUndefined();
    const groups = { count: 2, blocks: 1000, blockBits: 10, hasGaps: false };
    expect(realtimeBlockToByte({ ...plain, realtimeGroups: groups }, 1024 + 5)).toBe(1005 * 4096);
    expect(realtimeBlockToByte({ ...plain, realtimeGroups: groups }, 1000)).toBeUndefined();
    const zones = { ...plain, realtimeGroups: { ...groups, hasGaps: true }, realtimeStart: 50 };
    expect(realtimeBlockToByte(zones, 1024 + 5)).toBe((50 + 1029) * 4096);
    expect(realtimeBlockToByte(zones, 2048)).toBeUndefined();
  });
});

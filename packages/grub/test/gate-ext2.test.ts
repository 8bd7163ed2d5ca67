import { bufferDevice } from "@guestprobe/block";
import {
  DEFAULT_GRUB_VERSION,
  endsProbe,
  ext2Gate,
  GRUB_ERRNO,
  GRUB_EXT2_FEATURES,
  grubErrorOf,
} from "@guestprobe/grub";
import { describe, expect, test } from "vitest";

/** A superblock of revision 1 with blocks of 1 KiB, and a word of it changed. */
function superblock(at?: number, value = 0): Uint8Array {
  const image = new Uint8Array(4096);
  const view = new DataView(image.buffer, 1024);
  view.setUint32(0x14, 1, true); // s_first_data_block
  view.setUint32(0x28, 16, true); // s_inodes_per_group
  view.setUint16(0x38, 0xef53, true); // s_magic
  view.setUint32(0x4c, 1, true); // s_rev_level
  view.setUint16(0x58, 128, true); // s_inode_size
  for (let byte = 0; byte < 16; byte += 1) view.setUint8(0x68 + byte, 0xa0 + byte); // s_uuid
  for (const [index, char] of [..."label"].entries()) view.setUint8(0x78 + index, char.charCodeAt(0)); // s_volume_name
  if (at !== undefined) view.setUint32(at, value, true);
  return image;
}
const judge = (image: Uint8Array) => ext2Gate.probe(bufferDevice(image), DEFAULT_GRUB_VERSION);

// test/reference/grub-ext2-gate.test.ts asks the real GRUB about each bit.
describe("incompatible features", () => {
  const READ = [0x2, 0x4, 0x10, 0x40, 0x80, 0x100, 0x200, 0x2000, 0x4000, 0x10000];

  test("ten bits pass, the other twenty-two are refused by name", async () => {
    for (let exponent = 0; exponent < 32; exponent += 1) {
      const bit = 2 ** exponent;
      const answer = await judge(superblock(0x60, bit));
      expect([bit, answer.verdict]).toEqual([bit, READ.includes(bit) ? "accept" : "refuse"]);
      if (answer.verdict !== "refuse") continue;
      const name = GRUB_EXT2_FEATURES.find((row) => row.set === "incompat" && row.bit === bit)?.name;
      expect(answer.reason).toContain(name ?? `0x${bit.toString(16)}`);
      expect(answer.error).toBe("bad-fs");
    }
  });

  test("compatible and read-only compatible ones are not looked at", async () => {
    expect((await judge(superblock(0x5c, 0xffff_ffff))).verdict).toBe("accept");
    expect((await judge(superblock(0x64, 0xffff_ffff))).verdict).toBe("accept");
  });

  test("each bit has one row", () => {
    const keys = GRUB_EXT2_FEATURES.map(({ set, bit }) => `${set} ${bit}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

test("label and UUID are told", async () => {
  expect(await judge(superblock())).toEqual({
    verdict: "accept",
    label: new TextEncoder().encode("label"),
    uuid: "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf",
  });
});

test.each([
  ["magic", 0x38, 0xef54, "not-mine"],
  ["block size", 0x18, 21, "refuse"],
  ["inodes in a group", 0x28, 0, "refuse"],
  ["inode size", 0x58, 0, "refuse"],
  ["first data block with blocks of 1 KiB", 0x14, 0, "refuse"],
  ["features of revision 0", 0x4c, 0, "accept"],
] as const)("%s", async (_, at, value, verdict) => {
  const image = superblock(at, value);
  if (at === 0x4c) new DataView(image.buffer).setUint32(1024 + 0x60, 0xffff_ffff, true);
  expect((await judge(image)).verdict).toBe(verdict);
});

test("a device that ends within the superblock", async () => {
  for (const length of [0, 1, 1024, 1080, 2047]) {
    expect((await judge(superblock().subarray(0, length))).verdict).toBe("not-mine");
  }
});

test("error numbers, and which of them end a probe", () => {
  expect([GRUB_ERRNO["file-not-found"], GRUB_ERRNO["symlink-loop"], GRUB_ERRNO["bad-argument"]]).toEqual([5, 25, 18]);
  expect(["corrupt", "past-end", "io", "unsupported"].map((code) => endsProbe(grubErrorOf(code as "io")))).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

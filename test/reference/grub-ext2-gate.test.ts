import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice } from "@guestprobe/block";
import { DEFAULT_GRUB_VERSION, ext2Gate, GRUB_EXT2_FEATURES, type GrubFeature } from "@guestprobe/grub";
import { afterAll, describe, expect, test } from "vitest";
import { DiskMaker } from "../lib/guest-disk.js";

const folder = mkdtempSync(join(tmpdir(), "ext2-gate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

/** Where each set of bits lies in the superblock. */
const SETS: { readonly [Set in GrubFeature["set"]]: number } = { compat: 0x5c, incompat: 0x60, ro_compat: 0x64 };

const volume = make.ext({ type: "ext2", tree: { "/marker": "x" }, options: ["-b", "1024", "-I", "128"] });

/** The volume with a word of its superblock changed. */
function edited(at: number, change: (value: number) => number): Uint8Array {
  const image = Uint8Array.from(volume);
  const view = new DataView(image.buffer);
  view.setUint32(1024 + at, change(view.getUint32(1024 + at, true)), true);
  return image;
}

/** Whether the real GRUB lists the root directory. */
function grubLists(image: Uint8Array): boolean {
  const { stdout, error } = spawnSync("grub-fstest", [make.write(image), "ls", "(loop0)/"], {
    encoding: "utf8",
    timeout: 30_000,
  });
  if (error !== undefined) throw error;
  return stdout.includes("marker");
}

const ours = async (image: Uint8Array): Promise<string> =>
  (await ext2Gate.probe(bufferDevice(image), DEFAULT_GRUB_VERSION)).verdict;

describe("each feature bit, against grub-fstest", () => {
  for (const set of ["compat", "ro_compat", "incompat"] as const) {
    test(set, async () => {
      for (let exponent = 0; exponent < 32; exponent += 1) {
        const bit = 2 ** exponent;
        const image = edited(SETS[set], (value) => (value | bit) >>> 0);
        const lists = grubLists(image);
        expect([bit, await ours(image)]).toEqual([bit, lists ? "accept" : "refuse"]);
        const row = GRUB_EXT2_FEATURES.find((feature) => feature.set === set && feature.bit === bit);
        if (row !== undefined) expect([row.name, row.verdict !== "refuse"]).toEqual([row.name, lists]);
      }
    });
  }

  test("revision 0 has no feature bits", async () => {
    const image = edited(SETS.incompat, () => 0xffff_fffd);
    expect([grubLists(image), await ours(image)]).toEqual([false, "refuse"]);
    new DataView(image.buffer).setUint32(1024 + 0x4c, 0, true);
    expect([grubLists(image), await ours(image)]).toEqual([true, "accept"]);
  });
});

describe("fields of the superblock, against grub-fstest", () => {
  test.each([
    ["magic", 0x38, (value: number) => value ^ 1, "not-mine"],
    ["s_inodes_per_group 0", 0x28, () => 0, "refuse"],
    ["s_inode_size 0", 0x58, (value: number) => (value & 0xffff_0000) >>> 0, "refuse"],
    ["s_log_block_size 21", 0x18, () => 21, "refuse"],
    ["s_log_block_size at its maximum", 0x18, () => 0xffff_ffff, "refuse"],
    ["s_first_data_block 0 with blocks of 1 KiB", 0x14, () => 0, "refuse"],
    ["s_blocks_count 0", 0x04, () => 0, "accept"],
    ["s_inodes_count 0", 0x00, () => 0, "accept"],
    ["s_first_ino", 0x54, () => 0xffff_ffff, "accept"],
  ] as const)("%s", async (_, at, change, verdict) => {
    const image = edited(at, change);
    expect([grubLists(image), await ours(image)]).toEqual([verdict === "accept", verdict]);
  });

  test("a volume that ends within its superblock", async () => {
    const image = volume.subarray(0, 2000);
    expect([grubLists(image), await ours(image)]).toEqual([false, "not-mine"]);
  });
});

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, type Feature } from "@guestprobe/block";
import {
  DEFAULT_GRUB_VERSION,
  GRUB_VERSIONS,
  GRUB_XFS_INCOMPAT,
  GRUB_XFS_VERSION_BITS,
  libfsimageReadsXfs,
  xfsGate,
} from "@guestprobe/grub";
import { afterAll, describe, expect, test } from "vitest";
import { makeXfsFrom } from "../lib/xfs-tree.mjs";

const folder = mkdtempSync(join(tmpdir(), "xfs-gate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const source = join(folder, "source");
mkdirSync(source);
writeFileSync(join(source, "marker"), "x");

function volume(args: string[]): Uint8Array {
  const image = join(folder, "made.img");
  makeXfsFrom(image, 16 << 20, source, ["-L", "label of XFS", ...args]);
  return readFileSync(image);
}
const five = volume([]);
const four = volume(["-m", "crc=0"]);

/** The volume with a word of its superblock changed; no checksum is renewed, as GRUB verifies none. */
function edited(image: Uint8Array, at: number, change: (value: number) => number): Uint8Array {
  const copy = Uint8Array.from(image);
  const view = new DataView(copy.buffer);
  view.setUint32(at, change(view.getUint32(at)) >>> 0);
  return copy;
}

/** Whether the real GRUB lists the root directory. */
function grubLists(image: Uint8Array): boolean {
  const path = join(folder, "asked.img");
  writeFileSync(path, image);
  const { stdout, error } = spawnSync("grub-fstest", [path, "ls", "(loop0)/"], { encoding: "utf8", timeout: 30_000 });
  if (error !== undefined) throw error;
  return stdout.includes("marker");
}

const ours = async (image: Uint8Array, version = DEFAULT_GRUB_VERSION): Promise<string> =>
  (await xfsGate.probe(bufferDevice(image), version)).verdict;

describe("each feature bit, against grub-fstest", () => {
  const words: readonly [string, Uint8Array, number, number, number, readonly Feature[]][] = [
    // In the high half of the 32 bits at byte 100.
    ["version word of version 4", four, 100, 20, 32, GRUB_XFS_VERSION_BITS],
    ["version word of version 5", five, 100, 20, 32, []],
    ["second feature word of version 4", four, 200, 0, 32, []],
    ["second feature word of version 5", five, 200, 0, 32, []],
    ["incompatible features of version 5", five, 216, 0, 32, GRUB_XFS_INCOMPAT["debian-2.06"]],
    ["incompatible features of version 4", four, 216, 0, 32, []],
    ["read-only compatible features of version 5", five, 212, 0, 32, []],
  ];
  test.each(words)("%s", async (_, image, at, from, to, table) => {
    for (let exponent = from; exponent < to; exponent += 1) {
      const changed = edited(image, at, (value) => value | (2 ** exponent));
      const lists = grubLists(changed);
      expect([exponent, await ours(changed)]).toEqual([exponent, lists ? "accept" : "refuse"]);
      const bit = at === 100 ? 2 ** (exponent - 16) : 2 ** exponent;
      const row = table.find((feature) => feature.bit === bit);
      if (row !== undefined) expect([row.name, row.verdict !== "refuse"]).toEqual([row.name, lists]);
    }
  });

  test("Red Hat's 2.12 reads exchange-range, parent pointers and metadata directories as well", async () => {
    for (const bit of [0x40, 0x80, 0x100]) {
      const changed = edited(five, 216, (value) => value | bit);
      expect(await ours(changed, GRUB_VERSIONS["redhat-2.12"])).toBe("accept");
      expect(await ours(changed, GRUB_VERSIONS["2.12"])).toBe("refuse");
    }
  });
});

describe("fields of the superblock, against grub-fstest", () => {
  test.each([
    ["magic", 0, (value: number) => value ^ 1, "not-mine"],
    ["version 3", 100, (value: number) => (value & 0xfff0_ffff) | 0x3_0000, "refuse"],
    ["version 6", 100, (value: number) => (value & 0xfff0_ffff) | 0x6_0000, "refuse"],
    ["sb_blocklog 8", 120, (value: number) => (value & 0x00ff_ffff) | 0x0800_0000, "refuse"],
    ["sb_blocklog 27", 120, (value: number) => (value & 0x00ff_ffff) | 0x1b00_0000, "refuse"],
    ["sb_dirblklog 15", 192, (value: number) => (value & 0x00ff_ffff) | 0x0f00_0000, "refuse"],
    ["sb_rootino", 60, (value: number) => value + 1000, "refuse"],
    ["sb_blocksize is not looked at", 4, () => 0, "accept"],
    ["sb_agcount is not looked at", 88, () => 0, "accept"],
    ["sb_dblocks is not looked at", 12, () => 0, "accept"],
    ["sb_crc is not looked at", 224, (value: number) => value ^ 1, "accept"],
    ["sb_uuid is not looked at", 32, (value: number) => value ^ 1, "accept"],
  ] as const)("%s", async (_, at, change, verdict) => {
    const image = edited(five, at, change);
    expect([grubLists(image), await ours(image)]).toEqual([verdict === "accept", verdict]);
  });

  test("label and UUID are those that search compares", async () => {
    const path = join(folder, "named.img");
    writeFileSync(path, five);
    const verdict = await xfsGate.probe(bufferDevice(five), DEFAULT_GRUB_VERSION);
    const { stdout } = spawnSync("blkid", ["-p", "-o", "value", "-s", "UUID", path], { encoding: "utf8" });
    expect(verdict).toMatchObject({ label: new TextEncoder().encode("label of XFS"), uuid: stdout.trim() });
  });
});

test("pygrub's reader takes version 4 alone", () => {
  expect([libfsimageReadsXfs(four), libfsimageReadsXfs(five)]).toEqual([true, false]);
  expect(libfsimageReadsXfs(edited(four, 0, () => 0))).toBe(false);
});

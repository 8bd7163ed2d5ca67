import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { walkAll } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { populate, populateSubvolumes } from "../lib/btrfs-image.mjs";
import { buildVolume, checkVolume, type KernelVolume, withOpened } from "../lib/btrfs-volume.js";

interface Case {
  readonly name: string;
  readonly count?: number;
  readonly mib?: number;
  readonly mkfs: readonly string[];
  readonly mount?: readonly string[];
  /** What must be there, so that the case shows what its name says. */
  readonly has?: { readonly encoding?: string; readonly profile?: string; readonly checksum?: string };
}

const single = ["-d", "single", "-m", "single"];
const raid = (profile: string, count: number, mount: readonly string[] = []): Case => ({
  name: profile,
  count,
  mkfs: ["-d", profile, "-m", profile],
  mount,
  has: { profile: `${profile} data` },
});
const cases: readonly Case[] = [
  { name: "dup metadata, 16 KiB nodes, crc32c", mkfs: [], has: { profile: "dup metadata", checksum: "crc32c" } },
  {
    name: "4 KiB nodes, xxhash64, with hole items",
    mkfs: ["-n", "4096", "--csum", "xxhash", "-O", "^no-holes", ...single],
    has: { checksum: "xxhash64" },
  },
  {
    name: "8 KiB nodes, blake2, zlib",
    mkfs: ["-n", "8192", "--csum", "blake2", ...single],
    mount: ["compress=zlib"],
    has: { checksum: "blake2", encoding: "zlib" },
  },
  { name: "32 KiB nodes, lzo", mkfs: ["-n", "32768", ...single], mount: ["compress=lzo"], has: { encoding: "lzo" } },
  {
    name: "64 KiB nodes, sha256, zstd",
    mkfs: ["-n", "65536", "--csum", "sha256", ...single],
    mount: ["compress=zstd"],
    has: { checksum: "sha256", encoding: "zstd" },
  },
  {
    name: "mixed block groups, zstd forced",
    mib: 64,
    mkfs: ["--mixed"],
    mount: ["compress-force=zstd:15"],
    has: { encoding: "zstd", profile: "single data+metadata" },
  },
  { name: "zlib forced", mkfs: single, mount: ["compress-force=zlib:9"], has: { encoding: "zlib" } },
  {
    name: "lzo forced, with hole items",
    mkfs: ["-O", "^no-holes", ...single],
    mount: ["compress-force=lzo"],
    has: { encoding: "lzo" },
  },
  { name: "no checksums of data", mkfs: single, mount: ["nodatasum"] },
  { name: "old features", mkfs: ["-O", "^skinny-metadata,^extref,^no-holes", "-R", "^free-space-tree", ...single] },
  { name: "free space tree and quota", mkfs: ["-R", "free-space-tree,quota", ...single] },
  raid("raid0", 3),
  raid("raid1", 2),
  raid("raid10", 4, ["compress=lzo"]),
  raid("raid1c3", 3),
  raid("raid1c4", 4),
  raid("raid5", 3, ["compress=zstd"]),
  raid("raid6", 5),
];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-ref-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function build({ name, count, mib = 160, mkfs, mount }: Case): KernelVolume {
  const label = `lábel ${name}`.slice(0, 40);
  const options = { count, mib, mount, args: ["-L", label, ...mkfs] };
  return buildVolume(join(folder, name.replaceAll(/\W/g, "-")), options, (point) => {
    populate(point);
    populateSubvolumes(point);
  });
}

describe("every file as the kernel shows it, its data verified", () => {
  for (const one of cases) {
    it(one.name, async () => {
      const volume = build(one);
      for (const image of volume.images) await expectAsBlkidHasIt(image);
      expect(volume.entries.length).toBeGreaterThan(40);
      expect(await checkVolume(volume, { verify: true })).toEqual([]);
      await withOpened(volume.images, {}, async ({ fs }) => {
        const { encoding, profile, checksum } = one.has ?? {};
        if (profile !== undefined) expect(fs.profiles).toContain(profile);
        if (checksum !== undefined) expect(fs.checksum).toBe(checksum);
        const encodings = new Set<string | undefined>();
        for await (const { inode } of walkAll(fs)) {
          for await (const batch of inode?.extents() ?? []) for (const extent of batch) encodings.add(extent.encoding);
        }
        if (encoding !== undefined) expect(encodings).toContain(encoding);
      });
    });
  }
});

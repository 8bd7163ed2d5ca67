import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockDevice, cachedDevice, type Finding } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { btrfs } from "@guestprobe/btrfs";
import { type Entry, type OpenOptions, walkAll } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { btrfsView, makeVolume, populate, populateSubvolumes, withBtrfs } from "../lib/btrfs-image.mjs";
import { kernelXattrs, run } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";

interface Case {
  readonly name: string;
  readonly count?: number;
  readonly mib?: number;
  readonly mkfs: readonly string[];
  readonly mount?: readonly string[];
}

const single = ["-d", "single", "-m", "single"];
const cases: readonly Case[] = [
  { name: "dup metadata, 16 KiB nodes, crc32c", mkfs: [] },
  { name: "4 KiB nodes, xxhash, with hole items", mkfs: ["-n", "4096", "--csum", "xxhash", "-O", "^no-holes", ...single] },
  { name: "8 KiB nodes, blake2, zlib", mkfs: ["-n", "8192", "--csum", "blake2", ...single], mount: ["compress=zlib"] },
  { name: "32 KiB nodes, lzo", mkfs: ["-n", "32768", ...single], mount: ["compress=lzo"] },
  { name: "64 KiB nodes, sha256, zstd", mkfs: ["-n", "65536", "--csum", "sha256", ...single], mount: ["compress=zstd"] },
  { name: "mixed block groups", mib: 64, mkfs: ["--mixed"], mount: ["compress-force=zstd:15"] },
  { name: "zlib, forced", mkfs: single, mount: ["compress-force=zlib:9"] },
  { name: "lzo, forced, with hole items", mkfs: ["-O", "^no-holes", ...single], mount: ["compress-force=lzo"] },
  { name: "no checksums of data", mkfs: single, mount: ["nodatasum"] },
  { name: "old features", mkfs: ["-O", "^skinny-metadata,^extref,^no-holes", "-R", "^free-space-tree", ...single] },
  { name: "raid0", count: 3, mkfs: ["-d", "raid0", "-m", "raid0"] },
  { name: "raid1", count: 2, mkfs: ["-d", "raid1", "-m", "raid1"] },
  { name: "raid10", count: 4, mkfs: ["-d", "raid10", "-m", "raid10"], mount: ["compress=lzo"] },
  { name: "raid1c3", count: 3, mkfs: ["-d", "raid1c3", "-m", "raid1c3"] },
  { name: "raid1c4", count: 4, mkfs: ["-d", "raid1c4", "-m", "raid1c4"] },
  { name: "raid5", count: 3, mkfs: ["-d", "raid5", "-m", "raid5"], mount: ["compress=zstd"] },
  { name: "raid6", count: 5, mkfs: ["-d", "raid6", "-m", "raid6"] },
];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-ref-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Volume {
  readonly images: readonly string[];
  readonly uuid: string;
  readonly label: string;
  readonly entries: Partial<Entry>[];
  readonly xattrs: Map<string, Record<string, string>>;
}

/** Makes and fills a volume, and takes down what the kernel shows of it when it is mounted anew. */
function build(name: string, { count, mib, mkfs, mount = [] }: Case, fill: (point: string) => void): Volume {
  const label = `lábel ${name}`.slice(0, 40);
  const images = makeVolume(join(folder, name.replaceAll(/\W/g, "-")), {
    count: count ?? 1,
    mib: mib ?? 160,
    args: ["-L", label, ...mkfs],
  });
  withBtrfs(images, mount, fill);
  return withBtrfs(images, ["ro", "noatime", "subvolid=5"], (point) => {
    const entries = btrfsView(point);
    const xattrs = new Map(
      entries.filter((e) => e.pathHex === undefined).map((e) => [e.path!, kernelXattrs(point + e.path!)]),
    );
    return { images, uuid: run("blkid", ["-p", "-s", "UUID", "-o", "value", images[0]!]).trim(), label, entries, xattrs };
  });
}

/** Opens the volume on those of its images that `present` lists, by their order. */
async function open(images: readonly string[], options: OpenOptions = {}, present = images.map((_, n) => n)) {
  const files = await Promise.all(present.map((n) => openFile(images[n]!)));
  const devices: BlockDevice[] = files.map((file) => cachedDevice(file));
  const findings: Finding[] = [];
  const fs = await btrfs.open(devices[0]!, {
    members: devices.slice(1),
    report: (finding) => findings.push(finding),
    ...options,
  });
  return { fs, devices, findings, close: () => Promise.all(files.map((file) => file.close())) };
}

async function check(volume: Volume, options: OpenOptions = {}, present?: number[]): Promise<readonly Finding[]> {
  const { fs, devices, findings, close } = await open(volume.images, options, present);
  const { uuid, label, entries } = volume;
  for (const one of conformanceCases({ kind: "btrfs", label, uuid, entries }, { devices, sha256 })) {
    try {
      await one.run(fs);
    } catch (cause) {
      throw new Error(`${one.name}: ${(cause as Error).message}`, { cause });
    }
  }
  for await (const { path, inode } of walkAll(fs)) {
    const want = volume.xattrs.get(new TextDecoder().decode(path));
    if (want === undefined || inode === undefined) continue;
    const got = (await inode.xattrs()).map(({ name, value }) => [
      new TextDecoder().decode(name),
      Buffer.from(value).toString("hex"),
    ]);
    expect(Object.fromEntries(got), new TextDecoder().decode(path)).toEqual(want);
  }
  await close();
  return findings;
}

describe("every file as the kernel shows it", () => {
  for (const one of cases) {
    it(one.name, async () => {
      const volume = build(one.name, one, (point) => {
        populate(point);
        populateSubvolumes(point);
      });
      expect(await check(volume, { verify: true })).toEqual([]);
    });
  }
});

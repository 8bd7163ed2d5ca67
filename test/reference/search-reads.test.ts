import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { BOOT_PROBE_PATHS, GrubSearch } from "@guestprobe/grub";
import { openFileSystem } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { afterAll, expect, test } from "vitest";
import { Images } from "../../bench/lib/images.mjs";
import { DiskMaker } from "../lib/guest-disk.js";

const folder = mkdtempSync(join(tmpdir(), "reads-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

/** The eight boot paths over one disk: hits, and what it cost in reads of the image. */
async function probe(image: string): Promise<{ hits: number; reads: number; bytes: number }> {
  const file = await openFile(image);
  try {
    const counted = countReads(file);
    const search = new GrubSearch([{ name: "xen/xvda", device: cachedDevice(counted) }], {
      openVolume: (device) => openFileSystem(device, [ext, xfs, btrfs]),
    });
    let hits = 0;
    for (const name of BOOT_PROBE_PATHS) hits += (await search.search({ by: "file", name })).hits.length;
    return { hits, ...counted.stats };
  } finally {
    await file.close();
  }
}

function sparse(size: number): string {
  const image = make.file("sparse");
  closeSync(openSync(image, "w"));
  execFileSync("truncate", ["-s", String(size), image]);
  return image;
}

/** An ext4 volume of `size` bytes with these files, each of one byte. */
function ext4(size: number, files: readonly string[]): string {
  const image = sparse(size);
  const tree = `${image}.d`;
  for (const file of files) {
    mkdirSync(join(tree, file, ".."), { recursive: true });
    writeFileSync(join(tree, file), "x");
  }
  execFileSync("mke2fs", ["-q", "-F", "-t", "ext4", "-d", tree, image], { stdio: "pipe" });
  return image;
}

const BOOT = ["/boot/xen/pvboot-x86_64.elf", "/boot/grub/grub.cfg", "/boot/grub/menu.lst", "/boot/vmlinuz"];

test.each([
  ["64 MiB", 64 * 2 ** 20],
  ["4 GiB", 4 * 2 ** 30],
  ["1 TiB", 2 ** 40],
])("a volume of %s: at most 16 reads and 1 MiB", async (_, size) => {
  const cost = await probe(ext4(size, BOOT));
  expect(cost.hits).toBe(3);
  expect(cost.reads).toBeLessThanOrEqual(16);
  expect(cost.bytes).toBeLessThanOrEqual(1 << 20);
});

test("a disk with ext4, XFS and btrfs: at most twice what the formats ask for, and half a megabyte", async () => {
  const cost = await probe(new Images(join(folder, "images")).threeVolumes());
  // The files that were put there: two of the eight on each volume.
  expect(cost.hits).toBe(6);
  // Superblock, then an inode and a block of directory for each part of a path, or the nodes that lead to them: 10 reads
  // on ext4, 5 on XFS, 9 on btrfs for a hit three parts deep, of which the paths share the first ones.
  expect(cost.reads).toBeLessThanOrEqual(2 * (10 + 5 + 9));
  expect(cost.bytes).toBeLessThanOrEqual(500_000);
});

test("100,000 entries in /boot/grub cost at most 8 reads more", async () => {
  const image = ext4(2 ** 30, BOOT);
  const few = await probe(image);
  // The kernel writes the names, for it builds the hash tree that mke2fs leaves out.
  const mountPoint = join(folder, "mnt");
  mkdirSync(mountPoint);
  const crowded = sparse(2 ** 30);
  execFileSync("mke2fs", ["-q", "-F", "-t", "ext4", "-N", "120000", "-d", `${image}.d`, crowded], { stdio: "pipe" });
  execFileSync("mount", ["-o", "loop", crowded, mountPoint]);
  try {
    for (let n = 0; n < 100_000; n += 1) closeSync(openSync(join(mountPoint, `boot/grub/module-${n}.mod`), "w"));
  } finally {
    execFileSync("umount", [mountPoint]);
  }
  const many = await probe(crowded);
  expect(many.hits).toBe(3);
  expect(many.reads).toBeLessThanOrEqual(few.reads + 8);
  expect(many.bytes).toBeLessThanOrEqual(1 << 20);
});

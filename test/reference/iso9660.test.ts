/**
 * ISO 9660: volumes of genisoimage and xorriso, as Linux's isofs shows them, against what the reader shows. The host's kernel
 * need not know isofs: all volumes are mounted in one emulated guest.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, FindingLog } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { GrubSearch } from "@guestprobe/grub";
import { isIso9660, iso9660 } from "@guestprobe/iso9660";
import { readPartitions } from "@guestprobe/partition";
import { type Entry, openFileSystem, resolve } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { BOOT_PATHS, probeBootPaths } from "../lib/boot-probe.js";
import { guestViews } from "../lib/guest-view.mjs";
import { genisoimage, ISO_MODULES, writeIsoTree, xorrisofs } from "../lib/iso-images.mjs";
import { run } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";

const GIB = 2 ** 30;
const HUGE = 4 * GIB + 300 * 2 ** 20 + 77;

interface Shape {
  readonly scheme: "plain" | "joliet" | "rock-ridge";
  /** Which tree: with links and devices, without, with 1,000 entries in a directory, with a file over 4 GiB. */
  readonly tree: "tree" | "files" | "many" | "huge";
  make(root: string, image: string): unknown;
}

const SHAPES: Record<string, Shape> = {
  "level 1": { scheme: "plain", tree: "files", make: genisoimage },
  "level 3, long names": {
    scheme: "plain",
    tree: "files",
    make: (root, to) => genisoimage(root, to, "-iso-level", "3", "-l", "-allow-lowercase", "-relaxed-filenames"),
  },
  "level 2": { scheme: "plain", tree: "files", make: (root, to) => genisoimage(root, to, "-iso-level", "2") },
  "without version numbers": { scheme: "plain", tree: "files", make: (root, to) => genisoimage(root, to, "-N", "-d") },
  "Rock Ridge": { scheme: "rock-ridge", tree: "tree", make: (root, to) => genisoimage(root, to, "-R") },
  "Rock Ridge, owners made up": { scheme: "rock-ridge", tree: "tree", make: (root, to) => genisoimage(root, to, "-r") },
  "Rock Ridge, deep directories not moved": {
    scheme: "rock-ridge",
    tree: "tree",
    make: (root, to) => genisoimage(root, to, "-R", "-D"),
  },
  Joliet: { scheme: "joliet", tree: "files", make: (root, to) => genisoimage(root, to, "-J") },
  "Joliet, long names": {
    scheme: "joliet",
    tree: "files",
    make: (root, to) => genisoimage(root, to, "-J", "-joliet-long"),
  },
  "both, by genisoimage": { scheme: "rock-ridge", tree: "tree", make: (root, to) => genisoimage(root, to, "-R", "-J") },
  "both, by xorriso": { scheme: "rock-ridge", tree: "tree", make: (root, to) => xorrisofs(root, to, "-J") },
  "plain, by xorriso": { scheme: "plain", tree: "files", make: (root, to) => xorrisofs(root, to, "--norock") },
  "1,000 entries, Rock Ridge": { scheme: "rock-ridge", tree: "many", make: (root, to) => xorrisofs(root, to) },
  "1,000 entries, Joliet": {
    scheme: "joliet",
    tree: "many",
    make: (root, to) => xorrisofs(root, to, "--norock", "-J"),
  },
  "1,000 entries, plain": { scheme: "plain", tree: "many", make: (root, to) => genisoimage(root, to, "-l") },
  "over 4 GiB": {
    scheme: "rock-ridge",
    tree: "huge",
    make: (root, to) => xorrisofs(root, to, "-iso-level", "3", "-J"),
  },
  "over 4 GiB, plain": {
    scheme: "plain",
    tree: "huge",
    make: (root, to) => xorrisofs(root, to, "-iso-level", "3", "--norock"),
  },
};

let folder = "";
const image = (name: string): string => join(folder, `${name}.iso`);
const views = new Map<string, Entry[]>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-iso9660-"));
  for (const tree of ["tree", "files", "many", "huge"]) mkdirSync(join(folder, tree));
  writeIsoTree(join(folder, "tree"));
  writeIsoTree(join(folder, "files"), { nodes: false });
  writeIsoTree(join(folder, "many"), { nodes: false, many: 4000 });
  writeIsoTree(join(folder, "huge"), { nodes: false, huge: HUGE });
  for (const [name, { tree, make }] of Object.entries(SHAPES)) {
    make(join(folder, tree), image(name));
    // Zeros that the writer wrote out need no room.
    if (tree === "huge") execFileSync("fallocate", ["--dig-holes", image(name)]);
  }
  const volumes = Object.keys(SHAPES).map((name) => ({ image: image(name), type: "iso9660", options: "utf8" }));
  const all = (await guestViews(volumes, ISO_MODULES)) as Entry[][];
  for (const [index, name] of Object.keys(SHAPES).entries()) views.set(name, all[index]!);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(Object.entries(SHAPES))("%s", (name, { scheme, tree }) => {
  test("as Linux shows it", async () => {
    await using device = await openFile(image(name));
    const log = new FindingLog();
    const fs = await iso9660.open(cachedDevice(device), { report: log.report });
    expect(isIso9660(fs) && fs.scheme).toBe(scheme);
    const [label, uuid] = ["LABEL", "UUID"].map((key) =>
      run("blkid", ["-p", "-o", "value", "-s", key, image(name)]).trim(),
    );
    await expectAsBlkidHasIt(image(name));
    const entries = views.get(name)!;
    expect(entries.length).toBeGreaterThan(tree === "many" ? 4000 : 20);
    const expected = { kind: "iso9660", label: label!, uuid: uuid!, entries };
    // The file of 4 GiB is compared where it may go wrong, below.
    const hash = tree === "huge" ? async () => "" : sha256;
    const ignore = tree === "huge" ? (["sha256"] as const) : [];
    for (const one of conformanceCases(expected, { devices: [device], sha256: hash, ignore })) await one.run(fs);
    expect(log.findings).toEqual([]);
  });
});

test.each(["over 4 GiB", "over 4 GiB, plain"])("%s: a file of several extents, as its source has it", async (name) => {
  await using device = await openFile(image(name));
  await using source = await openFile(join(folder, "huge/huge"));
  const fs = await iso9660.open(cachedDevice(device));
  const { inode } = (await resolve(fs, "/huge"))!;
  expect(inode.stat.size).toBe(HUGE);
  const extents = [];
  for await (const batch of inode.extents()) extents.push(...batch);
  expect(extents.length).toBeGreaterThan(1);
  const edges = extents.map(({ logical }) => Math.max(0, logical - 5000));
  for (const at of [...edges, 2 ** 31 - 50, 2 ** 32 - 50, HUGE - 10_000]) {
    expect(await inode.read(at, 10_000)).toEqual(new Uint8Array(await source.read(at, 10_000)));
  }
});

test("a hybrid for USB sticks: its tables are read beside the volume on the whole disk", async () => {
  const path = image("hybrid");
  const efi = ["-eltorito-alt-boot", "-e", "EFI/BOOT/BOOTX64.EFI", "-no-emul-boot", "-isohybrid-gpt-basdat"];
  const bios = ["-b", "boot/vmlinuz", "-no-emul-boot", "-boot-load-size", "4"];
  xorrisofs(join(folder, "files"), path, ...bios, ...efi, "-isohybrid-mbr", mbrCode());
  await using device = await openFile(path);
  const { partitions, tables } = await readPartitions(cachedDevice(device));
  expect(tables.map(({ kind }) => kind)).toContain("gpt");
  expect(partitions.length).toBeGreaterThan(0);
  const fs = await iso9660.open(cachedDevice(device));
  expect((await resolve(fs, "/boot/grub/grub.cfg"))?.inode.stat.type).toBe("file");
  if (!isIso9660(fs)) throw new Error("no ISO 9660 volume");
  const report = run("xorriso", ["-indev", path, "-report_el_torito", "plain"]);
  const images = [...report.matchAll(/^El Torito boot img : +\d+ +(\S+) +y +\S+ +\S+ +\S+ +(\d+) +(\d+)$/gm)];
  expect(images.length).toBe(2);
  const reported = images.map(([, platform, , lba]) => [platform === "BIOS" ? "x86" : "efi", Number(lba) * 2048]);
  expect((await fs.bootEntries()).map(({ platform, offset }) => [platform, offset])).toEqual(reported);
});

/** Boot code as long as xorriso wants it; what it does is of no matter. */
function mbrCode(): string {
  const path = join(folder, "mbr.bin");
  writeFileSync(path, Buffer.alloc(432, 0x90));
  return path;
}

test("the eight boot paths cost at most 16 reads and 1 MiB, through GRUB's search too", async () => {
  const tree = join(folder, "boot-tree");
  for (const path of BOOT_PATHS) {
    mkdirSync(join(tree, path, ".."), { recursive: true });
    writeFileSync(join(tree, path), path);
  }
  for (let n = 0; n < 1000; n += 1) writeFileSync(join(tree, `boot/grub/module-${n}.mod`), "");
  xorrisofs(tree, image("boot"), "-J");
  await using device = await openFile(image("boot"));
  const { hits, stats } = await probeBootPaths(device, iso9660);
  expect(hits).toEqual([...BOOT_PATHS]);
  expect(stats.reads).toBeLessThanOrEqual(16);
  expect(stats.bytes).toBeLessThanOrEqual(1 << 20);

  const counted = countReads(device);
  const search = new GrubSearch([{ name: "xen/xvda", device: cachedDevice(counted) }], {
    openVolume: (volume) => openFileSystem(volume, [iso9660]),
  });
  for (const name of BOOT_PATHS) expect((await search.search({ by: "file", name })).hits).toHaveLength(1);
  expect(counted.stats.reads).toBeLessThanOrEqual(16);
  expect(counted.stats.bytes).toBeLessThanOrEqual(1 << 20);
});

/** squashfs: what the kernel shows of real volumes (unsquashfs, for lzma), against what the reader shows. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockDevice, cachedDevice, FindingLog, ImageError, toHex } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { squashfs } from "@guestprobe/squashfs";
import { type Entry, type Extent, type FileSystem, type Inode, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, readEntry } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { BOOT_PATHS, probeBootPaths } from "../lib/boot-probe.js";
import { guestprobe } from "../lib/cli.js";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";
import { makeSquashfs, unpackedView, writeSquashTree } from "../lib/squashfs-images.mjs";

const KIB = 1024;
const BLOCK_SIZES = [4 * KIB, 128 * KIB, 1024 * KIB];
let folder = "";
const tree = (blockSize: number): string => join(folder, `tree-${blockSize}`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-squashfs-"));
  for (const blockSize of BLOCK_SIZES) {
    mkdirSync(tree(blockSize));
    writeSquashTree(tree(blockSize), blockSize);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const COMPRESSORS: Record<string, readonly string[]> = {
  gzip: ["-comp", "gzip"],
  lzma: ["-comp", "lzma"],
  lzo: ["-comp", "lzo"],
  xz: ["-comp", "xz"],
  "xz, x86": ["-comp", "xz", "-Xbcj", "x86"],
  lz4: ["-comp", "lz4"],
  lz4hc: ["-comp", "lz4", "-Xhc"],
  zstd: ["-comp", "zstd"],
};

const VARIANTS: Record<string, readonly string[]> = {
  "without fragments": ["-comp", "gzip", "-no-fragments"],
  "tails of all files in fragments": ["-comp", "zstd", "-always-use-fragments"],
  "inodes as they are": ["-comp", "gzip", "-noI"],
  "data as it is": ["-comp", "lzo", "-noD"],
  "fragments as they are": ["-comp", "gzip", "-noF"],
  "attributes and ids as they are": ["-comp", "xz", "-noX", "-noId"],
  "nothing compressed": ["-comp", "gzip", "-noI", "-noD", "-noF", "-noX"],
  "without export table": ["-comp", "gzip", "-no-exports"],
  "without attributes": ["-comp", "gzip", "-no-xattrs"],
  "without duplicates and sparse files found": ["-comp", "gzip", "-no-duplicates", "-no-sparse"],
  "options of gzip": ["-comp", "gzip", "-Xcompression-level", "1", "-Xwindow-size", "9", "-Xstrategy", "filtered"],
  "options of lzo": ["-comp", "lzo", "-Xalgorithm", "lzo1x_1"],
  "options of zstd": ["-comp", "zstd", "-Xcompression-level", "3"],
  "xz with a small dictionary and two filters": ["-comp", "xz", "-Xbcj", "arm,sparc", "-Xdict-size", "25%"],
};

interface Mounted {
  readonly entries: Entry[];
  readonly xattrs: Map<string, Record<string, string>>;
}

function mounted(image: string, hasXattrs = true): Mounted {
  return withMount(image, ["ro"], (point: string) => {
    const entries = kernelView(point) as Entry[];
    const named = entries.filter(({ path, pathHex }) => pathHex === undefined && /attributes|boot|links/.test(path));
    if (!hasXattrs) return { entries, xattrs: new Map(named.map(({ path }) => [path, {}])) };
    return { entries, xattrs: new Map(named.map(({ path }) => [path, kernelXattrs(join(point, path))])) };
  });
}

/** The host's own inode numbers, directories and clocks say nothing about the volume. */
const unpacked = (image: string): Mounted => ({
  entries: unpackedView(image, join(folder, "unpacked")) as Entry[],
  xattrs: new Map(),
});

async function conforms(image: string, { entries, xattrs }: Mounted): Promise<void> {
  await using device = await openFile(image);
  const log = new FindingLog();
  const fs = await squashfs.open(cachedDevice(device), { report: log.report });
  const expected = { kind: "squashfs", label: "", uuid: null, entries };
  for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
  for (const [path, wanted] of xattrs) {
    const list = await (await resolve(fs, path, { followLast: false }))!.inode.xattrs();
    const got = Object.fromEntries(list.map(({ name, value }) => [new TextDecoder().decode(name), toHex(value)]));
    expect(got, path).toEqual(wanted);
  }
  expect(log.findings).toEqual([]);
}

describe.each(BLOCK_SIZES)("blocks of %i bytes", (blockSize) => {
  test.each(Object.entries(COMPRESSORS))("%s", async (name, options) => {
    const image = join(folder, "volume.squashfs");
    makeSquashfs(tree(blockSize), image, [...options, "-b", `${blockSize}`]);
    await expectAsBlkidHasIt(image);
    // Linux has no lzma, and takes no dictionary below 8 KiB among the options that a filter brings with it. Here as below.
    const isForeign = name === "lzma" || (name === "xz, x86" && blockSize < 8 * KIB);
    await conforms(image, isForeign ? unpacked(image) : mounted(image));
    await using device = await openFile(image);
    const { hits, stats } = await probeBootPaths(device, squashfs);
    expect(hits).toEqual(["/boot/grub/grub.cfg"]);
    expect(stats.reads).toBeLessThanOrEqual(24);
    expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
  });

  test.each(Object.entries(VARIANTS))("%s", async (_, options) => {
    const image = join(folder, "variant.squashfs");
    // mksquashfs takes no dictionary below 8 KiB.
    const own = blockSize < 8 * KIB ? options.filter((word) => !/^(-Xdict-size|25%)$/.test(word)) : options;
    makeSquashfs(tree(blockSize), image, [...own, "-b", `${blockSize}`]);
    await expectAsBlkidHasIt(image);
    const hasXattrs = !options.includes("-no-xattrs");
    if (options.includes("-Xbcj") && blockSize < 8 * KIB) return conforms(image, unpacked(image));
    const view = mounted(image, hasXattrs);
    await conforms(image, view);
    if (hasXattrs) expect(Object.keys(view.xattrs.get("/attributes/file")!)).toContain("user.large");
  });
});

test.each([["with"], ["without"]])("inodes by number, %s the export table", async (which) => {
  const image = join(folder, "export.squashfs");
  makeSquashfs(tree(4 * KIB), image, which === "with" ? [] : ["-no-exports"]);
  await using device = await openFile(image);
  const fs = await squashfs.open(cachedDevice(device));
  for await (const { inode } of walkAll(fs)) {
    const again = await fs.inode(inode!.stat.ino);
    expect(again.stat).toEqual(inode!.stat);
  }
  await expect(fs.inode(0)).rejects.toMatchObject({ code: "not-found" });
  await expect(fs.inode(1 << 30)).rejects.toMatchObject({ code: "not-found" });
});

async function openImage<T>(image: string, use: (fs: FileSystem) => Promise<T>): Promise<T> {
  await using device = await openFile(image, { blocking: true });
  return await use(await squashfs.open(cachedDevice(device)));
}

test("a directory of 100,000 entries: the same as the kernel's, and found through the index", async () => {
  const root = join(folder, "many");
  mkdirSync(join(root, "d"), { recursive: true });
  for (let n = 0; n < 100_000; n += 1) writeFileSync(join(root, "d", `entry-${n}`), "");
  const image = join(folder, "many.squashfs");
  makeSquashfs(root, image, []);
  rmSync(root, { recursive: true });
  const entries: Entry[] = withMount(image, ["ro"], (point: string) => kernelView(point));
  const expected = new Map(entries.map((entry) => [entry.path, JSON.stringify(entry)]));
  await openImage(image, async (fs) => {
    for await (const { path, inode } of walkAll(fs)) {
      const entry = await readEntry(path, inode!, sha256);
      const want = expected.get(entry.path);
      if (want !== JSON.stringify(entry)) expect(JSON.stringify(entry)).toBe(want);
      expected.delete(entry.path);
    }
    expect(expected.size).toBe(0);
  });
  await using device = await openFile(image);
  let read = 0;
  const counting = {
    size: device.size,
    read: (offset: number, length: number) => {
      read += length;
      return device.read(offset, length);
    },
  };
  const fs = await squashfs.open(counting);
  expect((await resolve(fs, "/d/entry-77777"))?.inode.stat.type).toBe("file");
  expect(await resolve(fs, "/d/entry-7777x")).toBeUndefined();
  // The listing alone has a few hundred metadata blocks.
  expect(read).toBeLessThan(20 * 8194);
  expect(statSync(image).size).toBeGreaterThan(200 * KIB);
});

test("65,536 hard links to one file", async () => {
  const root = join(folder, "linked");
  mkdirSync(root);
  // ext4 gives one inode 65,000 links at most; a tmpfs has no such limit.
  const space = mkdtempSync(join(tmpdir(), "guestprobe-links-"));
  run("mount", ["-t", "tmpfs", "-o", "nr_inodes=200000", "none", space]);
  const image = join(folder, "linked.squashfs");
  try {
    writeFileSync(join(space, "link-0"), "one file\n");
    for (let n = 1; n < 65_536; n += 1) linkSync(join(space, "link-0"), join(space, `link-${n}`));
    makeSquashfs(space, image, []);
  } finally {
    run("umount", [space]);
    rmSync(space, { recursive: true });
  }
  const entries: Entry[] = withMount(image, ["ro"], (point: string) => kernelView(point));
  expect(entries[1]?.nlink).toBe(65_536);
  const expected = new Map(entries.map((entry) => [entry.path, JSON.stringify(entry)]));
  await openImage(image, async (fs) => {
    for await (const { path, inode } of walkAll(fs)) {
      const entry = await readEntry(path, inode!, sha256);
      if (expected.get(entry.path) !== JSON.stringify(entry)) {
        expect(JSON.stringify(entry)).toBe(expected.get(entry.path));
      }
      expected.delete(entry.path);
    }
    expect(expected.size).toBe(0);
  });
});

test("the boot probe meets its budget where all eight paths exist", async () => {
  const root = join(folder, "boot");
  for (const path of BOOT_PATHS) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), path);
  }
  const image = join(folder, "boot.squashfs");
  makeSquashfs(root, image, []);
  await using device = await openFile(image);
  const { hits, stats } = await probeBootPaths(device, squashfs);
  expect(hits).toEqual([...BOOT_PATHS]);
  expect(stats.reads).toBeLessThanOrEqual(24);
  expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
});

test("a large file through the command: on threads, and under --sandbox, where none may be started", async () => {
  const source = join(folder, "large");
  mkdirSync(source);
  const content = Buffer.alloc(12 << 20, "What threads decompress, the sandbox decompresses by itself.\n");
  writeFileSync(join(source, "large"), content);
  const image = join(folder, "large.squashfs");
  makeSquashfs(source, image, ["-comp", "zstd"]);
  for (const options of [[], ["--sandbox"]]) {
    const { code, stdout, err } = await guestprobe(["cat", ...options, image, "/large"]);
    expect([code, err]).toEqual([0, ""]);
    expect(stdout.equals(content)).toBe(true);
    // What threads make counts as what this one makes.
    const bounded = await guestprobe(["cat", "--limit-decoded", "5M", ...options, image, "/large"]);
    expect([bounded.code, bounded.err]).toEqual([4, "guestprobe: more than 5242880 bytes decoded\n"]);
    expect(bounded.stdout.equals(content.subarray(0, bounded.stdout.length))).toBe(true);
  }
});

test("in a large file only the blocks that a bad sector or damage hits fail, each by its own place", async () => {
  const source = join(folder, "runs");
  mkdirSync(source);
  // Every block compresses, and no two alike: they lie one behind the other, and are read together.
  const content = Buffer.from(Array.from({ length: 200_000 }, (_, n) => `line ${n}, ${n * n}\n`).join(""));
  writeFileSync(join(source, "large"), content);
  const image = join(folder, "runs.squashfs");
  makeSquashfs(source, image, ["-comp", "gzip", "-b", "131072"]);
  await using file = await openFile(image);
  const large = async (device: BlockDevice): Promise<Inode> => {
    const found = await resolve(await squashfs.open(cachedDevice(device)), "/large");
    return found!.inode;
  };
  const at = async (device: BlockDevice, offset: number, length: number): Promise<Uint8Array> =>
    (await large(device)).read(offset, length, undefined, new Uint8Array(length));
  const extents: Extent[] = [];
  for await (const batch of (await large(file)).extents()) extents.push(...batch);
  const hit = extents[9]!;
  expect(hit).toMatchObject({ kind: "encoded", length: 131_072 });
  const bad = hit.physical! + 100;
  const isHit = (offset: number, length: number): boolean => offset <= bad && bad < offset + length;
  const faulty: BlockDevice = {
    size: file.size,
    async read(offset, length) {
      if (isHit(offset, length)) throw new ImageError("io", "bad sector", { offset: bad });
      return file.read(offset, length);
    },
  };
  const damaged: BlockDevice = {
    size: file.size,
    async read(offset, length) {
      const data = (await file.read(offset, length)).slice();
      if (isHit(offset, length)) data[bad - offset]! ^= 0xff;
      return data;
    },
  };
  // Eight blocks at a time, so that they are read together; the tenth is the one that is hit.
  const span = 8 * 131_072;
  expect(Buffer.from(await at(file, span, span)).equals(content.subarray(span, 2 * span))).toBe(true);
  await expect(at(faulty, span, span)).rejects.toMatchObject({ code: "io", offset: bad });
  await expect(at(damaged, span, span)).rejects.toMatchObject({ code: "corrupt", offset: hit.physical });
  for (const device of [faulty, damaged]) {
    expect(Buffer.from(await at(device, 0, span)).equals(content.subarray(0, span))).toBe(true);
    const after = 10 * 131_072;
    expect(Buffer.from(await at(device, after, span)).equals(content.subarray(after, after + span))).toBe(true);
  }
});

/** ext: what the kernel shows of real volumes, against what the reader shows. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, FindingLog, toHex } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { ext } from "@guestprobe/ext";
import { type FileSystem, type OpenOptions, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, readEntry } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeExt, makeFilledExt, UUID } from "../lib/ext-images.mjs";
import { pattern, writeHoles, writeTimes, writeTree } from "../lib/ext-tree.mjs";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";

const MIB = 1 << 20;
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-ext-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function withVolume<T>(
  image: string,
  options: OpenOptions,
  use: (fs: FileSystem, device: Awaited<ReturnType<typeof openFile>>) => Promise<T>,
): Promise<T> {
  await using device = await openFile(image, { blocking: true });
  return await use(await ext.open(cachedDevice(device), options), device);
}

const keyOf = (entry: { path: string; pathHex?: string }): string => entry.pathHex ?? entry.path;

/** Every path with all that the kernel says about it. */
async function sameAsKernel(fs: FileSystem, wanted: readonly { path: string; pathHex?: string }[]): Promise<void> {
  const expected = new Map(wanted.map((entry) => [keyOf(entry), entry]));
  for await (const { path, inode, error } of walkAll(fs)) {
    if (error !== undefined) throw error;
    const entry = await readEntry(path, inode!, sha256);
    const want = expected.get(keyOf(entry));
    // Compared as text first: an assertion on each of 100,000 entries would take minutes.
    if (JSON.stringify(entry) !== JSON.stringify(want)) expect(entry).toEqual(want);
    expected.delete(keyOf(entry));
  }
  expect([...expected.keys()]).toEqual([]);
}

async function sameXattrs(fs: FileSystem, mounted: Map<string, Record<string, string>>): Promise<void> {
  for (const [path, wanted] of mounted) {
    const found = await resolve(fs, path, { followLast: false });
    const got = await found!.inode.xattrs();
    const shown = Object.fromEntries(got.map(({ name, value }) => [new TextDecoder().decode(name), toHex(value)]));
    expect(shown, path).toEqual(wanted);
  }
}

interface Case {
  readonly args: readonly string[];
  readonly blockSize?: number;
  /** Times past 2038 and nanoseconds: inodes above 128 bytes. */
  readonly wide?: boolean;
  readonly attributes?: boolean;
  readonly fill?: (root: string) => void;
  readonly mount?: readonly string[];
}

const MATRIX: Record<string, Case> = {
  "ext2 revision 0": { args: ["-t", "ext2", "-r", "0", "-b", "1024"], blockSize: 1024, attributes: false },
  "ext2, 1 KiB blocks": { args: ["-t", "ext2", "-b", "1024", "-I", "128"], blockSize: 1024 },
  "ext2, 4 KiB blocks, without filetype and dir_index": {
    args: ["-t", "ext2", "-b", "4096", "-I", "128", "-O", "^filetype,^dir_index"],
  },
  "ext3, 2 KiB blocks": { args: ["-t", "ext3", "-b", "2048", "-I", "128"], blockSize: 2048 },
  "ext4 as mke2fs makes it": { args: ["-t", "ext4", "-b", "4096"], wide: true },
  "ext4, 1 KiB blocks, inodes of 512 bytes": {
    args: ["-t", "ext4", "-b", "1024", "-I", "512"],
    blockSize: 1024,
    wide: true,
  },
  "ext4 without extents and 64bit": { args: ["-t", "ext4", "-b", "4096", "-O", "^extent,^64bit"], wide: true },
  "uninit_bg, 64bit": { args: ["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,uninit_bg,64bit"], wide: true },
  "uninit_bg, descriptors of 32 bytes": {
    args: ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg,^64bit"],
    blockSize: 1024,
    wide: true,
  },
  inline_data: { args: ["-t", "ext4", "-b", "4096", "-O", "inline_data"], wide: true },
  "inline_data in inodes of 1 KiB": {
    args: ["-t", "ext4", "-b", "1024", "-I", "1024", "-O", "inline_data"],
    blockSize: 1024,
    wide: true,
  },
  "ea_inode, metadata_csum_seed": {
    args: ["-t", "ext4", "-b", "4096", "-O", "ea_inode,metadata_csum_seed"],
    wide: true,
    fill(root) {
      run("setfattr", ["-n", "user.huge", "-v", `0x${"cd".repeat(20_000)}`, `${root}/empty`]);
      run("setfattr", ["-n", "user.block", "-v", `0x${"ef".repeat(4096)}`, `${root}/empty`]);
    },
  },
  "ea_inode without metadata_csum": {
    args: ["-t", "ext4", "-b", "1024", "-O", "ea_inode,^metadata_csum"],
    blockSize: 1024,
    wide: true,
    fill: (root) => run("setfattr", ["-n", "user.huge", "-v", `0x${"cd".repeat(20_000)}`, `${root}/empty`]),
  },
  "meta_bg, many groups": {
    args: ["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode,^flex_bg"],
    blockSize: 1024,
    wide: true,
  },
  bigalloc: { args: ["-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "65536"], wide: true },
  "bigalloc, 1 KiB blocks": {
    args: ["-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "8192"],
    blockSize: 1024,
    wide: true,
  },
  "bigalloc, meta_bg, 1 KiB blocks": {
    args: ["-t", "ext4", "-b", "1024", "-O", "bigalloc,meta_bg,^resize_inode", "-C", "8192"],
    blockSize: 1024,
    wide: true,
  },
  sparse_super2: { args: ["-t", "ext4", "-b", "4096", "-O", "sparse_super2,^resize_inode"], wide: true },
  "large_dir, fast_commit, mmp, orphan_file": {
    args: ["-t", "ext4", "-b", "4096", "-O", "large_dir,fast_commit,mmp,orphan_file"],
    wide: true,
  },
  "hash tea": { args: ["-t", "ext4", "-b", "1024"], blockSize: 1024, wide: true },
  "hash legacy, unsigned": { args: ["-t", "ext4", "-b", "1024"], blockSize: 1024, wide: true },
};
/** What tune2fs and debugfs set after mke2fs: its own way to choose a hash is a file in /etc. */
const AFTER: Record<string, readonly string[]> = {
  "hash tea": ["set_super_value def_hash_version tea"],
  "hash legacy, unsigned": ["set_super_value def_hash_version legacy", "set_super_value flags 2"],
};

describe("manifest equals the kernel's view", () => {
  for (const [name, { args, blockSize = 4096, wide = false, attributes = true, fill, mount = [] }] of Object.entries(
    MATRIX,
  )) {
    test(name, async () => {
      const image = join(folder, "matrix.img");
      makeExt(image, 160 * MIB, args);
      for (const command of AFTER[name] ?? []) run("debugfs", ["-w", "-R", command, image]);
      withMount(image, ["rw", ...mount], (root: string) => {
        writeTree(root, { blockSize, attributes });
        writeTimes(join(root, "times"), { wide });
        fill?.(root);
      });
      const paths = ["/attributes/file", "/attributes/dir", "/attributes/link", "/empty", "/boot"];
      const [entries, xattrs] = withMount(image, ["ro"], (root: string) => [
        kernelView(root),
        new Map(attributes ? paths.map((path) => [path, kernelXattrs(join(root, path))] as const) : []),
      ]);
      const log = new FindingLog();
      await withVolume(image, { report: log.report }, async (fs, device) => {
        expect(fs.uuid).toBe(UUID);
        await sameAsKernel(fs, entries);
        await sameXattrs(fs, xattrs);
        const expected = { kind: args[1]!, label: "guest \u00e9", uuid: UUID, entries };
        const cases = conformanceCases(expected, { devices: [device], sha256 });
        // The manifest was compared above.
        for (const one of cases.filter((entry) => !entry.name.startsWith("every path"))) await one.run(fs);
        expect(await volumeFacts(fs)).toEqual(dumpe2fs(image));
      });
      expect(log.findings).toEqual([]);
      rmSync(image);
    });
  }
});

/** The superblock in the words of e2fsprogs. */
function dumpe2fs(image: string) {
  const text: string = run("dumpe2fs", ["-h", image]);
  const value = (name: string) => new RegExp(`^${name}: +(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    features: value("Filesystem features")
      .split(" ")
      .filter((name) => name !== "(none)")
      .sort(),
    blockSize: Number(value("Block size")),
    size: Number(value("Block count")) * Number(value("Block size")),
  };
}

async function volumeFacts(fs: FileSystem) {
  return { features: [...fs.features].sort(), blockSize: fs.blockSize, size: fs.size };
}

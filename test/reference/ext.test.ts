/** ext: what the kernel shows of real volumes, against what the reader shows. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, FindingLog, toHex } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { ext, verifyBitmaps } from "@guestprobe/ext";
import * as layout from "@guestprobe/ext/layout";
import { type FileSystem, filePieces, type OpenOptions, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, readEntry } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { BOOT_PATHS, probeBootPaths } from "../lib/boot-probe.js";
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
      await expectAsBlkidHasIt(image);
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
        expect(await verifyBitmaps(device, { report: log.report })).toBe(0);
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

describe("layout offsets", () => {
  test("superblock and inode fields, set by debugfs by their names, change where the tables say", () => {
    const image = join(folder, "layout.img");
    makeExt(image, 8 * MIB, ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,64bit"]);
    const at = 1024 * Number(/Inode table at (\d+)/.exec(run("dumpe2fs", [image]))![1]) + 256;
    const copy = join(folder, "layout-copy.img");
    const edit = (command: string): Buffer => {
      run("cp", [image, copy]);
      run("debugfs", ["-w", "-R", command, copy], { env: { ...process.env, E2FSPROGS_FAKE_TIME: "1700000000" } });
      return readFileSync(copy);
    };
    // What debugfs changes whenever it writes: the time, for one.
    const before = edit("ssv mnt_count 0");
    const check = (table: object, base: number, name: string, command: string) => {
      const { offset, size } = (table as Record<string, { offset: number; size: number }>)[name]!;
      const data = edit(command);
      const changed: number[] = [];
      for (let n = 0; n < 1024; n += 1) if (data[base + n] !== before[base + n]) changed.push(n);
      expect.soft(changed, command).not.toEqual([]);
      for (const n of changed) expect.soft(n >= offset && n < offset + size, `${command}: byte ${n}`).toBe(true);
    };
    for (const [name, { size }] of Object.entries(layout.ext4_super_block.$fields)) {
      const known = SUPERBLOCK_NAMES[name] ?? name.slice(2);
      if (known === "" || size > 4) continue;
      check(layout.ext4_super_block.$fields, 1024, name, `ssv ${known} ${SUPERBLOCK_VALUES[name] ?? "0x55"}`);
    }
    check(layout.ext4_super_block.$fields, 1024, "s_volume_name", "ssv volume_name other");
    check(layout.ext4_super_block.$fields, 1024, "s_uuid", "ssv uuid 11111111-2222-3333-4444-555555555555");
    check(layout.ext4_super_block.$fields, 1024, "s_hash_seed", "ssv hash_seed 11111111-2222-3333-4444-555555555555");
    for (const name of INODE_FIELDS) check(layout.ext4_inode.$fields, at, `i_${name}`, `sif <2> ${name} 0x55`);
    check(layout.ext4_inode.$fields, at, "i_atime", "sif <2> atime_lo 0x55");
    check(layout.ext4_inode.$fields, at, "i_block", "sif <2> block[IND] 0x55");
    for (const name of GROUP_FIELDS) {
      const field = name === "flags" || name === "checksum" ? `bg_${name}` : `bg_${name}_lo`;
      check(layout.ext4_group_desc.$fields, 2048, field, `set_block_group 0 ${name} 0x55`);
    }
    rmSync(copy);
    rmSync(image);
  });
});

/** Where debugfs has another name than the kernel; "" where it has none, or would not write the volume back. */
const SUPERBLOCK_NAMES: Record<string, string> = {
  s_magic: "",
  s_log_block_size: "",
  s_mnt_count: "",
  s_block_group_nr: "",
  s_encrypt_algos: "encrypt_algos[0]",
  s_wtime: "",
  s_encoding_flags: "",
  s_backup_bgs_0: "backup_bgs[0]",
  s_backup_bgs_1: "backup_bgs[1]",
  s_mmp_block_lo: "mmp_block",
  s_mmp_block_hi: "",
};
/** What a field takes, where it does not take 0x55. */
const SUPERBLOCK_VALUES: Record<string, string> = {
  s_def_hash_version: "tea",
};
const INODE_FIELDS = [
  "mode",
  "size_lo",
  "dtime",
  "links_count",
  "blocks_lo",
  "flags",
  "generation",
  "file_acl_lo",
  "extra_isize",
  "ctime_extra",
  "mtime_extra",
  "atime_extra",
  "crtime_extra",
  "projid",
];
const GROUP_FIELDS = [
  "block_bitmap",
  "inode_bitmap",
  "inode_table",
  "free_blocks_count",
  "free_inodes_count",
  "used_dirs_count",
  "flags",
  "itable_unused",
  "checksum",
];

describe("journal", () => {
  for (const [name, args, mount] of [
    ["ext3, no checksums", ["-t", "ext3", "-b", "1024"], "data=journal"],
    ["ext4, version 3 checksums, 64bit", ["-t", "ext4", "-b", "4096"], "data=ordered"],
    ["ext4, 1 KiB blocks, 32-bit tags", ["-t", "ext4", "-b", "1024", "-O", "^64bit"], "data=journal"],
    ["a checksum for each transaction", ["-t", "ext4", "-O", "^metadata_csum,^64bit"], "journal_checksum"],
    [
      "ext4 without metadata_csum, journal_async_commit",
      ["-t", "ext4", "-O", "^metadata_csum"],
      "journal_async_commit,data=writeback",
    ],
  ] as const) {
    test(`${name}: replay shows what the kernel recovers, ignore what it shows with noload`, async () => {
      const image = join(folder, "journal.img");
      const dirty = join(folder, "dirty.img");
      makeExt(image, 64 * MIB, args);
      withMount(image, ["rw", "commit=600", mount], (root: string) => {
        writeTree(root, { blockSize: 1024, attributes: false, big: 100_000 });
        run("sync", ["-f", root]);
        // What follows is committed to the log by the last sync, and not yet written in place.
        for (let n = 0; n < 200; n += 1) rmSync(join(root, `many/file number ${n}`));
        rmSync(join(root, "deep"), { recursive: true });
        mkdirSync(join(root, "made/after/sync"), { recursive: true });
        // In the log a block that begins like this is escaped; with data=journal data goes there too.
        writeFileSync(join(root, "made/file"), Buffer.from("c03b3998c03b3998", "hex"));
        for (let n = 0; n < 100; n += 1) writeFileSync(join(root, `made/after/${n}`), `${n}\n`);
        run("sync", [join(root, "made/after")]);
        run("sync", [join(root, "made/file")]);
        run("cp", ["--sparse=always", image, dirty]);
      });
      const plain = withMount(dirty, ["ro", "noload"], (root: string) => kernelView(root));
      const copy = join(folder, "recovered.img");
      run("cp", ["--sparse=always", dirty, copy]);
      const recovered = withMount(copy, ["rw", "noatime"], (root: string) => kernelView(root));
      expect(recovered).not.toEqual(plain);
      const log = new FindingLog();
      await withVolume(dirty, { report: log.report }, (fs) => sameAsKernel(fs, plain));
      expect(log.findings.map(({ code }) => code)).toEqual(["ext-journal-dirty"]);
      const replayLog = new FindingLog();
      await withVolume(dirty, { journal: "replay", report: replayLog.report }, async (fs) => {
        expect(fs.features).not.toContain("needs_recovery");
        await sameAsKernel(fs, recovered);
      });
      expect(replayLog.findings.map(({ code }) => code)).toEqual(["ext-journal-dirty"]);
      for (const path of [image, dirty, copy]) rmSync(path);
    });
  }

  test("the checksums of each version, revoked and escaped blocks, as debugfs writes them", async () => {
    // debugfs 1.47 checksums its revoke blocks so that the kernel takes them only in the first of these.
    for (const [version, features, revokes] of [
      [3, "metadata_csum,64bit", true],
      [3, "^metadata_csum,^64bit", false],
      [2, "^metadata_csum,64bit", false],
      [2, "^metadata_csum,^64bit", false],
      [1, "^metadata_csum,^64bit", false],
    ] as const) {
      const image = join(folder, "debugfs.img");
      makeFilledExt(image, 32 * MIB, ["-t", "ext4", "-b", "4096", "-O", features], (root: string) => {
        writeFileSync(join(root, "file"), pattern(5 * 4096, 9));
      });
      const blocks = [0, 1, 2, 3, 4].map((n) => run("debugfs", ["-R", `bmap file ${n}`, image]).trim());
      const data = join(folder, "block");
      const escaped = pattern(4096, 10);
      escaped.writeUInt32BE(0xc03b3998);
      writeFileSync(data, Buffer.concat([escaped, pattern(4096, 11), pattern(4096, 12)]));
      const commands = join(folder, "commands");
      const list = [
        `jo -c -v ${version}`,
        `jw -b ${blocks[0]},${blocks[1]},${blocks[2]} ${data}`,
        ...(revokes ? [`jw -r ${blocks[1]}`] : []),
        `jw -b ${blocks[3]},${blocks[4]},${blocks[2]} ${data}`,
        "jc",
      ];
      writeFileSync(commands, `${list.join("\n")}\n`);
      run("debugfs", ["-w", "-f", commands, image]);
      const copy = join(folder, "recovered.img");
      run("cp", ["--sparse=always", image, copy]);
      const plain = withMount(image, ["ro", "noload"], (root: string) => kernelView(root));
      const recovered = withMount(copy, ["rw", "noatime"], (root: string) => kernelView(root));
      expect(recovered).not.toEqual(plain);
      const log = new FindingLog();
      await withVolume(image, {}, (fs) => sameAsKernel(fs, plain));
      await withVolume(image, { journal: "replay", report: log.report }, (fs) => sameAsKernel(fs, recovered));
      expect(log.findings.map(({ code }) => code)).toEqual(["ext-journal-dirty"]);
      rmSync(image);
      rmSync(copy);
    }
  });

  test("fast commits are reported, and the last full transaction is shown", async () => {
    const image = join(folder, "fast.img");
    const dirty = join(folder, "dirty.img");
    makeExt(image, 64 * MIB, ["-t", "ext4", "-b", "4096", "-O", "fast_commit"]);
    withMount(image, ["rw", "commit=600"], (root: string) => {
      writeFileSync(join(root, "full"), "in a full transaction\n");
      run("sync", ["-f", root]);
      writeFileSync(join(root, "full"), "in a fast commit, and longer\n");
      run("sync", [join(root, "full")]);
      writeFileSync(join(root, "full"), "in a second fast commit, longer still\n");
      run("sync", [join(root, "full")]);
      run("cp", ["--sparse=always", image, dirty]);
    });
    const log = new FindingLog();
    await withVolume(dirty, { journal: "replay", report: log.report }, async (fs) => {
      expect((await resolve(fs, "/full"))?.inode.stat.type).toBe("file");
    });
    expect(log.findings.map(({ code }) => code)).toEqual(["ext-journal-dirty", "ext-fast-commits"]);
  });

  test("an external journal is refused by name", async () => {
    const journal = join(folder, "external.img");
    makeExt(journal, 8 * MIB, ["-O", "journal_dev", "-b", "4096"]);
    await expectAsBlkidHasIt(journal);
    await using device = await openFile(journal);
    await expect(ext.open(device)).rejects.toMatchObject({ code: "unsupported", message: /journal_dev/ });
  });
});

describe("large and odd volumes", () => {
  test("a directory of 100,000 entries: manifest, lookup, and eight more reads at most", async () => {
    const small = join(folder, "small.img");
    const large = join(folder, "large.img");
    const populate = (count: number) => (root: string) => {
      mkdirSync(join(root, "boot/grub"), { recursive: true });
      mkdirSync(join(root, "boot/xen"));
      for (let n = 0; n < count; n += 1) {
        closeSync(openSync(join(root, `boot/grub/an entry of the directory, number ${n}`), "w"));
      }
      writeFileSync(join(root, "boot/grub/grub.cfg"), "menuentry\n");
      writeFileSync(join(root, "boot/xen/pvboot-x86_64.elf"), "elf");
    };
    makeFilledExt(small, 64 * MIB, ["-t", "ext4", "-b", "4096"], populate(3));
    makeFilledExt(large, 16_384 * MIB, ["-t", "ext4", "-b", "4096", "-N", "200000"], populate(100_000));
    const probe = async (image: string) => {
      await using device = await openFile(image);
      return await probeBootPaths(device);
    };
    const few = await probe(small);
    const many = await probe(large);
    for (const { hits, stats } of [few, many]) {
      expect(hits).toEqual([BOOT_PATHS[0], BOOT_PATHS[2]]);
      expect(stats.bytes).toBeLessThanOrEqual(MIB);
    }
    expect(few.stats.reads).toBeLessThanOrEqual(16);
    expect(many.stats.reads - few.stats.reads).toBeLessThanOrEqual(8);
    const entries = withMount(large, ["ro"], (root: string) => kernelView(root));
    expect(entries.length).toBeGreaterThan(100_000);
    const log = new FindingLog();
    await withVolume(large, { report: log.report }, async (fs) => {
      await sameAsKernel(fs, entries);
      const directory = (await resolve(fs, "/boot/grub"))!.inode;
      for (let n = 0; n < 100_000; n += 1) {
        const found = await directory.lookup(new TextEncoder().encode(`an entry of the directory, number ${n}`));
        if (found === undefined) expect.fail(`number ${n} is not found`);
      }
      expect(await directory.lookup(new TextEncoder().encode("absent"))).toBeUndefined();
    });
    expect(log.findings).toEqual([]);
    rmSync(small);
    rmSync(large);
  });

  for (const [name, args] of [
    ["extents", ["-t", "ext4", "-b", "1024"]],
    ["block map", ["-t", "ext3", "-b", "1024"]],
  ] as const) {
    test(`a file of 5,000 extents (${name}): as the kernel reads it and as filefrag lists it`, async () => {
      const image = join(folder, "extents.img");
      makeFilledExt(image, 64 * MIB, args, (root: string) => {
        writeHoles(join(root, "file"), 1024, 5000);
        if (name === "extents") run("fallocate", ["-l", "3M", "-o", "1G", join(root, "file")]);
      });
      const [entries, listed] = withMount(image, ["ro"], (root: string) => [
        kernelView(root, { hash: name !== "extents" }),
        run("filefrag", ["-v", "-s", "-b1024", join(root, "file")]) as string,
      ]);
      await withVolume(image, {}, async (fs) => {
        if (name !== "extents") await sameAsKernel(fs, entries);
        const file = (await resolve(fs, "/file"))!.inode;
        const got: string[] = [];
        for await (const batch of file.extents()) {
          for (const { kind, logical, physical, length } of batch) {
            if (kind === "hole") continue;
            got.push(`${logical / 1024} ${physical! / 1024} ${length / 1024} ${kind}`);
          }
        }
        const rows = listed.matchAll(/^ *\d+: +(\d+)\.\. *\d+: +(\d+)\.\. *\d+: +(\d+):(.*)$/gm);
        const wanted = [...rows].map(
          ([, logical, physical, length, rest]) =>
            `${logical} ${physical} ${length} ${rest!.includes("unwritten") ? "unwritten" : "data"}`,
        );
        expect(wanted.length).toBeGreaterThanOrEqual(5000);
        expect(got).toEqual(wanted);
      });
      rmSync(image);
    });
  }

  test("a sparse file over 4 GiB: size, data ranges and their content", async () => {
    const image = join(folder, "sparse.img");
    const places = [0, 5_000_000_000, 40_000_000_123];
    makeFilledExt(image, 64 * MIB, ["-t", "ext4", "-b", "4096"], (root: string) => {
      const fd = openSync(join(root, "sparse"), "w");
      for (const at of places) writeSync(fd, pattern(10_000, at % 97), 0, 10_000, at);
      closeSync(fd);
    });
    await withVolume(image, {}, async (fs) => {
      const file = (await resolve(fs, "/sparse"))!.inode;
      expect(file.stat.size).toBe(40_000_010_123);
      const data: [number, number][] = [];
      for await (const batch of file.extents()) {
        for (const { kind, logical, length } of batch) if (kind === "data") data.push([logical, logical + length]);
      }
      // What is hashed elsewhere is compared here by its ranges: hashing 40 GB of zeros would take minutes.
      const blocks = places.map((at) => [Math.floor(at / 4096) * 4096, Math.ceil((at + 10_000) / 4096) * 4096]);
      blocks[2]![1] = 40_000_010_123;
      expect(data).toEqual(blocks);
      for (const at of places)
        expect(Buffer.from(await file.read(at, 10_000)).equals(pattern(10_000, at % 97))).toBe(true);
      for (const [start, end] of data) {
        const content = await file.read(start, end - start);
        const kernel = withMount(image, ["ro"], (root: string) => readRange(join(root, "sparse"), start, end - start));
        expect(Buffer.from(content).equals(kernel)).toBe(true);
      }
    });
    rmSync(image);
  });

  test("a large file in one piece is read in large pieces", async () => {
    const image = join(folder, "sequential.img");
    makeFilledExt(image, 64 * MIB, ["-t", "ext4", "-b", "4096"], (root: string) => {
      writeFileSync(join(root, "file"), pattern(16 * MIB, 5));
    });
    await using device = await openFile(image);
    const counted = countReads(device);
    const fs = await ext.open(cachedDevice(counted));
    const file = (await resolve(fs, "/file"))!.inode;
    const before = counted.stats.reads;
    let size = 0;
    for await (const piece of filePieces(file)) size += piece.length;
    expect(size).toBe(16 * MIB);
    // Thirty-two pieces of half a mebibyte; the file may be in a few runs.
    expect(counted.stats.reads - before).toBeLessThanOrEqual(36);
  });

  test("encrypted names and files, as the kernel shows them without the key", async () => {
    const image = join(folder, "encrypted.img");
    makeFilledExt(
      image,
      64 * MIB,
      ["-t", "ext4", "-b", "4096", "-O", "encrypt"],
      (root: string) => {
        mkdirSync(join(root, "vault/inner"), { recursive: true });
        writeFileSync(join(root, "vault/secret"), "hidden");
        writeFileSync(join(root, "vault", "n".repeat(255)), "long name");
        writeFileSync(join(root, "vault", "m".repeat(140)), "name of middle length");
        for (let n = 0; n < 300; n += 1) writeFileSync(join(root, `vault/inner/file ${n}`), "x");
      },
      ["test_dummy_encryption"],
    );
    const names = withMount(image, ["ro"], (root: string) => kernelView(root, { hash: false }).map(({ path }) => path));
    await withVolume(image, {}, async (fs) => {
      const got: string[] = [];
      for await (const { path, inode, error } of walkAll(fs)) {
        if (error !== undefined) throw error;
        got.push(new TextDecoder().decode(path));
        const again = await resolve(fs, path, { followLast: false });
        expect(again?.inode.stat.ino).toBe(inode!.stat.ino);
        if (inode!.stat.type === "file" && inode!.flags.includes("encrypted")) {
          await expect(inode!.read(0, 1)).rejects.toMatchObject({ code: "encrypted" });
        }
      }
      expect(got.sort()).toEqual(names.sort());
      expect(got.length).toBeGreaterThan(300);
    });
    rmSync(image);
  });

  for (const blockSize of [8192, 16384, 32768, 65536]) {
    test(`blocks of ${blockSize / 1024} KiB: as the folder given to mke2fs`, async () => {
      const source = join(folder, "source");
      mkdirSync(source);
      writeTree(source, { blockSize: 4096, attributes: false, big: 1_000_000 });
      const image = join(folder, "blocks.img");
      makeExt(image, 256 * MIB, ["-t", "ext4", "-b", `${blockSize}`, "-d", source]);
      // mke2fs keeps seconds only, and numbers inodes its own way.
      const volatile = ["ino", "atimeNs", "mtimeNs", "ctimeNs", "crtimeNs", "size", "nlink"];
      const simple = (entry: object) =>
        Object.fromEntries(Object.entries(entry).filter(([key]) => !volatile.includes(key)));
      const wanted = new Map(kernelView(source).map((entry) => [keyOf(entry), entry]));
      await withVolume(image, {}, async (fs) => {
        for await (const { path, inode, error } of walkAll(fs)) {
          if (error !== undefined) throw error;
          const entry = await readEntry(path, inode!, sha256);
          if (entry.path === "/lost+found" || entry.path === "/") continue;
          const want = wanted.get(keyOf(entry))!;
          expect(simple(entry)).toEqual(simple(want));
          expect(BigInt(entry.mtimeNs!) / 1_000_000_000n).toBe(BigInt(want.mtimeNs) / 1_000_000_000n);
          if (entry.type !== "dir") expect(entry.size).toBe(want.size);
          wanted.delete(keyOf(entry));
        }
        expect([...wanted.keys()]).toEqual(["/"]);
      });
      rmSync(source, { recursive: true });
      rmSync(image);
    });
  }

  test("a copy of a group descriptor when the first is damaged", async () => {
    for (const args of [
      ["-t", "ext4", "-b", "1024"],
      ["-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"],
    ]) {
      const image = join(folder, "descriptor.img");
      makeFilledExt(image, 64 * MIB, args, (root: string) => writeFileSync(join(root, "file"), "found again\n"));
      const entries = withMount(image, ["ro"], (root: string) => kernelView(root));
      const fd = openSync(image, "r+");
      writeSync(fd, Buffer.alloc(64), 0, 64, 2048);
      closeSync(fd);
      const log = new FindingLog();
      await withVolume(image, { report: log.report }, (fs) => sameAsKernel(fs, entries));
      expect(log.findings.map(({ code }) => code)).toContain("ext-backup-descriptor");
      rmSync(image);
    }
  });

  test("bitmaps that do not match their checksums", async () => {
    const image = join(folder, "bitmaps.img");
    makeExt(image, 64 * MIB, ["-t", "ext4", "-b", "1024"]);
    const at = 1024 * Number(/Block bitmap at (\d+)/.exec(run("dumpe2fs", [image]))![1]);
    const fd = openSync(image, "r+");
    writeSync(fd, Buffer.from([0x5a]), 0, 1, at + 100);
    closeSync(fd);
    await using device = await openFile(image);
    const log = new FindingLog();
    expect(await verifyBitmaps(device, { report: log.report })).toBe(1);
    expect(log.findings).toMatchObject([{ code: "ext-bad-bitmap", offset: at }]);
    rmSync(image);
  });

  test("a superblock copy when the first is damaged", async () => {
    const image = join(folder, "backup.img");
    makeFilledExt(image, 160 * MIB, ["-t", "ext4", "-b", "1024"], (root: string) => {
      writeFileSync(join(root, "file"), "found again\n");
    });
    const fd = openSync(image, "r+");
    writeSync(fd, Buffer.alloc(1024), 0, 1024, 1024);
    closeSync(fd);
    const entries = withMount(image, ["ro", "sb=8193"], (root: string) => kernelView(root));
    await using device = await openFile(image);
    expect(await ext.probe(device)).toBe(false);
    expect(await ext.probeBackup!(device)).toBe(true);
    const log = new FindingLog();
    await withVolume(image, { report: log.report }, (fs) => sameAsKernel(fs, entries));
    expect(log.findings).toMatchObject([{ code: "ext-backup-superblock", offset: 1024 + 0x38 }]);
    rmSync(image);
  });
});

function readRange(path: string, offset: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  const fd = openSync(path, "r");
  readSync(fd, buffer, 0, length, offset);
  closeSync(fd);
  return buffer;
}

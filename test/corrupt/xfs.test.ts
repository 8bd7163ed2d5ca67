/** xfs: damage in every place that is read. Each ends in a typed error or a finding with its byte offset, and soon. */
import { createHash } from "node:crypto";
import {
  bufferDevice,
  cachedDevice,
  crc32c,
  encodeText,
  FindingLog,
  type ImageError,
  isImageError,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type FileSystem, type Inode, type OpenOptions, open, walkAll } from "@guestprobe/vfs";
import { readEntry } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";
import * as layout from "@guestprobe/xfs/layout";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";
import { sha256 } from "../lib/sha256.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const MAX_MS = 2000;
const MAX_BYTES = 256 << 20;

const fixture = (name: string): Uint8Array =>
  fixtures("xfs")
    .find((one) => one.name === name)!
    .image();
const full = fixture("v5-4k");
const small = fixture("v5-1k");
const four = fixture("v4-512");
const tiny = fixture("v5-dirty");

interface Outcome {
  readonly errors: readonly { readonly code: string; readonly offset: number | undefined; readonly message: string }[];
  readonly log: FindingLog;
  readonly fs: FileSystem | undefined;
}

/** All that can be done with an image, in bounded time and memory; what is thrown is an ImageError, or the test fails. */
async function tryAll(image: Uint8Array, options: OpenOptions = {}): Promise<Outcome> {
  const log = new FindingLog();
  const spent = stopwatch();
  const before = process.memoryUsage().arrayBuffers;
  const bounded = (): void => {
    expect(spent()).toBeLessThan(MAX_MS);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MAX_BYTES);
  };
  try {
    const fs = await xfs.open(cachedDevice(bufferDevice(image)), { report: log.report, ...options });
    const { errors } = await drain(fs);
    bounded();
    return { errors, log, fs };
  } catch (error) {
    if (!isImageError(error)) throw error;
    bounded();
    return { errors: [error], log, fs: undefined };
  }
}

/** What was noticed, each with its place; an error without one fails the test. */
function noticed({ errors, log }: Outcome): string[] {
  for (const error of errors) expect(error.offset, error.message).toBeTypeOf("number");
  for (const entry of log.findings) expect(entry.offset, entry.message).toBeTypeOf("number");
  return [...errors.map(({ code }) => code), ...log.findings.map(({ code }) => code)];
}

async function manifest(fs: FileSystem): Promise<string> {
  const hash = createHash("sha256");
  for await (const { path, inode, error } of walkAll(fs)) {
    if (error !== undefined) throw error;
    hash.update(JSON.stringify(await readEntry(path, inode!, sha256)));
  }
  return hash.digest("hex");
}

async function rejection(promise: Promise<unknown>): Promise<ImageError> {
  const error = await promise.then(() => undefined).catch((caught: unknown) => caught);
  if (!isImageError(error)) throw new Error(`not refused with an ImageError: ${error}`);
  return error;
}

/** A copy with some bytes changed; `edit` gets a view of all. */
function edited(image: Uint8Array, edit: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const copy = image.slice();
  edit(viewOf(copy), copy);
  return copy;
}

/** Writes the CRC-32C of `length` bytes from `at`, as someone would who made the image up. */
function renewCrc(bytes: Uint8Array, at: number, length: number, field: number): void {
  const block = bytes.subarray(at, at + length);
  block.fill(0, field, field + 4);
  viewOf(block).setUint32(field, crc32c(block), true);
}

/** 0, 1, the maximum, one more and one less than what is there. */
function badValues(image: Uint8Array, at: number, size: number): Uint8Array[] {
  const original = BigInt(`0x${Buffer.from(image.subarray(at, at + size)).toString("hex")}`);
  const limit = 1n << BigInt(size * 8);
  const wanted = [0n, 1n, limit - 1n, (original + 1n) % limit, (original + limit - 1n) % limit];
  return [...new Set(wanted)]
    .filter((value) => value !== original)
    .map((value) => Uint8Array.from(Buffer.from(value.toString(16).padStart(size * 2, "0"), "hex")));
}

describe("each field of the superblock at 0, 1, its maximum, one off", () => {
  const volumes: readonly (readonly [string, Uint8Array, boolean, string])[] = [
    ["version 5, checksum as it was", tiny, false, "report"],
    ["version 5, checksum renewed", tiny, true, "require"],
    ["version 4", four, false, "report"],
  ];
  test.each(volumes)(
    "%s",
    async (_, image, renew, checksums) => {
      const sound = await tryAll(image);
      const soundHash = await manifest(sound.fs!);
      for (const [name, { offset, size }] of Object.entries(layout.xfs_dsb.$fields)) {
        // Past its 208 bytes a version 4 superblock has none of these fields.
        if (image === four && offset >= 208) continue;
        for (const value of badValues(image, offset, size)) {
          const changed = edited(image, (_view, bytes) => {
            bytes.set(value, offset);
            if (renew && name !== "sb_crc") renewCrc(bytes, 0, 512, 224);
          });
          const outcome = await tryAll(changed, { checksums: checksums as "report" | "require" });
          const seen = noticed(outcome).filter((code) => code !== "xfs-log-dirty");
          // What was not noticed does not matter to what is read.
          if (seen.length === 0) expect([name, await manifest(outcome.fs!)]).toEqual([name, soundHash]);
        }
      }
    },
    60_000,
  );
});

describe("groups that overflow", () => {
  const geometry = (dblocks: bigint, agblocks: number, agcount: number, agblklog: number) =>
    edited(tiny, (view, bytes) => {
      view.setBigUint64(8, dblocks);
      view.setUint32(84, agblocks);
      view.setUint32(88, agcount);
      view.setUint8(124, agblklog);
      renewCrc(bytes, 0, 512, 224);
    });
  test.each([
    ["2^64 blocks", 0xffff_ffff_ffff_ffffn, 0xffff_ffff, 0xffff_ffff, 32],
    ["2^52 blocks of 4 KiB", 1n << 52n, 0xffff_ffff, 0x10_0001, 32],
    ["more blocks than the groups have", 1n << 40n, 4096, 1, 12],
    ["fewer blocks than the groups before the last", 4096n, 4096, 2, 12],
    ["no group", 4096n, 4096, 0, 12],
    ["groups of no blocks", 4096n, 0, 1, 12],
    ["a logarithm that is not the group's", 4096n, 4096, 1, 63],
  ] as const)("%s", async (_, dblocks, agblocks, agcount, agblklog) => {
    const error = await rejection(xfs.open(bufferDevice(geometry(dblocks, agblocks, agcount, agblklog))));
    expect(error).toMatchObject({ code: "corrupt", format: "xfs", structure: "xfs_dsb" });
    expect(error.offset).toBeTypeOf("number");
  });

  test("inode and block numbers that wrap are no inode of the volume", async () => {
    const fs = await xfs.open(bufferDevice(tiny));
    for (const ino of [0, -1, 1.5, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER, Number.NaN, 1e300]) {
      expect((await rejection(fs.inode(ino))).code).toBe("not-found");
    }
  });
});

describe("the inode index, asked about a number that leads to no inode", () => {
  const AGI = 1024;
  const root = viewOf(tiny).getUint32(AGI + 20) * 4096;
  test.each([
    ["sound", 0, 0, "not-found"],
    ["another magic of the header", AGI, 1, "corrupt"],
    ["no levels", AGI + 24, 0, "corrupt"],
    ["more levels than there can be", AGI + 24, 0xffff_ffff, "corrupt"],
    ["a level too many", AGI + 24, 2, "corrupt"],
    ["a root past the group", AGI + 20, 0xffff_ffff, "corrupt"],
    ["another magic of the root", root, 1, "corrupt"],
    ["more records than fit", root + 4, 0xffff, "corrupt"],
  ] as const)("%s", async (_, at, value, code) => {
    const changed = edited(tiny, (view) => at > 0 && view.setUint32(at, value));
    const error = await rejection((await xfs.open(bufferDevice(changed))).inode(8000));
    expect(error).toMatchObject({ code, format: "xfs", structure: "xfs_dinode", offset: 8000 * 512 });
  });
});

/** A volume, one of its files, and where that lies. All volumes here have a single group: fsBlocks are blocks. */
async function locate(image: Uint8Array, path: string, options: OpenOptions = {}) {
  const log = new FindingLog();
  const fs = await xfs.open(bufferDevice(image), { report: log.report, ...options });
  const inode = await open(fs, path, { followLast: false });
  return { fs, inode, at: inode.offset!, log };
}

/** Byte where block `logical` of a fork lies that begins at byte `fork` and has its extents in the inode. */
function blockAt(image: Uint8Array, fork: number, logical: number, blockSize: number): number {
  const view = viewOf(image);
  for (let at = fork; ; at += 16) {
    const start = (view.getUint32(at) & 0x7fff_ffff) * 0x80_0000 + (view.getUint32(at + 4) >>> 9);
    const count = view.getUint32(at + 12) & 0x1f_ffff;
    if (count === 0) throw new Error(`no extent holds block ${logical}`);
    const block =
      (view.getUint32(at + 4) & 0x1ff) * 2 ** 43 + view.getUint32(at + 8) * 2048 + (view.getUint32(at + 12) >>> 21);
    if (logical >= start && logical < start + count) return (block + logical - start) * blockSize;
  }
}
const CORE = 176;
const LEAF = 2 ** 35;

const extentsOf = async (inode: Inode): Promise<number> => {
  let count = 0;
  for await (const batch of inode.extents()) count += batch.length;
  return count;
};

describe("extent trees", () => {
  test("a tree that points to itself, at any level it claims", async () => {
    const { at } = await locate(small, "/files/fragmented");
    const root = at + CORE;
    expect(viewOf(small).getUint16(root)).toBeGreaterThan(0);
    for (const level of [1, 2, 9, 16, 17, 65_535]) {
      const changed = edited(small, (view, bytes) => {
        const capacity = Math.floor((512 - CORE - 4) / 16);
        const forkoff = view.getUint8(at + 82) * 8;
        const pointers = root + 4 + (forkoff === 0 ? capacity : Math.floor((forkoff - 4) / 16)) * 8;
        view.setUint16(root, level);
        // The block that the root's first pointer leads to becomes a node whose only child is itself.
        const block = Number(view.getBigUint64(pointers));
        const node = block * 1024;
        view.setUint16(node + 4, Math.max(1, level - 1));
        view.setUint16(node + 6, 1);
        view.setBigUint64(node + 72, 0n);
        view.setBigUint64(node + 72 + Math.floor((1024 - 72) / 16) * 8, BigInt(block));
        renewCrc(bytes, node, 1024, 64);
        renewCrc(bytes, at, 512, 100);
      });
      const { inode } = await locate(changed, "/files/fragmented", { checksums: "require" });
      for (const promise of [inode.read(0, 10), extentsOf(inode)]) {
        const error = await rejection(promise);
        expect(error.code).toBe("corrupt");
        expect(error.offset).toBeTypeOf("number");
      }
    }
  });

  test("two pointers to one block do not double what it describes", async () => {
    const { at, inode } = await locate(small, "/files/fragmented");
    const before = await extentsOf(inode);
    const changed = edited(small, (view) => {
      const root = at + CORE;
      const forkoff = view.getUint8(at + 82) * 8;
      const capacity = Math.floor(((forkoff === 0 ? 512 - CORE : forkoff) - 4) / 16);
      expect(view.getUint16(root)).toBe(2);
      const node = Number(view.getBigUint64(root + 4 + capacity * 8)) * 1024;
      const pointers = node + 72 + Math.floor((1024 - 72) / 16) * 8;
      expect(view.getUint16(node + 6)).toBeGreaterThan(3);
      for (let index = 1; index < view.getUint16(node + 6); index += 1) {
        view.setBigUint64(pointers + index * 8, view.getBigUint64(pointers));
      }
    });
    const again = await locate(changed, "/files/fragmented");
    expect((await rejection(extentsOf(again.inode))).code).toBe("corrupt");
    expect(before).toBeGreaterThan(100);
  });

  test.each([
    ["of no blocks", [0, 0, 0, 0]],
    ["past the volume", [0, 0, 0x7fff_ffff, 0xffe0_0001]],
    ["longer than its group", [0, 0, 0, 0x1f_ffff]],
    ["past 2^53 of the file", [0x7fff_ffff, 0xffff_fe00, 0, 0x20_0001]],
  ])("an extent %s", async (_, words) => {
    const { at } = await locate(full, "/files/70000");
    const changed = edited(full, (view) => {
      for (const [n, word] of words.entries()) view.setUint32(at + CORE + n * 4, word);
    });
    const { inode } = await locate(changed, "/files/70000");
    // An extent past the end of the file is no damage to what lies before it: there is a hole.
    const result = await inode.read(0, 100).catch((error: unknown) => error);
    if (result instanceof Uint8Array) expect(result.every((byte) => byte === 0)).toBe(true);
    else expect(result).toMatchObject({ code: "corrupt", format: "xfs" });
    expect((await open((await locate(changed, "/")).fs, "/files/4097")).stat.size).toBe(4097);
  });

  test("more extents than the inode can hold", async () => {
    const { at } = await locate(full, "/files/70000");
    const { inode } = await locate(
      edited(full, (view) => view.setUint32(at + 76, 0xffff_ffff)),
      "/files/70000",
    );
    expect(await rejection(inode.read(0, 1))).toMatchObject({ code: "corrupt", field: "di_nextents" });
  });
});

describe("directory indexes: names are found all the same, and the damage is reported", () => {
  /** The fixture's directory in node form: its root node, and the leaf that its first entry leads to. */
  const place = async (image: Uint8Array, blockSize: number) => {
    const { at } = await locate(image, "/dirs/600");
    const node = blockAt(image, at + CORE, LEAF / blockSize, blockSize);
    const leaf = blockAt(image, at + CORE, viewOf(image).getUint32(node + 64 + 4), blockSize);
    expect(viewOf(image).getUint16(node + 8)).toBe(0x3ebe);
    expect(viewOf(image).getUint16(leaf + 8)).toBe(0x3dff);
    return { node, leaf };
  };
  const damages: readonly [string, (view: DataView, node: number, leaf: number) => void][] = [
    ["a node that points to itself", (view, node) => view.setUint32(node + 64 + 4, LEAF / 4096)],
    ["a node whose children are one hole", (view, node) => view.setUint32(node + 64 + 4, 0x7fff_ffff)],
    ["a node that counts past its block", (view, node) => view.setUint16(node + 56, 0xffff)],
    ["a node of no entries", (view, node) => view.setUint16(node + 56, 0)],
    ["a node of level 0", (view, node) => view.setUint16(node + 58, 0)],
    ["a node of level 65535", (view, node) => view.setUint16(node + 58, 0xffff)],
    ["a node with another magic", (view, node) => view.setUint16(node + 8, 0x1234)],
    ["a leaf that counts past its block", (view, _, leaf) => view.setUint16(leaf + 56, 0xffff)],
    ["a leaf out of order", (view, _, leaf) => view.setUint32(leaf + 64, 0xffff_ffff)],
    [
      "a leaf whose addresses are past the directory",
      (view, _, leaf) => {
        for (let n = 0; n < view.getUint16(leaf + 56); n += 1) view.setUint32(leaf + 64 + n * 8 + 4, 0xffff_ffff);
      },
    ],
    [
      "a leaf whose addresses lead to the middle of entries",
      (view, _, leaf) => {
        for (let n = 0; n < view.getUint16(leaf + 56); n += 1) view.setUint32(leaf + 64 + n * 8 + 4, 1);
      },
    ],
  ];
  test.each(damages)("%s", async (_, damage) => {
    const { node, leaf } = await place(full, 4096);
    const changed = edited(full, (view) => damage(view, node, leaf));
    const { inode, log } = await locate(changed, "/dirs/600");
    let names = 0;
    for await (const batch of inode.entries()) {
      for (const { name, ino } of batch.slice(0, 3)) {
        expect((await inode.lookup(name))?.stat.ino).toBe(ino);
        names += 1;
      }
    }
    expect(names).toBeGreaterThan(10);
    expect(await inode.lookup(encodeText("no such name"))).toBeUndefined();
    const found = log.findings.filter(({ code }) => code === "xfs-directory-index");
    expect(found.length).toBeGreaterThan(0);
    for (const { offset } of found) expect(offset).toBeTypeOf("number");
  });

  test("a block directory whose index passes its block", async () => {
    const { at } = await locate(full, "/dirs/50");
    const block = blockAt(full, at + CORE, 0, 4096);
    for (const count of [0xffff_ffff, 0x2000_0000, 505]) {
      const { inode } = await locate(
        edited(full, (view) => view.setUint32(block + 4096 - 8, count)),
        "/dirs/50",
      );
      expect(await rejection(inode.lookup(encodeText("a")))).toMatchObject({ code: "corrupt", offset: block + 4088 });
    }
  });

  test("an unsound entry hides only itself, an unsound block only its entries", async () => {
    const { at } = await locate(full, "/dirs/600");
    const first = blockAt(full, at + CORE, 0, 4096);
    const list = async (image: Uint8Array) => {
      const names: string[] = [];
      const { inode, log } = await locate(image, "/dirs/600");
      const error = await (async () => {
        for await (const batch of inode.entries()) names.push(...batch.map(({ name }) => Buffer.from(name).toString()));
      })().catch((caught: unknown) => caught);
      return { names, error, log };
    };
    const sound = await list(full);
    // "." and ".." take 16 bytes each, after a header of 64; then the first entry, its name at byte 9.
    const slash = await list(edited(full, (view) => view.setUint8(first + 64 + 32 + 9, 0x2f)));
    expect(slash.names).toEqual(sound.names.slice(1));
    expect(slash.error).toBeUndefined();
    expect(slash.log.findings).toMatchObject([{ code: "xfs-bad-checksum" }, { code: "xfs-directory-entry" }]);
    const unnamed = await list(edited(full, (view) => view.setUint8(first + 64 + 32 + 8, 0)));
    expect(unnamed.error).toMatchObject({ code: "corrupt", offset: first + 64 + 32 });
    expect(unnamed.names.length).toBeGreaterThan(sound.names.length / 2);
    expect(unnamed.names).toEqual(sound.names.slice(sound.names.length - unnamed.names.length));
    const unused = await list(edited(full, (view) => view.setUint32(first + 64 + 32, 0xffff_0000)));
    expect(unused.error).toMatchObject({ code: "corrupt", offset: first + 64 + 32 });
  });
});

describe("short forms whose lengths pass the inode", () => {
  const cases: readonly [string, string, (view: DataView, at: number) => void, (inode: Inode) => Promise<unknown>][] = [
    [
      "directory size",
      "/dirs/5",
      (view, at) => view.setBigUint64(at + 56, 4000n),
      (inode) => inode.lookup(encodeText("a")),
    ],
    [
      "directory size 0",
      "/dirs/5",
      (view, at) => view.setBigUint64(at + 56, 0n),
      (inode) => inode.lookup(encodeText("a")),
    ],
    ["entry count", "/dirs/5", (view, at) => view.setUint8(at + CORE, 255), (inode) => inode.lookup(encodeText("a"))],
    [
      "name length",
      "/dirs/5",
      (view, at) => view.setUint8(at + CORE + 6, 255),
      (inode) => inode.lookup(encodeText("a")),
    ],
    [
      "name length 0",
      "/dirs/5",
      (view, at) => view.setUint8(at + CORE + 6, 0),
      (inode) => inode.lookup(encodeText("a")),
    ],
    ["link length", "/links/9", (view, at) => view.setBigUint64(at + 56, 1000n), (inode) => inode.readLink()],
    [
      "link length 2^63 - 1",
      "/links/9",
      (view, at) => view.setBigUint64(at + 56, (1n << 52n) - 1n),
      (inode) => inode.readLink(),
    ],
    ["link length 0", "/links/9", (view, at) => view.setBigUint64(at + 56, 0n), (inode) => inode.readLink()],
    [
      "attribute total",
      "/attrs/short",
      (view, at) => view.setUint16(attrFork(view, at), 0xffff),
      (inode) => inode.xattrs(),
    ],
    [
      "attribute count",
      "/attrs/short",
      (view, at) => view.setUint8(attrFork(view, at) + 2, 255),
      (inode) => inode.xattrs(),
    ],
    [
      "attribute name",
      "/attrs/short",
      (view, at) => view.setUint8(attrFork(view, at) + 4, 255),
      (inode) => inode.xattrs(),
    ],
    [
      "attribute value",
      "/attrs/short",
      (view, at) => view.setUint8(attrFork(view, at) + 5, 255),
      (inode) => inode.xattrs(),
    ],
  ];
  const attrFork = (view: DataView, at: number): number => at + CORE + view.getUint8(at + 82) * 8;
  test.each(cases)("%s", async (_, path, damage, use) => {
    const { at } = await locate(full, path);
    const { inode } = await locate(
      edited(full, (view) => damage(view, at)),
      path,
    );
    const error = await rejection(use(inode));
    expect(error.code).toBe("corrupt");
    expect(error.offset).toBeGreaterThanOrEqual(at);
    expect(error.offset).toBeLessThan(at + 512);
  });

  test("an attribute fork past the inode", async () => {
    const { at } = await locate(full, "/attrs/short");
    const changed = edited(full, (view) => view.setUint8(at + 82, 255));
    expect(await rejection(locate(changed, "/attrs/short"))).toMatchObject({ code: "corrupt", field: "di_forkoff" });
    expect((await locate(changed, "/attrs/leaf")).inode.stat.type).toBe("file");
  });
});

describe("remote blocks", () => {
  const link = async () => {
    const { at } = await locate(full, "/links/1023");
    return blockAt(full, at + CORE, 0, 4096);
  };

  test("a symbolic link's block with another owner", async () => {
    const block = await link();
    const changed = edited(full, (view, bytes) => {
      view.setBigUint64(block + 32, 12345n);
      renewCrc(bytes, block, 4096, 12);
    });
    const reported = await locate(changed, "/links/1023");
    expect((await reported.inode.readLink()).length).toBe(1023);
    expect(reported.log.findings).toMatchObject([{ code: "xfs-foreign-block", offset: block + 32 }]);
    const required = await locate(changed, "/links/1023", { checksums: "require" });
    expect(await rejection(required.inode.readLink())).toMatchObject({ code: "corrupt", offset: block + 32 });
    const ignored = await locate(changed, "/links/1023", { checksums: "ignore" });
    expect((await ignored.inode.readLink()).length).toBe(1023);
    expect(ignored.log.findings).toEqual([]);
  });

  test.each([
    ["checksum", 12, "xfs-bad-checksum", "bad-checksum"],
    ["UUID", 16, "xfs-foreign-block", "corrupt"],
    ["block number", 40, "xfs-foreign-block", "corrupt"],
  ])("with another %s", async (_, field, code, error) => {
    const block = await link();
    const changed = edited(full, (view, bytes) => {
      view.setUint8(block + field, view.getUint8(block + field) ^ 0x55);
      if (field !== 12) renewCrc(bytes, block, 4096, 12);
    });
    const reported = await locate(changed, "/links/1023");
    await reported.inode.readLink();
    expect(reported.log.findings.map((finding) => finding.code)).toEqual([code]);
    const required = await locate(changed, "/links/1023", { checksums: "require" });
    expect((await rejection(required.inode.readLink())).code).toBe(error);
  });

  test.each([
    ["another magic", 0, 0x1234_5678],
    ["a piece that begins elsewhere", 4, 1],
    ["a piece longer than its block", 8, 0xffff_ffff],
    ["an empty piece", 8, 0],
  ])("%s", async (_, field, value) => {
    const block = await link();
    const { inode } = await locate(
      edited(full, (view) => view.setUint32(block + field, value)),
      "/links/1023",
    );
    const error = await rejection(inode.readLink());
    expect(error.code).toBe("corrupt");
    expect(error.offset).toBeGreaterThanOrEqual(block);
    expect(error.offset).toBeLessThan(block + 56);
  });

  test.each([
    ["a leaf that counts past its block", 56, 0xffff_0000],
    ["an entry past its block", 84, 0xfff0_0100],
    ["an entry inside the list", 84, 0x0010_0100],
  ])("attributes: %s", async (_, field, value) => {
    const { at } = await locate(full, "/attrs/leaf");
    const fork = at + CORE + viewOf(full).getUint8(at + 82) * 8;
    const block = blockAt(full, fork, 0, 4096);
    const { inode } = await locate(
      edited(full, (view) => view.setUint32(block + field, value)),
      "/attrs/leaf",
    );
    const error = await rejection(inode.xattrs());
    expect(error.code).toBe("corrupt");
    expect(error.offset).toBeGreaterThanOrEqual(block);
  });
});

test("cut at each sixteenth: what is left is read, the rest is named", async () => {
  for (const image of [full, small, four]) {
    for (let part = 0; part < 16; part += 1) {
      const cut = image.subarray(0, Math.floor((image.length * part) / 16));
      const outcome = await tryAll(cut);
      if (part === 0) expect(outcome.errors).toMatchObject([{ code: "not-this-format" }]);
      else expect(noticed(outcome)).toContain("xfs-truncated");
    }
  }
}, 60_000);

/** A walk takes the inodes of a block together, so one that is not what it should be must not pass with the sound ones. */
test.each([
  ["its number, checksum renewed", 152 + 7, true, "xfs-foreign-block", 152],
  ["the volume's UUID, checksum renewed", 160, true, "xfs-foreign-block", 160],
  ["a byte that is no field of it, checksum as it was", 511, false, "xfs-bad-checksum", 0],
] as const)("one inode among the sound ones of its block: %s", async (_, field, isRenewed, code, named) => {
  const sound = await tryAll(full);
  expect(noticed(sound)).toEqual([]);
  let asked = 0;
  for await (const { inode } of walkAll(sound.fs!)) {
    const at = inode!.offset!;
    const changed = edited(full, (_view, bytes) => {
      bytes[at + field]! ^= 0x40;
      if (isRenewed) renewCrc(bytes, at, 512, 100);
    });
    const { errors, log } = await tryAll(changed);
    expect(errors).toEqual([]);
    expect(new Set(log.findings.map((one) => `${one.code} ${one.offset}`))).toEqual(new Set([`${code} ${at + named}`]));
    asked += 1;
    if (asked === 20) break;
  }
  expect(asked).toBe(20);
});

test.each([
  ["v5-4k", full, "report"],
  ["v5-4k, checksums ignored", full, "ignore"],
  ["v5-1k", small, "ignore"],
  ["v4-512", four, "report"],
  ["v5-dirty", tiny, "ignore"],
] as const)(
  "random bytes in %s",
  async (_, image, checksums) => {
    // Sectors that hold something: damage elsewhere would hardly ever be seen.
    const used: number[] = [];
    for (let at = 0; at < image.length; at += 512) {
      if (image.subarray(at, at + 512).some((byte) => byte !== 0)) used.push(at);
    }
    for (let seed = 1; seed <= 12; seed += 1) {
      let state = seed;
      const next = (limit: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return Math.floor((state / 2 ** 32) * limit);
      };
      const changed = edited(image, (_view, bytes) => {
        for (let flips = 0; flips < used.length / 2; flips += 1)
          bytes[used[next(used.length)]! + next(512)] = next(256);
      });
      noticed(await tryAll(changed, { checksums }));
    }
  },
  60_000,
);

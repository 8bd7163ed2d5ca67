/** ext: damage in every place that is read. Each ends in a typed error or a finding with its byte offset, and soon. */
import { createHash } from "node:crypto";
import {
  bufferDevice,
  cachedDevice,
  encodeText,
  equalBytes,
  FindingLog,
  type ImageError,
  isImageError,
} from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import * as layout from "@guestprobe/ext/layout";
import { type FileSystem, type OpenOptions, resolve, walkAll } from "@guestprobe/vfs";
import { readEntry } from "@guestprobe/vfs/conformance";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";
import { sha256 } from "../lib/sha256.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const MAX_MS = 2000;
let spent = stopwatch();
beforeEach(() => {
  spent = stopwatch();
});
afterEach(({ task }) => {
  // A table of many cases is timed case by case.
  if (!task.name.startsWith("table:")) expect(spent()).toBeLessThan(MAX_MS);
});

const fixture = (name: string): Uint8Array =>
  fixtures("ext")
    .find((one) => one.name === name)!
    .image();
const plain = fixture("small-plain");
const checked = fixture("small-checksums");

interface Outcome {
  readonly error: ImageError | undefined;
  readonly errors: readonly { readonly code: string; readonly offset: number | undefined; readonly message: string }[];
  readonly log: FindingLog;
  readonly fs: FileSystem | undefined;
}

/** All that can be done with an image; what is thrown is an ImageError, or the test fails. */
async function tryAll(image: Uint8Array, options: OpenOptions = {}): Promise<Outcome> {
  const log = new FindingLog();
  const spentHere = stopwatch();
  try {
    const fs = await ext.open(cachedDevice(bufferDevice(image)), { report: log.report, ...options });
    const { errors } = await drain(fs);
    expect(spentHere()).toBeLessThan(MAX_MS);
    return { error: undefined, errors, log, fs };
  } catch (error) {
    if (!isImageError(error)) throw error;
    return { error, errors: [error], log, fs: undefined };
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

const edited = (image: Uint8Array, at: number, bytes: Uint8Array | readonly number[]): Uint8Array => {
  const copy = image.slice();
  copy.set(bytes, at);
  return copy;
};
const le16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const le32 = (value: number): number[] => [...le16(value & 0xffff), ...le16(value >>> 16)];

/** 0, 1, the maximum, and one more and one less than what is there. */
function badValues(image: Uint8Array, at: number, size: number): Uint8Array[] {
  const original = image.subarray(at, at + size);
  if (size > 4) {
    const fills = [new Uint8Array(size), new Uint8Array(size).fill(0xff)];
    return fills.filter((fill) => !equalBytes(fill, original));
  }
  const limit = 2 ** (8 * size);
  const value = original.reduce((sum, byte, n) => sum + byte * 2 ** (8 * n), 0);
  const values = [0, 1, limit - 1, (value + 1) % limit, (value + limit - 1) % limit];
  return [...new Set(values)]
    .filter((other) => other !== value)
    .map((other) => Uint8Array.from({ length: size }, (_, n) => Math.floor(other / 2 ** (8 * n)) & 0xff));
}

type Table = Record<string, { readonly offset: number; readonly size: number }>;

describe("superblock", () => {
  const fields = Object.entries(layout.ext4_super_block.$fields as Table);

  test("table: under metadata_csum every changed field is noticed, with its offset", async () => {
    for (const [name, { offset, size }] of fields) {
      for (const bytes of badValues(checked, 1024 + offset, size)) {
        const outcome = await tryAll(edited(checked, 1024 + offset, bytes));
        expect(noticed(outcome), `${name} = ${bytes}`).not.toEqual([]);
        expect(outcome.error === undefined || outcome.error.code !== "io").toBe(true);
      }
    }
  });

  test("table: under the policy require every changed field ends in an error", async () => {
    for (const [name, { offset, size }] of fields) {
      for (const bytes of badValues(checked, 1024 + offset, size)) {
        // Without its bit nothing says that there are checksums: noticed above by other means, but no error.
        if (name === "s_feature_ro_compat" && (bytes[1]! & 0x04) === 0) continue;
        const { error } = await tryAll(edited(checked, 1024 + offset, bytes), { checksums: "require" });
        expect(error?.offset, `${name} = ${bytes}`).toBeTypeOf("number");
      }
    }
  });

  test("table: without checksums a changed field is noticed, or changes nothing that is shown", async () => {
    const right = await manifest(await ext.open(bufferDevice(plain)));
    const silent: string[] = [];
    for (const [name, { offset, size }] of fields) {
      for (const bytes of badValues(plain, 1024 + offset, size)) {
        const outcome = await tryAll(edited(plain, 1024 + offset, bytes));
        if (noticed(outcome).length > 0) continue;
        if ((await manifest(outcome.fs!)) !== right) silent.push(`${name} = ${bytes}`);
      }
    }
    // Without 64bit in the descriptors nothing else says how many 512-byte units huge_file counts in, and so on: none.
    expect(silent).toEqual([]);
  });
});

describe("group descriptor", () => {
  for (const [name, image] of [
    ["plain", plain],
    ["checksums", checked],
  ] as const) {
    test(`table: ${name}: each field at its bounds`, async () => {
      for (const [field, { offset, size }] of Object.entries(layout.ext4_group_desc.$fields as Table)) {
        if (name === "plain" && offset >= 32) continue;
        for (const bytes of badValues(image, 2048 + offset, size)) {
          const outcome = await tryAll(edited(image, 2048 + offset, bytes));
          const isRead = field.startsWith("bg_inode_table") || name === "checksums";
          if (isRead) expect(noticed(outcome), `${field} = ${bytes}`).not.toEqual([]);
        }
      }
    });
  }
});

/** Where things lie in a sound volume. */
async function places(image: Uint8Array) {
  const fs = await ext.open(bufferDevice(image));
  const inode = async (path: string) => (await resolve(fs, path))!.inode;
  const firstExtent = async (path: string): Promise<number> => {
    for await (const [first] of (await inode(path)).extents()) return first!.physical!;
    throw new Error("no extents");
  };
  return { fs, inode, firstExtent, blockOf: layout.ext4_inode.$fields.i_block.offset };
}

describe("inode", () => {
  for (const [name, image] of [
    ["plain", plain],
    ["checksums", checked],
  ] as const) {
    test(`table: ${name}: each field of each kind of inode at its bounds`, async () => {
      const { inode } = await places(image);
      for (const path of ["/", "/indexed", "/mapped", "/fragments", "/link"]) {
        const at = path === "/link" ? await linkOffset(image) : (await inode(path)).offset!;
        for (const [field, { offset, size }] of Object.entries(layout.ext4_inode.$fields as Table)) {
          for (const bytes of badValues(image, at + offset, size)) {
            const found = noticed(await tryAll(edited(image, at + offset, bytes)));
            if (name === "checksums") expect(found, `${path} ${field} = ${bytes}`).not.toEqual([]);
          }
        }
      }
    });
  }
});

async function linkOffset(image: Uint8Array): Promise<number> {
  const fs = await ext.open(bufferDevice(image));
  return (await resolve(fs, "/link", { followLast: false }))!.inode.offset!;
}

describe("extent tree", () => {
  /** The header of a node. */
  const head = (entries: number, max: number, depth: number): number[] => [
    ...le16(0xf30a),
    ...le16(entries),
    ...le16(max),
    ...le16(depth),
    ...le32(0),
  ];
  const leaf = (first: number, count: number, block: number): number[] => [
    ...le32(first),
    ...le16(count),
    ...le16(0),
    ...le32(block),
  ];
  const child = (first: number, block: number): number[] => [...le32(first), ...le32(block), ...le32(0)];

  const cases: Record<string, { root: number[]; node?: number[]; field: string }> = {
    "no magic": { root: [0, 0], field: "eh_magic" },
    "more entries than room": { root: head(5, 4, 0), field: "eh_entries" },
    "room for more than the inode has": { root: head(1, 5, 0), field: "eh_max" },
    "deeper than five": { root: head(1, 4, 6), field: "eh_depth" },
    "an inner node without children": { root: head(0, 4, 1), field: "eh_entries" },
    "an extent of no blocks": { root: [...head(1, 4, 0), ...leaf(0, 0, 100)], field: "ee_len" },
    "an extent past the end": { root: [...head(1, 4, 0), ...leaf(0, 5, 1022)], field: "ee_start_lo" },
    "an extent over the superblock": { root: [...head(1, 4, 0), ...leaf(0, 5, 1)], field: "ee_start_lo" },
    "extents that overlap": { root: [...head(2, 4, 0), ...leaf(0, 5, 100), ...leaf(4, 5, 200)], field: "ee_block" },
    "extents out of order": { root: [...head(2, 4, 0), ...leaf(9, 1, 100), ...leaf(0, 1, 200)], field: "ee_block" },
    "a node that is its own child": {
      root: [...head(1, 4, 1), ...child(0, 900)],
      node: [...head(1, 84, 1), ...child(0, 900)],
      field: "eh_depth",
    },
    "two children that are one": {
      root: [...head(2, 4, 1), ...child(0, 900), ...child(8, 900)],
      node: [...head(1, 84, 0), ...leaf(0, 8, 100)],
      field: "ee_block",
    },
    "children out of order": { root: [...head(2, 4, 1), ...child(5, 900), ...child(5, 901)], field: "ei_block" },
    "a child past the end": { root: [...head(1, 4, 1), ...child(0, 1024)], field: "ei_leaf_lo" },
    "a leaf that reaches into its neighbour": {
      root: [...head(2, 4, 1), ...child(0, 900), ...child(4, 901)],
      node: [...head(1, 84, 0), ...leaf(0, 8, 100)],
      field: "ee_len",
    },
  };
  for (const [name, { root, node, field }] of Object.entries(cases)) {
    test(name, async () => {
      const { inode, blockOf } = await places(plain);
      const at = (await inode("/mapped")).offset! + blockOf;
      let image = edited(plain, at, root);
      if (node !== undefined) image = edited(image, 900 * 1024, node);
      const outcome = await tryAll(image);
      expect(outcome.errors).toContainEqual(expect.objectContaining({ code: "corrupt" }));
      const file = (await resolve(outcome.fs!, "/mapped"))!.inode;
      const read = await file.read(0, 20_000).catch((error: unknown) => error);
      expect(read).toMatchObject({ code: "corrupt", field, offset: expect.any(Number) });
      // The other files are still there.
      expect((await resolve(outcome.fs!, "/file"))?.inode.stat.size).toBe(6);
    });
  }
});

describe("block map", () => {
  const EXTENTS_FL = 0x80000;

  async function mapped(pointers: Record<number, number>, size: number, blocks: Record<number, number[]>) {
    const { inode, blockOf } = await places(plain);
    const at = (await inode("/mapped")).offset!;
    const { i_flags, i_size_lo } = layout.ext4_inode.$fields;
    const flags = new DataView(plain.buffer, plain.byteOffset).getUint32(at + i_flags.offset, true);
    let image = edited(plain, at + i_flags.offset, le32(flags & ~EXTENTS_FL));
    image = edited(image, at + i_size_lo.offset, le32(size));
    image = edited(image, at + blockOf, new Uint8Array(60));
    for (const [slot, block] of Object.entries(pointers))
      image = edited(image, at + blockOf + Number(slot) * 4, le32(block));
    for (const [block, list] of Object.entries(blocks)) image = edited(image, Number(block) * 1024, list.flatMap(le32));
    return image;
  }

  test("an indirect block that leads to itself", async () => {
    for (const [slot, first] of [
      [13, 12 + 256],
      [14, 12 + 256 + 65536],
    ] as const) {
      const image = await mapped({ [slot]: 900 }, 0xffff_ffff, { 900: [900] });
      const { fs } = await tryAll(image);
      const file = (await resolve(fs!, "/mapped"))!.inode;
      await expect(file.read(first * 1024, 10)).rejects.toMatchObject({ code: "corrupt", offset: 900 * 1024 });
    }
  });

  test("indirect blocks that lead to one block again and again", async () => {
    const all = (block: number): number[] => new Array<number>(256).fill(block);
    const image = await mapped({ 14: 900 }, 0xffff_ffff, { 900: all(901), 901: all(902), 902: all(903) });
    const { fs } = await tryAll(image);
    const file = (await resolve(fs!, "/mapped"))!.inode;
    const list = async () => {
      for await (const _ of file.extents());
    };
    await expect(list()).rejects.toMatchObject({ code: "corrupt", field: "i_block" });
  });

  test("indirect blocks of holes that lead to one block again and again", async () => {
    const all = (block: number): number[] => new Array<number>(256).fill(block);
    const everyOther = Array.from({ length: 256 }, (_, n) => (n % 2 === 0 ? 902 : 0));
    const image = await mapped({ 14: 900 }, 0xffff_ffff, { 900: all(901), 901: everyOther, 902: all(0) });
    const { fs } = await tryAll(image);
    const list = async () => {
      for await (const _ of (await resolve(fs!, "/mapped"))!.inode.extents());
    };
    await expect(list()).rejects.toMatchObject({ code: "corrupt", field: "i_block" });
  });

  test("pointers outside the volume", async () => {
    for (const block of [1, 1024, 0xffff_ffff]) {
      const { errors } = await tryAll(await mapped({ 3: block }, 20_000, {}));
      expect(errors).toContainEqual(expect.objectContaining({ code: "corrupt", offset: expect.any(Number) }));
    }
  });
});

describe("directory", () => {
  const names = Array.from({ length: 50 }, (_, n) => `a rather long name, number ${n}`);

  test("an entry whose length is 0, odd, or reaches past the block", async () => {
    const { firstExtent } = await places(plain);
    const root = await firstExtent("/");
    // The third entry of the root: after "." and "..".
    for (const length of [0, 4, 11, 13, 1020, 65535]) {
      const outcome = await tryAll(edited(plain, root + 24 + 4, le16(length)));
      expect(outcome.errors).toContainEqual(
        expect.objectContaining({ code: "corrupt", message: expect.stringContaining(`byte ${root + 24 + 4}`) }),
      );
    }
  });

  test("a name longer than its entry, an inode out of range, a name with a slash", async () => {
    const { firstExtent } = await places(plain);
    const at = (await firstExtent("/")) + 24;
    expect(noticed(await tryAll(edited(plain, at + 6, [255])))).toContain("corrupt");
    expect(noticed(await tryAll(edited(plain, at, le32(0xffff))))).toContain("corrupt");
    expect(noticed(await tryAll(edited(plain, at, le32(60))))).toContain("corrupt");
    expect(noticed(await tryAll(edited(plain, at + 8, [0x2f])))).toContain("ext-bad-name");
  });

  const damage: Record<string, { at: number; bytes: number[]; finding?: string }> = {
    "levels beyond the kernel's": { at: 0x1e, bytes: [2] },
    "an info of another length": { at: 0x1d, bytes: [7] },
    "flags that mean something": { at: 0x1f, bytes: [1] },
    "more entries than room": { at: 0x22, bytes: le16(0xffff) },
    "no entries": { at: 0x22, bytes: le16(0) },
    "another limit": { at: 0x20, bytes: le16(5) },
    "an entry that leads to the root": { at: 0x24, bytes: le32(0) },
    "an entry past the end of the directory": { at: 0x24, bytes: le32(0x0fff_ffff) },
    "a level more than there is": { at: 0x1e, bytes: [1] },
    "an unknown hash": { at: 0x1c, bytes: [9] },
  };
  for (const [name, { at, bytes }] of Object.entries(damage)) {
    test(`index: ${name}: every name is still found`, async () => {
      const { firstExtent } = await places(plain);
      const image = edited(plain, (await firstExtent("/indexed")) + at, bytes);
      const log = new FindingLog();
      const fs = await ext.open(bufferDevice(image), { report: log.report });
      const directory = (await resolve(fs, "/indexed"))!.inode;
      for (const one of names) expect(await directory.lookup(encodeText(one)), one).toBeDefined();
      expect(await directory.lookup(encodeText("absent"))).toBeUndefined();
      if (bytes[0] !== 9) expect(log.findings.map(({ code }) => code)).toContain("ext-htree-damaged");
    });
  }

  test("index: a collision chain that goes round in a circle", async () => {
    const { firstExtent } = await places(plain);
    const root = await firstExtent("/indexed");
    const view = new DataView(plain.buffer, plain.byteOffset);
    const count = view.getUint16(root + 0x22, true);
    let image = plain;
    // Every hash continues the one before, and every leaf is the first.
    for (let n = 1; n < count; n += 1) {
      image = edited(image, root + 0x20 + n * 8, [...le32(1), ...le32(view.getUint32(root + 0x24, true))]);
    }
    const fs = await ext.open(bufferDevice(image));
    const directory = (await resolve(fs, "/indexed"))!.inode;
    for (const one of names) expect(await directory.lookup(encodeText(one)), one).toBeDefined();
  });
});

describe("whole images", () => {
  test("empty, one byte, one sector, zeros, random bytes", async () => {
    for (const length of [0, 1, 512, 1023, 1024, 1025, 2047]) {
      const { error } = await tryAll(new Uint8Array(length));
      expect(error).toMatchObject({ code: "not-this-format", offset: expect.any(Number) });
    }
    let state = 1;
    const random = Uint8Array.from({ length: 1 << 20 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    });
    expect((await tryAll(random)).error?.code).toBe("not-this-format");
    // With the magic in place everything else is a lie.
    expect(noticed(await tryAll(edited(random, 1024 + 0x38, le16(0xef53))))).not.toEqual([]);
  });

  for (const [name, image] of [
    ["plain", plain],
    ["checksums", checked],
  ] as const) {
    test(`table: ${name}: cut at every sixteenth`, async () => {
      for (let part = 1; part < 16; part += 1) {
        const cut = image.subarray(0, (image.length / 16) * part);
        const outcome = await tryAll(cut);
        expect(noticed(outcome)).toContain("ext-truncated");
      }
    });

    test(`table: ${name}: blocks of metadata overwritten with noise`, async () => {
      let state = 7;
      for (let block = 1; block < 60; block += 1) {
        const noise = Uint8Array.from({ length: 1024 }, () => {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0;
          return state >>> 16;
        });
        noticed(await tryAll(edited(image, block * 1024, noise)));
      }
    });
  }
});

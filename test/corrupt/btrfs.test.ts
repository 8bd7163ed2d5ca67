import { bufferDevice, FindingLog, type ImageError, isImageError } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import {
  btrfs_chunk,
  btrfs_dir_item,
  btrfs_file_extent_item,
  btrfs_header,
  btrfs_inode_item,
  btrfs_item,
  btrfs_key_ptr,
  btrfs_root_item,
  btrfs_stripe,
  btrfs_super_block,
} from "@guestprobe/btrfs/layout";
import { type Extent, type OpenOptions, open, walkAll } from "@guestprobe/vfs";
import { describe, expect, it } from "vitest";
import { BtrfsEditor } from "../lib/btrfs-edit.js";
import { fixtures } from "../lib/fixtures.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const SUPER = 0x1_0000;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;
/** No input may take longer, milliseconds; a small image takes a few of them. */
const TIME_LIMIT = 2000;

const fixture = (name: string): Uint8Array =>
  fixtures("btrfs")
    .find((one) => one.name === name)!
    .image();
/** CRC-32C, single profile, all of it in leaves. */
const pristine = fixture("subvolumes");

/** The first error met, at opening or at any file; everything else is still read. Anything but an ImageError fails. */
async function firstError(image: Uint8Array, options: OpenOptions = {}): Promise<ImageError | undefined> {
  const spent = stopwatch();
  let first: ImageError | undefined;
  const note = (error: unknown): void => {
    if (!isImageError(error)) throw error;
    first ??= error;
  };
  try {
    const fs = await btrfs.open(bufferDevice(image), options);
    for await (const { inode, error } of walkAll(fs, { maxEntries: 10_000 })) {
      if (error !== undefined) note(error);
      if (inode === undefined) continue;
      try {
        const { type, size } = inode.stat;
        if (type === "file") await inode.read(0, Math.min(size, 1 << 20));
        if (type === "symlink") await inode.readLink();
        for await (const _ of inode.extents()) if (spent() > TIME_LIMIT) break;
        await inode.xattrs();
      } catch (error) {
        note(error);
      }
    }
    await fs.subvolumes();
  } catch (error) {
    note(error);
  }
  expect(spent()).toBeLessThan(TIME_LIMIT);
  return first;
}

const editor = new BtrfsEditor(pristine);

type Wanted = Partial<Pick<ImageError, "code" | "field" | "structure" | "offset">>;

describe("superblock", () => {
  const fields = btrfs_super_block.$fields;
  type Field = keyof typeof fields;
  const cases: readonly (readonly [Field, number | bigint, Wanted["code"]])[] = [
    ["magic", 0, "not-this-format"],
    ["bytenr", 0x1_0001, "corrupt"],
    ["bytenr", 0, "corrupt"],
    ["bytenr", MAX_U64, "corrupt"],
    ["generation", 0, "corrupt"],
    ["generation", MAX_U64, "corrupt"],
    ["root", 0, "corrupt"],
    ["root", 1, "corrupt"],
    ["root", MAX_U64, "corrupt"],
    ["chunk_root", 0, "corrupt"],
    ["chunk_root", 4095, "corrupt"],
    ["log_root", 1, "corrupt"],
    ["total_bytes", 0, "corrupt"],
    ["total_bytes", MAX_U64, "corrupt"],
    ["num_devices", 0, "corrupt"],
    ["num_devices", MAX_U64, "corrupt"],
    ["sectorsize", 0, "corrupt"],
    ["sectorsize", 4097, "corrupt"],
    ["sectorsize", 0xffff_ffff, "corrupt"],
    ["nodesize", 0, "corrupt"],
    ["nodesize", 16385, "corrupt"],
    ["nodesize", 131072, "corrupt"],
    ["nodesize", 2048, "corrupt"],
    ["leafsize", 0, "corrupt"],
    ["sys_chunk_array_size", 0, "corrupt"],
    ["sys_chunk_array_size", 2049, "corrupt"],
    ["sys_chunk_array_size", 0xffff_ffff, "corrupt"],
    ["chunk_root_generation", MAX_U64, "corrupt"],
    ["csum_type", 4, "unsupported"],
    ["csum_type", 0xffff, "unsupported"],
    ["root_level", 8, "corrupt"],
    ["root_level", 255, "corrupt"],
    ["chunk_root_level", 8, "corrupt"],
    ["log_root_level", 8, "corrupt"],
  ];
  for (const [field, value, code] of cases) {
    it(`${field} is ${value}: ${code}`, async () => {
      editor.reset();
      const { offset, size } = fields[field];
      editor.set(SUPER + offset, size, value);
      editor.repairSuper();
      expect(await firstError(editor.image)).toMatchObject({
        code,
        field,
        offset: field === "csum_type" ? SUPER : SUPER + offset,
      });
    });
  }

  for (const [bit, name] of [
    [0x1000, "zoned"],
    [0x2000, "extent_tree_v2"],
    [0x4000, "raid_stripe_tree"],
    [0x8000, "0x8000"],
    [2 ** 40, "0x10000000000"],
  ] as const) {
    it(`incompat_flags with ${name}: unsupported, by name`, async () => {
      editor.reset();
      const at = SUPER + fields.incompat_flags.offset;
      editor.set(at, 8, editor.get(at, 8) + BigInt(bit));
      editor.repairSuper();
      expect(await firstError(editor.image)).toMatchObject({
        code: "unsupported",
        reason: `needs the feature ${name}`,
        field: "incompat_flags",
        offset: at,
      });
    });
  }

  it("every field at 0, 1, its greatest value and off by one, its checksum right or wrong: an answer or an error", async () => {
    let refused = 0;
    for (const { offset, size } of Object.values(fields)) {
      if (size > 8) continue;
      const before = editor.reset().get(SUPER + offset, size);
      const most = (1n << BigInt(8 * size)) - 1n;
      for (const value of [0n, 1n, most, before + 1n, before - 1n]) {
        for (const repaired of [true, false]) {
          editor.reset();
          editor.set(SUPER + offset, size, value & most);
          if (repaired) editor.repairSuper();
          if ((await firstError(editor.image)) !== undefined) refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  it("a wrong checksum: refused where checksums are required, else a finding", async () => {
    editor.reset();
    editor.image[SUPER]! ^= 1;
    expect(await firstError(editor.image, { checksums: "require" })).toMatchObject({
      code: "bad-checksum",
      offset: SUPER,
    });
    const log = new FindingLog();
    expect(await firstError(editor.image, { report: log.report })).toBeUndefined();
    expect(log.findings.map(({ code }) => code)).toEqual(["btrfs-bad-block"]);
  });
});

describe("nodes", () => {
  const H = btrfs_header.$fields;
  const first = btrfs_header.$size;
  type Change = (editor: BtrfsEditor, leaf: number) => void;
  const cases: readonly (readonly [string, Change, Wanted])[] = [
    ["level lies", (e, leaf) => e.set(leaf + H.level.offset, 1, 1), { field: "level" }],
    ["address of another node", (e, leaf) => e.set(leaf + H.bytenr.offset, 8, 0x4000), { field: "bytenr" }],
    ["another volume", (e, leaf) => e.set(leaf + H.fsid.offset, 8, 0), { field: "fsid" }],
    ["generation of a lost write", (e, leaf) => e.set(leaf + H.generation.offset, 8, 1), { field: "generation" }],
    ["a tree that is no subvolume", (e, leaf) => e.set(leaf + H.owner.offset, 8, 7), { field: "owner" }],
    ["more items than fit", (e, leaf) => e.set(leaf + H.nritems.offset, 4, 0xffff_ffff), { field: "nritems" }],
    [
      "one item more than there are",
      (e, leaf) => e.set(leaf + H.nritems.offset, 4, e.get(leaf + H.nritems.offset, 4) + 1n),
      { structure: "btrfs_item" },
    ],
    ["keys out of order", (e, leaf) => e.set(leaf + first, 8, MAX_U64), { field: "key", structure: "btrfs_item" }],
    [
      "the same key twice",
      (e, leaf) => e.image.copyWithin(leaf + first + 25, leaf + first, leaf + first + 17),
      { field: "key" },
    ],
    ["data past the end of the leaf", (e, leaf) => e.set(leaf + first + 17, 4, 0xffff_ffff), { field: "offset" }],
    [
      "items that overlap",
      (e, leaf) => e.set(leaf + first + 25 + 21, 4, e.get(leaf + first + 25 + 21, 4) + 8n),
      { field: "offset" },
    ],
    ["an item larger than the leaf", (e, leaf) => e.set(leaf + first + 21, 4, 0x7fff_ffff), { field: "offset" }],
  ];
  for (const [name, change, wanted] of cases) {
    it(`leaf: ${name}`, async () => {
      editor.reset();
      const leaf = editor.leafOf(256);
      change(editor, leaf);
      editor.repairNode(leaf);
      const error = await firstError(editor.image);
      expect(error).toMatchObject({ code: "corrupt", ...wanted });
      expect(error!.offset).toBeGreaterThanOrEqual(leaf);
      expect(error!.offset).toBeLessThan(leaf + editor.nodesize);
    });
  }

  /** Subvolume 263 with an inner node as its root. */
  function twoLevels(change: (editor: BtrfsEditor, pointer: number, node: number, leaf: number) => void): Uint8Array {
    editor.reset();
    const leaf = editor.leafOf(263);
    const { spare } = editor;
    const pointer = editor.addRoot(leaf, spare);
    const data = editor.rootItem(263);
    editor.set(data + btrfs_root_item.$fields.bytenr.offset, 8, btrfs_header.bytenr(editor.view, spare));
    editor.set(data + btrfs_root_item.$fields.level.offset, 1, 1);
    editor.repairNode(editor.leafOf(1));
    change(editor, pointer, spare, leaf);
    editor.repairNode(spare);
    return editor.image;
  }

  it("an inner node above the leaf reads the same", async () => {
    const image = twoLevels(() => {});
    expect(await firstError(image, { checksums: "require" })).toBeUndefined();
    const fs = await btrfs.open(bufferDevice(image));
    expect(new TextDecoder().decode(await (await open(fs, "/@home/user")).read(0, 100))).toBe("at home");
  });

  const P = btrfs_key_ptr.$fields;
  const inner: readonly (readonly [
    string,
    (e: BtrfsEditor, pointer: number, node: number, leaf: number) => void,
    Wanted,
  ])[] = [
    [
      "a node that is its own child",
      (e, p, node) => e.set(p + P.blockptr.offset, 8, e.get(node + H.bytenr.offset, 8)),
      { field: "level" },
    ],
    ["a child in no chunk", (e, p) => e.set(p + P.blockptr.offset, 8, 1n << 50n), { structure: "btrfs_chunk" }],
    ["a child past 2^53", (e, p) => e.set(p + P.blockptr.offset, 8, MAX_U64), { field: "blockptr" }],
    [
      "a child between sectors",
      (e, p) => e.set(p + P.blockptr.offset, 8, e.get(p + P.blockptr.offset, 8) + 1n),
      { field: "blockptr" },
    ],
    [
      "another generation",
      (e, p) => e.set(p + P.generation.offset, 8, e.get(p + P.generation.offset, 8) + 1n),
      { field: "generation" },
    ],
    ["another first key", (e, p) => e.set(p, 8, 255), { field: "key" }],
    ["no children", (e, _, node) => e.set(node + H.nritems.offset, 4, 0), { field: "nritems" }],
    [
      "the child twice",
      (e, p, node) => {
        e.image.copyWithin(p + 33, p, p + 33);
        e.set(p + 33 + 9, 8, 1);
        e.set(node + H.nritems.offset, 4, 2);
      },
      { field: "key" },
    ],
  ];
  for (const [name, change, wanted] of inner) {
    it(`inner node: ${name}`, async () => {
      expect(await firstError(twoLevels(change))).toMatchObject({ code: "corrupt", ...wanted });
    });
  }

  it("a damaged subvolume leaves the others readable", async () => {
    const image = twoLevels((e, p) => e.set(p + P.generation.offset, 8, 0));
    const fs = await btrfs.open(bufferDevice(image));
    expect(new TextDecoder().decode(await (await open(fs, "/one/file")).read(0, 100))).toBe("in one");
    await expect(open(fs, "/@home/user")).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("chunks", () => {
  const C = btrfs_chunk.$fields;
  const stripe = btrfs_chunk.$size;
  const cases: readonly (readonly [string, (e: BtrfsEditor, data: number, header: number) => void, Wanted])[] = [
    [
      "overlaps the next one",
      (e, d) => e.set(d + C.length.offset, 8, e.get(d + C.length.offset, 8) + 0x1_0000n),
      { field: "length" },
    ],
    ["no bytes", (e, d) => e.set(d + C.length.offset, 8, 0), { field: "length" }],
    ["2^64 - 1 bytes", (e, d) => e.set(d + C.length.offset, 8, MAX_U64), { code: "corrupt" }],
    ["length between sectors", (e, d) => e.set(d + C.length.offset, 8, 0x8001), { field: "length" }],
    ["stripes of no bytes", (e, d) => e.set(d + C.stripe_len.offset, 8, 0), { field: "stripe_len" }],
    ["no stripes", (e, d) => e.set(d + C.num_stripes.offset, 2, 0), { field: "num_stripes" }],
    ["65535 stripes", (e, d) => e.set(d + C.num_stripes.offset, 2, 0xffff), { field: "num_stripes" }],
    ["two profiles", (e, d) => e.set(d + C.type.offset, 8, 0x19), { field: "type" }],
    ["no use", (e, d) => e.set(d + C.type.offset, 8, 0), { field: "type" }],
    ["an unknown profile", (e, d) => e.set(d + C.type.offset, 8, 0x801), { code: "unsupported", field: "type" }],
    ["raid10 of no copies", (e, d) => e.set(d + C.type.offset, 8, 0x41), { code: "corrupt" }],
    ["raid6 of one stripe", (e, d) => e.set(d + C.type.offset, 8, 0x101), { field: "num_stripes" }],
    [
      "past the end of the device",
      (e, d) => e.set(d + stripe + 8, 8, 48 * 2 ** 20),
      { structure: "btrfs_stripe", field: "offset" },
    ],
    ["past 2^53", (e, d) => e.set(d + stripe + 8, 8, MAX_U64), { field: "offset" }],
    ["on a device that is not listed", (e, d) => e.set(d + stripe, 8, 9), { structure: "btrfs_stripe" }],
    ["begins between sectors", (e, _, h) => e.set(h + 9, 8, e.get(h + 9, 8) + 1n), { field: "logical" }],
  ];
  for (const [name, change, wanted] of cases) {
    it(`chunk: ${name}`, async () => {
      editor.reset();
      const leaf = editor.leafOf(3);
      const { header, data } = editor.item(leaf, 228);
      change(editor, data, header);
      editor.repairNode(leaf);
      const error = await firstError(editor.image);
      expect(error).toMatchObject({ code: "corrupt", ...wanted });
      expect(error!.offset).toBeGreaterThanOrEqual(leaf);
    });
  }

  it("sys_chunk_array: each byte changed in turn", async () => {
    const at = SUPER + btrfs_super_block.$fields.sys_chunk_array.offset;
    let refused = 0;
    for (let n = 0; n < 17 + btrfs_chunk.$size + btrfs_stripe.$size; n += 1) {
      for (const bits of [1, 0x80, 0xff]) {
        editor.reset();
        editor.image[at + n]! ^= bits;
        editor.repairSuper();
        if ((await firstError(editor.image)) !== undefined) refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe("items of a subvolume", () => {
  const I = btrfs_inode_item.$fields;
  const D = btrfs_dir_item.$fields;
  const X = btrfs_file_extent_item.$fields;
  /** Subvolume 256: its first regular file is "file", of six bytes. */
  const cases: readonly (readonly [
    string,
    number,
    number,
    (e: BtrfsEditor, data: number, header: number) => void,
    Wanted,
  ])[] = [
    ["inode: no type", 1, 0, (e, d) => e.set(d + I.mode.offset, 4, 0o644), { field: "mode" }],
    ["inode: 2^63 bytes", 1, 0, (e, d) => e.set(d + I.size.offset, 8, 1n << 63n), { field: "size" }],
    ["directory entry: no name", 96, 0, (e, d) => e.set(d + D.name_len.offset, 2, 0), { field: "name_len" }],
    [
      "directory entry: a name of 65535 bytes",
      96,
      0,
      (e, d) => e.set(d + D.name_len.offset, 2, 0xffff),
      { field: "name_len" },
    ],
    [
      "directory entry: a name one byte longer",
      96,
      0,
      (e, d) => e.set(d + D.name_len.offset, 2, e.get(d + D.name_len.offset, 2) + 1n),
      { field: "name_len" },
    ],
    ["directory entry: with data", 96, 0, (e, d) => e.set(d + D.data_len.offset, 2, 1), { code: "corrupt" }],
    [
      "directory entry: a slash in the name",
      96,
      0,
      (e, d) => e.set(d + btrfs_dir_item.$size, 1, 0x2f),
      { field: "name" },
    ],
    ["directory entry: leads to an extent", 96, 0, (e, d) => e.set(d + 8, 1, 108), { field: "location" }],
    ["directory entry: leads nowhere", 96, 0, (e, d) => e.set(d, 8, 99_999), { structure: "btrfs_item" }],
    ["directory entry: leads past 2^53", 96, 0, (e, d) => e.set(d, 8, MAX_U64), { field: "objectid" }],
    [
      "inline extent: four gigabytes",
      108,
      0,
      (e, d) => e.set(d + X.ram_bytes.offset, 8, 2n ** 32n),
      { field: "ram_bytes" },
    ],
    [
      "inline extent: one byte more than there is",
      108,
      0,
      (e, d) => e.set(d + X.ram_bytes.offset, 8, 7),
      { field: "ram_bytes" },
    ],
    [
      "inline extent: compressed, four gigabytes",
      108,
      0,
      (e, d) => {
        e.set(d + X.ram_bytes.offset, 8, 2n ** 32n);
        e.set(d + X.compression.offset, 1, 1);
      },
      { field: "ram_bytes" },
    ],
    ["inline extent: not zlib", 108, 0, (e, d) => e.set(d + X.compression.offset, 1, 1), { code: "corrupt" }],
    ["inline extent: not LZO", 108, 0, (e, d) => e.set(d + X.compression.offset, 1, 2), { code: "corrupt" }],
    ["inline extent: not Zstandard", 108, 0, (e, d) => e.set(d + X.compression.offset, 1, 3), { code: "corrupt" }],
    [
      "inline extent: unknown compression",
      108,
      0,
      (e, d) => e.set(d + X.compression.offset, 1, 4),
      { code: "unsupported", field: "compression" },
    ],
    [
      "inline extent: encrypted",
      108,
      0,
      (e, d) => e.set(d + X.encryption.offset, 1, 1),
      { code: "encrypted", field: "encryption" },
    ],
    [
      "inline extent: other encoding",
      108,
      0,
      (e, d) => e.set(d + X.other_encoding.offset, 2, 1),
      { code: "unsupported", field: "other_encoding" },
    ],
    ["inline extent: says it is not inline", 108, 0, (e, d) => e.set(d + X.type.offset, 1, 1), { field: "type" }],
    ["extent: type 3", 108, 0, (e, d) => e.set(d + X.type.offset, 1, 3), { field: "type" }],
  ];
  for (const [name, type, nth, change, wanted] of cases) {
    it(name, async () => {
      editor.reset();
      const leaf = editor.leafOf(256);
      const { header, data } = editor.item(leaf, type, nth);
      change(editor, data, header);
      editor.repairNode(leaf);
      expect(await firstError(editor.image)).toMatchObject({ code: "corrupt", ...wanted });
      // Subvolume 262 has a tree of its own.
      const fs = await btrfs.open(bufferDevice(editor.image));
      expect((await open(fs, "/@/boot/grub/grub.cfg")).stat.size).toBe(25);
    });
  }

  const stored: readonly (readonly [string, keyof typeof X, number | bigint, Wanted])[] = [
    ["no bytes", "num_bytes", 0, { field: "num_bytes" }],
    ["between sectors", "num_bytes", 100, { field: "num_bytes" }],
    ["2^62 bytes", "num_bytes", 1n << 62n, { field: "num_bytes" }],
    ["more than is stored", "num_bytes", 2 ** 40, { field: "num_bytes" }],
    ["begins past what is stored", "offset", 2 ** 40, { field: "num_bytes" }],
    ["begins between sectors", "offset", 1, { field: "offset" }],
    ["address between sectors", "disk_bytenr", 4097, { field: "disk_bytenr" }],
    ["address in no chunk", "disk_bytenr", 2 ** 50, { structure: "btrfs_chunk" }],
    ["nothing stored", "disk_num_bytes", 0, { field: "disk_num_bytes" }],
    ["compressed, and larger than can be", "compression", 1, { code: "corrupt" }],
  ];
  for (const [name, field, value, wanted] of stored) {
    it(`extent: ${name}`, async () => {
      editor.reset();
      // Subvolume 257: "file", of 30,000 bytes in one extent.
      const leaf = editor.leafOf(257);
      const { data } = editor.item(leaf, 108);
      editor.set(data + X[field].offset, X[field].size, value);
      editor.repairNode(leaf);
      expect(await firstError(editor.image)).toMatchObject({ code: "corrupt", ...wanted });
    });
  }

  for (const [name, field, value] of [
    ["level 8", "level", 8],
    ["level 1 over a leaf", "level", 1],
    ["address between sectors", "bytenr", 4097],
    ["no address", "bytenr", 0],
    ["another generation", "generation", 1],
    ["a root directory that is not there", "root_dirid", 9999],
  ] as const) {
    it(`root item: ${name}`, async () => {
      editor.reset();
      const { offset, size } = btrfs_root_item.$fields[field];
      editor.set(editor.rootItem(263) + offset, size, value);
      editor.repairNode(editor.leafOf(1));
      expect(await firstError(editor.image)).toMatchObject({ code: "corrupt" });
    });
  }
});

describe("compressed data that lies", () => {
  /** The compressed extents of a file, with the file. */
  async function encoded(image: Uint8Array, path: string, encoding: string) {
    const fs = await btrfs.open(bufferDevice(image));
    const inode = await open(fs, path);
    const extents: Extent[] = [];
    for await (const batch of inode.extents()) extents.push(...batch.filter((extent) => extent.encoding === encoding));
    expect(extents.length).toBeGreaterThan(0);
    return { inode, extent: extents[0]! };
  }

  const u32 = (image: Uint8Array, at: number, value: number): void =>
    new DataView(image.buffer, image.byteOffset).setUint32(at, value, true);
  const lies: readonly (readonly [string, string, string, string, (image: Uint8Array, at: number) => void])[] = [
    ["LZO: a total of 0", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at, 0)],
    ["LZO: a total of 3", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at, 3)],
    ["LZO: a total of 4 gigabytes", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at, 0xffff_ffff)],
    ["LZO: a total that ends in the first segment", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at, 20)],
    ["LZO: a total of one segment's length", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at, 8)],
    ["LZO: a segment of 0 bytes", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at + 4, 0)],
    ["LZO: a segment of 4 gigabytes", "lzo-zlib", "/etc/prose", "lzo", (image, at) => u32(image, at + 4, 0xffff_ffff)],
    ["LZO: garbage", "lzo-zlib", "/etc/prose", "lzo", (image, at) => image.fill(0xa5, at + 8, at + 64)],
    ["zlib: no header", "lzo-zlib", "/zlib", "zlib", (image, at) => u32(image, at, 0)],
    ["zlib: garbage", "lzo-zlib", "/zlib", "zlib", (image, at) => image.fill(0xa5, at + 2, at + 64)],
    ["Zstandard: no magic", "dup-zstd", "/etc/prose", "zstd", (image, at) => u32(image, at, 0)],
    [
      "Zstandard: a content size of gigabytes",
      "dup-zstd",
      "/etc/prose",
      "zstd",
      (image, at) => {
        // Frame header: descriptor with an eight-byte content size in a single segment.
        image[at + 4] = 0xe0;
        image.fill(0x7f, at + 5, at + 13);
      },
    ],
    [
      "Zstandard: an empty frame",
      "dup-zstd",
      "/etc/prose",
      "zstd",
      (image, at) => {
        // No content size, window of 1 KiB; one last raw block of no bytes.
        image.set([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0], at);
      },
    ],
    [
      "Zstandard: a run that goes on for ever",
      "dup-zstd",
      "/etc/prose",
      "zstd",
      (image, at) => {
        // Window of 64 MiB; RLE blocks of 128 KiB each, none of them the last.
        image.set([0x28, 0xb5, 0x2f, 0xfd, 0, 0x80], at);
        for (let block = at + 6; block < at + 4000; block += 4) image.set([0x02, 0x00, 0x10, 0x41], block);
      },
    ],
  ];
  for (const [name, from, path, encoding, change] of lies) {
    it(name, async () => {
      const image = fixture(from);
      const { extent } = await encoded(image, path, encoding);
      change(image, extent.physical!);
      const inode = await open(await btrfs.open(bufferDevice(image)), path);
      await expect(inode.read(extent.logical, 4096)).rejects.toMatchObject({
        code: "corrupt",
        structure: "btrfs_file_extent_item",
      });
      expect(await firstError(image)).toMatchObject({ code: "corrupt" });
    });
  }

  it("any change of a byte: the same length, or an error", async () => {
    for (const [from, path, encoding] of [
      ["lzo-zlib", "/etc/prose", "lzo"],
      ["lzo-zlib", "/zlib", "zlib"],
      ["dup-zstd", "/etc/prose", "zstd"],
    ] as const) {
      const image = fixture(from);
      const { extent } = await encoded(image, path, encoding);
      const inode = await open(await btrfs.open(bufferDevice(image), { cacheBudget: 0 }), path);
      let refused = 0;
      for (let n = 0; n < extent.physicalLength!; n += 37) {
        image[extent.physical! + n]! ^= 0x55;
        try {
          expect((await inode.read(extent.logical, 4096)).length).toBe(4096);
        } catch (error) {
          expect(isImageError(error, "corrupt"), String(error)).toBe(true);
          refused += 1;
        }
        image[extent.physical! + n]! ^= 0x55;
      }
      expect(refused).toBeGreaterThan(5);
    }
  });

  it("with verify, a changed byte is a finding, or an error where checksums are required", async () => {
    const image = fixture("lzo-zlib");
    const { extent } = await encoded(image, "/etc/prose", "lzo");
    // In the padding after the compressed bytes, where the decoder does not look.
    image[extent.physical! + extent.physicalLength! - 1]! ^= 1;
    const log = new FindingLog();
    const reported = await open(
      await btrfs.open(bufferDevice(image), { verify: true, report: log.report }),
      "/etc/prose",
    );
    expect((await reported.read(extent.logical, 100)).length).toBe(100);
    expect(log.findings.map(({ code }) => code)).toEqual(["btrfs-bad-data"]);
    const strict = await btrfs.open(bufferDevice(image), { verify: true, checksums: "require" });
    await expect((await open(strict, "/etc/prose")).read(extent.logical, 100)).rejects.toMatchObject({
      code: "bad-checksum",
    });
  });
});

describe("whole images", () => {
  it("cut at each sixteenth", async () => {
    for (let part = 0; part < 16; part += 1) {
      const cut = pristine.subarray(0, Math.floor((pristine.length * part) / 16));
      const log = new FindingLog();
      const error = await firstError(cut, { report: log.report });
      if (part === 0) expect(error).toMatchObject({ code: "not-this-format" });
      else if (error === undefined) expect(log.findings.map(({ code }) => code)).toEqual(["btrfs-device-short"]);
      else expect(error.code).toBe("past-end");
    }
  });

  it("metadata changed at random: an answer or an ImageError, in time", async () => {
    editor.reset();
    const leaves = [1, 3, 5, 7, 256, 257, 262].map((tree) => editor.leafOf(tree));
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    let refused = 0;
    for (let round = 0; round < 400; round += 1) {
      const leaf = leaves[random(leaves.length)]!;
      const saved = editor.image.slice(leaf, leaf + editor.nodesize);
      const items = Number(editor.get(leaf + btrfs_header.$fields.nritems.offset, 4));
      for (let n = 0; n <= random(4); n += 1) {
        // In the headers or in the data of the items.
        const inHeaders = btrfs_header.$size + items * btrfs_item.$size;
        const at = random(2) ? random(inHeaders) : editor.nodesize - 1 - random(3000);
        editor.image[leaf + at] = random(256);
      }
      if ((await firstError(editor.image, { checksums: "ignore" })) !== undefined) refused += 1;
      editor.image.set(saved, leaf);
    }
    expect(refused).toBeGreaterThan(50);
    expect(await firstError(editor.image, { checksums: "require" })).toBeUndefined();
  });
});

import { crc32c, FindingLog, RecordBlock, toHex } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { decodeAcl } from "../src/acl.js";
import { blockPath, decodePointers } from "../src/block-map.js";
import { crc16 } from "../src/checksum.js";
import { decodeDirBlock, recordLength } from "../src/directory.js";
import { childFor, decodeExtentNode, fillHoles } from "../src/extent-tree.js";
import { extKind } from "../src/features.js";
import { descriptorBlock, hasSuperblockCopy } from "../src/group-desc.js";
import { decodeDxRoot, dxBlock, dxFind } from "../src/htree.js";
import { type DecodedInode, decodeInode, decodeTime, sumInodes } from "../src/inode.js";
import { decodeSuperblock, type Superblock } from "../src/superblock.js";
import { decodeXattrs, xattrName } from "../src/xattr.js";

const SINK = { checksums: "report", report: undefined } as const;

/** Bytes from text: hexadecimal digits, spaces anywhere. */
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

/** A superblock of 1 KiB blocks: 1024 blocks in one group, 64 inodes; then `edits`, each at its offset. */
function superblockBytes(edits: Record<number, string> = {}): Uint8Array {
  const data = new Uint8Array(1024);
  const fields: Record<number, string> = {
    0: "40000000", // s_inodes_count
    4: "00040000", // s_blocks_count_lo
    20: "01000000", // s_first_data_block
    32: "00200000", // s_blocks_per_group
    36: "00200000", // s_clusters_per_group
    40: "40000000", // s_inodes_per_group
    56: "53ef", // s_magic
    76: "01000000", // s_rev_level
    84: "0b000000", // s_first_ino
    88: "8000", // s_inode_size
    120: "626f6f7400", // s_volume_name
    ...edits,
  };
  for (const [offset, text] of Object.entries(fields)) data.set(bytes(text), Number(offset));
  return data;
}
const superblock = (edits: Record<number, string> = {}): Superblock =>
  decodeSuperblock(superblockBytes(edits), 1024, SINK);

describe("superblock", () => {
  test("fields", () => {
    expect(superblock()).toMatchObject({
      blockSize: 1024,
      blocksCount: 1024,
      groupCount: 1,
      inodeSize: 128,
      descSize: 32,
    });
    expect(new TextDecoder().decode(superblock().label)).toBe("boot");
  });

  test("blocks of 64 KiB, 64-bit counts, wide descriptors", () => {
    const wide = superblock({
      20: "00000000",
      24: "06000000",
      28: "06000000",
      32: "00000800",
      36: "00000800",
      96: "80000000",
      254: "4000",
      336: "01000000",
    });
    expect(wide).toMatchObject({ blockSize: 65536, blocksCount: 2 ** 32 + 1024, descSize: 64 });
  });

  for (const [field, edits] of Object.entries<Record<number, string>>({
    s_log_block_size: { 24: "07000000" },
    s_first_data_block: { 20: "00040000" },
    s_blocks_per_group: { 32: "00000000" },
    s_inodes_per_group: { 40: "ffffffff" },
    s_inodes_count: { 0: "00000000" },
    s_inode_size: { 88: "8100" },
    s_desc_size: { 96: "80000000", 254: "2000" },
    s_first_meta_bg: { 96: "10000000", 260: "ffffffff" },
  })) {
    test(`${field} that cannot be`, () => {
      expect(() => superblock(edits)).toThrow(
        expect.objectContaining({ code: "corrupt", field, offset: expect.any(Number) }),
      );
    });
  }

  test("features that are refused are named, unknown ones too", () => {
    expect(() => superblock({ 96: "01000000" })).toThrow(/compression/);
    expect(() => superblock({ 96: "00000080" })).toThrow(/0x80000000/);
    expect(() => superblock({ 100: "00000080" })).not.toThrow();
  });

  test("without the magic it is no ext, whatever else it is", () => {
    expect(() => superblock({ 56: "0000" })).toThrow(expect.objectContaining({ code: "not-this-format" }));
  });

  test("a wrong checksum is a finding, or an error if asked for", () => {
    const data = superblockBytes({ 100: "00040000", 373: "01" });
    const log = new FindingLog();
    decodeSuperblock(data, 1024, { checksums: "report", report: log.report });
    expect(log.findings).toMatchObject([{ code: "ext-bad-checksum", field: "s_checksum", offset: 1024 + 0x3fc }]);
    expect(() => decodeSuperblock(data, 1024, { checksums: "require", report: undefined })).toThrow(
      expect.objectContaining({ code: "bad-checksum" }),
    );
  });

  test("kind, as blkid has it", () => {
    expect(extKind({ compat: 0, incompat: 0x2, roCompat: 0x3 })).toBe("ext2");
    expect(extKind({ compat: 0x4, incompat: 0x6, roCompat: 0x3 })).toBe("ext3");
    expect(extKind({ compat: 0x4, incompat: 0x42, roCompat: 0x3 })).toBe("ext4");
    expect(extKind({ compat: 0, incompat: 0x2, roCompat: 0x8 })).toBe("ext4");
  });
});

describe("groups", () => {
  test("copies of the superblock lie in 0, 1 and powers of 3, 5 and 7", () => {
    const sb = superblock({ 100: "01000000" });
    const groups = Array.from({ length: 130 }, (_, group) => group).filter((group) => hasSuperblockCopy(sb, group));
    expect(groups).toEqual([0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    const two = superblock({ 92: "00020000", 588: "01000000", 592: "09000000" });
    expect([0, 1, 3, 9].map((group) => hasSuperblockCopy(two, group))).toEqual([true, true, false, true]);
  });

  test("descriptors follow the superblock or, with meta_bg, lie in their groups", () => {
    expect(descriptorBlock(superblock(), 1, 3)).toBe(5);
    // 32 descriptors of 32 bytes a block: the second block of them begins with group 32, at block 1 + 32 * 8192.
    const meta = superblock({ 96: "10000000", 100: "01000000" });
    expect(descriptorBlock(meta, 1, 0)).toBe(2);
    expect(descriptorBlock(meta, 1, 1)).toBe(1 + 32 * 8192);
  });

  test("CRC-16, the check value of CRC-16/MODBUS and, from zero, of CRC-16/ARC", () => {
    const digits = new TextEncoder().encode("123456789");
    expect(crc16(0xffff, digits)).toBe(0x4b37);
    expect(crc16(0, digits)).toBe(0xbb3d);
  });
});

describe("inode", () => {
  const inode = (edits: Record<number, string>, size = 256): DecodedInode => {
    const raw = new Uint8Array(size);
    raw.set(bytes("a481"), 0);
    raw.set(bytes("0100"), 0x1a);
    for (const [offset, text] of Object.entries(edits)) raw.set(bytes(text), Number(offset));
    const decoded = decodeInode(superblock({ 88: size === 256 ? "0001" : "8000" }), 12, viewOf(raw), 0, 5000, SINK);
    if (decoded === undefined) throw new Error("the inode is not in use");
    return decoded;
  };

  test("times: the table of the kernel's documentation, Inode Timestamps", () => {
    expect(decodeTime(0x80000000, 0)).toBe(-(2n ** 31n) * 1_000_000_000n);
    expect(decodeTime(0x7fffffff, 0)).toBe((2n ** 31n - 1n) * 1_000_000_000n);
    expect(decodeTime(0x80000000, 1)).toBe(2n ** 31n * 1_000_000_000n);
    expect(decodeTime(0x7fffffff, 3)).toBe((2n ** 31n - 1n + 3n * 2n ** 32n) * 1_000_000_000n);
    expect(decodeTime(1, 999_999_999 * 4)).toBe(1_999_999_999n);
  });

  /** The checksum as the kernel's ext4_inode_csum has it, from scratch: a seed from the volume, the number, the generation. */
  const sumFromScratch = (csumSeed: number, ino: number, raw: Uint8Array, isWide: boolean): number => {
    const bare = raw.slice();
    bare.fill(0, 0x7c, 0x7e);
    if (isWide) bare.fill(0, 0x82, 0x84);
    const words = new Uint8Array(8);
    viewOf(words).setUint32(0, ino, true);
    words.set(raw.subarray(0x64, 0x68), 4);
    const sum = ~crc32c(Uint8Array.of(...words, ...bare), ~csumSeed) >>> 0;
    return isWide ? sum : sum & 0xffff;
  };

  // Bytes of fields past the first 128: none, just enough for the upper half, more; or all with room for it.
  const mixed = [0, 4, 8, 28, 32];
  test.each([
    ["128", "8000", 128, mixed],
    ["256", "0001", 256, mixed],
    ["256, all with both halves,", "0001", 256, [32]],
    ["1024", "0004", 1024, mixed],
  ])(
    "checksums of a block of inodes of %s bytes, taken together, are those of each by itself",
    (_, stored, size, extras) => {
      const sb = { ...superblock({ 88: stored }), csumSeed: 0x1234_5678 };
      const block = new Uint8Array(4096).map((_, at) => (at * 31) ^ (at >> 5));
      const view = viewOf(block);
      const isWide = (n: number): boolean => size > 128 && extras[n % extras.length]! >= 4;
      for (let n = 0; n < 4096 / size; n += 1) {
        const base = n * size;
        view.setUint16(base, 0o100644, true);
        view.setUint16(base + 0x1a, 1, true);
        view.setUint32(base + 0x6c, 0, true);
        if (size > 128) view.setUint16(base + 0x80, extras[n % extras.length]!, true);
        const sum = sumFromScratch(sb.csumSeed, 33 + n, block.subarray(base, base + size), isWide(n));
        view.setUint16(base + 0x7c, sum & 0xffff, true);
        if (isWide(n)) view.setUint16(base + 0x82, sum >>> 16, true);
      }
      const sink = { checksums: "require", report: undefined } as const;
      for (const isBad of [false, true]) {
        // One bit of the last byte of each, which is no field.
        for (let at = size - 1; isBad && at < 4096; at += size) block[at]! ^= 0x10;
        const known = new RecordBlock(block, 0);
        sumInodes(sb, 33, known);
        expect(known.isSound).toBe(!isBad && extras !== mixed);
        for (let n = 0; n < 4096 / size; n += 1) {
          for (const asked of [undefined, known]) {
            const decode = () => decodeInode(sb, 33 + n, view, n * size, n * size, sink, asked)?.ino;
            if (isBad)
              expect(decode).toThrow(expect.objectContaining({ code: "bad-checksum", offset: n * size + 0x7c }));
            else expect([n, decode()]).toEqual([n, 33 + n]);
          }
        }
      }
    },
  );

  test("wide ids, mode, size", () => {
    const stat = inode({
      0: "ff8f",
      2: "0100",
      120: "0200",
      24: "0300",
      122: "ffff",
      4: "05000000",
      108: "01000000",
    });
    expect(stat).toMatchObject({ type: "file", mode: 0o7777, uid: 0x20001, gid: 0xffff0003, size: 2 ** 32 + 5 });
  });

  test("device numbers, old and new", () => {
    expect(inode({ 0: "a421", 40: "0103" }).rdev).toEqual({ major: 3, minor: 1 });
    // new_encode_dev(300:70000): minor & 0xff | major << 8 | (minor & ~0xff) << 12
    expect(inode({ 0: "a461", 44: "702c1111" }).rdev).toEqual({ major: 300, minor: 0x11170 });
  });

  test("a type that is none, and fields past the end of the inode", () => {
    expect(() => inode({ 0: "a401" })).toThrow(expect.objectContaining({ field: "i_mode" }));
    expect(() => inode({ 0: "a4f1" })).toThrow(expect.objectContaining({ field: "i_mode", offset: 5000 }));
    expect(() => inode({ 128: "8400" })).toThrow(expect.objectContaining({ field: "i_extra_isize", offset: 5128 }));
    expect(() => inode({ 128: "0200" })).toThrow(expect.objectContaining({ field: "i_extra_isize" }));
  });
});

describe("extent tree and block map", () => {
  const sb = superblock();
  test("a leaf with a hole and unwritten blocks", () => {
    const node = decodeExtentNode(
      sb,
      bytes("0af3 0200 0200 0000 00000000  02000000 0300 0000 64000000  0a000000 0280 0000 c8000000").slice(),
      0,
      undefined,
    );
    expect(fillHoles(node.runs, 0, 20)).toEqual([
      { first: 0, count: 2, physical: undefined, unwritten: false },
      { first: 2, count: 3, physical: 100, unwritten: false },
      { first: 5, count: 5, physical: undefined, unwritten: false },
      { first: 10, count: 2, physical: 200, unwritten: true },
      { first: 12, count: 8, physical: undefined, unwritten: false },
    ]);
    expect(fillHoles(node.runs, 3, 5)).toEqual([{ first: 3, count: 2, physical: 101, unwritten: false }]);
  });

  test("runs that touch on the disk, not in the file, stay apart", () => {
    const data = bytes("0af3 0200 0200 0000 00000000  00000000 0100 0000 64000000  02000000 0100 0000 65000000");
    expect(decodeExtentNode(sb, data, 0, undefined).runs).toHaveLength(2);
  });

  test("the child for a block", () => {
    const children = [0, 10, 20].map((first) => ({ first, block: 100 + first }));
    expect([0, 9, 10, 25].map((block) => childFor(children, block))).toEqual([0, 0, 1, 2]);
    expect(childFor(children.slice(1), 5)).toBe(-1);
  });

  test("which slot covers a block, at each border", () => {
    const slots = [0, 11, 12, 267, 268, 65803, 65804, 16843019].map((block) => blockPath(1024, block)?.slot);
    expect(slots).toEqual([0, 11, 12, 12, 13, 13, 14, 14]);
    expect(blockPath(1024, 16843020)).toBeUndefined();
  });

  test("pointers become runs", () => {
    expect(decodePointers(sb, bytes("64000000 65000000 00000000 c8000000"), 0, 0, 4, 7)).toEqual([
      { first: 7, count: 2, physical: 100, unwritten: false },
      { first: 9, count: 1, physical: undefined, unwritten: false },
      { first: 10, count: 1, physical: 200, unwritten: false },
    ]);
    expect(() => decodePointers(sb, bytes("00040000"), 300, 0, 1, 0)).toThrow(
      expect.objectContaining({ code: "corrupt", offset: 300 }),
    );
  });
});

describe("directory", () => {
  const form = { hasType: true, hasHash: false, blockSize: 1024 };
  test("entries, an unused one between", () => {
    const block = bytes(
      "0c000000 0c00 01 01 61000000  00000000 0c00 01 01 62000000  0d000000 1000 03 07 63c3a900 00000000",
    );
    const { entries, error } = decodeDirBlock(block, 9000, form);
    expect(error).toBeUndefined();
    expect(entries.map(({ name, ino, type, ref }) => [toHex(name), ino, type, ref])).toEqual([
      ["61", 12, "file", 9000],
      ["63c3a9", 13, "symlink", 9024],
    ]);
  });

  test("without filetype the type's byte is the high byte of the length", () => {
    const { entries, error } = decodeDirBlock(bytes("0c000000 0c00 01 00 61000000"), 0, { ...form, hasType: false });
    expect([error, entries[0]?.type]).toEqual([undefined, undefined]);
    expect(decodeDirBlock(bytes("0c000000 0c00 01 01 61000000"), 0, { ...form, hasType: false }).error?.code).toBe(
      "corrupt",
    );
  });

  test("what lies before the damage is given", () => {
    const { entries, error } = decodeDirBlock(
      bytes("0c000000 0c00 01 01 61000000  0d000000 0000 01 01 62000000"),
      0,
      form,
    );
    expect(entries).toHaveLength(1);
    expect(error).toMatchObject({ code: "corrupt", field: "rec_len", offset: 16 });
  });

  test("lengths in blocks of 64 KiB", () => {
    expect([65535, 0, 12, 65533].map((stored) => recordLength(stored, 65536))).toEqual([65536, 65536, 12, 131068]);
    expect(recordLength(65532, 4096)).toBe(65532);
  });

  test("index: the last entry that is not above a hash", () => {
    const block = new Uint8Array(1024);
    // limit 124: (1024 - 32) / 8 entries; three in use.
    block.set(bytes("00000000 01 08 00 00 7c00 0300 01000000  00000040 02000000  00000080 03000000"), 0x18);
    const root = decodeDxRoot(superblock(), block, 0);
    expect([0, 0x3fff_fffe, 0x4000_0000, 0x8000_0002].map((hash) => dxBlock(root, dxFind(root, hash)))).toEqual([
      1, 1, 2, 3,
    ]);
  });
});

describe("extended attributes", () => {
  test("an entry, its value, the end of the list", () => {
    const region = bytes("03 01 1c00 00000000 02000000 00000000 61626300 00000000 00000000 4142 0000");
    const [one] = decodeXattrs(region, 100, 0, 0);
    expect(new TextDecoder().decode(xattrName(one!))).toBe("user.abc");
    expect([toHex(one!.value!), one!.valueOffset]).toEqual(["4142", 128]);
  });

  test("a list without an end, a value past the end, a value over the entries", () => {
    expect(() => decodeXattrs(bytes("ff010000"), 0, 0, 0)).toThrow(expect.objectContaining({ field: "e_name_len" }));
    const past = bytes("00 01 ff00 00000000 02000000 00000000 00000000");
    expect(() => decodeXattrs(past, 0, 0, 0)).toThrow(expect.objectContaining({ field: "e_value_offs" }));
    const over = bytes("00 01 0400 00000000 02000000 00000000 00000000");
    expect(() => decodeXattrs(over, 0, 0, 0)).toThrow(/over the entries/);
  });

  test("an ACL gets an id in every entry, acl(5)", () => {
    // user::rw-, user:1000:rw-, group::r--, mask::rw-, other::r--
    const stored = bytes("01000000 01000600 02000600e8030000 04000400 10000600 20000400");
    expect(toHex(decodeAcl(stored, 0))).toBe(
      "0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff",
    );
    for (const wrong of ["", "02000000", "0100000003000600", "01000000020006", "010000000100"]) {
      expect(() => decodeAcl(bytes(wrong), 70)).toThrow(expect.objectContaining({ code: "corrupt" }));
    }
  });
});

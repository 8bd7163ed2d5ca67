import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  XFS_BMAP_CRC_MAGIC,
  XFS_BMAP_MAGIC,
  XFS_BTREE_LBLOCK_CRC_LEN,
  XFS_BTREE_LBLOCK_LEN,
  xfs_bmbt_rec,
  xfs_bmdr_block,
  xfs_btree_lblock,
} from "./layout/bmap.js";

/** An extent of a fork: a run of blocks of the file, and where it lies. All three count file-system blocks. */
export interface BmapRecord {
  readonly startOff: number;
  /** fsBlock, or a block of the realtime section. */
  readonly startBlock: number;
  readonly count: number;
  /** Allocated, never written. */
  readonly unwritten: boolean;
}

/** An inner node of an extent B+tree: `pointers[i]` leads to what lies from block `keys[i]` of the file on. */
export interface BmapNode {
  readonly level: number;
  readonly keys: readonly number[];
  /** fsBlocks. */
  readonly pointers: readonly number[];
}

export interface BmapLeaf {
  readonly level: 0;
  readonly records: readonly BmapRecord[];
}

/** Deepest tree that the kernel makes has fewer levels; bounds the walk together with falling levels. */
const MAX_LEVEL = 16;

/**
 * Decodes `count` packed extents and checks that they are in order.
 *
 * @param base Where they begin in `view`, in bytes.
 * @param at Where `view` begins on the device, in bytes.
 * @throws ImageError `corrupt`. The caller has checked that `view` holds them.
 */
export function decodeExtents(view: DataView, base: number, count: number, at: number): BmapRecord[] {
  const records: BmapRecord[] = [];
  let end = 0;
  for (let index = 0; index < count; index += 1) {
    const offset = base + index * xfs_bmbt_rec.$size;
    const word0 = xfs_bmbt_rec.word0(view, offset);
    const word1 = xfs_bmbt_rec.word1(view, offset);
    const word3 = xfs_bmbt_rec.word3(view, offset);
    const record: BmapRecord = {
      unwritten: word0 >= 0x8000_0000,
      startOff: (word0 & 0x7fff_ffff) * 0x80_0000 + (word1 >>> 9),
      startBlock: (word1 & 0x1ff) * 2 ** 43 + xfs_bmbt_rec.word2(view, offset) * 0x800 + (word3 >>> 21),
      count: word3 & 0x1f_ffff,
    };
    if (record.count === 0 || record.startOff < end || record.startOff + record.count > Number.MAX_SAFE_INTEGER) {
      const text = `extent ${index} covers ${record.count} blocks from block ${record.startOff}, after block ${end}`;
      throw new ImageError("corrupt", text, { format: "xfs", structure: "xfs_bmbt_rec", offset: at + offset });
    }
    end = record.startOff + record.count;
    records.push(record);
  }
  return records;
}

/**
 * Decodes the root of an extent B+tree.
 *
 * @param fork The fork, which it begins.
 * @param at Where the fork lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeBmapRoot(fork: Uint8Array, at: number): BmapNode {
  const place = { format: "xfs", structure: "xfs_bmdr_block", offset: at };
  const capacity = Math.floor((fork.length - xfs_bmdr_block.$size) / 16);
  if (capacity < 1) throw new ImageError("corrupt", `a fork of ${fork.length} bytes holds no tree`, place);
  const view = viewOf(fork);
  const level = xfs_bmdr_block.bb_level(view, 0);
  const count = xfs_bmdr_block.bb_numrecs(view, 0);
  if (level === 0 || level > MAX_LEVEL) {
    throw new ImageError("corrupt", `the root has level ${level}`, { ...place, field: "bb_level" });
  }
  return decodeNode(view, xfs_bmdr_block.$size, level, count, capacity, { ...place, offset: at + 2 });
}

/**
 * Decodes a block of an extent B+tree.
 *
 * @param crc Whether the volume is of version 5.
 * @param level What its parent expects.
 * @throws ImageError `corrupt`.
 */
export function decodeBmapBlock(data: Uint8Array, at: number, crc: boolean, level: number): BmapNode | BmapLeaf {
  const view = viewOf(data);
  const place = { format: "xfs", structure: "xfs_btree_lblock", offset: at };
  const magic = xfs_btree_lblock.bb_magic(view, 0);
  if (magic !== (crc ? XFS_BMAP_CRC_MAGIC : XFS_BMAP_MAGIC)) {
    const text = `magic is 0x${magic.toString(16)}, expected ${crc ? "BMA3" : "BMAP"}`;
    throw new ImageError("corrupt", text, { ...place, field: "bb_magic" });
  }
  const found = xfs_btree_lblock.bb_level(view, 0);
  if (found !== level) {
    // A tree that leads back into itself ends here: levels only fall.
    const text = `level ${found} where its parent expects ${level}`;
    throw new ImageError("corrupt", text, { ...place, field: "bb_level", offset: at + 4 });
  }
  const header = crc ? XFS_BTREE_LBLOCK_CRC_LEN : XFS_BTREE_LBLOCK_LEN;
  const capacity = Math.floor((data.length - header) / 16);
  const count = xfs_btree_lblock.bb_numrecs(view, 0);
  const counted = { ...place, field: "bb_numrecs", offset: at + 6 };
  if (level > 0) return decodeNode(view, header, level, count, capacity, counted);
  if (count === 0 || count > capacity) {
    throw new ImageError("corrupt", `${count} extents in a block for ${capacity}`, counted);
  }
  return { level: 0, records: decodeExtents(view, header, count, at) };
}

/** Keys, then pointers after room for as many keys as fit. */
function decodeNode(
  view: DataView,
  base: number,
  level: number,
  count: number,
  capacity: number,
  place: { format: string; structure: string; offset: number },
): BmapNode {
  if (count === 0 || count > capacity) {
    throw new ImageError("corrupt", `${count} keys in a node for ${capacity}`, { ...place, field: "bb_numrecs" });
  }
  const keys: number[] = [];
  const pointers: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const key = readU64(view, base + index * 8);
    const pointer = readU64(view, base + (capacity + index) * 8);
    if (key === undefined || pointer === undefined || key <= (keys[index - 1] ?? -1)) {
      throw new ImageError("corrupt", `key ${index} of a node is out of order`, place);
    }
    keys.push(key);
    pointers.push(pointer);
  }
  return { level, keys, pointers };
}

function readU64(view: DataView, at: number): number | undefined {
  const hi = view.getUint32(at);
  return hi >= 0x20_0000 ? undefined : hi * 2 ** 32 + view.getUint32(at + 4);
}

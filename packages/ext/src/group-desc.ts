import { crc32cWord, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type ChecksumSink, compareChecksums, crc16, crcWithGap } from "./checksum.js";
import { COMPAT, INCOMPAT, RO_COMPAT } from "./features.js";
import { ext4_group_desc as desc } from "./layout.js";
import { corrupt, placeOf } from "./place.js";
import type { Superblock } from "./superblock.js";

/** What a group descriptor says, checked. Block numbers are of file system blocks. */
export interface GroupDesc {
  readonly flags: number;
  /** First block of the inode table; all of the table lies within the volume. */
  readonly inodeTable: number;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  /** Checksums of the bitmaps, as far as the descriptor has room: 16 bits, or 32. */
  readonly blockBitmapCsum: number;
  readonly inodeBitmapCsum: number;
  /** Where it lies: bytes from the start of the device. */
  readonly offset: number;
}

/** Whether a group holds a copy of the superblock. Kernel: ext4_bg_has_super. */
export function hasSuperblockCopy(sb: Superblock, group: number): boolean {
  if (group === 0) return true;
  if ((sb.compat & COMPAT.sparse_super2) !== 0) return sb.backupGroups.includes(group);
  if (group === 1 || (sb.roCompat & RO_COMPAT.sparse_super) === 0) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** First block of a group. */
export function groupStart(sb: Superblock, group: number): number {
  return sb.firstDataBlock + group * sb.blocksPerGroup;
}

/**
 * Which block holds the `index`th block of descriptors, seen from a superblock copy in block `superBlock`. Kernel:
 * descriptor_loc.
 */
export function descriptorBlock(sb: Superblock, superBlock: number, index: number): number {
  if ((sb.incompat & INCOMPAT.meta_bg) === 0 || index < sb.firstMetaBg) return superBlock + 1 + index;
  const group = index * (sb.blockSize / sb.descSize);
  let past = hasSuperblockCopy(sb, group) ? 1 : 0;
  // Blocks of 1 KiB under bigalloc: the group starts at block 0, its superblock lies in block 1.
  if (sb.blockSize === 1024 && index === 0 && sb.firstDataBlock === 0) past += 1;
  return groupStart(sb, group) + past;
}

/** Groups that are searched for a copy of a descriptor: every layout but that of a single group has one in these. */
const COPY_GROUPS = [1, 3, 5, 7, 9];

/** The blocks that may hold copies of the `index`th block of descriptors, most likely ones first. */
export function descriptorCopies(sb: Superblock, index: number): number[] {
  const first = index * (sb.blockSize / sb.descSize);
  const isMeta = (sb.incompat & INCOMPAT.meta_bg) !== 0 && index >= sb.firstMetaBg;
  // Under meta_bg the second and the last group that a block of descriptors is about hold copies of it.
  const groups = isMeta ? [first + 1, first + sb.blockSize / sb.descSize - 1] : [...COPY_GROUPS, ...sb.backupGroups];
  return groups
    .filter((group) => group > 0 && group < sb.groupCount && (isMeta || hasSuperblockCopy(sb, group)))
    .map((group) => groupStart(sb, group) + (hasSuperblockCopy(sb, group) ? 1 : 0) + (isMeta ? 0 : index));
}

/**
 * Checks and decodes one group descriptor.
 *
 * @param data `s_desc_size` bytes, which lie at byte `offset` of the device.
 * @throws ImageError `corrupt` for an inode table outside the volume, `bad-checksum`.
 */
export function decodeGroupDesc(
  sb: Superblock,
  group: number,
  data: Uint8Array,
  offset: number,
  sink: ChecksumSink,
): GroupDesc {
  const view = viewOf(data);
  if (sink.checksums !== "ignore") {
    const computed = groupDescChecksum(sb, group, data);
    const place = placeOf(desc, "bg_checksum", offset);
    if (computed !== undefined) compareChecksums(sink, desc.bg_checksum(view, 0), computed, `group ${group}`, place);
  }
  const isWide = isWideDesc(sb);
  const block = (high: "bg_block_bitmap_hi" | "bg_inode_bitmap_hi" | "bg_inode_table_hi", low: number): number =>
    joinU64(isWide ? desc[high](view, 0) : 0, low, placeOf(desc, high, offset));
  const inodeTable = block("bg_inode_table_hi", desc.bg_inode_table_lo(view, 0));
  const tableBlocks = Math.ceil((sb.inodesPerGroup * sb.inodeSize) / sb.blockSize);
  if (inodeTable <= sb.firstDataBlock || inodeTable + tableBlocks > sb.blocksCount) {
    throw corrupt(
      desc,
      "bg_inode_table_lo",
      offset,
      `group ${group}: ${tableBlocks} blocks of inodes from block ${inodeTable} are not within ${sb.blocksCount}`,
    );
  }
  return {
    flags: desc.bg_flags(view, 0),
    inodeTable,
    blockBitmap: block("bg_block_bitmap_hi", desc.bg_block_bitmap_lo(view, 0)),
    inodeBitmap: block("bg_inode_bitmap_hi", desc.bg_inode_bitmap_lo(view, 0)),
    blockBitmapCsum:
      desc.bg_block_bitmap_csum_lo(view, 0) + (isWide ? desc.bg_block_bitmap_csum_hi(view, 0) * 65536 : 0),
    inodeBitmapCsum:
      desc.bg_inode_bitmap_csum_lo(view, 0) + (isWide ? desc.bg_inode_bitmap_csum_hi(view, 0) * 65536 : 0),
    offset,
  };
}

/** Whether descriptors have the upper halves of their fields. */
export const isWideDesc = (sb: Superblock): boolean => sb.descSize >= desc.$size;

/** The checksum that a descriptor should have; undefined where the volume keeps none. Kernel: ext4_group_desc_csum. */
export function groupDescChecksum(sb: Superblock, group: number, data: Uint8Array): number | undefined {
  const at = desc.$fields.bg_checksum.offset;
  if (sb.csumSeed !== undefined) return crcWithGap(crc32cWord(group, sb.csumSeed), data, at, 2) & 0xffff;
  if ((sb.roCompat & RO_COMPAT.uninit_bg) === 0) return undefined;
  const number = new Uint8Array(4);
  viewOf(number).setUint32(0, group, true);
  const before = crc16(crc16(crc16(0xffff, sb.uuid), number), data.subarray(0, at));
  return (sb.incompat & INCOMPAT["64bit"]) !== 0 ? crc16(before, data.subarray(at + 2)) : before;
}

/** Where checksums of an inode and of what belongs to it start. */
export function inodeSeed(csumSeed: number, ino: number, generation: number): number {
  return crc32cWord(generation, crc32cWord(ino, csumSeed));
}

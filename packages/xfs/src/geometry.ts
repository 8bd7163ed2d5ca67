import { ImageError } from "@guestprobe/block";
import type { Superblock } from "./superblock.js";

/*
 * Address spaces. An fsBlock is a group number above sb_agblklog bits of agBlock, so there are gaps between groups
 * whose size is not a power of two. An inode number is an fsBlock above sb_inopblog bits of index. A daddr counts
 * units of 512 bytes from the start of the device. XFS Algorithms & Data Structures, 3rd ed., "Inode Numbers".
 */

/** Blocks of one group: the last may be shorter. */
function groupBlocks(sb: Superblock, ag: number): number {
  return ag === sb.agCount - 1 ? sb.dataBlocks - ag * sb.agBlocks : sb.agBlocks;
}

/** Byte of the device where an fsBlock lies; undefined when no group has `count` blocks from there on. */
export function fsBlockToByte(sb: Superblock, fsBlock: number, count = 1): number | undefined {
  const ag = Math.floor(fsBlock / sb.agBlockSpan);
  const agBlock = fsBlock - ag * sb.agBlockSpan;
  if (ag >= sb.agCount || agBlock + count > groupBlocks(sb, ag)) return undefined;
  return (ag * sb.agBlocks + agBlock) * sb.blockSize;
}

/** Byte of the device where an inode lies; undefined for a number that the volume cannot have. */
export function inodeToByte(sb: Superblock, ino: number): number | undefined {
  if (!Number.isSafeInteger(ino) || ino <= 0) return undefined;
  const fsBlock = Math.floor(ino / sb.inodesPerBlock);
  const block = fsBlockToByte(sb, fsBlock);
  return block === undefined ? undefined : block + (ino - fsBlock * sb.inodesPerBlock) * sb.inodeSize;
}

/**
 * Byte of the realtime device (or of the data device, where the realtime section is internal) at which a block of the
 * realtime section lies; undefined when there are no `count` blocks from there on.
 */
export function realtimeBlockToByte(sb: Superblock, rtBlock: number, count = 1): number | undefined {
  const groups = sb.realtimeGroups;
  if (groups === undefined || groups.blocks === 0) {
    return rtBlock + count > sb.realtimeBlocks ? undefined : rtBlock * sb.blockSize;
  }
  const group = Math.floor(rtBlock / 2 ** groups.blockBits);
  const inGroup = rtBlock - group * 2 ** groups.blockBits;
  if (group >= groups.count || inGroup + count > groups.blocks) return undefined;
  const linear = groups.hasGaps ? rtBlock : group * groups.blocks + inGroup;
  const byte = (sb.realtimeStart + linear) * sb.blockSize;
  return Number.isSafeInteger(byte) ? byte : undefined;
}

/** The root inode's number. @throws ImageError `corrupt` where the superblock has none. */
export function rootInode(sb: Superblock): number {
  if (sb.rootInode === undefined || inodeToByte(sb, sb.rootInode) === undefined) {
    throw new ImageError("corrupt", `the root inode is ${sb.rootInode ?? "not set"}`, {
      format: "xfs",
      structure: "xfs_dsb",
      field: "sb_rootino",
      offset: sb.at + 56,
    });
  }
  return sb.rootInode;
}

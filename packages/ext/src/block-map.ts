import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { EXT4_NDIR_BLOCKS } from "./layout.js";
import { FORMAT } from "./place.js";
import { type Run, RunList } from "./runs.js";
import type { Superblock } from "./superblock.js";

/** How to come to a block of a file: which pointer of the inode, and which of each indirect block after it. */
export interface BlockPath {
  /** Index into the fifteen pointers of `i_block`. */
  readonly slot: number;
  /** Indirect blocks on the way: 0 for a direct block. */
  readonly levels: number;
  /** First block of the file that this slot covers. */
  readonly base: number;
  /** Blocks of the file that this slot covers. */
  readonly span: number;
}

/** The slot of `i_block` that covers file block `block`; undefined past what three levels can reach. */
export function blockPath(blockSize: number, block: number): BlockPath | undefined {
  if (block < EXT4_NDIR_BLOCKS) return { slot: block, levels: 0, base: block, span: 1 };
  const pointers = blockSize / 4;
  let base = EXT4_NDIR_BLOCKS;
  for (let levels = 1; levels <= 3; levels += 1) {
    const span = pointers ** levels;
    if (block < base + span) return { slot: EXT4_NDIR_BLOCKS + levels - 1, levels, base, span };
    base += span;
  }
  return undefined;
}

/**
 * One pointer, checked; undefined for a hole.
 *
 * @param data Pointers of four bytes, which lie at byte `at` of the device.
 * @throws ImageError `corrupt` for a block outside the volume.
 */
export function decodePointer(sb: Superblock, data: Uint8Array, at: number, index: number): number | undefined {
  const pointer = viewOf(data).getUint32(index * 4, true);
  if (pointer === 0) return undefined;
  if (pointer <= sb.firstDataBlock || pointer >= sb.blocksCount) {
    throw new ImageError("corrupt", `pointer to block ${pointer}, in a volume of ${sb.blocksCount}`, {
      format: FORMAT,
      structure: "block map",
      offset: at + index * 4,
    });
  }
  return pointer;
}

/** The runs that `count` pointers from `index` on give, the first of them for file block `first`. */
export function decodePointers(
  sb: Superblock,
  data: Uint8Array,
  at: number,
  index: number,
  count: number,
  first: number,
): Run[] {
  const list = new RunList();
  for (let n = 0; n < count; n += 1) list.add(first + n, 1, decodePointer(sb, data, at, index + n));
  return list.runs;
}

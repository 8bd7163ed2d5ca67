import { ImageError, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { checkSelf, readBytes, type XfsContext } from "./context.js";
import {
  XFS_AGI_MAGIC,
  XFS_BTREE_SBLOCK_CRC_LEN,
  XFS_BTREE_SBLOCK_LEN,
  XFS_IBT_CRC_MAGIC,
  XFS_IBT_MAGIC,
  xfs_agi,
  xfs_btree_sblock,
  xfs_inobt_rec,
} from "./layout/inode.js";

/** Inodes in a chunk. */
const CHUNK = 64;
/** The kernel's trees are lower; levels fall on the way down, so this bounds the walk. */
const MAX_LEVELS = 16;

/**
 * Whether an inode is in use by the index of its group: in a chunk, not in one of its holes, not free. "Inode B+trees"
 * and "Sparse Inodes", XFS Algorithms & Data Structures, 3rd ed.
 *
 * @param ino A number that the volume can have.
 * @returns Undefined when the index cannot be read.
 */
export async function isInodeAllocated(
  ctx: XfsContext,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> {
  const span = ctx.sb.agBlockSpan * ctx.sb.inodesPerBlock;
  const group = Math.floor(ino / span);
  const inGroup = ino - group * span;
  try {
    const record = await findChunk(ctx, group, inGroup, signal);
    if (record === undefined) return false;
    const index = inGroup - xfs_inobt_rec.ir_startino(record, 0);
    const word = index < 32 ? xfs_inobt_rec.ir_free_lo(record, 0) : xfs_inobt_rec.ir_free_hi(record, 0);
    const isFree = ((word >>> (index % 32)) & 1) === 1;
    // Where chunks have no holes, the same bytes are the high half of a count that is at most 64: zeros.
    const isHole = ((xfs_inobt_rec.ir_holemask(record, 0) >>> Math.floor(index / 4)) & 1) === 1;
    return !isFree && !isHole;
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return undefined;
  }
}

/** The record of the chunk that an inode is in; undefined where there is none. */
async function findChunk(
  ctx: XfsContext,
  group: number,
  inGroup: number,
  signal: AbortSignal | undefined,
): Promise<DataView | undefined> {
  const { sb } = ctx;
  const crc = sb.version === 5;
  const at = group * sb.agBlocks * sb.blockSize + 2 * sb.sectorSize;
  const header = await readBytes(ctx, at, sb.sectorSize, signal);
  checkSelf(ctx, header, at, { structure: "xfs_agi", crc: 312, uuid: 296, owner: 8, isOwnedByGroup: true }, group);
  const agi = viewOf(header);
  const levels = xfs_agi.agi_level(agi, 0);
  if (xfs_agi.agi_magicnum(agi, 0) !== XFS_AGI_MAGIC || levels === 0 || levels > MAX_LEVELS) {
    throw broken("xfs_agi", `no inode index of group ${group}`, at);
  }
  let agBlock = xfs_agi.agi_root(agi, 0);
  for (let level = levels - 1; ; level -= 1) {
    if (agBlock >= sb.agBlocks) throw broken("xfs_agi", `the inode index leads to block ${agBlock}`, at);
    const blockAt = (group * sb.agBlocks + agBlock) * sb.blockSize;
    const data = await readBytes(ctx, blockAt, sb.blockSize, signal);
    const structure = "xfs_btree_sblock";
    const self = { structure, crc: 52, uuid: 32, blkno: 16, owner: 48, isOwnedByGroup: true };
    checkSelf(ctx, data, blockAt, self, group);
    const view = viewOf(data);
    const start = crc ? XFS_BTREE_SBLOCK_CRC_LEN : XFS_BTREE_SBLOCK_LEN;
    const entrySize = level === 0 ? xfs_inobt_rec.$size : 8;
    const capacity = Math.floor((data.length - start) / entrySize);
    const count = xfs_btree_sblock.bb_numrecs(view, 0);
    if (
      xfs_btree_sblock.bb_magic(view, 0) !== (crc ? XFS_IBT_CRC_MAGIC : XFS_IBT_MAGIC) ||
      xfs_btree_sblock.bb_level(view, 0) !== level ||
      count > capacity
    ) {
      throw broken(structure, `a block of the inode index of group ${group}, level ${level}`, blockAt);
    }
    const keySize = level === 0 ? entrySize : 4;
    // The last entry that begins at or before the inode.
    let low = -1;
    for (let high = count; high - low > 1; ) {
      const middle = Math.floor((low + high) / 2);
      if (view.getUint32(start + middle * keySize) <= inGroup) low = middle;
      else high = middle;
    }
    if (low < 0) return undefined;
    if (level > 0) {
      agBlock = view.getUint32(start + capacity * 4 + low * 4);
      continue;
    }
    const record = viewOf(data.subarray(start + low * entrySize, start + (low + 1) * entrySize));
    return inGroup < xfs_inobt_rec.ir_startino(record, 0) + CHUNK ? record : undefined;
  }
}

function broken(structure: string, what: string, offset: number): ImageError {
  return new ImageError("corrupt", `${what} cannot be used`, { format: "xfs", structure, offset });
}

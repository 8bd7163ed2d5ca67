import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { ext4_super_block as layout } from "./layout.js";
import { hasMagic } from "./superblock.js";

/** Largest exponent of the block size, `s_log_block_size`. */
const MAX_BLOCK_LOG = 6;

/** A copy of the superblock. */
export interface SuperblockCopy {
  readonly data: Uint8Array;
  /** Bytes from the start of the device. */
  readonly offset: number;
}

/**
 * Where mke2fs puts the first copy for each block size: at the start of group 1, whose groups are as large as one block
 * of bitmap allows. Every layout but that of a single group has one there.
 */
function backupOffset(blockLog: number): number {
  const blockSize = 1024 << blockLog;
  const firstDataBlock = blockLog === 0 ? 1 : 0;
  return (firstDataBlock + 8 * blockSize) * blockSize;
}

/**
 * The copies that lie where they say they do: right magic, the block size that leads there, and group 1. Blocks of
 * data that only begin like a superblock do not pass.
 *
 * @throws ImageError `aborted`.
 */
export async function findBackups(device: BlockDevice, signal: AbortSignal | undefined): Promise<SuperblockCopy[]> {
  const logs = Array.from({ length: MAX_BLOCK_LOG + 1 }, (_, log) => log);
  const copies = await Promise.all(
    logs.map(async (log) => {
      const offset = backupOffset(log);
      const data = await readAt(device, offset, signal);
      if (data.length < layout.$size || !hasMagic(data)) return undefined;
      const view = viewOf(data);
      return layout.s_log_block_size(view, 0) === log && layout.s_block_group_nr(view, 0) === 1
        ? { data, offset }
        : undefined;
    }),
  );
  return copies.filter((copy) => copy !== undefined);
}

/** The bytes, or none where they cannot be read: a copy that cannot be had is no copy. */
export async function readAt(
  device: BlockDevice,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  try {
    return await readUpTo(device, offset, layout.$size, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return new Uint8Array(0);
  }
}

import { finding, ImageError, isImageError } from "@guestprobe/block";
import { checkSelf, readBytes, readOnce, type SelfDescription, type XfsContext } from "../context.js";
import type { Dinode } from "../dinode.js";
import { XFS_DIRECTORY_ENTRY } from "../findings.js";
import { type ForkBlock, forkRecords, readForkBlock } from "../fork.js";
import { XFS_DIR2_LEAF_OFFSET } from "../layout/dir.js";
import { XFS_DINODE_FMT_LOCAL } from "../layout/inode.js";
import { type DataBlock, type DirectoryLayout, decodeDataBlock, openDataBlock } from "./data.js";
import type { DecodedEntries, DirectoryEntry } from "./entry.js";
import { decodeShortForm } from "./shortform.js";

/** Unreadable blocks of one directory that are passed over; a directory with more is given up. */
const MAX_BAD_BLOCKS = 64;

export function layoutOf(ctx: XfsContext): DirectoryLayout {
  return { crc: ctx.sb.version === 5, hasFtype: ctx.sb.hasFtype };
}

/** Entries of a directory that lies in its inode. */
export function shortFormOf(ctx: XfsContext, dir: Dinode): DecodedEntries {
  return decodeShortForm(dir.data.bytes, dir.size, dir.data.at, ctx.sb.hasFtype);
}

/** Whether the directory lies in its inode. */
export function isShortForm(dir: Dinode): boolean {
  return dir.data.format === XFS_DINODE_FMT_LOCAL;
}

/**
 * Data block number `index` of a directory, checked; undefined in a hole.
 *
 * @param read How the device is read.
 * @throws ImageError `corrupt`, `bad-checksum`, `past-end`.
 */
export async function readDataBlock(
  ctx: XfsContext,
  dir: Dinode,
  index: number,
  signal: AbortSignal | undefined,
  read = readBytes,
): Promise<DataBlock | undefined> {
  const blocks = ctx.sb.dirBlockSize / ctx.sb.blockSize;
  const block = await readForkBlock(ctx, dir.data, index * blocks, blocks, signal, read);
  if (block === undefined) return undefined;
  checkDirectoryBlock(ctx, dir, block);
  return openDataBlock(block, layoutOf(ctx));
}

const DIR3_BLK_HDR: SelfDescription = { structure: "xfs_dir3_blk_hdr", crc: 4, uuid: 24, blkno: 8, owner: 40 };

function checkDirectoryBlock(ctx: XfsContext, dir: Dinode, block: ForkBlock): void {
  checkSelf(ctx, block.data, block.at, DIR3_BLK_HDR, dir.ino);
}

/**
 * Everything a directory holds but "." and "..", a block at a time, from its beginning to its end.
 *
 * @throws ImageError `corrupt`, `past-end`, ... once all that could be read was given.
 */
export async function* listDirectory(
  ctx: XfsContext,
  dir: Dinode,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly DirectoryEntry[], void, undefined> {
  if (isShortForm(dir)) {
    const { entries, problem } = shortFormOf(ctx, dir);
    yield sound(ctx, entries, (offset) => dir.data.at + offset);
    if (problem !== undefined) throw problem;
    return;
  }
  const layout = layoutOf(ctx);
  let problem: ImageError | undefined;
  let bad = 0;
  for await (const index of dataBlockIndexes(ctx, dir, signal)) {
    let decoded: DecodedEntries;
    let data: DataBlock | undefined;
    try {
      data = await readDataBlock(ctx, dir, index, signal, readOnce);
      if (data === undefined) continue;
      decoded = decodeDataBlock(data, layout);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      problem ??= error;
      bad += 1;
      if (bad > MAX_BAD_BLOCKS) break;
      continue;
    }
    const { block } = data;
    yield sound(ctx, decoded.entries, block.byteAt);
    problem ??= decoded.problem;
  }
  if (problem !== undefined) throw problem;
}

/** Numbers of the directory blocks that have an extent, each once. */
async function* dataBlockIndexes(
  ctx: XfsContext,
  dir: Dinode,
  signal: AbortSignal | undefined,
): AsyncGenerator<number, void, undefined> {
  const blocks = ctx.sb.dirBlockSize / ctx.sb.blockSize;
  const end = XFS_DIR2_LEAF_OFFSET / ctx.sb.blockSize;
  let next = 0;
  let total = 0;
  for await (const records of forkRecords(ctx, dir.data, 0, end, signal)) {
    for (const record of records) {
      // Blocks of a directory are never shared: one that maps more than there are has been made up.
      total += record.count;
      if (total > ctx.sb.dataBlocks) {
        throw new ImageError("corrupt", `directory ${dir.ino} maps more blocks than the volume has`, {
          format: "xfs",
          structure: "xfs_bmbt_rec",
          offset: dir.data.at,
        });
      }
      const last = Math.min(end, record.startOff + record.count);
      for (let index = Math.max(next, Math.floor(record.startOff / blocks)); index * blocks < last; index += 1) {
        yield index;
        next = index + 1;
      }
    }
  }
}

/** The entries that a path can lead to. */
function sound(
  ctx: XfsContext,
  entries: readonly DirectoryEntry[],
  byteAt: (offset: number) => number,
): readonly DirectoryEntry[] {
  return entries.filter((entry) => {
    if (entry.isDots) return false;
    if (entry.isPossible) return true;
    const place = { format: "xfs", structure: "xfs_dir2_data_entry", offset: byteAt(entry.ref) };
    ctx.report(finding(XFS_DIRECTORY_ENTRY, "a name holds a slash or a NUL byte", place));
    return false;
  });
}

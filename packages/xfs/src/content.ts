import { type BlockDevice, ImageError } from "@guestprobe/block";
import type { Extent } from "@guestprobe/vfs";
import type { BmapRecord } from "./bmap.js";
import type { XfsContext } from "./context.js";
import type { Dinode } from "./dinode.js";
import { forkList, forkRecords, outside } from "./fork.js";
import { fsBlockToByte, realtimeBlockToByte } from "./geometry.js";
import { XFS_DIFLAG_REALTIME, XFS_DINODE_FMT_EXTENTS } from "./layout/inode.js";

/**
 * Where bytes `from` to `to` of a regular file lie: stored and unwritten extents, clipped to the size of the file.
 *
 * @throws ImageError `corrupt`, after the extents before the damage were given.
 */
export async function* contentExtents(
  ctx: XfsContext,
  inode: Dinode,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Extent[], void, undefined> {
  const { blockSize } = ctx.sb;
  const end = Math.min(to, inode.size);
  const firstBlock = Math.floor(from / blockSize);
  for await (const records of forkRecords(ctx, inode.data, firstBlock, Math.ceil(end / blockSize), signal)) {
    yield records.map((record) => toExtent(ctx, inode, record, inode.size));
  }
}

/**
 * The extents of bytes `from` to `to` of a regular file that has them in its inode; undefined for others. What is wrong with another
 * extent is not told.
 *
 * @throws ImageError `corrupt`.
 */
export function contentExtentsNow(
  ctx: XfsContext,
  inode: Dinode,
  from: number,
  to: number,
): readonly Extent[] | undefined {
  const fork = inode.data;
  if (fork.format !== XFS_DINODE_FMT_EXTENTS || isRealtime(inode)) return undefined;
  const { blockSize } = ctx.sb;
  return forkList(fork)
    .filter(({ startOff, count }) => startOff * blockSize < to && (startOff + count) * blockSize > from)
    .map((record) => toExtent(ctx, inode, record, inode.size));
}

function toExtent(ctx: XfsContext, inode: Dinode, record: BmapRecord, size: number): Extent {
  const { sb } = ctx;
  const logical = record.startOff * sb.blockSize;
  const realtime = isRealtime(inode);
  const physical = (realtime ? realtimeBlockToByte : fsBlockToByte)(sb, record.startBlock, record.count);
  if (physical === undefined) throw outside(inode.data, record);
  return {
    kind: record.unwritten ? "unwritten" : "data",
    logical,
    // Blocks are kept past the end of a file that grows; they are not its content.
    length: Math.min(record.count * sb.blockSize, size - logical),
    physical,
    ...(realtime && sb.realtimeStart === 0 ? { device: 1 } : {}),
  };
}

/** The same with what lies between them as holes, so that they cover the file. */
export async function* coveringExtents(
  ctx: XfsContext,
  inode: Dinode,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Extent[], void, undefined> {
  let at = 0;
  const hole = (to: number): Extent => ({ kind: "hole", logical: at, length: to - at, physical: undefined });
  for await (const extents of contentExtents(ctx, inode, 0, inode.size, signal)) {
    const batch: Extent[] = [];
    for (const extent of extents) {
      if (extent.logical > at) batch.push(hole(extent.logical));
      batch.push(extent);
      at = extent.logical + extent.length;
    }
    if (batch.length > 0) yield batch;
  }
  if (at < inode.size) yield [hole(inode.size)];
}

const isRealtime = (inode: Dinode): boolean => (inode.flags & XFS_DIFLAG_REALTIME) !== 0;

/** Whether the device that holds a file's content blocks; false where it was not given. */
export function contentBlocks(ctx: XfsContext, inode: Dinode): boolean {
  const device = isRealtime(inode) && ctx.sb.realtimeStart === 0 ? ctx.realtime : ctx.device;
  return device?.readNow !== undefined;
}

/**
 * The device that holds a file's content.
 *
 * @throws ImageError `unsupported` for a realtime file without a realtime device.
 */
export function contentDevice(ctx: XfsContext, inode: Dinode): BlockDevice {
  if (!isRealtime(inode) || ctx.sb.realtimeStart !== 0) return ctx.device;
  if (ctx.realtime === undefined) {
    throw new ImageError("unsupported", `inode ${inode.ino} needs the realtime device, which was not given`, {
      format: "xfs",
      structure: "xfs_dinode",
      field: "di_flags",
      offset: inode.at + 90,
    });
  }
  return ctx.realtime;
}

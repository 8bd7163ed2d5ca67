import { finding, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { readBytes, type XfsContext } from "./context.js";
import { XFS_LOG_DIRTY, XFS_LOG_UNREADABLE } from "./findings.js";
import { fsBlockToByte } from "./geometry.js";
import {
  BBSIZE,
  XLOG_HEADER_CYCLE_SIZE,
  XLOG_HEADER_MAGIC_NUM,
  XLOG_MAX_RECORD_BSIZE,
  XLOG_UNMOUNT_TRANS,
  XLOG_VERSION_2,
  xlog_op_header,
  xlog_rec_header,
} from "./layout/log.js";

/** `clean`: the volume was unmounted. `unknown`: the log cannot be read. */
export type LogState = "clean" | "dirty" | "unknown";

/** The log, in basic blocks of 512 bytes. */
interface Log {
  readonly at: number;
  readonly blocks: number;
}

/**
 * Whether the log holds changes that were not written back: whether its newest record is other than the one that
 * unmounting writes. XFS Algorithms & Data Structures, 3rd ed., "Journaling Log"; the kernel's xlog_find_tail.
 *
 * The newest record is looked for from the place where the superblock was last written (version 5), which on an
 * unmounted volume lies just before it: a read or two instead of a search through the log.
 */
export async function readLogState(ctx: XfsContext, signal: AbortSignal | undefined): Promise<LogState> {
  const log = locate(ctx);
  if (log === undefined) return "unknown";
  try {
    const head = await findHead(ctx, log, signal);
    if (head === undefined) return "clean";
    return (await endsWithUnmount(ctx, log, head, signal)) ? "clean" : "dirty";
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return "unknown";
  }
}

/** Reports a log that is dirty or cannot be judged. */
export function reportLogState(ctx: XfsContext, state: LogState): void {
  const place = { format: "xfs", structure: "xfs_dsb", field: "sb_logstart", offset: ctx.sb.at + 48 };
  if (state === "dirty") {
    const text = "the log holds changes that Linux would first replay; they are not replayed here, nor by GRUB";
    ctx.report(finding(XFS_LOG_DIRTY, text, { ...place, offset: locate(ctx)?.at }));
  } else if (state === "unknown") {
    const text = ctx.sb.logStart === 0 ? "the log is on another device" : "the log cannot be read";
    ctx.report(finding(XFS_LOG_UNREADABLE, text, place));
  }
}

function locate(ctx: XfsContext): Log | undefined {
  const { sb } = ctx;
  if (sb.logStart === 0 || sb.logBlocks === 0) return undefined;
  const at = fsBlockToByte(sb, sb.logStart, sb.logBlocks);
  return at === undefined ? undefined : { at, blocks: (sb.logBlocks * sb.blockSize) / BBSIZE };
}

const readBlock = (ctx: XfsContext, log: Log, block: number, signal: AbortSignal | undefined): Promise<Uint8Array> =>
  readBytes(ctx, log.at + block * BBSIZE, BBSIZE, signal);

/** How many times the log had been written round when a block was written; 0: never. */
async function cycleAt(ctx: XfsContext, log: Log, block: number, signal: AbortSignal | undefined): Promise<number> {
  const view = viewOf(await readBlock(ctx, log, block, signal));
  const first = view.getUint32(0);
  return first === XLOG_HEADER_MAGIC_NUM ? view.getUint32(4) : first;
}

/**
 * The block after the newest one, where the cycle number falls; undefined in a log that was never written. The log is
 * a ring: from its start the blocks are of the newest cycle up to the head, and of the one before from there on.
 */
async function findHead(ctx: XfsContext, log: Log, signal: AbortSignal | undefined): Promise<number | undefined> {
  const newest = await cycleAt(ctx, log, 0, signal);
  if (newest === 0) return undefined;
  const isNewest = async (block: number): Promise<boolean> => (await cycleAt(ctx, log, block, signal)) === newest;
  // Invariant: `low` is of the newest cycle, `high` is not, or is the end.
  let low = 0;
  let high = log.blocks;
  const hint = ctx.sb.logHint;
  if (hint > 0 && hint < log.blocks && (await isNewest(hint))) low = hint;
  for (let step = 8; low + step < high; step *= 8) {
    if (!(await isNewest(low + step))) {
      high = low + step;
      break;
    }
    low += step;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await isNewest(middle)) low = middle;
    else high = middle;
  }
  return high % log.blocks;
}

/** Whether the last record before `head` is the one that unmounting writes, and ends there. */
async function endsWithUnmount(
  ctx: XfsContext,
  log: Log,
  head: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const farthest = Math.min(
    log.blocks,
    XLOG_MAX_RECORD_BSIZE / BBSIZE + XLOG_MAX_RECORD_BSIZE / XLOG_HEADER_CYCLE_SIZE,
  );
  for (let back = 1; back <= farthest; back += 1) {
    const block = (head - back + log.blocks) % log.blocks;
    const view = viewOf(await readBlock(ctx, log, block, signal));
    if (xlog_rec_header.h_magicno(view, 0) !== XLOG_HEADER_MAGIC_NUM) continue;
    if (xlog_rec_header.h_lsn_block(view, 0) !== block) return false;
    const length = Math.ceil(xlog_rec_header.h_len(view, 0) / BBSIZE);
    const headers = headerBlocks(view);
    if (headers + length !== back || xlog_rec_header.h_num_logops(view, 0) !== 1) return false;
    const operation = viewOf(await readBlock(ctx, log, (block + headers) % log.blocks, signal));
    return (xlog_op_header.oh_flags(operation, 0) & XLOG_UNMOUNT_TRANS) !== 0;
  }
  return false;
}

/** Blocks of a record's header: one for every 32 KiB that a record may have. */
function headerBlocks(view: DataView): number {
  const size = xlog_rec_header.h_size(view, 0);
  if ((xlog_rec_header.h_version(view, 0) & XLOG_VERSION_2) === 0 || size <= XLOG_HEADER_CYCLE_SIZE) return 1;
  return Math.ceil(size / XLOG_HEADER_CYCLE_SIZE);
}

import {
  type BlockDevice,
  finding,
  formatUuid,
  ImageError,
  isImageError,
  ReadAhead,
  RecordCache,
  RecordTable,
  readUpTo,
  throwIfAborted,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { FileSystem, Inode, OpenOptions } from "@guestprobe/vfs";
import { findBackup, SUPERBLOCK_READ } from "./backup.js";
import { CheckMemo, hasGoodCrc, type XfsContext } from "./context.js";
import { isInodeUsed } from "./dinode.js";
import { xfsFeatureNames } from "./features.js";
import { XFS_BACKUP_SUPERBLOCK, XFS_BAD_CHECKSUM, XFS_NEEDS_REPAIR, XFS_TRUNCATED } from "./findings.js";
import { rootInode } from "./geometry.js";
import { loadInode } from "./inode.js";
import { isInodeAllocated } from "./inode-index.js";
import { XFS_SB_CRC_OFF } from "./layout/superblock.js";
import { readLogState, reportLogState } from "./log.js";
import { decodeSuperblock, type Superblock } from "./superblock.js";

/** Opens XFS: what `xfs.open` does. */
export async function openXfs(device: BlockDevice, options: OpenOptions = {}): Promise<FileSystem> {
  const { checksums = "report", signal, report = () => {}, cacheBudget } = options;
  throwIfAborted(signal);
  const ctxOf = (sb: Superblock): XfsContext => ({
    device,
    realtime: options.realtime,
    sb,
    checksums,
    report,
    inodes: new RecordTable(device, new RecordCache(device, cacheBudget), {
      size: sb.inodeSize,
      unit: sb.blockSize,
      isUsed: isInodeUsed,
    }),
    once: new ReadAhead(device),
    described: new CheckMemo(),
    ordered: new CheckMemo(),
    extentLeaf: { last: undefined },
  });
  const sb = await chooseSuperblock(device, ctxOf, signal);
  const ctx = ctxOf(sb);
  const size = sb.dataBlocks * sb.blockSize;
  if (size > device.size) {
    const text = `the volume has ${size} bytes, its device ${device.size}`;
    report(
      finding(XFS_TRUNCATED, text, { format: "xfs", structure: "xfs_dsb", field: "sb_dblocks", offset: sb.at + 8 }),
    );
  }
  if (sb.needsRepair) {
    const place = { format: "xfs", structure: "xfs_dsb", field: "sb_features_incompat", offset: sb.at + 216 };
    report(finding(XFS_NEEDS_REPAIR, "the volume is marked as in need of repair", place));
  }
  await checkLog(ctx, options);
  return {
    kind: "xfs",
    label: sb.label,
    uuid: formatUuid(sb.uuid),
    blockSize: sb.blockSize,
    size,
    get features() {
      return xfsFeatureNames(sb);
    },
    root: async (abort) => {
      const root = await loadInode(ctx, rootInode(sb), abort);
      if (root.stat.type === "dir") return root;
      throw new ImageError("corrupt", `the root inode is a ${root.stat.type}`, {
        format: "xfs",
        structure: "xfs_dinode",
        field: "di_mode",
        offset: root.offset,
      });
    },
    inode: (ino, abort) => inodeByNumber(ctx, ino, abort),
  };
}

/** An inode whether or not a name leads to it: what the inode index says is not in use is not taken for damage. */
async function inodeByNumber(ctx: XfsContext, ino: number, signal: AbortSignal | undefined): Promise<Inode> {
  try {
    return await loadInode(ctx, ino, signal);
  } catch (error) {
    if (!isImageError(error, "corrupt") || error.field !== "di_magic") throw error;
    if ((await isInodeAllocated(ctx, ino, signal)) !== false) throw error;
    const { format, structure, offset } = error;
    throw new ImageError("not-found", `inode ${ino} is not in use`, { format, structure, offset, cause: error });
  }
}

/**
 * The superblock to open the volume by: the first one if it can be used, else a copy.
 *
 * @throws ImageError that of the first one, when there is no copy either.
 */
async function chooseSuperblock(
  device: BlockDevice,
  ctxOf: (sb: Superblock) => XfsContext,
  signal: AbortSignal | undefined,
): Promise<Superblock> {
  let problem: ImageError;
  try {
    return await readPrimary(device, ctxOf, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "unsupported") throw error;
    problem = error;
  }
  const backup = await findBackup(device, signal);
  if (backup === undefined) throw problem;
  const text = `the first superblock cannot be used (${problem.reason}); the copy at byte ${backup.at} is`;
  const { structure, field } = problem;
  ctxOf(backup).report(
    finding(XFS_BACKUP_SUPERBLOCK, text, { format: "xfs", structure, field, offset: problem.offset ?? 0 }),
  );
  return backup;
}

async function readPrimary(
  device: BlockDevice,
  ctxOf: (sb: Superblock) => XfsContext,
  signal: AbortSignal | undefined,
): Promise<Superblock> {
  const head = await readUpTo(device, 0, SUPERBLOCK_READ, signal);
  if (head.length < SUPERBLOCK_READ) {
    throw new ImageError("not-this-format", `a device of ${device.size} bytes`, { format: "xfs", offset: 0 });
  }
  const sb = decodeSuperblock(head, 0);
  const ctx = ctxOf(sb);
  if (sb.version === 5) {
    const sector = await readUpTo(device, 0, sb.sectorSize, signal);
    if (sector.length === sb.sectorSize && hasGoodCrc(viewOf(sector), 0, sector.length, XFS_SB_CRC_OFF)) return sb;
    const place = { format: "xfs", structure: "xfs_dsb", field: "sb_crc", offset: XFS_SB_CRC_OFF };
    const text = "the superblock's checksum does not match";
    if (ctx.checksums === "require") throw new ImageError("bad-checksum", text, place);
    if (ctx.checksums === "report") ctx.report(finding(XFS_BAD_CHECKSUM, text, place));
  }
  await checkRoot(ctx, signal);
  return sb;
}

/** Checks that a superblock leads to a root directory: without a checksum nothing else vouches for it. */
async function checkRoot(ctx: XfsContext, signal: AbortSignal | undefined): Promise<void> {
  const { sb, device } = ctx;
  try {
    const root = await loadInode({ ...ctx, checksums: "ignore" }, rootInode(sb), signal);
    if (root.stat.type === "dir") return;
    const place = { format: "xfs", structure: "xfs_dsb", field: "sb_rootino", offset: 56 };
    throw new ImageError("corrupt", `inode ${root.stat.ino}, the root, is a ${root.stat.type}`, place);
  } catch (error) {
    // The superblock of an image that was cut is not to blame.
    if (!isImageError(error, "past-end") || sb.dataBlocks * sb.blockSize <= device.size) throw error;
  }
}

/** Looks at the log if anyone wants to know. @throws ImageError `unsupported` for a dirty log that is to be replayed. */
async function checkLog(ctx: XfsContext, options: OpenOptions): Promise<void> {
  if (options.report === undefined && options.journal !== "replay") return;
  const state = await readLogState(ctx, options.signal);
  if (options.journal === "replay" && state !== "clean") {
    throw new ImageError(
      "unsupported",
      `the log is ${state}, and replaying it is not supported; ask for the volume as it lies (journal: ignore)`,
      {
        format: "xfs",
        structure: "xfs_dsb",
        field: "sb_logstart",
        offset: ctx.sb.at + 48,
      },
    );
  }
  reportLogState(ctx, state);
}

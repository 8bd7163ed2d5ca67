import {
  type BlockDevice,
  finding,
  formatUuid,
  ImageError,
  isImageError,
  isZero,
  readUpTo,
  throwIfAborted,
} from "@guestprobe/block";
import type { FileSystem, OpenOptions } from "@guestprobe/vfs";
import { findBackups } from "./backup.js";
import { checkBitmaps } from "./bitmaps.js";
import type { ChecksumSink } from "./checksum.js";
import { ExtInode } from "./ext-inode.js";
import { allFeatureNames, extKind, INCOMPAT } from "./features.js";
import {
  BACKUP_SUPERBLOCK,
  CASEFOLD_ENCODING,
  ERRORS_RECORDED,
  JOURNAL_DIRTY,
  NOT_CLEAN,
  TRUNCATED,
} from "./findings.js";
import { replayJournal } from "./journal.js";
import {
  EXT4_ENC_UTF8_12_1,
  EXT4_ERROR_FS,
  EXT4_ROOT_INO,
  EXT4_VALID_FS,
  ext4_inode,
  ext4_super_block as layout,
  SUPERBLOCK_OFFSET,
} from "./layout.js";
import { overlayDevice } from "./overlay.js";
import { placeOf } from "./place.js";
import { decodeSuperblock, type Superblock } from "./superblock.js";
import { Volume } from "./volume.js";

/** Opens ext2, ext3 and ext4: what `ext.open` does. */
export async function openExt(device: BlockDevice, options: OpenOptions = {}): Promise<FileSystem> {
  const { checksums = "report", journal = "ignore", report, signal, cacheBudget } = options;
  throwIfAborted(signal);
  const sink: ChecksumSink = { checksums, report };
  const sb = await readSuperblock(device, sink, signal);
  reportState(sb, device, options);
  const volume = new Volume(device, sb, sink, cacheBudget);
  const needsRecovery = (sb.incompat & INCOMPAT.needs_recovery) !== 0;
  return fileSystemOf(journal === "replay" && needsRecovery ? await recovered(volume, cacheBudget, signal) : volume);
}

function fileSystemOf(volume: Volume): FileSystem {
  const { sb } = volume;
  return {
    kind: extKind(sb),
    label: sb.label,
    uuid: isZero(sb.uuid) ? undefined : formatUuid(sb.uuid),
    blockSize: sb.blockSize,
    size: sb.blocksCount * sb.blockSize,
    get features() {
      return allFeatureNames(sb);
    },
    root: (signal) => inodeOf(volume, EXT4_ROOT_INO, signal),
    inode: (ino, signal) => inodeOf(volume, ino, signal),
  };
}

/**
 * Verifies what reading files never looks at: the checksums of the bitmaps of used blocks and inodes, under
 * metadata_csum. Reads two blocks for each group. Answers how many do not match; each is reported as ext-bad-bitmap.
 *
 * @throws ImageError what `ext.open` throws, and `corrupt`, `past-end`, `io` for a bitmap that cannot be read.
 */
export async function verifyBitmaps(device: BlockDevice, options: OpenOptions = {}): Promise<number> {
  const { report, signal } = options;
  const sink: ChecksumSink = { checksums: options.checksums ?? "report", report };
  return checkBitmaps(new Volume(device, await readSuperblock(device, sink, signal), sink), signal);
}

async function inodeOf(volume: Volume, ino: number, signal: AbortSignal | undefined): Promise<ExtInode> {
  throwIfAborted(signal);
  const decoded = await volume.inode(ino, signal);
  if (decoded === undefined) {
    const place = placeOf(ext4_inode, "i_links_count", await volume.inodeOffset(ino, signal));
    // Every volume has a root; any other inode may be free.
    throw new ImageError(ino === EXT4_ROOT_INO ? "corrupt" : "not-found", `inode ${ino} is not in use`, place);
  }
  return new ExtInode(volume, decoded);
}

/** The first superblock or, when it is damaged, the first sound copy. */
async function readSuperblock(
  device: BlockDevice,
  sink: ChecksumSink,
  signal: AbortSignal | undefined,
): Promise<Superblock> {
  try {
    return decodeSuperblock(await readUpTo(device, SUPERBLOCK_OFFSET, layout.$size, signal), SUPERBLOCK_OFFSET, sink);
  } catch (error) {
    // A feature that is not read is no damage, and a copy would need it too.
    if (!isImageError(error) || error.code === "aborted" || error.code === "unsupported") throw error;
    for (const { data, offset } of await findBackups(device, signal)) {
      const sb = soundCopy(data, offset, sink);
      if (sb === undefined) continue;
      const place = placeOf(layout, error.code === "not-this-format" ? "s_magic" : "s_checksum", SUPERBLOCK_OFFSET);
      const message = `${error.reason}; the copy at byte ${offset} is used`;
      sink.report?.(finding(BACKUP_SUPERBLOCK, message, { ...place, field: error.field ?? place.field }));
      return sb;
    }
    throw error;
  }
}

function soundCopy(data: Uint8Array, offset: number, sink: ChecksumSink): Superblock | undefined {
  try {
    return decodeSuperblock(data, offset, sink);
  } catch (error) {
    if (!isImageError(error)) throw error;
    return undefined;
  }
}

/** The volume as Linux would show it after recovery. */
async function recovered(
  volume: Volume,
  cacheBudget: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Volume> {
  const { device, sb } = volume;
  const copies = await replayJournal(volume, signal);
  const overlay = copies.size === 0 ? device : overlayDevice(device, sb.blockSize, copies);
  const data = await overlay.read(sb.offset, layout.$size, signal);
  const newer = decodeSuperblock(data, sb.offset, volume);
  // Recovery ends with clearing the flag.
  return new Volume(overlay, { ...newer, incompat: newer.incompat & ~INCOMPAT.needs_recovery }, volume, cacheBudget);
}

/** What the superblock says about the volume's condition. */
function reportState(sb: Superblock, device: BlockDevice, { report, journal }: OpenOptions): void {
  if (report === undefined) return;
  const size = sb.blocksCount * sb.blockSize;
  if (size > device.size) {
    const place = placeOf(layout, "s_blocks_count_lo", sb.offset);
    report(finding(TRUNCATED, `the volume has ${size} bytes, the device ${device.size}`, place));
  }
  const state = placeOf(layout, "s_state", sb.offset);
  if ((sb.incompat & INCOMPAT.needs_recovery) !== 0) {
    const view = journal === "replay" ? "it is replayed in memory" : "what is in place is shown";
    const place = placeOf(layout, "s_feature_incompat", sb.offset);
    report(finding(JOURNAL_DIRTY, `the journal needs recovery; ${view}`, place));
  } else if ((sb.state & EXT4_VALID_FS) === 0 && sb.offset === SUPERBLOCK_OFFSET) {
    // Nobody keeps the state of the copies up to date.
    report(finding(NOT_CLEAN, "the volume was not unmounted cleanly", state));
  }
  if ((sb.incompat & INCOMPAT.casefold) !== 0 && sb.encoding !== EXT4_ENC_UTF8_12_1) {
    report(finding(CASEFOLD_ENCODING, `the encoding is ${sb.encoding}`, placeOf(layout, "s_encoding", sb.offset)));
  }
  if ((sb.state & EXT4_ERROR_FS) !== 0) report(finding(ERRORS_RECORDED, "the error bit is set", state));
}

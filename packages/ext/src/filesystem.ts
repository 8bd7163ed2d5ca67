import {
  type BlockDevice,
  finding,
  formatUuid,
  isImageError,
  isZero,
  readUpTo,
  throwIfAborted,
} from "@guestprobe/block";
import type { FileSystem, FileSystemFormat, OpenOptions } from "@guestprobe/vfs";
import { ExtInode } from "./ext-inode.js";
import { allFeatureNames, extKind, INCOMPAT } from "./features.js";
import { ERRORS_RECORDED, JOURNAL_DIRTY, NOT_CLEAN, TRUNCATED } from "./findings.js";
import {
  EXT4_ERROR_FS,
  EXT4_ROOT_INO,
  EXT4_VALID_FS,
  ext4_super_block as layout,
  SUPERBLOCK_OFFSET,
} from "./layout.js";
import { failure, placeOf } from "./place.js";
import { decodeSuperblock, hasMagic, type Superblock } from "./superblock.js";
import { Volume } from "./volume.js";

/** ext2, ext3 and ext4. */
export const ext: FileSystemFormat = {
  name: "ext",

  async probe(device, signal) {
    return hasMagic(await probeBytes(device, SUPERBLOCK_OFFSET, signal));
  },

  async open(device, options = {}) {
    return openVolume(device, options);
  },
};

async function probeBytes(device: BlockDevice, offset: number, signal?: AbortSignal): Promise<Uint8Array> {
  throwIfAborted(signal);
  try {
    return await readUpTo(device, offset, layout.$size, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return new Uint8Array(0);
  }
}

async function openVolume(device: BlockDevice, options: OpenOptions): Promise<FileSystem> {
  const { checksums = "report", report, signal } = options;
  throwIfAborted(signal);
  const sink = { checksums, report };
  const data = await readUpTo(device, SUPERBLOCK_OFFSET, layout.$size, signal);
  const sb = decodeSuperblock(data, SUPERBLOCK_OFFSET, sink);
  reportState(sb, device, options);
  const volume = new Volume(device, sb, sink);
  return {
    kind: extKind(sb),
    label: sb.label,
    uuid: isZero(sb.uuid) ? undefined : formatUuid(sb.uuid),
    blockSize: sb.blockSize,
    size: sb.blocksCount * sb.blockSize,
    features: allFeatureNames(sb),
    root: (rootSignal) => inodeOf(volume, EXT4_ROOT_INO, rootSignal),
    inode: (ino, inodeSignal) => inodeOf(volume, ino, inodeSignal),
  };
}

async function inodeOf(volume: Volume, ino: number, signal: AbortSignal | undefined): Promise<ExtInode> {
  throwIfAborted(signal);
  const decoded = await volume.inode(ino, signal);
  if (decoded === undefined) throw failure("not-found", `inode ${ino} is not in use`);
  return new ExtInode(volume, decoded);
}

/** What the superblock says about the volume's condition. */
function reportState(sb: Superblock, device: BlockDevice, { report }: OpenOptions): void {
  if (report === undefined) return;
  const size = sb.blocksCount * sb.blockSize;
  if (size > device.size) {
    const place = placeOf(layout, "s_blocks_count_lo", sb.offset);
    report(finding(TRUNCATED, `the volume has ${size} bytes, the device ${device.size}`, place));
  }
  const state = placeOf(layout, "s_state", sb.offset);
  if ((sb.incompat & INCOMPAT.needs_recovery) !== 0) {
    const place = placeOf(layout, "s_feature_incompat", sb.offset);
    report(finding(JOURNAL_DIRTY, "the journal needs recovery", place));
  } else if ((sb.state & EXT4_VALID_FS) === 0) report(finding(NOT_CLEAN, "not unmounted cleanly", state));
  if ((sb.state & EXT4_ERROR_FS) !== 0) report(finding(ERRORS_RECORDED, "the error bit is set", state));
}

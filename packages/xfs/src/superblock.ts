import { checkFeatures, ImageError, type ImageErrorOptions, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type FeatureWords, XFS_FEATURES2, XFS_INCOMPAT, XFS_VERSION_FEATURES } from "./features.js";
import {
  XFS_SB_FEAT_INCOMPAT_FTYPE,
  XFS_SB_FEAT_INCOMPAT_META_UUID,
  XFS_SB_FEAT_INCOMPAT_METADIR,
  XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR,
  XFS_SB_FEAT_INCOMPAT_ZONE_GAPS,
  XFS_SB_MAGIC,
  XFS_SB_VERSION_BORGBIT,
  XFS_SB_VERSION_DIRV2BIT,
  XFS_SB_VERSION_MOREBITSBIT,
  XFS_SB_VERSION_NUMBITS,
  XFS_SB_VERSION2_FTYPE,
  xfs_dsb,
} from "./layout/superblock.js";

/** A superblock whose fields were checked against each other: sizes are powers of two, the groups cover the blocks. */
export interface Superblock extends FeatureWords {
  /** Where it was read: bytes from the start of the device. */
  readonly at: number;
  readonly version: 4 | 5;
  /** Bytes. */
  readonly blockSize: number;
  readonly sectorSize: number;
  readonly inodeSize: number;
  /** Bytes in a directory block: a power of two times the block size. */
  readonly dirBlockSize: number;
  readonly dataBlocks: number;
  readonly realtimeBlocks: number;
  readonly agBlocks: number;
  readonly agCount: number;
  /** 2 to the number of bits of an fsBlock below the group number. */
  readonly agBlockSpan: number;
  /** A power of two: the bits of an inode number below the block number. */
  readonly inodesPerBlock: number;
  /** Undefined in most copies that mkfs writes. */
  readonly rootInode: number | undefined;
  readonly logStart: number;
  readonly logBlocks: number;
  /** Position in the log at which this superblock was last written: basic blocks from its start. 0 in version 4. */
  readonly logHint: number;
  readonly label: Uint8Array;
  readonly uuid: Uint8Array;
  /** What the metadata of a version 5 volume carries. */
  readonly metaUuid: DataView;
  /** Directory entries record the type. */
  readonly hasFtype: boolean;
  /** Names match without regard to case. */
  readonly ignoresCase: boolean;
  readonly needsRepair: boolean;
  /** Realtime groups, where block numbers hold the number of the group. */
  readonly realtimeGroups: RealtimeGroups | undefined;
  /** Block of the data device where an internal realtime section begins; 0: it is on a device of its own. */
  readonly realtimeStart: number;
}

export interface RealtimeGroups {
  readonly count: number;
  /** Blocks in a group. */
  readonly blocks: number;
  readonly blockBits: number;
  /** Groups begin at multiples of 2^blockBits, not of `blocks`. */
  readonly hasGaps: boolean;
}

const MAX_BLOCK = 65536;

/**
 * Decodes and checks a superblock, as the kernel's xfs_validate_sb_common does for what a reader relies on.
 *
 * @param data At least 512 bytes.
 * @param at Where they lie: bytes from the start of the device.
 * @throws ImageError `not-this-format` on another magic; `unsupported` for an older version or an unknown feature;
 * `corrupt`.
 */
export function decodeSuperblock(data: Uint8Array, at: number): Superblock {
  const view = viewOf(data);
  const place = (field: keyof typeof xfs_dsb.$fields): ImageErrorOptions => ({
    format: "xfs",
    structure: "xfs_dsb",
    field,
    offset: at + xfs_dsb.$fields[field].offset,
  });
  const fail = (field: keyof typeof xfs_dsb.$fields, reason: string): never => {
    throw new ImageError("corrupt", reason, place(field));
  };
  const wide = (field: "sb_dblocks" | "sb_rblocks" | "sb_logstart" | "sb_rtstart"): number => {
    try {
      return xfs_dsb[field](view, 0);
    } catch (cause) {
      throw new ImageError("corrupt", `${field} is 2^53 or more`, { ...place(field), cause });
    }
  };

  const magic = xfs_dsb.sb_magicnum(view, 0);
  if (magic !== XFS_SB_MAGIC) {
    throw new ImageError("not-this-format", `magic is 0x${magic.toString(16)}, expected XFSB`, place("sb_magicnum"));
  }
  const versionnum = xfs_dsb.sb_versionnum(view, 0);
  const version = versionnum & XFS_SB_VERSION_NUMBITS;
  if (version !== 4 && version !== 5) {
    const code = version >= 1 && version <= 3 ? "unsupported" : "corrupt";
    throw new ImageError(code, `version ${version} of the superblock; 4 and 5 are read`, place("sb_versionnum"));
  }
  const crc = version === 5;
  checkFeatures("xfs", "sb_versionnum", versionnum & 0xfff0, XFS_VERSION_FEATURES, at + 100);
  if ((versionnum & XFS_SB_VERSION_DIRV2BIT) === 0) {
    throw new ImageError("unsupported", "directories of version 1", place("sb_versionnum"));
  }
  // Old kernels wrote the word four bytes on, where padding had moved it; either place may hold the bits.
  const features2 =
    (versionnum & XFS_SB_VERSION_MOREBITSBIT) === 0
      ? 0
      : (xfs_dsb.sb_features2(view, 0) | xfs_dsb.sb_bad_features2(view, 0)) >>> 0;
  checkFeatures("xfs", "sb_features2", features2, XFS_FEATURES2, at + 200);
  const incompat = crc ? xfs_dsb.sb_features_incompat(view, 0) : 0;
  checkFeatures("xfs", "sb_features_incompat", incompat, XFS_INCOMPAT, at + 216);

  /** A size in bytes that is a power of two, its logarithm stored beside it. */
  const size = (
    field: "sb_blocksize" | "sb_sectsize" | "sb_inodesize",
    log: "sb_blocklog" | "sb_sectlog" | "sb_inodelog",
    from: number,
    to: number,
  ): number => {
    const value = xfs_dsb[field](view, 0);
    if (value < from || value > to || (value & (value - 1)) !== 0) {
      fail(field, `${field} is ${value}, expected a power of two from ${from} to ${to}`);
    }
    if (2 ** xfs_dsb[log](view, 0) !== value) {
      fail(log, `${log} is ${xfs_dsb[log](view, 0)}, but ${field} is ${value}`);
    }
    return value;
  };
  const blockSize = size("sb_blocksize", "sb_blocklog", crc ? 1024 : 512, MAX_BLOCK);
  const sectorSize = size("sb_sectsize", "sb_sectlog", 512, 32768);
  const inodeSize = size("sb_inodesize", "sb_inodelog", crc ? 512 : 256, 2048);
  if (sectorSize > blockSize) fail("sb_sectsize", `sectors of ${sectorSize} bytes, blocks of ${blockSize}`);
  const inodesPerBlock = xfs_dsb.sb_inopblock(view, 0);
  if (inodesPerBlock !== blockSize / inodeSize || inodesPerBlock === 0) {
    fail("sb_inopblock", `${inodesPerBlock} inodes of ${inodeSize} bytes in a block of ${blockSize}`);
  }
  const inodeBits = xfs_dsb.sb_inopblog(view, 0);
  if (2 ** inodeBits !== inodesPerBlock) fail("sb_inopblog", `sb_inopblog is ${inodeBits}, not ${inodesPerBlock}'s`);
  const dirBlockSize = blockSize * 2 ** xfs_dsb.sb_dirblklog(view, 0);
  if (dirBlockSize > MAX_BLOCK) fail("sb_dirblklog", `directory blocks of ${dirBlockSize} bytes`);

  const agBlocks = xfs_dsb.sb_agblocks(view, 0);
  const agCount = xfs_dsb.sb_agcount(view, 0);
  const agBlockBits = xfs_dsb.sb_agblklog(view, 0);
  const dataBlocks = wide("sb_dblocks");
  if (agBlocks < 64) fail("sb_agblocks", `allocation groups of ${agBlocks} blocks, expected 64 or more`);
  if (agCount === 0) fail("sb_agcount", "no allocation group");
  if (2 ** agBlockBits < agBlocks || 2 ** (agBlockBits - 1) >= agBlocks) {
    fail("sb_agblklog", `sb_agblklog is ${agBlockBits}, but a group has ${agBlocks} blocks`);
  }
  // Both factors have 32 bits: the product may pass 2^53, and then it is past any number of blocks allowed here.
  if (dataBlocks > agCount * agBlocks || dataBlocks <= (agCount - 1) * agBlocks) {
    fail("sb_dblocks", `${dataBlocks} blocks in ${agCount} groups of ${agBlocks}`);
  }
  if (!Number.isSafeInteger(dataBlocks * blockSize)) {
    fail("sb_dblocks", `${dataBlocks} blocks of ${blockSize} bytes are 2^53 bytes or more`);
  }
  const metadir = (incompat & XFS_SB_FEAT_INCOMPAT_METADIR) !== 0;
  const hasMetaUuid = (incompat & XFS_SB_FEAT_INCOMPAT_META_UUID) !== 0;
  const uuid = xfs_dsb.sb_uuid(view, 0).slice();
  return {
    at,
    version,
    versionnum,
    features2,
    roCompat: crc ? xfs_dsb.sb_features_ro_compat(view, 0) : 0,
    incompat,
    blockSize,
    sectorSize,
    inodeSize,
    dirBlockSize,
    dataBlocks,
    realtimeBlocks: wide("sb_rblocks"),
    agBlocks,
    agCount,
    agBlockSpan: 2 ** agBlockBits,
    inodesPerBlock,
    rootInode: readRoot(view, place("sb_rootino")),
    logStart: wide("sb_logstart"),
    logBlocks: xfs_dsb.sb_logblocks(view, 0),
    logHint: crc ? viewOf(xfs_dsb.sb_lsn(view, 0)).getUint32(4) : 0,
    label: untilNul(xfs_dsb.sb_fname(view, 0)).slice(),
    uuid,
    metaUuid: viewOf(hasMetaUuid ? xfs_dsb.sb_meta_uuid(view, 0).slice() : uuid),
    hasFtype: crc ? (incompat & XFS_SB_FEAT_INCOMPAT_FTYPE) !== 0 : (features2 & XFS_SB_VERSION2_FTYPE) !== 0,
    ignoresCase: (versionnum & XFS_SB_VERSION_BORGBIT) !== 0,
    needsRepair: (incompat & XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR) !== 0,
    realtimeGroups: metadir
      ? {
          count: xfs_dsb.sb_rgcount(view, 0),
          blocks: xfs_dsb.sb_rgextents(view, 0) * xfs_dsb.sb_rextsize(view, 0),
          blockBits: Math.min(xfs_dsb.sb_rgblklog(view, 0), 52),
          hasGaps: (incompat & XFS_SB_FEAT_INCOMPAT_ZONE_GAPS) !== 0,
        }
      : undefined,
    realtimeStart: metadir ? wide("sb_rtstart") : 0,
  };
}

function readRoot(view: DataView, place: ImageErrorOptions): number | undefined {
  try {
    return xfs_dsb.sb_rootino(view, 0);
  } catch (cause) {
    throw new ImageError("corrupt", "the root inode's number is 2^53 or more", { ...place, cause });
  }
}

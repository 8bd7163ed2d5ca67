import { BE, bytes, struct, u8, u16, u32, u64, u64OrNone } from "@guestprobe/block/struct";

/** "XFSB", the first four bytes. */
export const XFS_SB_MAGIC = 0x58465342;

/**
 * Superblock: the first sector of each allocation group, that of group 0 being the one in force. Big-endian, but for
 * the checksum. XFS Algorithms & Data Structures, 3rd ed., "Superblocks"; fields from sb_metadirino on: kernel 6.13,
 * fs/xfs/libxfs/xfs_format.h.
 */
export const xfs_dsb = struct("xfs_dsb", 304, BE, {
  sb_magicnum: u32(0),
  sb_blocksize: u32(4), // bytes
  sb_dblocks: u64(8), // blocks of the data device
  sb_rblocks: u64(16), // blocks of the realtime device
  sb_uuid: bytes(32, 16),
  sb_logstart: u64(48), // fsBlock; 0: the log is on a device of its own
  sb_rootino: u64OrNone(56), // none in most copies that mkfs writes
  sb_rextsize: u32(80), // blocks in a realtime extent
  sb_agblocks: u32(84), // blocks in an allocation group, but for the last
  sb_agcount: u32(88),
  sb_logblocks: u32(96), // blocks
  sb_versionnum: u16(100), // low four bits: version; the rest: XFS_SB_VERSION_*
  sb_sectsize: u16(102), // bytes
  sb_inodesize: u16(104), // bytes
  sb_inopblock: u16(106),
  sb_fname: bytes(108, 12), // label, NUL-padded
  sb_blocklog: u8(120), // binary logarithms of the sizes above
  sb_sectlog: u8(121),
  sb_inodelog: u8(122),
  sb_inopblog: u8(123),
  sb_agblklog: u8(124), // rounded up
  sb_dirblklog: u8(192), // blocks in a directory block, as a binary logarithm
  sb_features2: u32(200), // XFS_SB_VERSION2_*, when sb_versionnum has MOREBITS
  sb_bad_features2: u32(204), // where some old kernels put it
  sb_features_ro_compat: u32(212), // version 5 only, from here on
  sb_features_incompat: u32(216),
  sb_crc: bytes(224, 4), // CRC-32C of the sector, little-endian
  sb_lsn: bytes(240, 8), // log position of the last write: cycle, then 512-byte block
  sb_meta_uuid: bytes(248, 16), // what metadata carries, when the incompat bit META_UUID is set
  sb_metadirino: u64OrNone(264),
  sb_rgcount: u32(272), // realtime groups
  sb_rgextents: u32(276), // realtime extents in a group
  sb_rgblklog: u8(280), // bits of a realtime block number that count within its group
  sb_rtstart: u64(288), // block of the data device where an internal realtime section begins
});

export const XFS_SB_VERSION_NUMBITS = 0x000f;
export const XFS_SB_VERSION_DIRV2BIT = 0x2000;
export const XFS_SB_VERSION_BORGBIT = 0x4000; // names match without regard to ASCII case
export const XFS_SB_VERSION_MOREBITSBIT = 0x8000;
export const XFS_SB_VERSION2_FTYPE = 0x0200; // version 4 only

export const XFS_SB_FEAT_INCOMPAT_FTYPE = 0x001;
export const XFS_SB_FEAT_INCOMPAT_META_UUID = 0x004;
export const XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR = 0x010;
export const XFS_SB_FEAT_INCOMPAT_METADIR = 0x100;
export const XFS_SB_FEAT_INCOMPAT_ZONE_GAPS = 0x400;

/** Bytes before the checksum of the superblock. */
export const XFS_SB_CRC_OFF = 224;

/** "XAGF" */
export const XFS_AGF_MAGIC = 0x58414746;
/**
 * Head of both the free-space header (second sector of a group) and the inode header (third): they agree up to the
 * length. "AG Free Space Management" and "AG Inode Management".
 */
export const xfs_ag_header = struct("xfs_ag_header", 16, BE, {
  magicnum: u32(0),
  versionnum: u32(4), // 1
  seqno: u32(8), // number of the group
  length: u32(12), // blocks of the group
});

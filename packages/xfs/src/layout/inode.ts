import { BE, bytes, i32, struct, u8, u16, u32, u64 } from "@guestprobe/block/struct";

/** "IN" */
export const XFS_DINODE_MAGIC = 0x494e;

/** Inode core. XFS Algorithms & Data Structures, 3rd ed., "Inode Core"; big-endian, but for the checksum. */
export const xfs_dinode = struct("xfs_dinode", 176, BE, {
  di_magic: u16(0),
  di_mode: u16(2), // type and permission bits, as st_mode; 0 when the inode is free
  di_version: u8(4), // 1, 2; 3 on version 5 volumes
  di_format: u8(5), // how the data fork is stored: XFS_DINODE_FMT_*
  di_onlink: u16(6), // links, when di_version is 1
  di_uid: u32(8),
  di_gid: u32(12),
  di_nlink: u32(16),
  di_big_nextents: u64(24), // data fork extents, when di_flags2 has NREXT64
  di_atime: bytes(32, 8), // signed seconds, nanoseconds; or nanoseconds since 1901-12-13 with BIGTIME
  di_mtime: bytes(40, 8),
  di_ctime: bytes(48, 8),
  di_size: u64(56), // bytes
  di_nextents: u32(76), // data fork extents; attribute fork extents with NREXT64
  di_anextents: u16(80), // attribute fork extents
  di_forkoff: u8(82), // where the attribute fork begins, in units of 8 bytes after the core; 0: none
  di_aformat: u8(83),
  di_flags: u16(90), // XFS_DIFLAG_*
  di_gen: u32(92),
  di_crc: bytes(100, 4), // from here on di_version 3 only; CRC-32C of the inode, little-endian
  di_flags2: bytes(120, 8), // XFS_DIFLAG2_*, all of them in the low word
  di_crtime: bytes(144, 8),
  di_ino: u64(152),
  di_uuid: bytes(160, 16),
});

/** Bytes of the core, before the data fork. */
export const XFS_DINODE_SIZE_V2 = 100;
export const XFS_DINODE_SIZE_V3 = 176;

/** A time stamp without BIGTIME. */
export const xfs_legacy_timestamp = struct("xfs_legacy_timestamp", 8, BE, {
  t_sec: i32(0),
  t_nsec: i32(4),
});
/** Seconds before 1970 from which BIGTIME counts: what 32 signed bits reach. */
export const XFS_BIGTIME_EPOCH_OFFSET = 0x8000_0000;

export const XFS_DINODE_FMT_DEV = 0;
export const XFS_DINODE_FMT_LOCAL = 1;
export const XFS_DINODE_FMT_EXTENTS = 2;
export const XFS_DINODE_FMT_BTREE = 3;

export const XFS_DIFLAG_REALTIME = 0x0001; // the data fork counts blocks of the realtime device
export const XFS_DIFLAG_IMMUTABLE = 0x0008;
export const XFS_DIFLAG_APPEND = 0x0010;
export const XFS_DIFLAG_SYNC = 0x0020;
export const XFS_DIFLAG_NOATIME = 0x0040;
export const XFS_DIFLAG_NODUMP = 0x0080;
export const XFS_DIFLAG_PROJINHERIT = 0x0200;

export const XFS_DIFLAG2_DAX = 0x01;
export const XFS_DIFLAG2_REFLINK = 0x02;
export const XFS_DIFLAG2_BIGTIME = 0x08;
export const XFS_DIFLAG2_NREXT64 = 0x10;
export const XFS_DIFLAG2_METADATA = 0x20;

/** "XAGI" */
export const XFS_AGI_MAGIC = 0x58414749;

/** Inode header of a group: its third sector. "AG Inode Management"; its head is that of xfs_ag_header. */
export const xfs_agi = struct("xfs_agi", 344, BE, {
  agi_magicnum: u32(0),
  agi_seqno: u32(8), // number of the group
  agi_root: u32(20), // agBlock of the root of the inode B+tree
  agi_level: u32(24), // its levels: 1 when the root is a leaf
  agi_uuid: bytes(296, 16), // from here on version 5
  agi_crc: bytes(312, 4),
});

/** "IABT", "IAB3": block of the inode B+tree, version 4, 5. */
export const XFS_IBT_MAGIC = 0x49414254;
export const XFS_IBT_CRC_MAGIC = 0x49414233;

/** Block of a B+tree with 32-bit pointers. "B+Trees", "Short Format". The part from bb_blkno on is version 5's. */
export const xfs_btree_sblock = struct("xfs_btree_sblock", 56, BE, {
  bb_magic: u32(0),
  bb_level: u16(4),
  bb_numrecs: u16(6),
  bb_blkno: u64(16), // daddr
  bb_uuid: bytes(32, 16),
  bb_owner: u32(48), // group
  bb_crc: bytes(52, 4),
});
/** Bytes of its header in version 4. */
export const XFS_BTREE_SBLOCK_LEN = 16;
/** Bytes of its header in version 5. */
export const XFS_BTREE_SBLOCK_CRC_LEN = 56;

/** Record of the inode B+tree: a chunk of 64 inodes. "Inode B+trees", "Sparse Inodes". */
export const xfs_inobt_rec = struct("xfs_inobt_rec", 16, BE, {
  ir_startino: u32(0), // number within the group
  ir_holemask: u16(4), // with SPARSE_INODES: a bit for each four inodes that are not there
  ir_free_hi: u32(8), // a bit for each inode that is not in use, the first in the lowest
  ir_free_lo: u32(12),
});

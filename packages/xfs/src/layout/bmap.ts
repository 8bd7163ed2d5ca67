import { BE, bytes, struct, u16, u32, u64, u64OrNone } from "@guestprobe/block/struct";

/**
 * An extent of a fork, packed into 128 bits, most significant first: 1 bit unwritten, 54 bits first block of the file,
 * 52 bits first fsBlock, 21 bits count. XFS Algorithms & Data Structures, 3rd ed., "Data Extents".
 */
export const xfs_bmbt_rec = struct("xfs_bmbt_rec", 16, BE, {
  word0: u32(0),
  word1: u32(4),
  word2: u32(8),
  word3: u32(12),
});

/** Root of an extent B+tree, at the start of a fork; then as many keys as fit, then as many pointers. Ibid. */
export const xfs_bmdr_block = struct("xfs_bmdr_block", 4, BE, {
  bb_level: u16(0), // 1 and more: leaves are blocks of their own
  bb_numrecs: u16(2),
});

/** "BMAP": block of an extent B+tree, version 4. */
export const XFS_BMAP_MAGIC = 0x424d4150;
/** "BMA3": the same with a version 5 header. */
export const XFS_BMAP_CRC_MAGIC = 0x424d4133;

/** Block of a B+tree with 64-bit pointers. "B+Trees", "Long Format". The part from bb_blkno on is version 5's. */
export const xfs_btree_lblock = struct("xfs_btree_lblock", 72, BE, {
  bb_magic: u32(0),
  bb_level: u16(4),
  bb_numrecs: u16(6),
  bb_leftsib: u64OrNone(8), // fsBlock
  bb_rightsib: u64OrNone(16),
  bb_blkno: u64(24), // daddr: units of 512 bytes
  bb_uuid: bytes(40, 16),
  bb_owner: u64(56), // inode
  bb_crc: bytes(64, 4),
});

/** Bytes of its header in version 4. */
export const XFS_BTREE_LBLOCK_LEN = 24;
/** Bytes of its header in version 5. */
export const XFS_BTREE_LBLOCK_CRC_LEN = 72;

import { BE, struct, u8, u16, u32 } from "@guestprobe/block/struct";

/** Head of leaf and node blocks of directories and attributes. XFS Algorithms & Data Structures, "B+Tree Directories". */
export const xfs_da_blkinfo = struct("xfs_da_blkinfo", 12, BE, {
  forw: u32(0), // next block of the same level, as a block of the file; 0: none
  back: u32(4),
  magic: u16(8),
});

export const XFS_DA_NODE_MAGIC = 0xfebe;
export const XFS_DIR2_LEAF1_MAGIC = 0xd2f1; // the only leaf
export const XFS_DIR2_LEAFN_MAGIC = 0xd2ff; // one of several
export const XFS_ATTR_LEAF_MAGIC = 0xfbee;
export const XFS_DA3_NODE_MAGIC = 0x3ebe;
export const XFS_DIR3_LEAF1_MAGIC = 0x3df1;
export const XFS_DIR3_LEAFN_MAGIC = 0x3dff;
export const XFS_ATTR3_LEAF_MAGIC = 0x3bee;

/** Bytes of the head, and of the whole header of leaf and node blocks, in version 4 and 5. */
export const XFS_DA_BLKINFO_LEN = 12;
export const XFS_DA3_BLKINFO_LEN = 56;
export const XFS_DIR2_LEAF_HDR_LEN = 16;
export const XFS_DIR3_LEAF_HDR_LEN = 64;

/** What follows the head: of a directory leaf `count` and `stale`, of a node `count` and `level`. */
export const xfs_da_counts = struct("xfs_da_counts", 4, BE, {
  count: u16(0),
  stale_or_level: u16(2),
});

/** Short form attributes, inside the inode. "Short Form Attributes". */
export const xfs_attr_sf_hdr = struct("xfs_attr_sf_hdr", 4, BE, {
  totsize: u16(0), // bytes, this header included
  count: u8(2),
});
export const xfs_attr_sf_entry = struct("xfs_attr_sf_entry", 3, BE, {
  namelen: u8(0),
  valuelen: u8(1),
  flags: u8(2), // XFS_ATTR_*
});

/** Bytes before the first entry of an attribute leaf, in version 4 and 5. */
export const XFS_ATTR_LEAF_HDR_LEN = 32;
export const XFS_ATTR3_LEAF_HDR_LEN = 80;

export const xfs_attr_leaf_entry = struct("xfs_attr_leaf_entry", 8, BE, {
  hashval: u32(0),
  nameidx: u16(4), // byte of the block where name and value lie
  flags: u8(6),
});
export const xfs_attr_leaf_name_local = struct("xfs_attr_leaf_name_local", 3, BE, {
  valuelen: u16(0),
  namelen: u8(2),
});
export const xfs_attr_leaf_name_remote = struct("xfs_attr_leaf_name_remote", 9, BE, {
  valueblk: u32(0), // block of the attribute fork
  valuelen: u32(4),
  namelen: u8(8),
});

export const XFS_ATTR_LOCAL = 0x01;
export const XFS_ATTR_ROOT = 0x02;
export const XFS_ATTR_SECURE = 0x04;
export const XFS_ATTR_PARENT = 0x08;
export const XFS_ATTR_INCOMPLETE = 0x80;
/** Longest value of an attribute: the kernel's limit. */
export const XFS_XATTR_SIZE_MAX = 65536;

/** "XARM": header of each block of a remote attribute value, version 5. */
export const XFS_ATTR3_RMT_MAGIC = 0x5841524d;
/** "XSLM": header of each extent of a remote symbolic link, version 5. */
export const XFS_SYMLINK_MAGIC = 0x58534c4d;
/** Both of them. "Remote Symbolic Links", "Remote Attribute Values". */
export const xfs_remote_hdr = struct("xfs_remote_hdr", 56, BE, {
  magic: u32(0),
  offset: u32(4), // bytes of the value before this piece
  bytes: u32(8), // bytes of the value in this piece
});
/** Longest target of a symbolic link. */
export const XFS_SYMLINK_MAXLEN = 1024;

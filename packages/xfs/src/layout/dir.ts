import { BE, struct, u8, u16, u32, u64 } from "@guestprobe/block/struct";

/**
 * Data blocks of a directory lie below this byte of its data fork, leaf and node blocks from it on. The free index, which
 * serves writers alone, begins at twice this.
 */
export const XFS_DIR2_LEAF_OFFSET = 2 ** 35;

/** Short form: a directory inside its inode. XFS Algorithms & Data Structures, 3rd ed., "Short Form Directories". */
export const xfs_dir2_sf_hdr = struct("xfs_dir2_sf_hdr", 6, BE, {
  count: u8(0),
  i8count: u8(1), // not 0: inode numbers take 8 bytes instead of 4
  parent: u32(2),
});

/** "XD2B", "XDB3": the only block of a directory, entries and hash index together; version 4, 5. */
export const XFS_DIR2_BLOCK_MAGIC = 0x58443242;
export const XFS_DIR3_BLOCK_MAGIC = 0x58444233;
/** "XD2D", "XDD3": entries alone. */
export const XFS_DIR2_DATA_MAGIC = 0x58443244;
export const XFS_DIR3_DATA_MAGIC = 0x58444433;

/** Bytes before the first entry: magic and three free slots; in version 5 the self-description and padding too. */
export const XFS_DIR2_DATA_HDR_LEN = 16;
export const XFS_DIR3_DATA_HDR_LEN = 64;

/** A used entry. After the name: the type in one byte where FTYPE is set, padding, and the entry's offset in two. */
export const xfs_dir2_data_entry = struct("xfs_dir2_data_entry", 9, BE, {
  inumber: u64(0),
  namelen: u8(8),
});
/** An unused run of a data block; its last two bytes hold its offset. */
export const xfs_dir2_data_unused = struct("xfs_dir2_data_unused", 4, BE, {
  freetag: u16(0),
  length: u16(2),
});
export const XFS_DIR2_DATA_FREE_TAG = 0xffff;

/** Last bytes of a block-form directory; `count` leaf entries end where it begins. */
export const xfs_dir2_block_tail = struct("xfs_dir2_block_tail", 8, BE, {
  count: u32(0),
  stale: u32(4),
});

/** An entry of the hash index, in order of `hashval`. Those of nodes (xfs_da_node_entry) have the same form. */
export const xfs_dir2_leaf_entry = struct("xfs_dir2_leaf_entry", 8, BE, {
  hashval: u32(0),
  address: u32(4), // byte of the directory's data divided by 8, 0 for a stale entry; in a node a block of the file
});

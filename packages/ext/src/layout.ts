/**
 * On-disk structures of ext2, ext3 and ext4, little-endian throughout. Names and offsets are those of the Linux
 * kernel's
 * fs/ext4/ext4.h, ext4_extents.h and xattr.h, and of its documentation, "ext4 Data Structures and Algorithms".
 */
import { bytes, LE, struct, u8, u16, u32 } from "@guestprobe/block/struct";

/** Where the primary superblock lies: bytes from the start of the volume, whatever the block size. */
export const SUPERBLOCK_OFFSET = 1024;
/** `s_magic`. */
export const EXT4_SUPER_MAGIC = 0xef53;
/**
 * Where `s_magic` lies in the superblock. By itself, as in the other formats: whoever has many volumes to tell apart makes the
 * tables of fields of those only that are there.
 */
export const EXT4_SUPER_MAGIC_AT = 0x38;

/** The superblock: 1024 bytes. */
export const ext4_super_block = struct("ext4_super_block", 1024, LE, {
  s_inodes_count: u32(0x00),
  s_blocks_count_lo: u32(0x04),
  s_r_blocks_count_lo: u32(0x08),
  s_free_blocks_count_lo: u32(0x0c),
  s_free_inodes_count: u32(0x10),
  s_first_data_block: u32(0x14), // 1 with 1 KiB blocks (but 0 under bigalloc), else 0
  s_log_block_size: u32(0x18), // block size is 1024 << this
  s_log_cluster_size: u32(0x1c), // likewise, under bigalloc
  s_blocks_per_group: u32(0x20),
  s_clusters_per_group: u32(0x24),
  s_inodes_per_group: u32(0x28),
  s_mtime: u32(0x2c),
  s_wtime: u32(0x30),
  s_mnt_count: u16(0x34),
  s_max_mnt_count: u16(0x36),
  s_magic: u16(EXT4_SUPER_MAGIC_AT),
  s_state: u16(0x3a), // EXT4_VALID_FS, EXT4_ERROR_FS
  s_errors: u16(0x3c),
  s_minor_rev_level: u16(0x3e),
  s_lastcheck: u32(0x40),
  s_checkinterval: u32(0x44),
  s_creator_os: u32(0x48),
  s_rev_level: u32(0x4c), // 0: inodes of 128 bytes, no features; 1: the fields from here on count
  s_def_resuid: u16(0x50),
  s_def_resgid: u16(0x52),
  s_first_ino: u32(0x54),
  s_inode_size: u16(0x58), // bytes
  s_block_group_nr: u16(0x5a), // the group that this copy lies in
  s_feature_compat: u32(0x5c),
  s_feature_incompat: u32(0x60),
  s_feature_ro_compat: u32(0x64),
  s_uuid: bytes(0x68, 16),
  s_volume_name: bytes(0x78, 16),
  s_last_mounted: bytes(0x88, 64),
  s_algorithm_usage_bitmap: u32(0xc8),
  s_prealloc_blocks: u8(0xcc),
  s_prealloc_dir_blocks: u8(0xcd),
  s_reserved_gdt_blocks: u16(0xce),
  s_journal_uuid: bytes(0xd0, 16),
  s_journal_inum: u32(0xe0),
  s_journal_dev: u32(0xe4),
  s_last_orphan: u32(0xe8),
  s_hash_seed: bytes(0xec, 16), // four u32
  s_def_hash_version: u8(0xfc),
  s_jnl_backup_type: u8(0xfd), // 1: s_jnl_blocks copies the journal inode
  s_desc_size: u16(0xfe), // bytes in a group descriptor, under 64bit
  s_default_mount_opts: u32(0x100),
  s_first_meta_bg: u32(0x104),
  s_mkfs_time: u32(0x108),
  s_jnl_blocks: bytes(0x10c, 68), // i_block of the journal inode, then i_size_high and i_size_lo
  s_blocks_count_hi: u32(0x150),
  s_r_blocks_count_hi: u32(0x154),
  s_free_blocks_count_hi: u32(0x158),
  s_min_extra_isize: u16(0x15c),
  s_want_extra_isize: u16(0x15e),
  s_flags: u32(0x160), // EXT2_FLAGS_*
  s_raid_stride: u16(0x164),
  s_mmp_interval: u16(0x166),
  s_mmp_block_lo: u32(0x168),
  s_mmp_block_hi: u32(0x16c),
  s_raid_stripe_width: u32(0x170),
  s_log_groups_per_flex: u8(0x174),
  s_checksum_type: u8(0x175), // 1: CRC-32C
  s_encryption_level: u8(0x176),
  s_kbytes_written: bytes(0x178, 8),
  s_error_count: u32(0x194),
  s_first_error_time: u32(0x198),
  s_last_error_time: u32(0x1cc),
  s_mount_opts: bytes(0x200, 64),
  s_usr_quota_inum: u32(0x240),
  s_grp_quota_inum: u32(0x244),
  s_overhead_clusters: u32(0x248),
  s_backup_bgs_0: u32(0x24c), // groups with a superblock copy, under sparse_super2
  s_backup_bgs_1: u32(0x250),
  s_encrypt_algos: bytes(0x254, 4),
  s_encrypt_pw_salt: bytes(0x258, 16),
  s_lpf_ino: u32(0x268),
  s_prj_quota_inum: u32(0x26c),
  s_checksum_seed: u32(0x270), // under metadata_csum_seed
  s_encoding: u16(0x27c), // of names in casefold directories; 1: UTF-8 as of Unicode 12.1
  s_encoding_flags: u16(0x27e),
  s_orphan_file_inum: u32(0x280),
  s_checksum: u32(0x3fc), // CRC-32C of all before it
});

/** `s_state`: unmounted cleanly; the kernel has met errors. */
export const EXT4_VALID_FS = 0x0001;
export const EXT4_ERROR_FS = 0x0002;
/** `s_flags`: directory hashes take bytes of names as unsigned. */
export const EXT2_FLAGS_UNSIGNED_HASH = 0x0002;
/** `s_creator_os`. */
export const EXT4_OS_LINUX = 0;
export const EXT4_OS_HURD = 1;
/** `s_checksum_type`. */
export const EXT4_CRC32C_CHKSUM = 1;
/** `s_encoding`. */
export const EXT4_ENC_UTF8_12_1 = 1;

/** Block group descriptor: 32 bytes, or `s_desc_size` under 64bit (the fields from 0x20 on). */
export const ext4_group_desc = struct("ext4_group_desc", 64, LE, {
  bg_block_bitmap_lo: u32(0x00),
  bg_inode_bitmap_lo: u32(0x04),
  bg_inode_table_lo: u32(0x08),
  bg_free_blocks_count_lo: u16(0x0c),
  bg_free_inodes_count_lo: u16(0x0e),
  bg_used_dirs_count_lo: u16(0x10),
  bg_flags: u16(0x12), // EXT4_BG_*
  bg_exclude_bitmap_lo: u32(0x14),
  bg_block_bitmap_csum_lo: u16(0x18),
  bg_inode_bitmap_csum_lo: u16(0x1a),
  bg_itable_unused_lo: u16(0x1c),
  bg_checksum: u16(0x1e),
  bg_block_bitmap_hi: u32(0x20),
  bg_inode_bitmap_hi: u32(0x24),
  bg_inode_table_hi: u32(0x28),
  bg_free_blocks_count_hi: u16(0x2c),
  bg_free_inodes_count_hi: u16(0x2e),
  bg_used_dirs_count_hi: u16(0x30),
  bg_itable_unused_hi: u16(0x32),
  bg_exclude_bitmap_hi: u32(0x34),
  bg_block_bitmap_csum_hi: u16(0x38),
  bg_inode_bitmap_csum_hi: u16(0x3a),
});

/** `bg_flags`: the bitmaps were never written. */
export const EXT4_BG_INODE_UNINIT = 0x0001;
export const EXT4_BG_BLOCK_UNINIT = 0x0002;

/** Inode: 128 bytes, or `s_inode_size`; of the part past 128, `i_extra_isize` bytes are fields, the rest attributes. */
export const ext4_inode = struct("ext4_inode", 160, LE, {
  i_mode: u16(0x00),
  i_uid: u16(0x02),
  i_size_lo: u32(0x04),
  i_atime: u32(0x08), // seconds, signed; in an attribute inode the hash of the value
  i_ctime: u32(0x0c),
  i_mtime: u32(0x10),
  i_dtime: u32(0x14),
  i_gid: u16(0x18),
  i_links_count: u16(0x1a),
  i_blocks_lo: u32(0x1c), // sectors of 512 bytes, or blocks under EXT4_HUGE_FILE_FL
  i_flags: u32(0x20), // EXT4_*_FL
  i_block: bytes(0x28, 60), // block map, extent tree root, link target, device number or inline data
  i_generation: u32(0x64),
  i_file_acl_lo: u32(0x68), // block of attributes
  i_size_high: u32(0x6c),
  i_blocks_high: u16(0x74),
  i_file_acl_high: u16(0x76),
  i_uid_high: u16(0x78),
  i_gid_high: u16(0x7a),
  i_checksum_lo: u16(0x7c),
  i_extra_isize: u16(0x80),
  i_checksum_hi: u16(0x82),
  i_ctime_extra: u32(0x84), // nanoseconds << 2 | bits 32 and 33 of the seconds
  i_mtime_extra: u32(0x88),
  i_atime_extra: u32(0x8c),
  i_crtime: u32(0x90),
  i_crtime_extra: u32(0x94),
  i_version_hi: u32(0x98),
  i_projid: u32(0x9c),
});

/** Bytes of an inode in revision 0, and of the part that every inode has. */
export const EXT4_GOOD_OLD_INODE_SIZE = 128;
/** First inode number for files in revision 0. */
export const EXT4_GOOD_OLD_FIRST_INO = 11;
export const EXT4_ROOT_INO = 2;

/** `i_flags`. */
export const EXT4_INDEX_FL = 0x0000_1000;
export const EXT4_ENCRYPT_FL = 0x0000_0800;
export const EXT4_HUGE_FILE_FL = 0x0004_0000;
export const EXT4_EXTENTS_FL = 0x0008_0000;
export const EXT4_EA_INODE_FL = 0x0020_0000;
export const EXT4_INLINE_DATA_FL = 0x1000_0000;
export const EXT4_CASEFOLD_FL = 0x4000_0000;

/** Block pointers of an inode: twelve direct, then single, double and triple indirect. */
export const EXT4_NDIR_BLOCKS = 12;

/** Head of each extent tree node, in the inode or a block. */
export const ext4_extent_header = struct("ext4_extent_header", 12, LE, {
  eh_magic: u16(0x00),
  eh_entries: u16(0x02),
  eh_max: u16(0x04),
  eh_depth: u16(0x06), // 0: leaf
  eh_generation: u32(0x08),
});
export const EXT4_EXT_MAGIC = 0xf30a;
export const EXT4_MAX_EXTENT_DEPTH = 5;

/** Entry of a leaf. */
export const ext4_extent = struct("ext4_extent", 12, LE, {
  ee_block: u32(0x00), // first block of the file
  ee_len: u16(0x04), // blocks; above 32768: unwritten, and that much less
  ee_start_hi: u16(0x06),
  ee_start_lo: u32(0x08),
});
export const EXT_INIT_MAX_LEN = 32768;

/** Entry of an inner node. */
export const ext4_extent_idx = struct("ext4_extent_idx", 12, LE, {
  ei_block: u32(0x00), // the child covers the file from this block on
  ei_leaf_lo: u32(0x04),
  ei_leaf_hi: u16(0x08),
});

/** Follows the last possible entry of a node that is a block, under metadata_csum. */
export const ext4_extent_tail = struct("ext4_extent_tail", 4, LE, { et_checksum: u32(0x00) });

/** Directory entry, without its name. */
export const ext4_dir_entry_2 = struct("ext4_dir_entry_2", 8, LE, {
  inode: u32(0x00), // 0: unused
  rec_len: u16(0x04), // to the next entry
  name_len: u8(0x06),
  file_type: u8(0x07), // without the filetype feature the high byte of the length of the name
});

/** Last 12 bytes of a directory block under metadata_csum; looks like an unused entry. */
export const ext4_dir_entry_tail = struct("ext4_dir_entry_tail", 12, LE, {
  det_reserved_zero1: u32(0x00),
  det_rec_len: u16(0x04),
  det_reserved_zero2: u8(0x06),
  det_reserved_ft: u8(0x07),
  det_checksum: u32(0x08),
});
export const EXT4_FT_DIR_CSUM = 0xde;

/** First block of an indexed directory: two entries for "." and "..", then this; entries of the index follow. */
export const dx_root = struct("dx_root", 40, LE, {
  reserved_zero: u32(0x18),
  hash_version: u8(0x1c), // DX_HASH_*
  info_length: u8(0x1d),
  indirect_levels: u8(0x1e),
  unused_flags: u8(0x1f),
  limit: u16(0x20),
  count: u16(0x22),
  block: u32(0x24),
});

/** Inner node of an index: an unused entry that spans the block, then this; further entries follow. */
export const dx_node = struct("dx_node", 16, LE, {
  inode: u32(0x00),
  rec_len: u16(0x04),
  limit: u16(0x08),
  count: u16(0x0a),
  block: u32(0x0c),
});

/** Entry of an index; in the first one `limit` and `count` lie in place of the hash. */
export const dx_entry = struct("dx_entry", 8, LE, { hash: u32(0x00), block: u32(0x04) });

/** After the last possible entry of an index block, under metadata_csum. */
export const dx_tail = struct("dx_tail", 8, LE, { dt_reserved: u32(0x00), dt_checksum: u32(0x04) });

/** `hash_version` and `s_def_hash_version`. */
export const DX_HASH_LEGACY = 0;
export const DX_HASH_HALF_MD4 = 1;
export const DX_HASH_TEA = 2;
export const DX_HASH_LEGACY_UNSIGNED = 3;
export const DX_HASH_SIPHASH = 6;

/** Before the attributes in an inode; entries follow, and values count from the first of them. */
export const ext4_xattr_ibody_header = struct("ext4_xattr_ibody_header", 4, LE, { h_magic: u32(0x00) });
export const EXT4_XATTR_MAGIC = 0xea02_0000;

/** Head of a block of attributes; entries follow, and values count from the start of the block. */
export const ext4_xattr_header = struct("ext4_xattr_header", 32, LE, {
  h_magic: u32(0x00),
  h_refcount: u32(0x04),
  h_blocks: u32(0x08),
  h_hash: u32(0x0c),
  h_checksum: u32(0x10),
});

/** An attribute, without its name. Four zero bytes end the list. */
export const ext4_xattr_entry = struct("ext4_xattr_entry", 16, LE, {
  e_name_len: u8(0x00),
  e_name_index: u8(0x01), // which prefix the name has
  e_value_offs: u16(0x02),
  e_value_inum: u32(0x04), // the inode that holds the value, under ea_inode
  e_value_size: u32(0x08),
  e_hash: u32(0x0c),
});

/** Value of a POSIX ACL as ext4 stores it: this, then entries of 4 bytes or, for named users and groups, 8. */
export const ext4_acl_header = struct("ext4_acl_header", 4, LE, { a_version: u32(0x00) });
export const ext4_acl_entry = struct("ext4_acl_entry", 8, LE, { e_tag: u16(0x00), e_perm: u16(0x02), e_id: u32(0x04) });

import { i16, LE, struct, u16, u32, u64, u64OrNone } from "@guestprobe/block/struct";

/** "hsqs" on the disk. */
export const SQUASHFS_MAGIC = 0x7371_7368;
/** "sqsh" on the disk: written by a big-endian machine, before version 4 settled on little-endian. */
export const SQUASHFS_MAGIC_SWAP = 0x6873_7173;
export const SQUASHFS_MAJOR = 4;
/** Bytes of the superblock. */
export const SQUASHFS_SUPERBLOCK_SIZE = 96;

/** Bytes that a metadata block decodes to at most, and, but for the last of a table, exactly. */
export const SQUASHFS_METADATA_SIZE = 8192;
/** Set in a metadata block's header when it is stored as it is. */
export const METADATA_UNCOMPRESSED = 0x8000;
/** Set in a data block's size when it is stored as it is. */
export const DATA_UNCOMPRESSED = 0x0100_0000;

/** Bits of `flags`. */
export const SQUASHFS_NOI = 0x0001;
export const SQUASHFS_NOD = 0x0002;
export const SQUASHFS_CHECK = 0x0004;
export const SQUASHFS_NOF = 0x0008;
export const SQUASHFS_NO_FRAG = 0x0010;
export const SQUASHFS_ALWAYS_FRAG = 0x0020;
export const SQUASHFS_DUPLICATE = 0x0040;
export const SQUASHFS_EXPORT = 0x0080;
export const SQUASHFS_NOX = 0x0100;
export const SQUASHFS_NO_XATTR = 0x0200;
export const SQUASHFS_COMP_OPT = 0x0400;
export const SQUASHFS_NOID = 0x0800;

/** Values of `compression`. */
export const ZLIB_COMPRESSION = 1;
export const LZMA_COMPRESSION = 2;
export const LZO_COMPRESSION = 3;
export const XZ_COMPRESSION = 4;
export const LZ4_COMPRESSION = 5;
export const ZSTD_COMPRESSION = 6;

/** "None" in the fields for fragments and attributes. */
export const SQUASHFS_INVALID_FRAG = 0xffff_ffff;
export const SQUASHFS_INVALID_XATTR = 0xffff_ffff;

/** Inode types; an extended type is the basic one plus seven. */
export const SQUASHFS_DIR_TYPE = 1;
export const SQUASHFS_REG_TYPE = 2;
export const SQUASHFS_SYMLINK_TYPE = 3;
export const SQUASHFS_BLKDEV_TYPE = 4;
export const SQUASHFS_CHRDEV_TYPE = 5;
export const SQUASHFS_FIFO_TYPE = 6;
export const SQUASHFS_SOCKET_TYPE = 7;
export const SQUASHFS_LDIR_TYPE = 8;

/** Entries that one directory header may announce. */
export const SQUASHFS_DIR_COUNT = 256;
export const SQUASHFS_NAME_LEN = 256;

/**
 * Superblock, at byte 0. All structures are little-endian. Source: Linux, fs/squashfs/squashfs_fs.h, and
 * Documentation/filesystems/squashfs.rst; the same for all structures below.
 */
export const squashfs_super_block = struct("squashfs_super_block", SQUASHFS_SUPERBLOCK_SIZE, LE, {
  s_magic: u32(0),
  inodes: u32(4),
  mkfs_time: u32(8), // seconds since 1970
  block_size: u32(12), // bytes
  fragments: u32(16),
  compression: u16(20),
  block_log: u16(22),
  flags: u16(24),
  no_ids: u16(26),
  s_major: u16(28),
  s_minor: u16(30),
  root_inode: u64(32), // block in the inode table << 16 | offset in the block
  bytes_used: u64(40),
  id_table_start: u64(48), // bytes from the start of the device, as all below
  xattr_id_table_start: u64OrNone(56),
  inode_table_start: u64(64),
  directory_table_start: u64(72),
  fragment_table_start: u64OrNone(80),
  lookup_table_start: u64OrNone(88),
});

/** What every inode begins with. */
export const squashfs_base_inode = struct("squashfs_base_inode", 16, LE, {
  inode_type: u16(0),
  mode: u16(2),
  uid: u16(4), // index into the id table
  guid: u16(6), // index into the id table
  mtime: u32(8), // seconds since 1970, unsigned
  inode_number: u32(12),
});

export const squashfs_dir_inode = struct("squashfs_dir_inode", 32, LE, {
  start_block: u32(16), // metadata block, bytes from directory_table_start
  nlink: u32(20),
  file_size: u16(24), // bytes of the listing, plus 3
  offset: u16(26), // bytes into the metadata block, decoded
  parent_inode: u32(28),
});

/** Followed by `i_count` index entries. */
export const squashfs_ldir_inode = struct("squashfs_ldir_inode", 40, LE, {
  nlink: u32(16),
  file_size: u32(20),
  start_block: u32(24),
  parent_inode: u32(28),
  i_count: u16(32),
  offset: u16(34),
  xattr: u32(36),
});

/** Followed by the name. */
export const squashfs_dir_index = struct("squashfs_dir_index", 12, LE, {
  index: u32(0), // byte of the listing where a header begins
  start_block: u32(4),
  size: u32(8), // of the name, less one
});

/** Followed by the block list: a u32 for each block. */
export const squashfs_reg_inode = struct("squashfs_reg_inode", 32, LE, {
  start_block: u32(16), // bytes from the start of the device
  fragment: u32(20),
  offset: u32(24), // bytes into the fragment block, decoded
  file_size: u32(28),
});

export const squashfs_lreg_inode = struct("squashfs_lreg_inode", 56, LE, {
  start_block: u64(16),
  file_size: u64(24),
  sparse: u64(32),
  nlink: u32(40),
  fragment: u32(44),
  offset: u32(48),
  xattr: u32(52),
});

/** Followed by the target, and in the extended type by a u32 for the attributes. */
export const squashfs_symlink_inode = struct("squashfs_symlink_inode", 24, LE, {
  nlink: u32(16),
  symlink_size: u32(20),
});

/** Block and character devices. The extended type adds `xattr`. */
export const squashfs_dev_inode = struct("squashfs_dev_inode", 24, LE, {
  nlink: u32(16),
  rdev: u32(20),
});
export const squashfs_ldev_inode = struct("squashfs_ldev_inode", 28, LE, { xattr: u32(24) });

/** FIFOs and sockets. */
export const squashfs_ipc_inode = struct("squashfs_ipc_inode", 20, LE, { nlink: u32(16) });
export const squashfs_lipc_inode = struct("squashfs_lipc_inode", 24, LE, { xattr: u32(20) });

/** Before each run of directory entries. */
export const squashfs_dir_header = struct("squashfs_dir_header", 12, LE, {
  count: u32(0), // entries, less one
  start_block: u32(4), // metadata block of their inodes, bytes from inode_table_start
  inode_number: u32(8),
});

/** Followed by the name. */
export const squashfs_dir_entry = struct("squashfs_dir_entry", 8, LE, {
  offset: u16(0), // of the inode in its metadata block, decoded
  inode_number: i16(2), // added to that of the header
  type: u16(4), // always a basic type
  size: u16(6), // of the name, less one
});

export const squashfs_fragment_entry = struct("squashfs_fragment_entry", 16, LE, {
  start_block: u64(0), // bytes from the start of the device
  size: u32(8), // as a block list's
});

export const squashfs_xattr_id_table = struct("squashfs_xattr_id_table", 16, LE, {
  xattr_table_start: u64(0),
  xattr_ids: u32(8),
});

export const squashfs_xattr_id = struct("squashfs_xattr_id", 16, LE, {
  xattr: u64(0), // block from xattr_table_start << 16 | offset
  count: u32(8),
  size: u32(12), // bytes of names and values, without structure
});

/** Followed by the name, then by a squashfs_xattr_val. */
export const squashfs_xattr_entry = struct("squashfs_xattr_entry", 4, LE, {
  type: u16(0),
  size: u16(2),
});
export const squashfs_xattr_val = struct("squashfs_xattr_val", 4, LE, { vsize: u32(0) });
export const SQUASHFS_XATTR_PREFIX_MASK = 0xff;
/** The value is a reference to where it is really stored. */
export const SQUASHFS_XATTR_VALUE_OOL = 0x100;

/** Compressor options, one metadata block after the superblock, under SQUASHFS_COMP_OPT. */
export const gzip_comp_opts = struct("gzip_comp_opts", 8, LE, {
  compression_level: u32(0),
  window_size: u16(4),
  strategy: u16(6),
});
export const lzo_comp_opts = struct("lzo_comp_opts", 8, LE, { algorithm: u32(0), compression_level: u32(4) });
export const xz_comp_opts = struct("disk_comp_opts", 8, LE, { dictionary_size: u32(0), flags: u32(4) });
export const lz4_comp_opts = struct("lz4_comp_opts", 8, LE, { version: u32(0), flags: u32(4) });
export const zstd_comp_opts = struct("zstd_comp_opts", 4, LE, { compression_level: u32(0) });

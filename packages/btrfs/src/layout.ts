/**
 * On-disk structures of btrfs: offsets and constants, nothing else. Little-endian throughout; sizes and offsets in
 * bytes. Source: the btrfs documentation, "On-disk format", and the kernel's uapi header btrfs_tree.h.
 */
import { bytes, LE, struct, u8, u16, u32, u64, u64big } from "@guestprobe/block/struct";

/** Bytes from the start of the device of the superblock and its copies; those past the end of a device do not exist. */
export const SUPER_OFFSETS = [0x1_0000, 0x400_0000, 0x40_0000_0000] as const;
export const SUPER_SIZE = 4096;
/** "_BHRfS_M". */
export const SUPER_MAGIC = Uint8Array.of(0x5f, 0x42, 0x48, 0x52, 0x66, 0x53, 0x5f, 0x4d);
/** Where `magic` lies in the superblock. */
export const SUPER_MAGIC_AT = 0x40;
/** Bytes set aside for a checksum at the start of the superblock and of each node, whatever its type. */
export const CSUM_SIZE = 32;

/** Sector- and node-size limits, bytes. */
export const MIN_SECTOR_SIZE = 4096;
export const MAX_NODE_SIZE = 65536;
/** Levels of a tree: the root is at most at level 7. */
export const MAX_LEVEL = 8;
/** Bytes of a stripe of every striped profile. */
export const STRIPE_LEN = 65536;
/** Compressed extents hold at most this many bytes, before and after. */
export const MAX_COMPRESSED = 128 * 1024;

export const btrfs_dev_item = struct("btrfs_dev_item", 98, LE, {
  devid: u64(0x00),
  total_bytes: u64(0x08), // bytes of the device that the file system uses
  bytes_used: u64(0x10), // bytes given to chunks
  io_align: u32(0x18),
  io_width: u32(0x1c),
  sector_size: u32(0x20),
  type: u64big(0x24),
  generation: u64(0x2c),
  start_offset: u64(0x34),
  dev_group: u32(0x3c),
  seek_speed: u8(0x40),
  bandwidth: u8(0x41),
  uuid: bytes(0x42, 16), // of the device
  fsid: bytes(0x52, 16), // of the file system that owns it: another one for a seed
});

export const btrfs_super_block = struct("btrfs_super_block", SUPER_SIZE, LE, {
  csum: bytes(0x00, 32), // of bytes 0x20 to the end
  fsid: bytes(0x20, 16),
  bytenr: u64(0x30), // where this copy lies
  flags: u64(0x38), // SUPER_FLAG_*
  magic: bytes(SUPER_MAGIC_AT, 8),
  generation: u64(0x48), // transaction that wrote it
  root: u64(0x50), // logical address of the root tree's root
  chunk_root: u64(0x58), // logical address of the chunk tree's root
  log_root: u64(0x60), // logical address of the log root tree; 0: none
  total_bytes: u64(0x70), // over all devices
  bytes_used: u64(0x78),
  root_dir_objectid: u64(0x80), // directory in the root tree; holds the name "default"
  num_devices: u64(0x88),
  sectorsize: u32(0x90),
  nodesize: u32(0x94),
  leafsize: u32(0x98), // unused; equal to nodesize
  stripesize: u32(0x9c),
  sys_chunk_array_size: u32(0xa0), // bytes used of sys_chunk_array
  chunk_root_generation: u64(0xa4),
  compat_flags: u64(0xac),
  compat_ro_flags: u64(0xb4),
  incompat_flags: u64(0xbc),
  csum_type: u16(0xc4), // CSUM_*
  root_level: u8(0xc6),
  chunk_root_level: u8(0xc7),
  log_root_level: u8(0xc8),
  dev_item: bytes(0xc9, 98), // btrfs_dev_item of this device
  label: bytes(0x12b, 256), // NUL-padded
  cache_generation: u64big(0x22b), // all ones: no version 1 space cache
  uuid_tree_generation: u64(0x233),
  metadata_uuid: bytes(0x23b, 16), // what nodes carry as fsid, if METADATA_UUID is set
  sys_chunk_array: bytes(0x32b, 2048), // pairs of btrfs_disk_key and btrfs_chunk
});
/** Bytes of sys_chunk_array. */
export const SYS_CHUNK_ARRAY_SIZE = 2048;

export const SUPER_FLAG_SEEDING = 2 ** 32;
/** Set by btrfs-image: the metadata was copied, the data was not. */
export const SUPER_FLAG_METADUMP = 2 ** 33;
export const SUPER_FLAG_METADUMP_V2 = 2 ** 34;

export const INCOMPAT_METADATA_UUID = 0x400;

/** Object ids of trees in the root tree. */
export const ROOT_TREE_OBJECTID = 1;
export const CHUNK_TREE_OBJECTID = 3;
export const FS_TREE_OBJECTID = 5;
export const CSUM_TREE_OBJECTID = 7;
/** First and last id of subvolumes; the last is 2^64 - 256. */
export const FIRST_FREE_OBJECTID = 256;
/** Object id of chunk items. */
export const FIRST_CHUNK_TREE_OBJECTID = 256;
/** Object id of device items. */
export const DEV_ITEMS_OBJECTID = 1;
/** Object id of checksum items: -10. */
export const EXTENT_CSUM_OBJECTID = 0xffff_ffff_ffff_fff6n;
/** Inode number that the kernel gives to the place of a subvolume that a snapshot did not take along. */
export const EMPTY_SUBVOL_DIR_OBJECTID = 2;

/** Key types. */
export const INODE_ITEM_KEY = 1;
export const INODE_REF_KEY = 12;
export const INODE_EXTREF_KEY = 13;
export const XATTR_ITEM_KEY = 24;
export const VERITY_DESC_ITEM_KEY = 36;
export const VERITY_MERKLE_ITEM_KEY = 37;
export const ORPHAN_ITEM_KEY = 48;
export const DIR_ITEM_KEY = 84;
export const DIR_INDEX_KEY = 96;
export const EXTENT_DATA_KEY = 108;
export const EXTENT_CSUM_KEY = 128;
export const ROOT_ITEM_KEY = 132;
export const ROOT_BACKREF_KEY = 144;
export const ROOT_REF_KEY = 156;
export const DEV_ITEM_KEY = 216;
export const CHUNK_ITEM_KEY = 228;

export const btrfs_disk_key = struct("btrfs_disk_key", 17, LE, {
  objectid: u64big(0x00),
  type: u8(0x08),
  offset: u64big(0x09),
});

export const btrfs_header = struct("btrfs_header", 101, LE, {
  csum: bytes(0x00, 32), // of bytes 0x20 to the end of the node
  fsid: bytes(0x20, 16),
  bytenr: u64(0x30), // logical address of this node
  flags: u64big(0x38),
  chunk_tree_uuid: bytes(0x40, 16),
  generation: u64(0x50),
  owner: u64big(0x58), // object id of the tree that wrote it
  nritems: u32(0x60),
  level: u8(0x64), // 0: leaf
});

/** A child of an inner node. */
export const btrfs_key_ptr = struct("btrfs_key_ptr", 33, LE, {
  key: bytes(0x00, 17), // first key of the child
  blockptr: u64(0x11), // logical address
  generation: u64(0x19),
});

/** An item of a leaf. */
export const btrfs_item = struct("btrfs_item", 25, LE, {
  key: bytes(0x00, 17),
  offset: u32(0x11), // of its data, from the end of btrfs_header
  size: u32(0x15),
});

/** Followed by num_stripes of btrfs_stripe. */
export const btrfs_chunk = struct("btrfs_chunk", 48, LE, {
  length: u64(0x00),
  owner: u64(0x08),
  stripe_len: u64(0x10),
  type: u64(0x18), // BLOCK_GROUP_*
  io_align: u32(0x20),
  io_width: u32(0x24),
  sector_size: u32(0x28),
  num_stripes: u16(0x2c),
  sub_stripes: u16(0x2e), // raid10: copies of each stripe
});

export const btrfs_stripe = struct("btrfs_stripe", 32, LE, {
  devid: u64(0x00),
  offset: u64(0x08), // bytes from the start of that device
  dev_uuid: bytes(0x10, 16),
});

export const BLOCK_GROUP_DATA = 0x1;
export const BLOCK_GROUP_SYSTEM = 0x2;
export const BLOCK_GROUP_METADATA = 0x4;
export const BLOCK_GROUP_RAID0 = 0x8;
export const BLOCK_GROUP_RAID1 = 0x10;
export const BLOCK_GROUP_DUP = 0x20;
export const BLOCK_GROUP_RAID10 = 0x40;
export const BLOCK_GROUP_RAID5 = 0x80;
export const BLOCK_GROUP_RAID6 = 0x100;
export const BLOCK_GROUP_RAID1C3 = 0x200;
export const BLOCK_GROUP_RAID1C4 = 0x400;

/** Seconds and nanoseconds since 1970 UTC; the seconds are signed. */
export const btrfs_timespec = struct("btrfs_timespec", 12, LE, {
  sec: u64big(0x00),
  nsec: u32(0x08),
});

export const btrfs_inode_item = struct("btrfs_inode_item", 160, LE, {
  generation: u64(0x00),
  transid: u64(0x08),
  size: u64(0x10), // bytes
  nbytes: u64(0x18), // bytes stored
  block_group: u64big(0x20),
  nlink: u32(0x28),
  uid: u32(0x2c),
  gid: u32(0x30),
  mode: u32(0x34), // type and permission bits, as st_mode
  rdev: u64big(0x38), // major << 20 | minor
  flags: u32(0x40), // INODE_*
  ro_flags: u32(0x44), // INODE_RO_*; the upper half of the 64-bit flags
  sequence: u64big(0x48),
  atime: bytes(0x70, 12),
  ctime: bytes(0x7c, 12),
  mtime: bytes(0x88, 12),
  otime: bytes(0x94, 12), // creation
});

export const INODE_NODATASUM = 0x1;
export const INODE_NODATACOW = 0x2;
export const INODE_READONLY = 0x4;
export const INODE_NOCOMPRESS = 0x8;
export const INODE_PREALLOC = 0x10;
export const INODE_SYNC = 0x20;
export const INODE_IMMUTABLE = 0x40;
export const INODE_APPEND = 0x80;
export const INODE_NODUMP = 0x100;
export const INODE_NOATIME = 0x200;
export const INODE_DIRSYNC = 0x400;
export const INODE_COMPRESS = 0x800;
export const INODE_RO_VERITY = 0x1;

/** Followed by the name. */
export const btrfs_inode_ref = struct("btrfs_inode_ref", 10, LE, {
  index: u64big(0x00),
  name_len: u16(0x08),
});

/** Followed by the name. */
export const btrfs_inode_extref = struct("btrfs_inode_extref", 18, LE, {
  parent_objectid: u64(0x00),
  index: u64big(0x08),
  name_len: u16(0x10),
});

/** Followed by the name, then data_len bytes. One item holds all the names of one hash. */
export const btrfs_dir_item = struct("btrfs_dir_item", 30, LE, {
  location: bytes(0x00, 17), // key of an inode item or of a root item
  transid: u64(0x11),
  data_len: u16(0x19), // the value's, in xattr items
  name_len: u16(0x1b),
  type: u8(0x1d), // FT_*
});

/** Most bytes of a name. */
export const NAME_LEN = 255;
/** Bit of btrfs_dir_item.type: the name is encrypted. */
export const FT_ENCRYPTED = 0x80;

/** btrfs_file_extent_item up to where an inline extent's bytes begin. */
export const FILE_EXTENT_INLINE_START = 21;
export const btrfs_file_extent_item = struct("btrfs_file_extent_item", 53, LE, {
  generation: u64(0x00),
  ram_bytes: u64(0x08), // bytes of the whole extent when decoded
  compression: u8(0x10), // COMPRESS_*
  encryption: u8(0x11),
  other_encoding: u16(0x12),
  type: u8(0x14), // FILE_EXTENT_*
  disk_bytenr: u64(0x15), // logical address; 0: a hole
  disk_num_bytes: u64(0x1d),
  offset: u64(0x25), // of the part used, in bytes of the decoded extent
  num_bytes: u64(0x2d), // bytes of the file
});

export const FILE_EXTENT_INLINE = 0;
export const FILE_EXTENT_REG = 1;
export const FILE_EXTENT_PREALLOC = 2;
export const COMPRESS_NONE = 0;
/** By the number in btrfs_file_extent_item.compression. */
export const COMPRESS_NAMES = ["none", "zlib", "lzo", "zstd"] as const;

/** Fields past generation_v2 count only if that equals generation: a kernel before 3.6 does not keep them. */
export const btrfs_root_item = struct("btrfs_root_item", 439, LE, {
  inode: bytes(0x00, 160),
  generation: u64(0xa0),
  root_dirid: u64(0xa8), // inode number of the root directory
  bytenr: u64(0xb0), // logical address of the tree's root
  byte_limit: u64(0xb8),
  bytes_used: u64(0xc0),
  last_snapshot: u64(0xc8),
  flags: u64big(0xd0), // ROOT_SUBVOL_RDONLY
  refs: u32(0xd8), // 0: being deleted
  drop_progress: bytes(0xdc, 17),
  drop_level: u8(0xed),
  level: u8(0xee),
  generation_v2: u64(0xef),
  uuid: bytes(0xf7, 16),
  parent_uuid: bytes(0x107, 16),
  received_uuid: bytes(0x117, 16),
  ctransid: u64(0x127),
  otransid: u64(0x12f),
  stransid: u64(0x137),
  rtransid: u64(0x13f),
  ctime: bytes(0x147, 12),
  otime: bytes(0x153, 12),
  stime: bytes(0x15f, 12),
  rtime: bytes(0x16b, 12),
});
/** Bytes of btrfs_root_item before generation_v2, as old kernels wrote it. */
export const ROOT_ITEM_V0_SIZE = 239;
export const ROOT_SUBVOL_RDONLY = 1n;

/** Followed by the name. ROOT_REF and ROOT_BACKREF items. */
export const btrfs_root_ref = struct("btrfs_root_ref", 18, LE, {
  dirid: u64(0x00), // directory in the parent subvolume
  sequence: u64big(0x08),
  name_len: u16(0x10),
});

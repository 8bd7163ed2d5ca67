/** Metadata of thin pools. Linux, drivers/md/dm-thin-metadata.c, persistent-data/dm-btree-internal.h. Little-endian. */
import { LE, struct, u32, u64 } from "@guestprobe/block/struct";

/** Bytes of a metadata block. */
export const THIN_METADATA_BLOCK_SIZE = 4096;
export const THIN_SUPERBLOCK_MAGIC = 27022010;
export const SUPERBLOCK_CSUM_XOR = 160774;
export const BTREE_CSUM_XOR = 121107;

/** Block 0 of the metadata. */
export const thin_disk_superblock = struct("thin_disk_superblock", 364, LE, {
  csum: u32(0), // CRC-32C of the block after this field, as it leaves the register, XOR SUPERBLOCK_CSUM_XOR
  flags: u32(4),
  blocknr: u64(8),
  magic: u64(32),
  version: u32(40), // 1, or 2 with feature words that mean something
  data_mapping_root: u64(320), // block of the tree of trees
  device_details_root: u64(328),
  data_block_size: u32(336), // sectors of 512 bytes
  metadata_block_size: u32(340), // sectors of 512 bytes: always 8
  incompat_flags: u32(360),
});

/** A node of a tree; its keys follow, and behind room for max_entries of those its values. */
export const node_header = struct("node_header", 32, LE, {
  csum: u32(0), // as in the superblock, XOR BTREE_CSUM_XOR
  flags: u32(4), // INTERNAL_NODE or LEAF_NODE
  blocknr: u64(8), // its own
  nr_entries: u32(16),
  max_entries: u32(20),
  value_size: u32(24), // bytes
});
export const INTERNAL_NODE = 1;
export const LEAF_NODE = 2;

/** The low bits of a mapping are a time, the high ones the data block. */
export const MAPPING_TIME_BITS = 24;

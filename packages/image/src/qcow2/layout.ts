/** QEMU, docs/interop/qcow2.txt. Everything is big-endian; offsets are in bytes of the image file. */
import type { Feature } from "@guestprobe/block";
import { BE, struct, u8, u16, u32, u64 } from "@guestprobe/block/struct";

export const QCOW2_MAGIC = 0x514649fb; // "QFI\xfb", of all versions

/** Version 2; version 3 goes on with QCowHeaderV3. */
export const QCowHeader = struct("QCowHeader", 72, BE, {
  magic: u32(0),
  version: u32(4),
  backing_file_offset: u64(8), // of the name, not NUL-terminated; 0 for none
  backing_file_size: u32(16), // bytes of the name, at most 1023
  cluster_bits: u32(20),
  size: u64(24), // bytes of the virtual disk
  crypt_method: u32(32), // 0 none, 1 AES, 2 LUKS
  l1_size: u32(36), // entries
  l1_table_offset: u64(40),
  refcount_table_offset: u64(48),
  refcount_table_clusters: u32(56),
  nb_snapshots: u32(60),
  snapshots_offset: u64(64),
});

export const QCowHeaderV3 = struct("QCowHeader", 104, BE, {
  incompatible_features: u64(72),
  compatible_features: u64(80),
  autoclear_features: u64(88),
  refcount_order: u32(96), // a reference count has 2^order bits
  header_length: u32(100), // bytes, a multiple of 8, at least 104
});

/** The one field after header_length so far; read when header_length covers it. */
export const COMPRESSION_TYPE_OFFSET = 104;

export const QCowExtension = struct("QCowExtension", 8, BE, {
  type: u32(0),
  length: u32(4), // bytes of data, which is padded to a multiple of 8
});
export const EXT_END = 0;
export const EXT_BACKING_FORMAT = 0xe2792aca;
export const EXT_BITMAPS = 0x23852875;
export const EXT_DATA_FILE = 0x44415441;

export const QCowBitmapsExtension = struct("QCowBitmapsExtension", 24, BE, {
  nb_bitmaps: u32(0),
  bitmap_directory_size: u64(8),
  bitmap_directory_offset: u64(16),
});

export const QCowBitmapEntry = struct("QCowBitmapEntry", 24, BE, {
  name_size: u16(18),
  extra_data_size: u32(20),
});

export const QCowSnapshotHeader = struct("QCowSnapshotHeader", 40, BE, {
  l1_table_offset: u64(0),
  l1_size: u32(8),
  id_str_size: u16(12),
  name_size: u16(14),
  date_sec: u32(16),
  date_nsec: u32(20),
  vm_state_size: u32(32), // bytes; the extra data may hold a 64-bit one
  extra_data_size: u32(36), // bytes, between this header and the id
});

/** Version 3 snapshots carry at least these. */
export const QCowSnapshotExtraData = struct("QCowSnapshotExtraData", 16, BE, {
  vm_state_size_large: u64(0),
  disk_size: u64(8),
});

/** Pieces of an L2 entry that are not offsets, by 32-bit word. */
export const L2_COMPRESSED_HI = 0x4000_0000;
export const L2_COPIED_HI = 0x8000_0000;
export const L2_ZERO_LO = 1;
/** Bits 56 to 61, and bits 1 to 8: reserved in a standard descriptor. */
export const L2_RESERVED_HI = 0x3f00_0000;
export const L2_RESERVED_LO = 0x1fe;
export const OFFSET_MASK_HI = 0x00ff_ffff;
export const OFFSET_MASK_LO = 0xffff_fe00;
/** Bits 56 to 62 and 0 to 8 of an L1 entry. */
export const L1_RESERVED_HI = 0x7f00_0000;
export const L1_RESERVED_LO = 0x1ff;

export const SUBCLUSTERS = 32;

export const INCOMPAT_DATA_FILE = 4;
export const INCOMPAT_EXTENDED_L2 = 16;

export const QCOW2_INCOMPATIBLE: readonly Feature[] = [
  { bit: 1, name: "dirty", verdict: "ignore", why: "reference counts may be wrong, which a reader does not use" },
  { bit: 2, name: "corrupt", verdict: "ignore", why: "writers must not touch the image; reading is allowed" },
  { bit: INCOMPAT_DATA_FILE, name: "external-data-file", verdict: "read", why: "guest clusters lie in another file" },
  { bit: 8, name: "compression-type", verdict: "read", why: "the header has a compression type, zstd" },
  { bit: INCOMPAT_EXTENDED_L2, name: "extended-l2", verdict: "read", why: "128-bit L2 entries with subclusters" },
];
export const QCOW2_COMPATIBLE: readonly Feature[] = [
  { bit: 1, name: "lazy-refcounts", verdict: "ignore", why: "reference counts are not used" },
];
export const QCOW2_AUTOCLEAR: readonly Feature[] = [
  { bit: 1, name: "bitmaps", verdict: "ignore", why: "dirty bitmaps hold nothing of the disk" },
  { bit: 2, name: "data-file-raw", verdict: "ignore", why: "the data file may also be read as a raw image" },
];

/** One byte at COMPRESSION_TYPE_OFFSET. */
export const QCowCompression = struct("QCowHeader", 105, BE, { compression_type: u8(COMPRESSION_TYPE_OFFSET) });

/** Microsoft, "Virtual Hard Disk Image Format Specification" 1.0. Everything is big-endian. */
import { BE, bytes, struct, u8, u16, u32, u64, u64OrNone } from "@guestprobe/block/struct";

export const SECTOR = 512;

/** "Hard Disk Footer Format": the last sector of the file; all but fixed disks have a copy in the first. */
export const vhd_footer = struct("vhd_footer", 512, BE, {
  cookie: bytes(0, 8), // "conectix"
  features: u32(8),
  file_format_version: u32(12), // 0x00010000
  data_offset: u64OrNone(16), // of the dynamic header; all ones for fixed disks
  time_stamp: u32(24), // seconds since 2000-01-01 UTC
  creator_application: bytes(28, 4),
  original_size: u64(40), // bytes
  current_size: u64(48), // bytes
  cylinders: u16(56),
  heads: u8(58),
  sectors_per_track: u8(59),
  disk_type: u32(60), // DISK_*
  checksum: u32(64), // ones' complement of the sum of the other bytes
  unique_id: bytes(68, 16),
  saved_state: u8(84),
});

export const DISK_FIXED = 2;
export const DISK_DYNAMIC = 3;
export const DISK_DIFFERENCING = 4;

/** "Dynamic Disk Header Format". */
export const vhd_dynamic_header = struct("vhd_dynamic_header", 1024, BE, {
  cookie: bytes(0, 8), // "cxsparse"
  table_offset: u64(16), // of the block allocation table, in bytes
  header_version: u32(24), // 0x00010000
  max_table_entries: u32(28),
  block_size: u32(32), // bytes of data in a block, without its bitmap
  checksum: u32(36),
  parent_unique_id: bytes(40, 16),
  parent_unicode_name: bytes(64, 512), // UTF-16, big-endian
});
export const PARENT_LOCATORS = 576; // eight of them
export const PARENT_LOCATOR_COUNT = 8;

export const vhd_parent_locator = struct("vhd_parent_locator", 24, BE, {
  platform_code: u32(0), // PLATFORM_*
  platform_data_space: u32(4),
  platform_data_length: u32(8), // bytes
  platform_data_offset: u64(16), // bytes from the start of the file
});
export const PLATFORM_W2RU = 0x57327275; // "W2ru": relative path, UTF-16LE
export const PLATFORM_W2KU = 0x57326b75; // "W2ku": absolute path, UTF-16LE
export const PLATFORM_MACX = 0x4d616358; // "MacX": file URL, UTF-8

/** In the block allocation table: the block is not there. Else an entry is the sector where its bitmap starts. */
export const BAT_UNUSED = 0xffff_ffff;

/** The largest geometry that the footer can hold; beyond it, size and geometry differ. */
export const MAX_GEOMETRY = 65535 * 16 * 255;

/**
 * Programs whose disks have the size that the footer states. Others (Virtual PC, QEMU by default) mean cylinders times
 * heads times sectors, which may be less.
 */
export const SIZE_CREATORS: ReadonlySet<string> = new Set(["win ", "qem2", "d2v ", "tap\0", "CTXS", "wa\0\0"]);

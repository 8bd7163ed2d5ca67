/**
 * Superblocks of md. Linux, include/uapi/linux/raid/md_p.h; md(4). A sector is 512 bytes here, whatever the device's are.
 */
import { BE, bytes, i32, LE, struct, u8, u16, u32, u64, u64big } from "@guestprobe/block/struct";

export const SECTOR_SIZE = 512;
export const MD_SB_MAGIC = 0xa92b4efc;
/** Bytes of a superblock of version 1, and of version 0.90. */
export const SUPERBLOCK_1_SIZE = 256;
export const SUPERBLOCK_0_SIZE = 4096;

/** Version 1. Little-endian. Followed by one role of 16 bits for each of `max_dev` device numbers. */
export const mdp_superblock_1 = struct("mdp_superblock_1", SUPERBLOCK_1_SIZE, LE, {
  magic: u32(0),
  major_version: u32(4),
  feature_map: u32(8),
  set_uuid: bytes(16, 16),
  set_name: bytes(32, 32), // "homehost:name", NUL-padded
  ctime: u64big(64), // seconds in the low 40 bits, microseconds above
  level: i32(72), // -4 multipath, -1 linear, 0, 1, 4, 5, 6, 10
  layout: u32(76),
  size: u64(80), // sectors used of each member; 0 for linear and raid0
  chunksize: u32(88), // sectors
  raid_disks: u32(92),
  reshape_position: u64big(104), // sector of the array, while it is reshaped
  data_offset: u64(128), // sector of the member at which its data begin
  data_size: u64(136), // sectors
  super_offset: u64(144), // sector of the member that holds this superblock
  recovery_offset: u64big(152), // with RECOVERY_OFFSET: sectors of the data that are rebuilt
  dev_number: u32(160), // this member's index in dev_roles
  device_uuid: bytes(168, 16),
  bblog_shift: u8(185), // bad blocks are counted in units of 2^bblog_shift sectors
  bblog_size: u16(186), // sectors
  bblog_offset: i32(188), // sectors from the superblock
  utime: u64big(192),
  events: u64big(200), // counts each change of the superblock
  resync_offset: u64big(208), // all ones when in sync
  sb_csum: u32(216), // of the superblock and its roles, with this field as zero
  max_dev: u32(220), // entries in dev_roles
});
/** Most entries that fit into the 4096 bytes of a superblock of version 1. */
export const MAX_DEV = (4096 - SUPERBLOCK_1_SIZE) / 2;

/** Entries of dev_roles that are no place in the array. */
export const ROLE_SPARE = 0xffff;
export const ROLE_FAULTY = 0xfffe;
export const ROLE_JOURNAL = 0xfffd;

/** feature_map. */
export const FEATURE_BITMAP_OFFSET = 0x1;
export const FEATURE_RECOVERY_OFFSET = 0x2;
export const FEATURE_RESHAPE_ACTIVE = 0x4;
export const FEATURE_BAD_BLOCKS = 0x8;
export const FEATURE_REPLACEMENT = 0x10;
export const FEATURE_RESHAPE_BACKWARDS = 0x20;
export const FEATURE_NEW_OFFSET = 0x40;
export const FEATURE_RECOVERY_BITMAP = 0x80;
export const FEATURE_CLUSTERED = 0x100;
export const FEATURE_JOURNAL = 0x200;
export const FEATURE_PPL = 0x400;
export const FEATURE_MULTIPLE_PPLS = 0x800;
export const FEATURE_RAID0_LAYOUT = 0x1000;

/** Version 0.90, in the byte order of the machine that wrote it. 4096 bytes. */
export const mdp_super_le = struct("mdp_super_t", SUPERBLOCK_0_SIZE, LE, superblock0());
export const mdp_super_be = struct("mdp_super_t", SUPERBLOCK_0_SIZE, BE, superblock0());
export function superblock0() {
  return {
    md_magic: u32(0),
    major_version: u32(4),
    minor_version: u32(8), // 90; 91 while it is reshaped
    set_uuid0: u32(20),
    ctime: u32(24), // seconds
    level: i32(28),
    size: u32(32), // KiB used of each member
    raid_disks: u32(40),
    md_minor: u32(44), // the number in /dev/mdN
    set_uuid1: u32(52),
    set_uuid2: u32(56),
    set_uuid3: u32(60),
    state: u32(132), // SB_*
    sb_csum: u32(152), // of the superblock, with this field as zero
    events: u64big(156), // not aligned: the kernel has two words, in the machine's order
    recovery_cp: u32(172), // all ones when in sync
    layout: u32(256),
    chunk_size: u32(260), // bytes
  };
}

/** The device that a superblock of version 0.90 lies on: the last of its descriptors. */
export const THIS_DISK_AT = 3968;
export const mdp_disk_le = struct("mdp_disk_t", 128, LE, descriptor());
export const mdp_disk_be = struct("mdp_disk_t", 128, BE, descriptor());
export function descriptor() {
  return {
    number: u32(0), // index among the descriptors
    raid_disk: u32(12), // place in the array
    state: u32(16), // DISK_*
  };
}
/** Descriptors of all devices lie from here on. */
export const DISKS_AT = 512;
/** MD_SB_DISKS. */
export const MAX_DISKS = 27;

/** state of the array. */
export const SB_CLEAN = 1 << 0;
/** state of a device. */
export const DISK_FAULTY = 1 << 0;
export const DISK_SYNC = 1 << 2;
export const DISK_REMOVED = 1 << 3;
export const DISK_REPLACEMENT = 1 << 17;
export const DISK_JOURNAL = 1 << 18;

/** A superblock of version 0.90 lies at the start of the last whole block of this size. */
export const RESERVED_BYTES = 64 << 10;

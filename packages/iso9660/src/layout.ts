import { BE, bytes, LE, struct, u8, u16, u32 } from "@guestprobe/block/struct";

/** Bytes of a sector; volume descriptors and directories are laid out in them, whatever the size of a logical block. */
export const SECTOR = 2048;
/** The first volume descriptor. ECMA-119, 6.2.1: the sectors before it are the system's, for boot code and tables. */
export const FIRST_DESCRIPTOR = 16;
/** Linux looks no further for descriptors: fs/isofs/inode.c, isofs_fill_super. */
export const LAST_DESCRIPTOR = 100;
export const STANDARD_ID = "CD001";

/** Types of volume descriptors. ECMA-119, 8.1.1. */
export const VD_BOOT = 0;
export const VD_PRIMARY = 1;
export const VD_SUPPLEMENTARY = 2;
export const VD_END = 255;

/**
 * Primary and supplementary volume descriptor. Most numbers are stored twice, little-endian and then big-endian: this is
 * the first of each. Names as in Linux, include/uapi/linux/iso_fs.h; source: ECMA-119, 8.4 and 8.5.
 */
export const iso_primary_descriptor = struct("iso_primary_descriptor", SECTOR, LE, {
  type: u8(0),
  id: bytes(1, 5),
  volume_id: bytes(40, 32),
  volume_space_size: u32(80), // logical blocks
  escape: bytes(88, 32), // supplementary: which characters names are written in
  logical_block_size: u16(128), // bytes
  path_table_size: u32(132), // bytes
  type_l_path_table: u32(140), // logical block
  root_directory_record: bytes(156, 34),
  creation_date: bytes(813, 17),
  modification_date: bytes(830, 17),
});

/** The same numbers, big-endian. */
export const iso_primary_descriptor_m = struct("iso_primary_descriptor", SECTOR, BE, {
  volume_space_size: u32(84),
  logical_block_size: u16(130),
  path_table_size: u32(136),
  type_m_path_table: u32(148), // logical block
});

/** Directory record. ECMA-119, 9.1. */
export const iso_directory_record = struct("iso_directory_record", 33, LE, {
  length: u8(0),
  ext_attr_length: u8(1), // logical blocks before the content
  extent: u32(2), // logical block
  size: u32(10), // bytes
  date: bytes(18, 7),
  flags: u8(25),
  file_unit_size: u8(26),
  interleave: u8(27),
  name_len: u8(32),
});
export const iso_directory_record_m = struct("iso_directory_record", 33, BE, { extent: u32(6), size: u32(14) });

/** Bits of a directory record's `flags`. */
export const FLAG_HIDDEN = 0x01;
export const FLAG_DIRECTORY = 0x02;
export const FLAG_ASSOCIATED = 0x04;
/** Another record with a further part of the same file follows. */
export const FLAG_MORE = 0x80;

/** Boot record of El Torito. "El Torito" Bootable CD-ROM Format Specification, 1.0, figure 7. */
export const boot_record = struct("boot_record", SECTOR, LE, {
  type: u8(0),
  id: bytes(1, 5),
  system_id: bytes(7, 32),
  catalog: u32(71), // sector
});
export const EL_TORITO = "EL TORITO SPECIFICATION";

/** An entry of the boot catalogue. El Torito, figures 2 to 5. */
export const boot_entry = struct("boot_entry", 32, LE, {
  indicator: u8(0), // entry: 0x88 bootable, 0; header: 0x90, 0x91 the last; validation: 1; extension: 0x44
  media: u8(1),
  platform: u8(1), // of headers and of the validation entry
  load_segment: u16(2),
  section_entries: u16(2), // of headers
  system_type: u8(4),
  sector_count: u16(6), // of 512 bytes
  load_rba: u32(8), // sector of 2048 bytes
  key: u16(30), // of the validation entry: 0xaa55
});

/** Header of a system use entry. System Use Sharing Protocol, 4.1. */
export const susp_entry = struct("susp_entry", 4, LE, { signature: bytes(0, 2), length: u8(2), version: u8(3) });
/** Continuation area. SUSP, 5.1. */
export const susp_ce = struct("susp_ce", 28, LE, { extent: u32(4), offset: u32(12), size: u32(20) });
/** SUSP, 5.3. */
export const susp_sp = struct("susp_sp", 7, LE, { magic: bytes(4, 2), skip: u8(6) });
/** POSIX attributes. Rock Ridge Interchange Protocol, 4.1.1. */
export const rrip_px = struct("rrip_px", 36, LE, { mode: u32(4), nlink: u32(12), uid: u32(20), gid: u32(28) });
/** Device number. RRIP, 4.1.2. */
export const rrip_pn = struct("rrip_pn", 20, LE, { high: u32(4), low: u32(12) });
/** Where a relocated directory went, and came from. RRIP, 4.1.5. */
export const rrip_cl = struct("rrip_cl", 12, LE, { location: u32(4) });
/** zisofs: the file is stored compressed. Linux, fs/isofs/rock.h, SU_ZF_s. */
export const rrip_zf = struct("rrip_zf", 16, LE, {
  algorithm: bytes(4, 2),
  header_size: u8(6), // in units of four bytes
  block_shift: u8(7),
  real_size: u32(8), // bytes
});

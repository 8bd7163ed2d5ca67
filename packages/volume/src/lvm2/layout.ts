/**
 * LVM2's physical volumes. LVM2, lib/label/label.h, lib/format_text/layout.h. Everything is little-endian; offsets and sizes are
 * in bytes from the start of the physical volume unless they say otherwise.
 */
import { bytes, LE, struct, u32, u64, u64big } from "@guestprobe/block/struct";

/** Sectors at the start of a device in which a label may lie. */
export const LABEL_SCAN_SECTORS = 4;
/** Bytes of a sector, whatever the device's are. All counts of sectors in LVM's metadata are of these. */
export const SECTOR_SIZE = 512;
export const LABEL_ID = "LABELONE";
export const LABEL_TYPE = "LVM2 001";

/** At the start of the sector that holds the label. */
export const label_header = struct("label_header", 32, LE, {
  id: bytes(0, 8),
  sector_xl: u64(8), // this sector's own number
  crc_xl: u32(16), // of the sector from offset_xl on
  offset_xl: u32(20), // of the pv_header, in bytes from the start of the label
  type: bytes(24, 8),
});

/** Followed by the data areas and the metadata areas, each list ended by a disk_locn of zeros. */
export const pv_header = struct("pv_header", 40, LE, {
  pv_uuid: bytes(0, 32), // characters without dashes
  device_size_xl: u64(32),
});

export const disk_locn = struct("disk_locn", 16, LE, {
  offset: u64(0),
  size: u64(8), // 0: up to the end of the device
});

export const MDA_HEADER_SIZE = 512;
export const MDA_MAGIC = " LVM2 x[5A%r0N*>";
export const MDA_VERSION = 1;

/** At the start of each metadata area. */
export const mda_header = struct("mda_header", MDA_HEADER_SIZE, LE, {
  checksum_xl: u32(0), // of the header after this field
  magic: bytes(4, 16),
  version: u32(20),
  start: u64(24), // of this area
  size: u64(32), // of this area; what lies behind its header is a ring
});
/** Where the raw_locn of the committed text lies in an mda_header. */
export const RAW_LOCNS_AT = 40;

export const raw_locn = struct("raw_locn", 24, LE, {
  offset: u64(0), // in bytes from the start of the area; 0 for none
  size: u64(8), // bytes of text, with the NUL at its end
  checksum: u32(16), // of the text
  flags: u32(20),
});
/** flags: this area is not kept up to date. */
export const RAW_LOCN_IGNORED = 1;

/** LVM's CRC is the one of IEEE 802.3 with this start value, and without inversion. lib/misc/crc.h. */
export const INITIAL_CRC = 0xf597a6cf;

/** At the start of the metadata of an image of a RAID. Linux, drivers/md/dm-raid.c. */
export const dm_raid_superblock = struct("dm_raid_superblock", 512, LE, {
  magic: u32(0),
  compat_features: u32(4), // 1: the fields from flags on mean something
  array_position: u32(12),
  events: u64big(16),
  failed_devices: u64big(24),
  disk_recovery_offset: u64big(32), // sectors that are rebuilt; all ones: nothing is to be
  flags: u32(60),
});
/** "DmRd". */
export const DM_RAID_MAGIC = 0x64526d44;
export const SB_FLAG_RESHAPE_ACTIVE = 1;

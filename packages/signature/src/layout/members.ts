/** Superblocks of what is part of something larger: arrays, volume groups, pools, caches, encrypted volumes, swap. */
import { BE, bytes, LE, struct, u8, u16, u32, u64, u64big } from "@guestprobe/block/struct";

/** md superblock 0.90, in the byte order of its writer; this is the little-endian one. Linux, md_p.h, `mdp_super_t`. */
export const mdp_super_le = struct("mdp_super_t", 64, LE, {
  md_magic: u32(0x00), // 0xa92b4efc
  major_version: u32(0x04),
  minor_version: u32(0x08),
  patch_version: u32(0x0c),
  set_uuid0: u32(0x14),
  size: u32(0x20), // KiB of each member
  set_uuid1: u32(0x34),
  set_uuid2: u32(0x38),
  set_uuid3: u32(0x3c),
});
/** The big-endian one. */
export const mdp_super_be = struct("mdp_super_t", 64, BE, {
  md_magic: u32(0x00),
  major_version: u32(0x04),
  minor_version: u32(0x08),
  patch_version: u32(0x0c),
  set_uuid0: u32(0x14),
  size: u32(0x20),
  set_uuid1: u32(0x34),
  set_uuid2: u32(0x38),
  set_uuid3: u32(0x3c),
});
export const MD_SB_MAGIC = 0xa92b4efc;

/** md superblock 1.x. Linux, md_p.h, `struct mdp_superblock_1`; little-endian. */
export const mdp_superblock_1 = struct("mdp_superblock_1", 256, LE, {
  magic: u32(0x00),
  major_version: u32(0x04), // 1
  set_uuid: bytes(0x10, 16),
  set_name: bytes(0x20, 32), // NUL-padded, "host:name"
  super_offset: u64(0x90), // sectors: where it lies itself
});

/** SNIA Common RAID Disk Data Format 2.0, section 4.2, `ddf_header`; big-endian, though Adaptec wrote little-endian ones. */
export const ddf_header = struct("ddf_header", 512, BE, {
  signature: u32(0x00), // 0xde11de11: the same in both orders
  guid: bytes(0x08, 24),
  ddf_rev: bytes(0x20, 8), // "01.02.00"
});
export const DDF_MAGIC = Uint8Array.of(0xde, 0x11, 0xde, 0x11);
export const DDF_MAGIC_LE = Uint8Array.of(0x11, 0xde, 0x11, 0xde);

/** LVM2 label and the start of the physical volume's header behind it. LVM2, lib/label/label.h; little-endian. */
export const lvm2_label = struct("label_header", 512, LE, {
  id: bytes(0x00, 8), // "LABELONE"
  sector_xl: u64big(0x08), // the sector it lies in
  crc_xl: u32(0x10), // from 0x14 to the end of the sector
  type: bytes(0x18, 8), // "LVM2 001"
  pv_uuid: bytes(0x20, 32), // letters and digits, without dashes
});

/** bcache, `struct cache_sb`, and bcachefs, whose first fields lie alike. Linux, bcache_ondisk.h; little-endian. */
export const cache_sb = struct("cache_sb", 128, LE, {
  offset: u64big(0x08), // sectors: 8
  magic: bytes(0x18, 16),
  uuid: bytes(0x28, 16),
});
export const bch_sb = struct("bch_sb", 128, LE, {
  version: u16(0x10),
  magic: bytes(0x18, 16),
  user_uuid: bytes(0x38, 16),
  label: bytes(0x48, 32),
});

/** DRBD's metadata at the end of the device, versions 8 and 9. drbd-utils, drbd_meta_data.h; big-endian. */
export const drbd_meta_data = struct("meta_data_on_disk", 64, BE, {
  device_uuid_08: u64big(0x28),
  device_uuid_09: u64big(0x30),
  magic: u32(0x3c),
});
export const DRBD_MAGICS: ReadonlyMap<number, "v08" | "v09"> = new Map([
  [0x8374026b, "v08"],
  [0x8374026c, "v08"], // taken down uncleanly
  [0x8374026d, "v09"],
]);

/** Stratis static header. Stratis Software Design, "Static Header"; little-endian. */
export const stratis_sb = struct("stratis_sb", 512, LE, {
  crc32: u32(0x00), // CRC-32C of the 508 bytes behind it
  magic: bytes(0x04, 16),
  pool_uuid: bytes(0x20, 32), // hexadecimal digits
  dev_uuid: bytes(0x40, 32),
});

/** VDO geometry block; little-endian. */
export const vdo_geometry = struct("volume_geometry", 64, LE, {
  magic: bytes(0x00, 8), // "dmvdo001"
  uuid: bytes(0x28, 16),
});

/** UBI erase counter header. Linux, ubi-media.h; big-endian. */
export const ubi_ec_hdr = struct("ubi_ec_hdr", 64, BE, {
  magic: u32(0x00), // "UBI#"
  version: u8(0x04),
  image_seq: u32(0x18),
});

/** VMFS volume member ("LVM" to its makers), 1 MiB in; little-endian. */
export const vmfs_volume_info = struct("vmfs_volume_info", 1024, LE, {
  magic: u32(0x00), // 0xc001d00d
  ver: u32(0x04),
  lvm_uuid: bytes(0x214, 35), // text
});

/** LUKS version 1. On-Disk Format Specification 1.2.3, figure 1; big-endian. */
export const luks_phdr = struct("luks_phdr", 592, BE, {
  magic: bytes(0x00, 6), // "LUKS" 0xba 0xbe
  version: u16(0x06),
  uuid: bytes(0xa8, 40), // text
});
/** LUKS version 2. LUKS2 On-Disk Format Specification 1.1.1, section 2.1; big-endian. */
export const luks2_hdr = struct("luks2_hdr_disk", 512, BE, {
  magic: bytes(0x00, 6), // the second header has "SKUL" 0xba 0xbe
  version: u16(0x06),
  label: bytes(0x18, 48),
  uuid: bytes(0xa8, 40), // text
  hdr_offset: u64big(0x100), // bytes: where it lies itself
});

/** BitLocker's boot sector since Windows 7; that of removable drives keeps the offset elsewhere. Little-endian. */
export const bde_header = struct("bde_header", 512, LE, {
  signature: bytes(0x00, 11),
  volume_serial: u32(0x43),
  fve_metadata_offset: u64big(0xb0), // bytes
  fve_metadata_offset_togo: u64big(0x1b8), // bytes
});
export const fve_metadata = struct("bde_fve_metadata", 12, LE, {
  signature: bytes(0x00, 8), // "-FVE-FS-"
  version: u16(0x0a),
});

/** dm-verity superblock. cryptsetup, "DMVerity"; little-endian. */
export const verity_sb = struct("verity_sb", 512, LE, {
  signature: bytes(0x00, 8), // "verity"
  version: u32(0x08),
  uuid: bytes(0x10, 16),
});

/** Swap area, version 1: behind 1024 bytes that are left for boot code. Linux, swap.h; in the writer's byte order. */
export const swap_header = struct("swap_header", 512, LE, {
  version: u32(0x00),
  last_page: u32(0x04),
  sws_uuid: bytes(0x0c, 16),
  sws_volume: bytes(0x1c, 16),
});

/** Adaptec HostRAID, in the last sector. dmraid, asr.h, `struct asr_reservedblock`; big-endian. */
export const adaptec_metadata = struct("asr_reservedblock", 512, BE, {
  b0idcode: u32(0x00), // 0x37fc4d1e
  resver: u8(0x3f),
  smagic: u32(0x100), // 0x4450544d, "DPTM"
});

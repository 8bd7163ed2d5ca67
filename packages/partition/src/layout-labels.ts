import { BE, bytes, LE, struct, u8, u16, u32, u64 } from "@guestprobe/block/struct";

/** BSD disklabel, in sector 1 of a disk or of an MBR partition. NetBSD, sys/disklabel.h; little-endian on PCs. */
export const bsd_disklabel = struct("disklabel", 148, LE, {
  d_magic: u32(0x00), // 0x82564557
  d_secsize: u32(0x28), // bytes
  d_magic2: u32(0x84), // the same again
  d_checksum: u16(0x88), // all words, partitions included, give zero
  d_npartitions: u16(0x8a),
});
export const BSD_MAGIC = 0x82564557;
/** Where the label lies: bytes from the start of its disk or partition. */
export const BSD_LABEL_AT = 512;
export const bsd_partition = struct("partition", 16, LE, {
  p_size: u32(0x00), // sectors
  p_offset: u32(0x04), // sectors
  p_fstype: u8(0x0c),
});

/** Block 0 of a disk with an Apple partition map. Inside Macintosh: Devices, 3-12; big-endian. */
export const apple_ddm = struct("Block0", 4, BE, {
  sbSig: u16(0x00), // "ER"
  sbBlkSize: u16(0x02), // bytes
});
export const APPLE_DDM_SIGNATURE = 0x4552;
/** Entry of the map, one in each block from 1 on. Inside Macintosh: Devices, 3-13; big-endian. */
export const apple_partition = struct("Partition", 136, BE, {
  pmSig: u16(0x00), // "PM"
  pmMapBlkCnt: u32(0x04), // entries of the map
  pmPyPartStart: u32(0x08), // blocks
  pmPartBlkCnt: u32(0x0c), // blocks
  pmPartName: bytes(0x10, 32),
  pmParType: bytes(0x30, 32),
});
export const APPLE_PM_SIGNATURE = 0x504d;

/** Sun disk label. Linux, block/partitions/sun.c; big-endian. */
export const sun_label = struct("sun_disklabel", 512, BE, {
  ntrks: u16(0x1b4), // tracks in a cylinder
  nsect: u16(0x1b6), // sectors in a track
  magic: u16(0x1fc), // 0xdabe
});
export const SUN_MAGIC = 0xdabe;
/** Where its eight pairs of tag and flags lie, and its eight pairs of first cylinder and sectors. */
export const SUN_INFOS = 0x8e;
export const SUN_SLICES = 0x1bc;
export const SUN_SLOTS = 8;
export const sun_info = struct("sun_info", 4, BE, { id: u8(0x01) });
export const sun_slice = struct("sun_partition", 8, BE, {
  start_cylinder: u32(0x00),
  num_sectors: u32(0x04),
});

/** VTOC of Solaris on PCs, in sector 1. illumos, sys/dklabel.h, `struct dk_label` of x86; little-endian. */
export const sunpc_label = struct("dk_label", 512, LE, {
  magic: u16(0x1fc), // 0xdabe
});
export const SUNPC_SLICES = 0x48;
export const SUNPC_SLOTS = 16;
export const sunpc_slice = struct("dkl_partition", 12, LE, {
  p_tag: u16(0x00),
  p_start: u32(0x04), // sectors
  p_size: u32(0x08), // sectors
});

/** Amiga rigid disk block, in one of the first 16 sectors. Amiga, devices/hardblocks.h; big-endian. */
export const amiga_rdb = struct("RigidDiskBlock", 512, BE, {
  rdb_ID: u32(0x00), // "RDSK"
  rdb_SummedLongs: u32(0x04),
  rdb_BlockBytes: u32(0x10),
  rdb_PartitionList: u32(0x1c), // block of the first partition; all ones: none
});
export const AMIGA_RDSK = 0x5244534b;
/** Blocks that are looked at for it. */
export const AMIGA_PLACES = 16;
export const amiga_partition = struct("PartitionBlock", 512, BE, {
  pb_ID: u32(0x00), // "PART"
  pb_SummedLongs: u32(0x04),
  pb_Next: u32(0x10), // block; all ones: the last
  pb_Flags: u32(0x14), // bit 0: bootable
  pb_DriveName: bytes(0x24, 32), // its length, then text
  de_Surfaces: u32(0x8c),
  de_BlocksPerTrack: u32(0x94),
  de_LowCyl: u32(0xa4),
  de_HighCyl: u32(0xa8), // inclusive
  de_DosType: u32(0xc0),
});
export const AMIGA_PART = 0x50415254;
export const AMIGA_END = 0xffff_ffff;

/** SGI disk volume header, in sector 0. Linux, block/partitions/sgi.c; big-endian. */
export const dvh_header = struct("volume_header", 512, BE, {
  vh_magic: u32(0x00), // 0x0be5a941
});
export const DVH_MAGIC = 0x0be5a941;
export const DVH_PARTITIONS = 0x138;
export const DVH_SLOTS = 16;
export const dvh_partition = struct("partition_table", 12, BE, {
  pt_nblks: u32(0x00), // sectors
  pt_firstlbn: u32(0x04), // sectors
  pt_type: u32(0x08),
});

/** DragonFly's disklabel64, from its sector 1 on. DragonFly BSD, sys/disklabel64.h; little-endian. */
export const disklabel64 = struct("disklabel64", 200, LE, {
  d_magic: u32(0x00), // 0xc4464c59
  d_crc: u32(0x04), // CRC-32 of what follows, partitions included
  d_npartitions: u32(0x0c),
});
export const DISKLABEL64_MAGIC = 0xc4464c59;
export const DISKLABEL64_SLOTS = 16;
export const disklabel64_partition = struct("partition64", 64, LE, {
  p_boffset: u64(0x00), // bytes
  p_bsize: u64(0x08), // bytes
  p_fstype: u8(0x10),
});

/** Linux's table on an Acorn disk: behind the boot block at byte 3072. Linux, block/partitions/acorn.c; little-endian. */
export const acorn_boot = struct("adfs_bootblock", 512, LE, {
  lowsector: u8(0x1c8), // of the disc record; bit 6: one head more
  secspertrack: u8(0x1c1),
  heads: u8(0x1c2),
  flags: u8(0x1fc), // low four bits: 9 for Linux
  start_cylinder: u16(0x1fd),
  checksum: u8(0x1ff),
});
export const ACORN_BOOT_AT = 0xc00;
export const acorn_entry = struct("linux_part", 12, LE, {
  magic: u32(0x00), // 0xdeafa1de, or 0xdeafab1e for swap
  start_sect: u32(0x04),
  nr_sects: u32(0x08),
});
export const ACORN_NATIVE = 0xdeafa1de;
export const ACORN_SWAP = 0xdeafab1e;

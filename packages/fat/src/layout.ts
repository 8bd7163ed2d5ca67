import { bytes, LE, struct, u8, u16, u32 } from "@guestprobe/block/struct";

/**
 * Boot sector, at byte 0, as FAT12 and FAT16 have it; FAT32 shares its first 36 bytes. Little-endian, as all structures
 * here. Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03, "Boot Sector and BPB"; the same for
 * all structures below.
 */
export const fat_boot_sector = struct("fat_boot_sector", 512, LE, {
  BS_jmpBoot: bytes(0, 3),
  BS_OEMName: bytes(3, 8),
  BPB_BytsPerSec: u16(11),
  BPB_SecPerClus: u8(13),
  BPB_RsvdSecCnt: u16(14), // sectors before the first FAT, the boot sector included
  BPB_NumFATs: u8(16),
  BPB_RootEntCnt: u16(17), // entries of 32 bytes; 0 on FAT32
  BPB_TotSec16: u16(19), // sectors of the volume; 0 when BPB_TotSec32 counts them
  BPB_Media: u8(21),
  BPB_FATSz16: u16(22), // sectors of one FAT; 0 on FAT32
  BPB_TotSec32: u32(32),
  BS_Reserved1: u8(37), // Windows and Linux keep the dirty flag here
  BS_BootSig: u8(38), // 0x28: the serial follows; 0x29: label and type, too
  BS_VolID: u32(39),
  BS_VolLab: bytes(43, 11),
  BS_FilSysType: bytes(54, 8), // for people: the count of clusters is what decides
  Signature_word: u16(510),
});

/** The boot sector of FAT32 from byte 36 on. */
export const fat32_boot_sector = struct("fat32_boot_sector", 512, LE, {
  BPB_FATSz32: u32(36), // sectors of one FAT
  BPB_ExtFlags: u16(40), // bit 7: one FAT alone is in use, its number in bits 0 to 3
  BPB_FSVer: u16(42),
  BPB_RootClus: u32(44),
  BPB_FSInfo: u16(48), // sector
  BPB_BkBootSec: u16(50), // sector
  BS_Reserved1: u8(65),
  BS_BootSig: u8(66),
  BS_VolID: u32(67),
  BS_VolLab: bytes(71, 11),
  BS_FilSysType: bytes(82, 8),
});

/** FAT32's count of free clusters, for writers. */
export const fat_fsinfo = struct("fat_fsinfo", 512, LE, {
  FSI_LeadSig: u32(0),
  FSI_StrucSig: u32(484),
  FSI_Free_Count: u32(488), // clusters; all ones where nobody knows
  FSI_TrailSig: u32(508),
});
export const FSI_LEAD_SIG = 0x4161_5252;
export const FSI_STRUC_SIG = 0x6141_7272;
export const FSI_TRAIL_SIG = 0xaa55_0000;

/** A directory entry. "Directory Structure". */
export const fat_dir_entry = struct("fat_dir_entry", 32, LE, {
  DIR_Name: bytes(0, 11),
  DIR_Attr: u8(11),
  DIR_NTRes: u8(12), // which parts of the name Windows NT shows in lower case
  DIR_CrtTimeTenth: u8(13), // hundredths of a second, 0 to 199
  DIR_CrtTime: u16(14),
  DIR_CrtDate: u16(16),
  DIR_LstAccDate: u16(18),
  DIR_FstClusHI: u16(20), // FAT32 only
  DIR_WrtTime: u16(22),
  DIR_WrtDate: u16(24),
  DIR_FstClusLO: u16(26),
  DIR_FileSize: u32(28), // bytes
});

/** A part of a long name: 13 units of UTF-16, the last part of the name first. "FAT Long Directory Entries". */
export const fat_long_entry = struct("fat_long_entry", 32, LE, {
  LDIR_Ord: u8(0),
  LDIR_Name1: bytes(1, 10),
  LDIR_Attr: u8(11),
  LDIR_Chksum: u8(13), // of the short name that follows
  LDIR_Name2: bytes(14, 12),
  LDIR_Name3: bytes(28, 4),
});

/** Bits of `DIR_Attr`. */
export const ATTR_READ_ONLY = 0x01;
export const ATTR_HIDDEN = 0x02;
export const ATTR_SYSTEM = 0x04;
export const ATTR_VOLUME_ID = 0x08;
export const ATTR_DIRECTORY = 0x10;
export const ATTR_ARCHIVE = 0x20;
export const ATTR_LONG_NAME = 0x0f;

/** Bits of `DIR_NTRes`. */
export const CASE_LOWER_BASE = 0x08;
export const CASE_LOWER_EXT = 0x10;

/** Set in `LDIR_Ord` of the part that comes first on the disk. */
export const LAST_LONG_ENTRY = 0x40;

/** First byte of an entry that is deleted; of one where nothing was ever written. */
export const ENTRY_DELETED = 0xe5;
export const ENTRY_FREE = 0x00;
/** Stands for a first byte of 0xE5 that is part of the name. */
export const ENTRY_E5 = 0x05;

/** Number of the first cluster. */
export const FIRST_CLUSTER = 2;

/** Formats of Windows, Apple and optical disks, whose label lies away from the superblock. */
import { BE, bytes, LE, struct, u8, u16, u32, u64big } from "@guestprobe/block/struct";

/** FAT boot sector. Microsoft FAT Specification, section 3; little-endian. */
export const fat_boot_sector = struct("fat_boot_sector", 512, LE, {
  BS_jmpBoot: u8(0x00),
  BPB_BytsPerSec: u16(0x0b),
  BPB_SecPerClus: u8(0x0d),
  BPB_RsvdSecCnt: u16(0x0e),
  BPB_NumFATs: u8(0x10),
  BPB_RootEntCnt: u16(0x11),
  BPB_TotSec16: u16(0x13),
  BPB_Media: u8(0x15),
  BPB_FATSz16: u16(0x16),
  BPB_TotSec32: u32(0x20),
  BS_BootSig: u8(0x26), // FAT12 and FAT16
  BS_VolID: u32(0x27),
  BS_FilSysType: bytes(0x36, 8),
  BPB_FATSz32: u32(0x24), // FAT32
  BPB_RootClus: u32(0x2c),
  BPB_FSInfo: u16(0x30),
  BS_BootSig32: u8(0x42),
  BS_VolID32: u32(0x43),
  BS_FilSysType32: bytes(0x52, 8),
  Signature_word: u16(0x1fe), // 0xaa55
});
/** FAT directory entry; little-endian. */
export const fat_dir_entry = struct("fat_dir_entry", 32, LE, {
  DIR_Name: bytes(0x00, 11),
  DIR_Attr: u8(0x0b),
  DIR_FstClusHI: u16(0x14),
  DIR_FstClusLO: u16(0x1a),
});

/** exFAT main boot sector. Microsoft exFAT Specification, section 3.1; little-endian. */
export const exfat_boot_sector = struct("exfat_boot_sector", 512, LE, {
  FileSystemName: bytes(0x03, 8), // "EXFAT   "
  MustBeZero: bytes(0x0b, 53),
  FatOffset: u32(0x50), // sectors
  ClusterHeapOffset: u32(0x58), // sectors
  ClusterCount: u32(0x5c),
  FirstClusterOfRootDirectory: u32(0x60),
  VolumeSerialNumber: u32(0x64),
  FileSystemRevision: u16(0x68),
  BytesPerSectorShift: u8(0x6c),
  SectorsPerClusterShift: u8(0x6d),
  BootSignature: u16(0x1fe), // 0xaa55
});

/** NTFS boot sector; little-endian. */
export const ntfs_boot_sector = struct("ntfs_boot_sector", 512, LE, {
  oem_id: bytes(0x03, 8), // "NTFS    "
  bytes_per_sector: u16(0x0b),
  sectors_per_cluster: u8(0x0d),
  number_of_sectors: u64big(0x28),
  mft_lcn: u64big(0x30),
  mftmirr_lcn: u64big(0x38),
  clusters_per_mft_record: u8(0x40), // signed: below zero, the record has 2^-n bytes
  volume_serial_number: u64big(0x48),
});
/** Record of the master file table, and an attribute in it; little-endian. */
export const ntfs_mft_record = struct("mft_record", 42, LE, {
  magic: bytes(0x00, 4), // "FILE"
  attrs_offset: u16(0x14),
  bytes_in_use: u32(0x18),
});
export const ntfs_attr_record = struct("attr_record", 24, LE, {
  type: u32(0x00),
  length: u32(0x04),
  non_resident: u8(0x08),
  value_length: u32(0x10),
  value_offset: u16(0x14),
});

/** HFS master directory block, at byte 1024. Inside Macintosh: Files, 2-60; big-endian. */
export const hfs_mdb = struct("hfs_mdb", 162, BE, {
  drSigWord: bytes(0x00, 2), // "BD"
  drAlBlkSiz: u32(0x14), // bytes
  drAlBlSt: u16(0x1c), // sectors
  drVN: bytes(0x24, 28), // length, then text
  drFndrInfo_id: bytes(0x74, 8), // the last two of the Finder's eight words
  drEmbedSigWord: bytes(0x7c, 2), // "H+" when an HFS+ volume lies inside
  drEmbedExtent_start: u16(0x7e), // allocation blocks
});
/** HFS+ and HFSX volume header, at byte 1024. Apple Technical Note TN1150; big-endian. */
export const hfsplus_vh = struct("hfsplus_vh", 512, BE, {
  signature: bytes(0x00, 2), // "H+" or "HX"
  blockSize: u32(0x28), // bytes
  finderInfo_id: bytes(0x68, 8),
  catalogFile_extents: bytes(0x120, 64), // eight pairs of first block and count
});
/** B-tree header node, from its start; big-endian. */
export const hfsplus_header_node = struct("BTHeaderRec", 48, BE, {
  leafRecords: u32(0x14),
  firstLeafNode: u32(0x18),
  nodeSize: u16(0x20),
});
export const hfsplus_leaf_node = struct("BTNodeDescriptor", 22, BE, {
  kind: u8(0x08), // 0xff: leaf
  numRecords: u16(0x0a),
  parentID: u32(0x10), // of the first key
  nodeName_length: u16(0x14), // UTF-16 units, which follow
});

/** ISO 9660 volume descriptor, 2048 bytes each from 32 KiB on. ECMA-119, 8.4. */
export const iso_volume_descriptor = struct("iso_volume_descriptor", 2048, LE, {
  type: u8(0x00), // 1: primary; 2: supplementary; 255: the last
  id: bytes(0x01, 5), // "CD001"
  volume_id: bytes(0x28, 32),
  escape_sequences: bytes(0x58, 3), // of a supplementary one: "%/@", "%/C", "%/E" for Joliet
  creation_date: bytes(0x32d, 17),
  modification_date: bytes(0x33e, 17),
});
/** High Sierra, the draft before ISO 9660. */
export const hs_volume_descriptor = struct("hs_volume_descriptor", 2048, LE, {
  id: bytes(0x09, 5), // "CDROM"
  volume_id: bytes(0x30, 32),
});

/** UDF descriptor tag, and the descriptors that hold names. ECMA-167, part 3; little-endian. */
export const udf_descriptor = struct("tag", 512, LE, {
  tagIdent: u16(0x00),
  tagLocation: u32(0x0c),
  anchor_length: u32(0x10), // anchor: of the main volume descriptor sequence, in bytes
  anchor_location: u32(0x14), // blocks
  volSetIdent: bytes(0x48, 128), // primary volume descriptor
  descCharSet: bytes(0xc8, 64), // what the texts of the primary volume descriptor are in
  logical_descCharSet: bytes(0x14, 64), // logical volume descriptor
  logicalVolIdent: bytes(0x54, 128),
  domainIdent: bytes(0xd9, 23),
  domain_udf_revision: u16(0xf0),
  numPartitionMaps: u32(0x10c),
  integritySeq_length: u32(0x1b0), // bytes
  integritySeq_location: u32(0x1b4), // blocks
  lvid_numPartitions: u32(0x48), // logical volume integrity descriptor
  lvid_impUse_length: u32(0x4c),
});

import { bytes, LE, struct, u8, u16, u32, u64, u64big } from "@guestprobe/block/struct";

/** The classic PC partition table in the last 66 bytes of a 512-byte sector. Little-endian. */
export const mbr = struct("mbr", 512, LE, {
  disk_signature: u32(0x1b8), // written by Windows NT and by Linux tools; 0 where unused
  boot_signature: u16(0x1fe), // 0xaa55
});
export const MBR_SIGNATURE = 0xaa55;
/** Where the four entries lie, in bytes from the start of the sector. */
export const MBR_ENTRIES = 0x1be;
export const MBR_SLOTS = 4;

/** One of its four entries. The cylinder/head/sector triples are left out: nothing uses them any more. */
export const mbr_entry = struct("mbr_entry", 16, LE, {
  status: u8(0x00), // 0x80: active; 0: not; anything else is invalid
  type: u8(0x04),
  first_lba: u32(0x08), // sectors; in an extended chain relative, see `readExtended`
  sectors: u32(0x0c),
});

/** GPT header. UEFI Specification 2.10, table 5.5; little-endian. */
export const gpt_header = struct("gpt_header", 92, LE, {
  Signature: bytes(0x00, 8), // "EFI PART"
  Revision: u32(0x08), // 0x00010000
  HeaderSize: u32(0x0c), // bytes; 92 to one sector
  HeaderCRC32: u32(0x10), // of HeaderSize bytes, with this field as zero
  MyLBA: u64(0x18), // sector that holds this header
  AlternateLBA: u64(0x20), // sector that holds the other one
  FirstUsableLBA: u64(0x28),
  LastUsableLBA: u64(0x30), // inclusive
  DiskGUID: bytes(0x38, 16),
  PartitionEntryLBA: u64(0x48),
  NumberOfPartitionEntries: u32(0x50),
  SizeOfPartitionEntry: u32(0x54), // bytes; 128 times a power of two
  PartitionEntryArrayCRC32: u32(0x58), // of count * size bytes
});
/** "EFI PART" */
export const GPT_SIGNATURE = Uint8Array.of(0x45, 0x46, 0x49, 0x20, 0x50, 0x41, 0x52, 0x54);

/** GPT partition entry. UEFI Specification 2.10, table 5.6; little-endian. */
export const gpt_entry = struct("gpt_entry", 128, LE, {
  PartitionTypeGUID: bytes(0x00, 16), // zero: not in use
  UniquePartitionGUID: bytes(0x10, 16),
  StartingLBA: u64(0x20),
  EndingLBA: u64(0x28), // inclusive
  Attributes: u64big(0x30),
  PartitionName: bytes(0x38, 72), // UTF-16LE, NUL-padded
});

/** Type bytes with a meaning of their own. */
export const MBR_TYPE_EMPTY = 0x00;
export const MBR_TYPE_GPT = 0xee;
/** Extended partitions: DOS, Windows 95 with LBA, Linux. */
export const MBR_TYPES_EXTENDED: readonly number[] = [0x05, 0x0f, 0x85];

export {
  ACORN_BOOT_AT,
  ACORN_NATIVE,
  ACORN_SWAP,
  AMIGA_END,
  AMIGA_PART,
  AMIGA_PLACES,
  AMIGA_RDSK,
  APPLE_DDM_SIGNATURE,
  APPLE_PM_SIGNATURE,
  acorn_boot,
  acorn_entry,
  amiga_partition,
  amiga_rdb,
  apple_ddm,
  apple_partition,
  BSD_LABEL_AT,
  BSD_MAGIC,
  bsd_disklabel,
  bsd_partition,
  DISKLABEL64_MAGIC,
  DISKLABEL64_SLOTS,
  DVH_MAGIC,
  DVH_PARTITIONS,
  DVH_SLOTS,
  disklabel64,
  disklabel64_partition,
  dvh_header,
  dvh_partition,
  SUN_INFOS,
  SUN_MAGIC,
  SUN_SLICES,
  SUN_SLOTS,
  SUNPC_SLICES,
  SUNPC_SLOTS,
  sun_info,
  sun_label,
  sun_slice,
  sunpc_label,
  sunpc_slice,
} from "./layout-labels.js";

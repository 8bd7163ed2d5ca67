/** [MS-VHDX], "Virtual Hard Disk v2 (VHDX) File Format". Everything is little-endian. */
import { bytes, LE, struct, u16, u32, u64, u64big } from "@guestprobe/block/struct";

export const MIB = 1 << 20;
/** Unit of the log, and of the two headers. */
export const PAGE = 4096;

/** Section 2.2.2; the two lie at 64 KiB and 128 KiB. The checksum is CRC-32C over 4 KiB, itself taken as zero. */
export const VHDX_HEADER = struct("VHDX_HEADER", 4096, LE, {
  Signature: bytes(0, 4), // "head"
  Checksum: u32(4),
  SequenceNumber: u64big(8),
  DataWriteGuid: bytes(32, 16),
  LogGuid: bytes(48, 16), // zero when the log is empty
  LogVersion: u16(64), // 0
  Version: u16(66), // 1
  LogLength: u32(68), // bytes, a multiple of 1 MiB
  LogOffset: u64(72), // bytes, a multiple of 1 MiB
});
export const HEADERS_AT: readonly number[] = [64 << 10, 128 << 10];

/** Section 2.2.3; the two lie at 192 KiB and 256 KiB, each of 64 KiB, all of which the checksum covers. */
export const VHDX_REGION_TABLE_HEADER = struct("VHDX_REGION_TABLE_HEADER", 16, LE, {
  Signature: bytes(0, 4), // "regi"
  Checksum: u32(4),
  EntryCount: u32(8), // at most 2047
});
export const VHDX_REGION_TABLE_ENTRY = struct("VHDX_REGION_TABLE_ENTRY", 32, LE, {
  Guid: bytes(0, 16),
  FileOffset: u64(16), // bytes, a multiple of 1 MiB
  Length: u32(24), // bytes, a multiple of 1 MiB
  Required: u32(28), // bit 0
});
export const REGION_TABLES_AT: readonly number[] = [192 << 10, 256 << 10];
export const TABLE_SIZE = 64 << 10;
export const MAX_ENTRIES = 2047;

export const BAT_REGION = "2DC27766-F623-4200-9D64-115E9BFD4A08";
export const METADATA_REGION = "8B7CA206-4790-4B9A-B8FE-575F050F886E";

/** Section 2.6.1. */
export const VHDX_METADATA_TABLE_HEADER = struct("VHDX_METADATA_TABLE_HEADER", 32, LE, {
  Signature: bytes(0, 8), // "metadata"
  EntryCount: u16(10), // at most 2047
});
export const VHDX_METADATA_TABLE_ENTRY = struct("VHDX_METADATA_TABLE_ENTRY", 32, LE, {
  ItemId: bytes(0, 16),
  Offset: u32(16), // bytes from the start of the region, at least 64 KiB
  Length: u32(20), // bytes, at most 1 MiB
  Flags: u32(24), // bit 0 IsUser, 1 IsVirtualDisk, 2 IsRequired
});
export const ITEM_REQUIRED = 4;

export const FILE_PARAMETERS = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B";
export const VIRTUAL_DISK_SIZE = "2FA54224-CD1B-4876-B211-5DBED83BF4B8";
export const VIRTUAL_DISK_ID = "BECA12AB-B2E6-4523-93EF-C309E000C746";
export const LOGICAL_SECTOR_SIZE = "8141BF1D-A96F-4709-BA47-F233A8FAAB5F";
export const PHYSICAL_SECTOR_SIZE = "CDA348C7-445D-4471-9CC9-E9885251C556";
export const PARENT_LOCATOR = "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C";

/** Section 2.6.2.1. */
export const VHDX_FILE_PARAMETERS = struct("VHDX_FILE_PARAMETERS", 8, LE, {
  BlockSize: u32(0), // bytes, a power of two from 1 MiB to 256 MiB
  Flags: u32(4), // bit 0 LeaveBlockAllocated (a fixed disk), bit 1 HasParent
});

export const VHDX_VIRTUAL_DISK_SIZE = struct("VHDX_VIRTUAL_DISK_SIZE", 8, LE, { VirtualDiskSize: u64(0) });

/** Section 2.6.2.6. Offsets are from the start of the item; keys and values are UTF-16LE, not NUL-terminated. */
export const VHDX_PARENT_LOCATOR_HEADER = struct("VHDX_PARENT_LOCATOR_HEADER", 20, LE, {
  LocatorType: bytes(0, 16),
  KeyValueCount: u16(18),
});
export const VHDX_PARENT_LOCATOR_ENTRY = struct("VHDX_PARENT_LOCATOR_ENTRY", 12, LE, {
  KeyOffset: u32(0),
  ValueOffset: u32(4),
  KeyLength: u16(8),
  ValueLength: u16(10),
});
export const VHDX_LOCATOR_TYPE = "B04AEFB7-D19E-4A81-B789-25B8E9445913";

/** Section 2.3.1.1. An entry is its descriptors, padded to 4 KiB, and a sector for each data descriptor. */
export const VHDX_LOG_ENTRY_HEADER = struct("VHDX_LOG_ENTRY_HEADER", 64, LE, {
  Signature: bytes(0, 4), // "loge"
  Checksum: u32(4), // CRC-32C over EntryLength bytes, itself taken as zero
  EntryLength: u32(8), // bytes, a multiple of 4 KiB
  Tail: u32(12), // where the oldest entry starts that replay needs: bytes from the start of the log
  SequenceNumber: u64big(16), // above zero
  DescriptorCount: u32(24),
  LogGuid: bytes(32, 16), // as in the header
  FlushedFileOffset: u64(48), // bytes that the file had at least when the entry was written
  LastFileOffset: u64(56), // bytes that the file has to have
});
/** Sections 2.3.1.2 and 2.3.1.3: 32 bytes each, told apart by the signature. */
export const VHDX_LOG_ZERO_DESCRIPTOR = struct("VHDX_LOG_ZERO_DESCRIPTOR", 32, LE, {
  ZeroSignature: bytes(0, 4), // "zero"
  ZeroLength: u64(8), // bytes, a multiple of 4 KiB
  FileOffset: u64(16), // bytes, a multiple of 4 KiB
  SequenceNumber: u64big(24),
});
export const VHDX_LOG_DATA_DESCRIPTOR = struct("VHDX_LOG_DATA_DESCRIPTOR", 32, LE, {
  DataSignature: bytes(0, 4), // "desc"
  TrailingBytes: bytes(4, 4), // of the 4 KiB
  LeadingBytes: bytes(8, 8), // of the 4 KiB
  FileOffset: u64(16),
  SequenceNumber: u64big(24),
});
/** Section 2.3.1.4. */
export const VHDX_LOG_DATA_SECTOR = struct("VHDX_LOG_DATA_SECTOR", 4096, LE, {
  DataSignature: bytes(0, 4), // "data"
  SequenceHigh: u32(4),
  Data: bytes(8, 4084), // bytes 8 to 4091 of the 4 KiB
  SequenceLow: u32(4092),
});

/** Section 2.5.1: bits 0 to 2 of an entry; bits 20 to 63 are the file offset in MiB. */
export const STATE_NOT_PRESENT = 0;
export const STATE_UNDEFINED = 1;
export const STATE_ZERO = 2;
export const STATE_UNMAPPED = 3;
export const STATE_FULLY_PRESENT = 6;
export const STATE_PARTIALLY_PRESENT = 7;
/** Sectors that one sector bitmap block of 1 MiB describes. */
export const SECTORS_PER_BITMAP = 1 << 23;

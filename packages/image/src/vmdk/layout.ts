/** VMware, "Virtual Disk Format 5.0". Binary parts are little-endian; offsets and sizes are in sectors of 512 bytes. */
import { bytes, LE, struct, u8, u16, u32, u64, u64big, u64OrNone } from "@guestprobe/block/struct";

export const SECTOR = 512;
export const KDMV = 0x564d444b;
export const COWD = 0x44574f43;
export const SESPARSE = 0xcafebabe;

/** "Hosted Sparse Extents": one file of its own, or a part of a split disk. */
export const SparseExtentHeader = struct("SparseExtentHeader", 512, LE, {
  magicNumber: u32(0), // "KDMV"
  version: u32(4), // 1 to 3
  flags: u32(8), // FLAG_*
  capacity: u64(12),
  grainSize: u64(20), // a power of two above 8
  descriptorOffset: u64(28), // 0 when there is none inside
  descriptorSize: u64(36),
  numGTEsPerGT: u32(44), // 512
  rgdOffset: u64(48),
  gdOffset: u64OrNone(56), // all ones: in a copy of this header at the end of the file
  overHead: u64(64),
  uncleanShutdown: u8(72),
  lineEnds: bytes(73, 4), // "\n \r\n", to notice a transfer as text
  compressAlgorithm: u16(77), // 0 none, 1 DEFLATE
});
export const FLAG_LINE_ENDS = 1;
export const FLAG_ZEROED_GRAIN = 4;
export const FLAG_COMPRESSED = 0x10000;
export const FLAG_MARKERS = 0x20000;
/** With FLAG_ZEROED_GRAIN, a grain table entry for a grain of zeros. */
export const GTE_ZEROED = 1;

/** "Stream-Optimized Compressed Sparse Extents": in front of each compressed grain. */
export const GrainMarker = struct("GrainMarker", 12, LE, {
  lba: u64(0), // of the grain's first sector
  size: u32(8), // bytes of compressed data, which follow
});

/** "ESX Server Sparse Extents". Grain tables have 4096 entries. */
export const COWDisk_Header = struct("COWDisk_Header", 2048, LE, {
  magicNumber: u32(0), // "COWD"
  version: u32(4), // 1
  flags: u32(8), // 3
  numSectors: u32(12),
  grainSize: u32(16),
  gdOffset: u32(20),
  numGDEntries: u32(24),
});
export const COWD_GTES_PER_GT = 4096;

/** seSparse, the ESXi 6.5 successor; not in the published format, but written by every ESXi since. 64-bit entries. */
export const SESparseConstHeader = struct("SESparseConstHeader", 512, LE, {
  constMagic: u64(0), // 0xcafebabe
  version: u64big(8), // 2.1
  capacity: u64(16),
  grainSize: u64(24), // 8
  grainTableSize: u64(32), // 64
  flags: u64big(40),
  volatileHeaderOffset: u64(80),
  grainDirectoryOffset: u64(128),
  grainDirectorySize: u64(136),
  grainTablesOffset: u64(144),
  grainsOffset: u64(192),
});
export const SESPARSE_VERSION = 0x2_0000_0001n;
export const SESparseVolatileHeader = struct("SESparseVolatileHeader", 512, LE, {
  volatileMagic: u64(0), // 0xcafecafe
  replayJournal: u8(24),
});
export const SESPARSE_VOLATILE = 0xcafecafe;

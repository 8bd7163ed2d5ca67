/** VirtualBox, VDICore.h: VDIPREHEADER and VDIHEADER1PLUS. Everything is little-endian. */
import { bytes, LE, struct, u32, u64 } from "@guestprobe/block/struct";

export const VDI_SIGNATURE = 0xbeda107f;

/** The header starts at byte 72; offsets here are from the start of the file. */
export const VDIHEADER1PLUS = struct("VDIHEADER1PLUS", 0x1c8, LE, {
  u32Signature: u32(0x40),
  u32Version: u32(0x44), // 0x00010001
  cbHeader: u32(0x48), // bytes
  u32Type: u32(0x4c), // 1 dynamic, 2 static, 3 undo, 4 differencing
  offBlocks: u32(0x154), // of the block map, in bytes
  offData: u32(0x158), // of block 0, in bytes
  cbSector: u32(0x168),
  cbDisk: u64(0x170), // bytes of the virtual disk
  cbBlock: u32(0x178), // bytes of data in a block
  cbBlockExtra: u32(0x17c), // bytes in front of the data of each block
  cBlocks: u32(0x180), // entries of the block map
  cBlocksAllocated: u32(0x184),
  uuidCreate: bytes(0x188, 16),
  uuidLinkage: bytes(0x1a8, 16), // uuidCreate of the parent; zero for none
});

/** In the block map: never written, so the parent's. */
export const BLOCK_FREE = 0xffff_ffff;
/** In the block map: reads as zeros, whatever the parent holds. */
export const BLOCK_ZERO = 0xffff_fffe;

/** The exception store of a snapshot of device-mapper. Linux, drivers/md/dm-snap-persistent.c. Little-endian. */
import { LE, struct, u32, u64 } from "@guestprobe/block/struct";

/** "SnAp". */
export const SNAP_MAGIC = 0x70416e53;
export const SNAPSHOT_DISK_VERSION = 1;
/** Chunks in front of the first area of exceptions. */
export const NUM_SNAPSHOT_HDR_CHUNKS = 1;

/** At the start of chunk 0. */
export const disk_header = struct("disk_header", 16, LE, {
  magic: u32(0),
  valid: u32(4), // 0 once the store was full: what it holds is of no use any more
  version: u32(8),
  chunk_size: u32(12), // sectors of 512 bytes
});

/** An area is one chunk full of these, with the chunks they lead to behind it. */
export const disk_exception = struct("disk_exception", 16, LE, {
  old_chunk: u64(0), // of the origin
  new_chunk: u64(8), // of the store; 0 ends the table
});

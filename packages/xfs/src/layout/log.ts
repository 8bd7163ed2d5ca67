import { BE, struct, u8, u32 } from "@guestprobe/block/struct";

/** First word of a log record; in the other 512-byte blocks of the log the first word is the cycle. */
export const XLOG_HEADER_MAGIC_NUM = 0xfeedbabe;
/** Bytes of a basic block, the unit of positions in the log, whatever the sector size. */
export const BBSIZE = 512;
/** One header block serves this many bytes of a record; longer ones have more. */
export const XLOG_HEADER_CYCLE_SIZE = 32 * 1024;
/** Longest record. */
export const XLOG_MAX_RECORD_BSIZE = 256 * 1024;

/** Header of a log record. XFS Algorithms & Data Structures, 3rd ed., "Log Records". */
export const xlog_rec_header = struct("xlog_rec_header", 328, BE, {
  h_magicno: u32(0),
  h_cycle: u32(4), // how many times the log was written round
  h_version: u32(8),
  h_len: u32(12), // bytes after the header
  h_lsn_block: u32(20), // where this record lies: the low half of h_lsn, in basic blocks
  h_num_logops: u32(40),
  h_size: u32(320), // bytes of the buffers in use; says how many header blocks there are
});

/** Header of an operation, the first of which follows the record header. "Log Operations". */
export const xlog_op_header = struct("xlog_op_header", 12, BE, {
  oh_flags: u8(9),
});
/** oh_flags: the volume was unmounted, nothing is left to replay. */
export const XLOG_UNMOUNT_TRANS = 0x20;
/** h_version: headers may take more than one block. */
export const XLOG_VERSION_2 = 2;

/**
 * On-disk structures of the journal of ext3 and ext4, big-endian throughout. Names and offsets are those of the Linux
 * kernel's include/linux/jbd2.h and of its documentation, "ext4 Data Structures and Algorithms", "Journal (jbd2)".
 */
import { BE, bytes, struct, u8, u16, u32 } from "@guestprobe/block/struct";

/** Head of each block of the log that is not a copy of a block of the volume. */
export const journal_header = struct("journal_header_t", 12, BE, {
  h_magic: u32(0x00),
  h_blocktype: u32(0x04), // JBD2_*_BLOCK
  h_sequence: u32(0x08), // the transaction
});
export const JBD2_MAGIC_NUMBER = 0xc03b3998;

/** `h_blocktype`. */
export const JBD2_DESCRIPTOR_BLOCK = 1;
export const JBD2_COMMIT_BLOCK = 2;
export const JBD2_SUPERBLOCK_V1 = 3;
export const JBD2_SUPERBLOCK_V2 = 4;
export const JBD2_REVOKE_BLOCK = 5;

/** First block of the journal. Block numbers in it count blocks of the journal. */
export const journal_superblock = struct("journal_superblock_t", 1024, BE, {
  h_magic: u32(0x00),
  h_blocktype: u32(0x04),
  s_blocksize: u32(0x0c), // bytes
  s_maxlen: u32(0x10), // blocks of the journal
  s_first: u32(0x14), // first block of the log
  s_sequence: u32(0x18), // first transaction in the log
  s_start: u32(0x1c), // where it begins; 0: the log is empty
  s_errno: u32(0x20),
  s_feature_compat: u32(0x24), // from here on only in version 2
  s_feature_incompat: u32(0x28),
  s_feature_ro_compat: u32(0x2c),
  s_uuid: bytes(0x30, 16),
  s_nr_users: u32(0x40),
  s_checksum_type: u8(0x50), // 4: CRC-32C
  s_num_fc_blks: u32(0x54), // blocks at the end for fast commits
  s_checksum: u32(0xfc),
});

/** `s_feature_compat`. */
export const JBD2_FEATURE_COMPAT_CHECKSUM = 0x01;
/** `s_feature_incompat`. */
export const JBD2_FEATURE_INCOMPAT_REVOKE = 0x01;
export const JBD2_FEATURE_INCOMPAT_64BIT = 0x02;
export const JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT = 0x04;
export const JBD2_FEATURE_INCOMPAT_CSUM_V2 = 0x08;
export const JBD2_FEATURE_INCOMPAT_CSUM_V3 = 0x10;
export const JBD2_FEATURE_INCOMPAT_FAST_COMMIT = 0x20;
/** `s_checksum_type`. */
export const JBD2_CRC32C_CHKSUM = 4;

/** Tag of a descriptor block, for each copy that follows it. `t_blocknr_high` only with 64bit. */
export const journal_block_tag = struct("journal_block_tag_t", 12, BE, {
  t_blocknr: u32(0x00), // block of the volume
  t_checksum: u16(0x04), // low half, under CSUM_V2
  t_flags: u16(0x06),
  t_blocknr_high: u32(0x08),
});

/** The same under CSUM_V3. */
export const journal_block_tag3 = struct("journal_block_tag3_t", 16, BE, {
  t_blocknr: u32(0x00),
  t_flags: u32(0x04),
  t_blocknr_high: u32(0x08),
  t_checksum: u32(0x0c),
});

/** `t_flags`. */
export const JBD2_FLAG_ESCAPE = 1; // the block began with the magic, which was replaced by zeros
export const JBD2_FLAG_SAME_UUID = 2; // no UUID follows the tag
export const JBD2_FLAG_LAST_TAG = 8;

/** Last four bytes of descriptor and revoke blocks under CSUM_V2 and CSUM_V3. */
export const jbd2_journal_block_tail = struct("jbd2_journal_block_tail", 4, BE, { t_checksum: u32(0x00) });

/** Head of a revoke block; block numbers of 4 or, with 64bit, 8 bytes follow. */
export const jbd2_journal_revoke_header = struct("jbd2_journal_revoke_header_t", 16, BE, {
  r_count: u32(0x0c), // bytes in use, this head included
});

/** Ends a transaction. */
export const commit_header = struct("commit_header", 60, BE, {
  h_chksum_type: u8(0x0c),
  h_chksum_size: u8(0x0d),
  h_chksum: u32(0x10), // the first of eight words; no other is used
  h_commit_sec: bytes(0x30, 8),
  h_commit_nsec: u32(0x38),
});
export const JBD2_CRC32_CHKSUM = 1;

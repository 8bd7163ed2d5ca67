import { crc32cRaw } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { crcWithGap } from "./checksum.js";
import {
  jbd2_journal_block_tail as blockTail,
  commit_header,
  JBD2_CRC32_CHKSUM,
  JBD2_CRC32C_CHKSUM,
  JBD2_FEATURE_COMPAT_CHECKSUM,
  JBD2_FEATURE_INCOMPAT_64BIT,
  JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT,
  JBD2_FEATURE_INCOMPAT_CSUM_V2,
  JBD2_FEATURE_INCOMPAT_CSUM_V3,
  JBD2_FEATURE_INCOMPAT_FAST_COMMIT,
  JBD2_FEATURE_INCOMPAT_REVOKE,
  JBD2_FLAG_ESCAPE,
  JBD2_FLAG_LAST_TAG,
  JBD2_FLAG_SAME_UUID,
  JBD2_MAGIC_NUMBER,
  JBD2_SUPERBLOCK_V1,
  JBD2_SUPERBLOCK_V2,
  journal_header,
  journal_superblock as layout,
  jbd2_journal_revoke_header as revokeHeader,
  journal_block_tag as tag2,
  journal_block_tag3 as tag3,
} from "./layout-jbd2.js";
import { corrupt, failure, hex } from "./place.js";

/** A journal's superblock whose fields fit together. Block numbers count blocks of the journal. */
export interface JournalSuper {
  readonly blockSize: number;
  /** First block of the log, and the one after its last. */
  readonly first: number;
  readonly end: number;
  readonly sequence: number;
  /** Where the first transaction begins; 0: the log is empty. */
  readonly start: number;
  readonly has64bit: boolean;
  /** Version of the checksums; 0: none, 1: one for each transaction. */
  readonly csumVersion: 0 | 1 | 2 | 3;
  /** Where checksums of versions 2 and 3 start. */
  readonly seed: number;
  /** Blocks set aside for fast commits, after `end`. */
  readonly fastCommitBlocks: number;
}

const KNOWN_INCOMPAT =
  JBD2_FEATURE_INCOMPAT_REVOKE |
  JBD2_FEATURE_INCOMPAT_64BIT |
  JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT |
  JBD2_FEATURE_INCOMPAT_CSUM_V2 |
  JBD2_FEATURE_INCOMPAT_CSUM_V3 |
  JBD2_FEATURE_INCOMPAT_FAST_COMMIT;
const DEFAULT_FAST_COMMIT_BLOCKS = 256;

/**
 * Checks and decodes a journal's superblock, which lies at byte `at` of the device.
 *
 * @param blockSize Of the volume: the journal's must be the same.
 * @param blocks How many blocks the journal has.
 * @throws ImageError `corrupt`, `unsupported`.
 */
export function decodeJournalSuper(data: Uint8Array, at: number, blockSize: number, blocks: number): JournalSuper {
  const view = viewOf(data);
  const bad = (field: keyof typeof layout.$fields, value: number, wanted: string) =>
    corrupt(layout, field, at, `journal: ${field} is ${value}, expected ${wanted}`);
  const magic = layout.h_magic(view, 0);
  if (magic !== JBD2_MAGIC_NUMBER) throw corrupt(layout, "h_magic", at, `journal: magic is ${hex(magic)}`);
  const version = layout.h_blocktype(view, 0);
  if (version !== JBD2_SUPERBLOCK_V1 && version !== JBD2_SUPERBLOCK_V2) throw bad("h_blocktype", version, "3 or 4");
  const size = layout.s_blocksize(view, 0);
  if (size !== blockSize) throw bad("s_blocksize", size, `${blockSize}`);
  const hasFeatures = version === JBD2_SUPERBLOCK_V2;
  const incompat = hasFeatures ? layout.s_feature_incompat(view, 0) : 0;
  const compat = hasFeatures ? layout.s_feature_compat(view, 0) : 0;
  if ((incompat & ~KNOWN_INCOMPAT) !== 0) {
    const place = at + layout.$fields.s_feature_incompat.offset;
    throw failure("unsupported", `the journal needs the feature ${hex(incompat & ~KNOWN_INCOMPAT)}`, place);
  }
  const isV3 = (incompat & JBD2_FEATURE_INCOMPAT_CSUM_V3) !== 0;
  const isV2 = (incompat & JBD2_FEATURE_INCOMPAT_CSUM_V2) !== 0;
  if (isV2 || isV3) {
    const type = layout.s_checksum_type(view, 0);
    if (type !== JBD2_CRC32C_CHKSUM) throw bad("s_checksum_type", type, `${JBD2_CRC32C_CHKSUM}`);
    const computed = crcWithGap(~0, data.subarray(0, layout.$size), layout.$fields.s_checksum.offset, 4);
    const stored = layout.s_checksum(view, 0);
    if (stored !== computed) throw bad("s_checksum", stored, `${computed}`);
  }
  const length = layout.s_maxlen(view, 0);
  if (length > blocks) throw bad("s_maxlen", length, `at most ${blocks}`);
  const hasFastCommits = (incompat & JBD2_FEATURE_INCOMPAT_FAST_COMMIT) !== 0;
  const fastCommitBlocks = hasFastCommits ? layout.s_num_fc_blks(view, 0) || DEFAULT_FAST_COMMIT_BLOCKS : 0;
  const first = layout.s_first(view, 0);
  const end = length - fastCommitBlocks;
  if (first === 0 || first >= end) throw bad("s_first", first, `1 to ${end - 1}`);
  const start = layout.s_start(view, 0);
  if (start !== 0 && (start < first || start >= end)) throw bad("s_start", start, `0, or ${first} to ${end - 1}`);
  return {
    blockSize,
    first,
    end,
    sequence: layout.s_sequence(view, 0),
    start,
    has64bit: (incompat & JBD2_FEATURE_INCOMPAT_64BIT) !== 0,
    csumVersion: isV3 ? 3 : isV2 ? 2 : (compat & JBD2_FEATURE_COMPAT_CHECKSUM) !== 0 ? 1 : 0,
    seed: crc32cRaw(layout.s_uuid(view, 0), ~0),
    fastCommitBlocks,
  };
}

/** Head of a block of the log; undefined for one that is no part of it any more. */
export function decodeJournalHeader(
  data: Uint8Array,
): { readonly type: number; readonly sequence: number } | undefined {
  const view = viewOf(data);
  if (journal_header.h_magic(view, 0) !== JBD2_MAGIC_NUMBER) return undefined;
  return { type: journal_header.h_blocktype(view, 0), sequence: journal_header.h_sequence(view, 0) };
}

/** What a descriptor block says about one of the copies that follow it. */
export interface JournalTag {
  /** The block of the volume that the copy is of. */
  readonly block: number;
  /** The first four bytes are the journal's magic, and were replaced by zeros in the log. */
  readonly isEscaped: boolean;
  /** Of the copy as it lies in the log. */
  readonly checksum: number;
}

const hasTail = (journal: JournalSuper): boolean => journal.csumVersion >= 2;

/** The tags of a descriptor block. Kernel: journal_tag_bytes, count_tags. */
export function decodeTags(journal: JournalSuper, data: Uint8Array): JournalTag[] {
  const view = viewOf(data);
  const isV3 = journal.csumVersion === 3;
  // Version 2 counts the checksum twice: its tags have two bytes that mean nothing.
  const size = isV3 ? 16 : (journal.has64bit ? 12 : 8) + (journal.csumVersion === 2 ? 2 : 0);
  const end = data.length - (hasTail(journal) ? blockTail.$size : 0);
  const tags: JournalTag[] = [];
  for (let base = journal_header.$size; base + size <= end; ) {
    const layoutOfTag = isV3 ? tag3 : tag2;
    const flags = layoutOfTag.t_flags(view, base);
    const high = journal.has64bit ? layoutOfTag.t_blocknr_high(view, base) : 0;
    tags.push({
      block: high * 2 ** 32 + layoutOfTag.t_blocknr(view, base),
      isEscaped: (flags & JBD2_FLAG_ESCAPE) !== 0,
      checksum: layoutOfTag.t_checksum(view, base),
    });
    base += size + ((flags & JBD2_FLAG_SAME_UUID) !== 0 ? 0 : 16);
    if ((flags & JBD2_FLAG_LAST_TAG) !== 0) break;
  }
  return tags;
}

/** The blocks that a revoke block names: copies of them in this and earlier transactions are void. */
export function decodeRevokes(journal: JournalSuper, data: Uint8Array): number[] | undefined {
  const view = viewOf(data);
  const count = revokeHeader.r_count(view, 0);
  const room = data.length - (hasTail(journal) ? blockTail.$size : 0);
  if (count > room) return undefined;
  const size = journal.has64bit ? 8 : 4;
  const blocks: number[] = [];
  for (let base = revokeHeader.$size; base + size <= count; base += size) {
    const high = journal.has64bit ? view.getUint32(base) : 0;
    blocks.push(high * 2 ** 32 + view.getUint32(base + size - 4));
  }
  return blocks;
}

/** Whether a descriptor or revoke block matches the checksum in its tail. */
export function isTailSound(journal: JournalSuper, data: Uint8Array): boolean {
  if (!hasTail(journal)) return true;
  const at = data.length - blockTail.$size;
  return blockTail.t_checksum(viewOf(data), at) === crcWithGap(journal.seed, data, at, 4);
}

/** Whether a copy in the log matches the checksum in its tag. */
export function isCopySound(journal: JournalSuper, sequence: number, tag: JournalTag, data: Uint8Array): boolean {
  if (!hasTail(journal)) return true;
  const number = new Uint8Array(4);
  viewOf(number).setUint32(0, sequence);
  const computed = crc32cRaw(data, crc32cRaw(number, journal.seed));
  return journal.csumVersion === 3 ? tag.checksum === computed : tag.checksum === (computed & 0xffff);
}

/**
 * Whether a commit block matches its checksum: its own in versions 2 and 3, that of the whole transaction in version 1.
 *
 * @param transaction Version 1: `crc32Be` of the descriptor blocks and copies.
 */
export function isCommitSound(journal: JournalSuper, data: Uint8Array, transaction: number): boolean {
  const view = viewOf(data);
  const stored = commit_header.h_chksum(view, 0);
  if (hasTail(journal)) {
    return stored === crcWithGap(journal.seed, data, commit_header.$fields.h_chksum.offset, 4);
  }
  if (journal.csumVersion === 0) return true;
  const type = commit_header.h_chksum_type(view, 0);
  const size = commit_header.h_chksum_size(view, 0);
  const isUnused = type === 0 && size === 0 && stored === 0;
  return isUnused || (type === JBD2_CRC32_CHKSUM && size === 4 && stored === transaction);
}

let bigEndianTable: Int32Array | undefined;

/** CRC-32 with its highest bit first and no inversion: the kernel's `crc32_be`. */
export function crc32Be(register: number, data: Uint8Array): number {
  bigEndianTable ??= Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
    return crc;
  });
  let crc = register | 0;
  for (const byte of data) crc = (crc << 8) ^ bigEndianTable[(crc >>> 24) ^ byte]!;
  return crc >>> 0;
}

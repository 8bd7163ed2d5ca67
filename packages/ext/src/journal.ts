import { finding, formatUuid, isZero } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { extentsFrom } from "./file-extents.js";
import { fileMap } from "./file-map.js";
import { FAST_COMMITS, JOURNAL_DAMAGED } from "./findings.js";
import {
  crc32Be,
  decodeJournalHeader,
  decodeJournalSuper,
  decodeRevokes,
  decodeTags,
  isCommitSound,
  isCopySound,
  isTailSound,
  type JournalSuper,
  type JournalTag,
} from "./jbd2.js";
import { ext4_super_block } from "./layout.js";
import { JBD2_COMMIT_BLOCK, JBD2_DESCRIPTOR_BLOCK, JBD2_REVOKE_BLOCK } from "./layout-jbd2.js";
import type { BlockCopy } from "./overlay.js";
import { failure, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** Tag and length of the first record of the fast commit area, little-endian. Linux fs/ext4/fast_commit.h. */
const EXT4_FC_TAG_HEAD = 9;

/** A journal that can be read: where each of its blocks lies, in bytes from the start of the device. */
interface OpenJournal {
  readonly volume: Volume;
  readonly layout: JournalSuper;
  readonly offsetOf: (block: number) => number;
}

interface Transaction {
  readonly sequence: number;
  readonly copies: { readonly tag: JournalTag; readonly block: number }[];
  readonly revokes: number[];
}

/**
 * The newest copy of each block in the committed transactions of a journal: what recovery would write. What does not
 * make sense is reported, and ends the replay before it.
 *
 * @param volume As it is without the journal.
 * @throws ImageError `unsupported` for an external journal, `corrupt` for one that cannot be found, `past-end`, `io`.
 */
export async function replayJournal(
  volume: Volume,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, BlockCopy>> {
  const journal = await openJournal(volume, signal);
  const { layout } = journal;
  if (layout.start === 0) return new Map();
  const transactions = await scan(journal, signal);
  await reportFastCommits(journal, layout.sequence + transactions.length, signal);
  return newestCopies(journal, transactions, signal);
}

async function openJournal(volume: Volume, signal: AbortSignal | undefined): Promise<OpenJournal> {
  const { sb } = volume;
  if (sb.journalInum === 0) {
    const name = isZero(sb.journalUuid) ? `device ${sb.journalDev}` : formatUuid(sb.journalUuid);
    const { offset } = placeOf(ext4_super_block, "s_journal_uuid", sb.offset);
    throw failure("unsupported", `the journal is external, on ${name}`, offset);
  }
  const inode = await volume.inode(sb.journalInum, signal);
  const { offset } = placeOf(ext4_super_block, "s_journal_inum", sb.offset);
  if (inode?.type !== "file") {
    throw failure("corrupt", `inode ${sb.journalInum} is not a journal`, inode?.offset ?? offset);
  }
  const blocks = Math.floor(inode.size / sb.blockSize);
  if (blocks === 0 || blocks > sb.blocksCount) {
    throw failure("corrupt", `a journal of ${blocks} blocks, in a volume of ${sb.blocksCount}`, inode.offset);
  }
  const extents = await extentsFrom(fileMap(volume, inode), sb.blockSize, 0, blocks * sb.blockSize, signal);
  const hole = extents.find((extent) => extent.physical === undefined);
  if (hole !== undefined) {
    throw failure("corrupt", `the journal has a hole at block ${hole.logical / sb.blockSize}`, inode.offset);
  }
  const offsetOf = (block: number): number => {
    const at = block * sb.blockSize;
    let low = 0;
    let high = extents.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (extents[middle]!.logical <= at) low = middle;
      else high = middle - 1;
    }
    return extents[low]!.physical! + at - extents[low]!.logical;
  };
  const first = await volume.device.read(offsetOf(0), sb.blockSize, signal);
  return { volume, layout: decodeJournalSuper(first, offsetOf(0), sb.blockSize, blocks), offsetOf };
}

const readBlock = async (journal: OpenJournal, block: number, signal: AbortSignal | undefined): Promise<Uint8Array> => {
  const { device, sb } = journal.volume;
  const at = journal.offsetOf(block);
  return device.peek?.(at, sb.blockSize) ?? device.read(at, sb.blockSize, signal);
};

/**
 * The transactions that were committed, in their order. The log ends at the first block that does not go on with it.
 */
async function scan(journal: OpenJournal, signal: AbortSignal | undefined): Promise<Transaction[]> {
  const { layout } = journal;
  const length = layout.end - layout.first;
  const wrap = (block: number): number => (block >= layout.end ? block - length : block);
  const done: Transaction[] = [];
  let current: Transaction = { sequence: layout.sequence, copies: [], revokes: [] };
  let checksum = ~0;
  // A log that leads round in a circle ends when as many blocks were passed as it has.
  for (let block = layout.start, passed = 0; passed < length; passed += 1) {
    const data = await readBlock(journal, block, signal);
    const head = decodeJournalHeader(data);
    if (head === undefined || head.sequence !== current.sequence) return done;
    const at = block;
    block = wrap(block + 1);
    if (head.type === JBD2_DESCRIPTOR_BLOCK) {
      if (!isTailSound(layout, data)) return stop(journal, done, at, "a descriptor block does not match its checksum");
      const tags = decodeTags(layout, data);
      if (tags.length === 0) return stop(journal, done, at, "a descriptor block without tags");
      if (layout.csumVersion === 1) checksum = crc32Be(checksum, data);
      for (const tag of tags) {
        if (layout.csumVersion === 1) checksum = crc32Be(checksum, await readBlock(journal, block, signal));
        current.copies.push({ tag, block });
        block = wrap(block + 1);
      }
      passed += tags.length;
    } else if (head.type === JBD2_REVOKE_BLOCK) {
      const revoked = isTailSound(layout, data) ? decodeRevokes(layout, data) : undefined;
      if (revoked === undefined) return stop(journal, done, at, "a revoke block is damaged");
      current.revokes.push(...revoked);
    } else if (head.type === JBD2_COMMIT_BLOCK) {
      if (!isCommitSound(layout, data, checksum >>> 0)) {
        return stop(journal, done, at, "a commit block does not match its checksum");
      }
      done.push(current);
      current = { sequence: (current.sequence + 1) >>> 0, copies: [], revokes: [] };
      checksum = ~0;
    } else return done;
  }
  return done;
}

function stop(journal: OpenJournal, done: Transaction[], block: number, reason: string): Transaction[] {
  const place = { format: "ext", structure: "journal", offset: journal.offsetOf(block) };
  const message = `${reason}; ${done.length} transactions before it are replayed`;
  journal.volume.report?.(finding(JOURNAL_DAMAGED, message, place));
  return done;
}

/** Transaction numbers wrap round at 2^32. */
const isAtLeast = (a: number, b: number): boolean => ((a - b) | 0) >= 0;

async function newestCopies(
  journal: OpenJournal,
  transactions: readonly Transaction[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, BlockCopy>> {
  const { layout, volume } = journal;
  const revoked = new Map<number, number>();
  for (const { sequence, revokes } of transactions) for (const block of revokes) revoked.set(block, sequence);
  const newest = new Map<number, BlockCopy>();
  for (const { sequence, copies } of transactions) {
    for (const { tag, block } of copies) {
      const revokedAt = revoked.get(tag.block);
      if (revokedAt !== undefined && isAtLeast(revokedAt, sequence)) continue;
      const offset = journal.offsetOf(block);
      const isInside = tag.block < volume.sb.blocksCount;
      if (!isInside || !isCopySound(layout, sequence, tag, await readBlock(journal, block, signal))) {
        const reason = isInside ? "does not match its checksum" : "is of no block of the volume";
        const message = `the copy of block ${tag.block} in transaction ${sequence} ${reason}`;
        volume.report?.(finding(JOURNAL_DAMAGED, message, { format: "ext", structure: "journal", offset }));
        continue;
      }
      newest.set(tag.block, { offset, isEscaped: tag.isEscaped });
    }
  }
  return newest;
}

/** Fast commits follow the last full transaction and bear the number of the one that would come next. */
async function reportFastCommits(journal: OpenJournal, next: number, signal: AbortSignal | undefined): Promise<void> {
  const { layout, volume } = journal;
  // The kernel leaves the first block of the area unused: j_fc_first is j_last + 1.
  if (layout.fastCommitBlocks < 2) return;
  const area = layout.end + 1;
  const view = viewOf(await readBlock(journal, area, signal));
  if (view.getUint16(0, true) !== EXT4_FC_TAG_HEAD || view.getUint32(8, true) !== next >>> 0) return;
  const place = { format: "ext", structure: "journal", offset: journal.offsetOf(area) };
  volume.report?.(finding(FAST_COMMITS, `fast commits follow transaction ${(next - 1) >>> 0}`, place));
}

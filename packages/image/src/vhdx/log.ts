import {
  type BlockDevice,
  bufferDevice,
  decodeText,
  equalBytes,
  finding,
  ImageError,
  isImageError,
  type Run,
  runsDevice,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { IMAGE_LOG } from "../findings.js";
import type { LayerContext } from "../layer.js";
import { failer, readTable } from "../tables.js";
import { checksumHolds, type VhdxHeader } from "./header.js";
import {
  PAGE,
  VHDX_HEADER,
  VHDX_LOG_DATA_DESCRIPTOR,
  VHDX_LOG_DATA_SECTOR,
  VHDX_LOG_ENTRY_HEADER,
  VHDX_LOG_ZERO_DESCRIPTOR,
} from "./layout.js";

/** Largest log that is replayed. Writers make it 1 MiB. */
const LOG_MAX = 64 << 20;
/** Checksums are computed over this many times the log's length at most: entries may claim to overlap. */
const EFFORT = 8;

/** A change to the file: `data`, or `length` zeros. */
export interface Patch {
  readonly offset: number;
  readonly length: number;
  readonly data: Uint8Array | undefined;
}

/** One sound entry of the log. */
export interface LogEntry {
  /** Bytes from the start of the log. */
  readonly at: number;
  readonly length: number;
  readonly tail: number;
  readonly sequence: bigint;
  readonly flushedFileOffset: number;
  readonly lastFileOffset: number;
  readonly patches: readonly Patch[];
}

/**
 * Decodes the entry that `data` starts with; undefined when it is not a sound one, which is how the log ends.
 * [MS-VHDX] section 2.3.1; the whole entry counts or nothing of it.
 */
export function decodeLogEntry(data: Uint8Array, at: number, logGuid: Uint8Array): LogEntry | undefined {
  const view = viewOf(data);
  const length = VHDX_LOG_ENTRY_HEADER.EntryLength(view, 0);
  const sequence = VHDX_LOG_ENTRY_HEADER.SequenceNumber(view, 0);
  if (sequence === 0n || !equalBytes(VHDX_LOG_ENTRY_HEADER.LogGuid(view, 0), logGuid)) return undefined;
  if (!checksumHolds(data.subarray(0, length), VHDX_LOG_ENTRY_HEADER.$fields.Checksum.offset)) return undefined;
  const tail = VHDX_LOG_ENTRY_HEADER.Tail(view, 0);
  if (tail % PAGE !== 0) return undefined;
  try {
    const patches = decodePatches(data.subarray(0, length), sequence);
    if (patches === undefined) return undefined;
    return {
      at,
      length,
      tail,
      sequence,
      flushedFileOffset: VHDX_LOG_ENTRY_HEADER.FlushedFileOffset(view, 0),
      lastFileOffset: VHDX_LOG_ENTRY_HEADER.LastFileOffset(view, 0),
      patches,
    };
  } catch (error) {
    // A number that no file has: the entry is not sound.
    if (isImageError(error, "corrupt")) return undefined;
    throw error;
  }
}

function decodePatches(data: Uint8Array, sequence: bigint): Patch[] | undefined {
  const view = viewOf(data);
  const count = VHDX_LOG_ENTRY_HEADER.DescriptorCount(view, 0);
  const first = VHDX_LOG_ENTRY_HEADER.$size;
  let sector = Math.ceil((first + count * 32) / PAGE) * PAGE;
  if (sector > data.length) return undefined;
  const patches: Patch[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = first + index * 32;
    if (VHDX_LOG_ZERO_DESCRIPTOR.SequenceNumber(view, at) !== sequence) return undefined;
    const offset = VHDX_LOG_ZERO_DESCRIPTOR.FileOffset(view, at);
    if (offset % PAGE !== 0) return undefined;
    const kind = decodeText(data.subarray(at, at + 4));
    if (kind === "zero") {
      const length = VHDX_LOG_ZERO_DESCRIPTOR.ZeroLength(view, at);
      if (length % PAGE !== 0) return undefined;
      patches.push({ offset, length, data: undefined });
    } else if (kind === "desc") {
      if (sector + PAGE > data.length) return undefined;
      const page = decodeDataSector(view, at, sector, sequence);
      if (page === undefined) return undefined;
      patches.push({ offset, length: PAGE, data: page });
      sector += PAGE;
    } else return undefined;
  }
  return patches;
}

/** Joins what the descriptor and the sector each hold of 4 KiB: their ends carry the sequence number instead. */
function decodeDataSector(view: DataView, descriptor: number, at: number, sequence: bigint): Uint8Array | undefined {
  if (decodeText(VHDX_LOG_DATA_SECTOR.DataSignature(view, at)) !== "data") return undefined;
  const high = BigInt(VHDX_LOG_DATA_SECTOR.SequenceHigh(view, at));
  if (((high << 32n) | BigInt(VHDX_LOG_DATA_SECTOR.SequenceLow(view, at))) !== sequence) return undefined;
  const page = new Uint8Array(PAGE);
  page.set(VHDX_LOG_DATA_DESCRIPTOR.LeadingBytes(view, descriptor));
  page.set(VHDX_LOG_DATA_SECTOR.Data(view, at), 8);
  page.set(VHDX_LOG_DATA_DESCRIPTOR.TrailingBytes(view, descriptor), PAGE - 4);
  return page;
}

/**
 * The active sequence of a log, oldest entry first: of all runs of sound entries with consecutive sequence numbers whose
 * last one's tail lies in the run, the one with the highest number, from that tail on. Empty when there is none.
 * [MS-VHDX] section 2.3.2.
 *
 * @throws ImageError `limit` for a log made of overlapping entries, which no writer leaves.
 */
export function activeSequence(log: Uint8Array, logGuid: Uint8Array): readonly LogEntry[] {
  const entries = soundEntries(log, logGuid);
  const visited = new Set<number>();
  let best: readonly LogEntry[] = [];
  for (const start of entries.values()) {
    // The run from a later start is a part of one that was followed already.
    if (visited.has(start.at)) continue;
    const run: LogEntry[] = [];
    let total = 0;
    for (let entry: LogEntry | undefined = start; entry !== undefined; ) {
      run.push(entry);
      visited.add(entry.at);
      total += entry.length;
      const next: LogEntry | undefined = entries.get((entry.at + entry.length) % log.length);
      entry = next?.sequence === entry.sequence + 1n && total + next.length <= log.length ? next : undefined;
    }
    const head = run.at(-1)!;
    const tail = run.findIndex((entry) => entry.at === head.tail);
    const newer = best.length === 0 || head.sequence > best.at(-1)!.sequence;
    if (tail >= 0 && newer) best = run.slice(tail);
  }
  return best;
}

function soundEntries(log: Uint8Array, logGuid: Uint8Array): ReadonlyMap<number, LogEntry> {
  const entries = new Map<number, LogEntry>();
  const view = viewOf(log);
  let effort = EFFORT * log.length;
  for (let at = 0; at < log.length; at += PAGE) {
    if (view.getUint32(at) !== 0x6c6f6765) continue; // "loge"
    const length = VHDX_LOG_ENTRY_HEADER.EntryLength(view, at);
    if (length < PAGE || length % PAGE !== 0 || length > log.length) continue;
    effort -= length;
    if (effort < 0) throw new ImageError("limit", "the entries of the log overlap each other", { format: "vhdx" });
    const entry = decodeLogEntry(ringSlice(log, at, length), at, logGuid);
    if (entry !== undefined) entries.set(at, entry);
  }
  return entries;
}

/** `length` bytes from `at` of a log that goes on at its start. */
function ringSlice(log: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length <= log.length) return log.subarray(at, at + length);
  const joined = new Uint8Array(length);
  joined.set(log.subarray(at));
  joined.set(log.subarray(0, at + length - log.length), log.length - at);
  return joined;
}

/** `file` with `patches` over it, later ones over earlier ones, and as long as `size` at least. */
export function patchedDevice(file: BlockDevice, patches: readonly Patch[], size: number): BlockDevice {
  const end = Math.max(file.size, size);
  const edges = new Set([0, file.size, end]);
  for (const { offset, length } of patches) edges.add(offset).add(offset + length);
  const cuts = Float64Array.from(edges).sort();
  const indexOf = new Map(Array.from(cuts, (cut, index) => [cut, index]));
  // Painted from the last patch to the first; `next` leads past what is painted already.
  const owner = new Int32Array(cuts.length).fill(-1);
  const next = Int32Array.from(cuts, (_, index) => index);
  const findFree = (from: number): number => {
    let free = from;
    while (next[free]! !== free) free = next[free]!;
    for (let at = from; next[at]! !== free && at !== free; ) {
      const after = next[at]!;
      next[at] = free;
      at = after;
    }
    return free;
  };
  for (let index = patches.length - 1; index >= 0; index -= 1) {
    const { offset, length } = patches[index]!;
    const stop = indexOf.get(offset + length)!;
    for (let at = findFree(indexOf.get(offset)!); at < stop; at = findFree(at)) {
      owner[at] = index;
      next[at] = at + 1;
    }
  }
  const runs: Run[] = [];
  for (let at = 0; at + 1 < cuts.length; at += 1) {
    const offset = cuts[at]!;
    const length = cuts[at + 1]! - offset;
    const patch = patches[owner[at]!];
    if (patch?.data !== undefined) {
      runs.push({ kind: "stored", device: bufferDevice(patch.data), offset: offset - patch.offset, length });
    } else if (patch !== undefined || offset >= file.size) runs.push({ kind: "zero", length });
    else runs.push({ kind: "stored", device: file, offset, length });
  }
  return runsDevice(runs);
}

/**
 * The file as it is once its log is replayed, in memory; `file` itself when the log is empty.
 *
 * @throws ImageError `past-end` for a log outside the file or a file that lost its end; `corrupt`, `limit`.
 */
export async function replayLog(file: BlockDevice, header: VhdxHeader, context: LayerContext): Promise<BlockDevice> {
  if (header.logGuid === undefined) return file;
  const { logOffset, logLength } = header;
  const place = failer("vhdx", VHDX_HEADER, 0).place("LogLength");
  if (logLength > LOG_MAX) throw new ImageError("limit", `a log of ${logLength} bytes, at most ${LOG_MAX}`, place);
  const log = await readTable(file, logOffset, logLength, { ...place, offset: logOffset }, context.signal);
  const sequence = activeSequence(log, header.logGuid);
  const head = sequence.at(-1);
  if (head === undefined) {
    // The writer stopped between naming a new log and writing its first entry: nothing in place was changed yet.
    context.report(
      finding(IMAGE_LOG, "the log is in use and holds no sound entry", { format: "vhdx", offset: logOffset }),
    );
    return file;
  }
  const at = logOffset + head.at;
  const structure = VHDX_LOG_ENTRY_HEADER.$name;
  if (head.flushedFileOffset > file.size) {
    const reason = `the file had ${head.flushedFileOffset} bytes when its log was written, and has ${file.size} now`;
    throw new ImageError("past-end", reason, { format: "vhdx", structure, field: "FlushedFileOffset", offset: at });
  }
  const size = Math.max(file.size, head.lastFileOffset);
  const patches = sequence.flatMap((entry) => entry.patches).filter((patch) => patch.length > 0);
  if (patches.some((patch) => patch.offset + patch.length > size)) {
    throw new ImageError("corrupt", `the log changes bytes past byte ${size}`, {
      format: "vhdx",
      structure,
      offset: at,
    });
  }
  const message = `${sequence.length} log entries with ${patches.length} changes were replayed in memory`;
  context.report(finding(IMAGE_LOG, message, { format: "vhdx", offset: at }));
  return patchedDevice(file, patches, size);
}

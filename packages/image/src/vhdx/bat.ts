import { type BlockDevice, ImageError, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { bitmapRuns } from "../bitmap.js";
import type { Layer, LayerRun } from "../layer.js";
import { readTable } from "../tables.js";
import type { Region } from "./header.js";
import {
  MIB,
  SECTORS_PER_BITMAP,
  STATE_FULLY_PRESENT,
  STATE_NOT_PRESENT,
  STATE_PARTIALLY_PRESENT,
  STATE_UNDEFINED,
  STATE_UNMAPPED,
  STATE_ZERO,
} from "./layout.js";
import type { VhdxMetadata } from "./metadata.js";

const structure = "BAT";
/** Most bytes of a partially present block that one step looks at. */
const STEP = 32 << 20;

/** Blocks that one sector bitmap block describes; its entry comes after theirs. */
export function chunkRatio(metadata: VhdxMetadata): number {
  return (SECTORS_PER_BITMAP * metadata.sectorSize) / metadata.blockSize;
}

/** Entries that the table must have. [MS-VHDX] section 2.5. */
export function batEntries(metadata: VhdxMetadata): number {
  const ratio = chunkRatio(metadata);
  const blocks = Math.ceil(metadata.virtualSize / metadata.blockSize);
  if (metadata.hasParent) return Math.ceil(blocks / ratio) * (ratio + 1);
  return blocks + Math.floor(Math.max(0, blocks - 1) / ratio);
}

interface BatEntry {
  readonly state: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Where the entry lies. */
  readonly at: number;
}

function decodeEntry(view: DataView, index: number, at: number): BatEntry {
  const lo = view.getUint32(index * 8, true);
  const hi = view.getUint32(index * 8 + 4, true);
  const place = { format: "vhdx", structure, offset: at };
  if ((lo & 0xffff8) !== 0) throw new ImageError("corrupt", "a BAT entry has reserved bits set", place);
  // Bits 20 to 63 count MiB: with the rest masked off, the word is the offset in bytes.
  return { state: lo & 7, offset: joinU64(hi, (lo & 0xfff0_0000) >>> 0, place), at };
}

/** Walks the block allocation table, one chunk a step at most. */
export function batLocator(
  file: BlockDevice,
  tables: BlockDevice,
  bat: Region,
  metadata: VhdxMetadata,
): Layer["locate"] {
  const { blockSize, sectorSize, hasParent } = metadata;
  const ratio = chunkRatio(metadata);

  const readEntries = async (first: number, count: number, signal: AbortSignal | undefined) => {
    const at = bat.offset + first * 8;
    return { at, view: viewOf(await readTable(tables, at, count * 8, { format: "vhdx", structure }, signal)) };
  };

  const stored = (entry: BatEntry, inside: number, take: number): LayerRun => {
    const place = { format: "vhdx", structure, offset: entry.at };
    if (entry.offset < MIB)
      throw new ImageError("corrupt", `a block lies at byte ${entry.offset}, on the headers`, place);
    const offset = entry.offset + inside;
    if (offset >= file.size) {
      const reason = `a block at byte ${entry.offset} passes the end of the file at ${file.size}`;
      throw new ImageError("past-end", reason, place);
    }
    return { kind: "stored", device: file, offset, length: Math.min(take, file.size - offset) };
  };

  /** The bits of a partially present block, first sector in bit 0. */
  const partial = async (block: number, entry: BatEntry, inside: number, take: number, signal?: AbortSignal) => {
    const chunk = Math.floor(block / ratio);
    const { view, at } = await readEntries(chunk * (ratio + 1) + ratio, 1, signal);
    const bitmap = decodeEntry(view, 0, at);
    const place = { format: "vhdx", structure, offset: at };
    if (bitmap.state !== STATE_FULLY_PRESENT || bitmap.offset < MIB) {
      throw new ImageError("corrupt", `block ${block} is partially present, and has no sector bitmap`, place);
    }
    const base = ((block % ratio) * blockSize) / sectorSize;
    const firstByte = Math.floor((base + Math.floor(inside / sectorSize)) / 8);
    const lastByte = Math.floor((base + Math.floor((inside + take - 1) / sectorSize)) / 8);
    const bits = await readTable(tables, bitmap.offset + firstByte, lastByte - firstByte + 1, place, signal);
    const isSet = (sector: number): boolean => {
      const bit = base + sector;
      return ((bits[Math.floor(bit / 8) - firstByte]! >> (bit & 7)) & 1) === 1;
    };
    return bitmapRuns({ sectorSize, isSet }, inside, take, (start, size) => stored(entry, start, size));
  };

  const locateBlock = async (block: number, entry: BatEntry, inside: number, take: number, signal?: AbortSignal) => {
    const place = { format: "vhdx", structure, offset: entry.at };
    switch (entry.state) {
      case STATE_NOT_PRESENT:
        return [{ kind: "absent", length: take } as const];
      case STATE_UNDEFINED:
      case STATE_ZERO:
      case STATE_UNMAPPED:
        return [{ kind: "zero", length: take } as const];
      case STATE_FULLY_PRESENT:
        return [stored(entry, inside, take)];
      case STATE_PARTIALLY_PRESENT:
        if (!hasParent) throw new ImageError("corrupt", `block ${block} is partially present without a parent`, place);
        return partial(block, entry, inside, Math.min(take, STEP), signal);
      default:
        throw new ImageError("corrupt", `block ${block} has the reserved state ${entry.state}`, place);
    }
  };

  return async (offset, length, signal) => {
    const first = Math.floor(offset / blockSize);
    const chunk = Math.floor(first / ratio);
    const last = Math.min(Math.floor((offset + length - 1) / blockSize), (chunk + 1) * ratio - 1);
    const { view, at } = await readEntries(first + chunk, last - first + 1, signal);
    const runs: LayerRun[] = [];
    let from = offset;
    for (let block = first; block <= last; block += 1) {
      const inside = from - block * blockSize;
      const take = Math.min(blockSize - inside, offset + length - from);
      let found: readonly LayerRun[];
      try {
        const entry = decodeEntry(view, block - first, at + (block - first) * 8);
        found = await locateBlock(block, entry, inside, take, signal);
      } catch (error) {
        if (runs.length === 0) throw error;
        return runs;
      }
      runs.push(...found);
      const covered = found.reduce((sum, run) => sum + run.length, 0);
      if (covered < take) return runs;
      from += take;
    }
    return runs;
  };
}

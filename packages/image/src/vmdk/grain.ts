import { type BlockDevice, type ErrorPlace, ImageError, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { decodeZlib } from "@guestprobe/codec";
import type { ClusterCache } from "../cluster-cache.js";
import type { Layer, LayerRun } from "../layer.js";
import { failer, readTable } from "../tables.js";
import { GrainMarker, GTE_ZEROED, SECTOR } from "./layout.js";
import type { SparseExtent } from "./sparse.js";

/** Entries of a table that one step looks at. */
const ENTRIES_AT_ONCE = 4096;
const DIRECTORY = "grain directory";
const TABLE = "grain table";

/** What a table entry means: where a grain lies in the file, in bytes, or that it does not. */
type Grain = "absent" | "zero" | number;

/** Where an extent's bytes come from. */
export interface GrainSource {
  readonly file: BlockDevice;
  /** The same file behind a cache. */
  readonly tables: BlockDevice;
  readonly decoded: ClusterCache;
  /** Added to grain numbers in the cache, which extents share. */
  readonly keyBase: number;
}

/** Walks grain directory and grain tables. Offsets count from the start of the extent. */
export function grainLocator(source: GrainSource, extent: SparseExtent): Layer["locate"] {
  const { grainSize, entriesPerTable, entrySize } = extent;
  const { tables } = source;
  const tableSpan = entriesPerTable * grainSize;
  /** By offset of a grain table, the directory entry that has it: a table serves one entry. */
  const owners = new Map<number, number>();

  const checkTable = (offset: number, index: number, place: ErrorPlace): void => {
    const owner = owners.get(offset) ?? index;
    if (owner !== index) {
      const reason = `entries ${owner} and ${index} of the grain directory share the table at byte ${offset}`;
      throw new ImageError("corrupt", reason, place);
    }
    owners.set(offset, index);
  };

  return async (offset, length, signal) => {
    const first = Math.floor(offset / tableSpan);
    const last = Math.floor((offset + length - 1) / tableSpan);
    const count = Math.min(last - first + 1, ENTRIES_AT_ONCE);
    const at = extent.directoryOffset + first * entrySize;
    const place = { format: "vmdk", structure: DIRECTORY, offset: at };
    const directory = viewOf(await readTable(tables, at, count * entrySize, place, signal));
    let absent = 0;
    while (absent < count && isZeroEntry(directory, absent, entrySize)) absent += 1;
    if (absent > 0) {
      return [{ kind: "absent", length: Math.min(length, (first + absent) * tableSpan - offset) }];
    }
    const table = tableOffset(directory, extent, place);
    checkTable(table, first, place);
    const firstGrain = Math.floor(offset / grainSize);
    const end = Math.min(offset + length, (first + 1) * tableSpan);
    const lastGrain = Math.min(Math.floor((end - 1) / grainSize), firstGrain + ENTRIES_AT_ONCE - 1);
    const entriesAt = table + (firstGrain % entriesPerTable) * entrySize;
    const size = (lastGrain - firstGrain + 1) * entrySize;
    const entries = viewOf(await readTable(tables, entriesAt, size, { ...place, structure: TABLE }, signal));
    const runs: LayerRun[] = [];
    let from = offset;
    for (let grain = firstGrain; grain <= lastGrain; grain += 1) {
      const inside = from - grain * grainSize;
      const take = Math.min(grainSize - inside, end - from);
      const index = grain - firstGrain;
      const entryPlace = { format: "vmdk", structure: TABLE, offset: entriesAt + index * entrySize };
      let run: LayerRun;
      try {
        const where = decodeEntry(entries, index, extent, entryPlace);
        run = grainRun(source, extent, { where, grain, inside, take, place: entryPlace });
      } catch (error) {
        if (runs.length === 0) throw error;
        return runs;
      }
      runs.push(run);
      // Cut at the end of the file: what comes next is an error of its own.
      if (run.length < take) return runs;
      from += take;
    }
    return runs;
  };
}

function isZeroEntry(view: DataView, index: number, size: number): boolean {
  return view.getUint32(index * size, true) === 0 && (size === 4 || view.getUint32(index * size + 4, true) === 0);
}

/** Where the grain table of the first entry of `directory` lies. */
function tableOffset(directory: DataView, extent: SparseExtent, place: ErrorPlace): number {
  const low = directory.getUint32(0, true);
  if (extent.kind !== "sesparse") return low * SECTOR;
  const high = directory.getUint32(4, true);
  if (high !== 0x1000_0000) {
    throw new ImageError("corrupt", `a directory entry starts with 0x${high.toString(16)}, expected 0x10000000`, place);
  }
  return extent.tablesOffset + low * extent.entriesPerTable * extent.entrySize;
}

function decodeEntry(view: DataView, index: number, extent: SparseExtent, place: ErrorPlace): Grain {
  if (extent.kind !== "sesparse") {
    const sector = view.getUint32(index * 4, true);
    if (sector === 0) return "absent";
    return extent.zeroedGrains && sector === GTE_ZEROED ? "zero" : sector * SECTOR;
  }
  const low = view.getUint32(index * 8, true);
  const high = view.getUint32(index * 8 + 4, true);
  const type = high >>> 28;
  if (type === 0 && low === 0 && high === 0) return "absent";
  // 1: unmapped by the guest, 2: zeroed.
  if (type === 1 || type === 2) return "zero";
  if (type !== 3) throw new ImageError("corrupt", `a grain table entry has the type ${type}`, place);
  // Bits 48 to 59 are the low part of the grain's number, bits 0 to 47 the high part.
  const number = ((high >>> 16) & 0xfff) + ((high & 0xffff) * 2 ** 32 + low) * 4096;
  return extent.grainsOffset + number * extent.grainSize;
}

interface Wanted {
  readonly where: Grain;
  readonly grain: number;
  readonly inside: number;
  readonly take: number;
  readonly place: ErrorPlace;
}

function grainRun(source: GrainSource, extent: SparseExtent, wanted: Wanted): LayerRun {
  const { where, grain, inside, take, place } = wanted;
  if (typeof where === "string") return { kind: where, length: take };
  if (extent.compressed) {
    const load = (signal?: AbortSignal) =>
      source.decoded.get(source.keyBase + grain, signal, () => decodeGrain(source.file, extent, where, grain));
    checkInside(source.file, where, place);
    return { kind: "decoded", length: take, skip: inside, physical: where, load };
  }
  checkInside(source.file, where + inside, place);
  const available = Math.min(take, source.file.size - where - inside);
  return { kind: "stored", device: source.file, offset: where + inside, length: available };
}

function checkInside(file: BlockDevice, offset: number, place: ErrorPlace): void {
  if (offset < file.size) return;
  throw new ImageError("past-end", `a grain lies at byte ${offset}, past the end of the file at ${file.size}`, place);
}

/** A compressed grain, padded with zeros where the disk ends inside it. */
async function decodeGrain(file: BlockDevice, extent: SparseExtent, at: number, grain: number): Promise<Uint8Array> {
  const { grainSize } = extent;
  const header = extent.markers ? GrainMarker.$size : 0;
  const fail = failer("vmdk", GrainMarker, at);
  // What is compressed seldom grows: one read does nearly always.
  let data = await file.read(at, Math.min(header + grainSize, file.size - at));
  if (extent.markers) {
    if (data.length < header) throw new ImageError("past-end", "the file ends inside a grain marker", fail.place());
    const { lba, size } = fail.guard(() => GrainMarker.$dump(viewOf(data), 0));
    if (lba * SECTOR !== grain * grainSize) {
      throw fail.corrupt("lba", `is ${lba}, expected ${(grain * grainSize) / SECTOR}`);
    }
    if (size === 0 || size > 2 * grainSize) throw fail.corrupt("size", `is ${size} bytes for a grain of ${grainSize}`);
    if (at + header + size > file.size) {
      throw new ImageError("past-end", `${size} bytes of a grain pass the end of the file`, fail.place("size"));
    }
    data = header + size <= data.length ? data : await file.read(at, header + size);
    data = data.subarray(header, header + size);
  }
  let plain: Uint8Array;
  try {
    plain = decodeZlib(data, { max: grainSize }, { trailing: "ignore" });
  } catch (cause) {
    if (!isImageError(cause)) throw cause;
    // A maximum that is passed is the caller's limit to the decoder; here it is a lie of the image.
    const code = cause.code === "limit" ? "corrupt" : cause.code;
    throw new ImageError(code, cause.reason, { format: "vmdk", structure: "compressed grain", offset: at, cause });
  }
  const needed = Math.min(grainSize, extent.capacity - grain * grainSize);
  if (plain.length < needed) {
    const reason = `a grain of ${plain.length} bytes, expected ${needed}`;
    throw new ImageError("corrupt", reason, { format: "vmdk", structure: "compressed grain", offset: at });
  }
  if (plain.length === grainSize) return plain;
  const padded = new Uint8Array(grainSize);
  padded.set(plain);
  return padded;
}

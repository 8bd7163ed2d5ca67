import { type BlockDevice, type ErrorPlace, ImageError, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { LayerRun } from "../layer.js";
import {
  L1_RESERVED_HI,
  L1_RESERVED_LO,
  L2_COMPRESSED_HI,
  L2_COPIED_HI,
  L2_RESERVED_HI,
  L2_RESERVED_LO,
  L2_ZERO_LO,
  OFFSET_MASK_HI,
  OFFSET_MASK_LO,
  SUBCLUSTERS,
} from "./layout.js";

/** What the decoders need to know of the image. */
export interface L2Context {
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly extendedL2: boolean;
  readonly externalData: boolean;
  /** The file that holds the guest's clusters. */
  readonly data: BlockDevice;
  /** A compressed cluster: `length` bytes of the image file from `offset`; `key` is the number of the cluster. */
  decode(key: number, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}

/** Where an L1 entry says that its L2 table lies, in bytes; undefined if there is none. `at` is its place in the file. */
export function decodeL1Entry(view: DataView, index: number, clusterSize: number, at: number): number | undefined {
  const hi = view.getUint32(index * 8);
  const lo = view.getUint32(index * 8 + 4);
  const place = { format: "qcow2", structure: "L1 table", offset: at };
  if ((hi & L1_RESERVED_HI) !== 0 || (lo & L1_RESERVED_LO) !== 0) {
    throw new ImageError("corrupt", `L1 entry 0x${hex(hi, lo)} has reserved bits set`, place);
  }
  const offset = joinU64(hi & OFFSET_MASK_HI, (lo & OFFSET_MASK_LO) >>> 0);
  if (offset === 0) return undefined;
  if (offset % clusterSize !== 0) {
    throw new ImageError("corrupt", `L2 table at byte ${offset}, not at a multiple of the cluster size`, place);
  }
  return offset;
}

/** A part of an L2 table: the entries of clusters from `firstCluster` on. */
export interface L2Slice {
  readonly data: Uint8Array;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Number of the cluster of the virtual disk that the first entry maps. */
  readonly firstCluster: number;
}

/**
 * The runs of a range of the virtual disk that the entries of `slice` map. A bad entry ends the answer; when it is the
 * first, it is thrown.
 *
 * @throws ImageError `corrupt`, `past-end`.
 */
export function decodeL2(context: L2Context, slice: L2Slice, offset: number, length: number): LayerRun[] {
  const view = viewOf(slice.data);
  const entrySize = context.extendedL2 ? 16 : 8;
  const { clusterSize } = context;
  const runs: LayerRun[] = [];
  let at = offset;
  const end = offset + length;
  try {
    while (at < end) {
      const cluster = Math.floor(at / clusterSize);
      const index = cluster - slice.firstCluster;
      const inside = at - cluster * clusterSize;
      const take = Math.min(clusterSize - inside, end - at);
      const place = { format: "qcow2", structure: "L2 table", offset: slice.offset + index * entrySize };
      const entry = { view, base: index * entrySize, cluster, inside, take, place };
      const before = runs.length;
      if (context.extendedL2) decodeExtended(context, entry, runs);
      else runs.push(decodeStandard(context, entry));
      for (let n = before; n < runs.length; n += 1) at += runs[n]!.length;
    }
  } catch (error) {
    if (runs.length === 0) throw error;
  }
  return runs;
}

interface Entry {
  readonly view: DataView;
  /** Byte of the entry in the view. */
  readonly base: number;
  readonly cluster: number;
  /** The part of the cluster that is asked for. */
  readonly inside: number;
  readonly take: number;
  readonly place: ErrorPlace;
}

function decodeStandard(context: L2Context, entry: Entry): LayerRun {
  const { inside, take, place } = entry;
  const hi = entry.view.getUint32(entry.base);
  const lo = entry.view.getUint32(entry.base + 4);
  if ((hi & L2_COMPRESSED_HI) !== 0) return compressed(context, entry, hi, lo);
  const zero = (lo & L2_ZERO_LO) !== 0;
  checkReserved(hi, lo, place);
  if (zero && context.version < 3) {
    throw new ImageError("corrupt", "a zero cluster in an image of version 2, which has none", place);
  }
  const host = hostOffset(context, hi, lo, place);
  if (zero) return { kind: "zero", length: take };
  if (host === undefined) return { kind: "absent", length: take };
  return storedRun(context, host + inside, take, place);
}

/** The second word has one allocation bit and one zero bit for each subcluster. */
function decodeExtended(context: L2Context, entry: Entry, runs: LayerRun[]): void {
  const { view, base, inside, take, place } = entry;
  const hi = view.getUint32(base);
  const lo = view.getUint32(base + 4);
  const zeros = view.getUint32(base + 8);
  const allocated = view.getUint32(base + 12);
  if ((hi & L2_COMPRESSED_HI) !== 0) {
    if (zeros !== 0 || allocated !== 0) {
      throw new ImageError("corrupt", "a compressed cluster with subclusters", place);
    }
    runs.push(compressed(context, entry, hi, lo));
    return;
  }
  checkReserved(hi, lo, place);
  if ((lo & L2_ZERO_LO) !== 0) throw new ImageError("corrupt", "the zero bit of an extended entry is set", place);
  if ((zeros & allocated) !== 0) {
    throw new ImageError("corrupt", "a subcluster is both allocated and zero", place);
  }
  const host = hostOffset(context, hi, lo, place);
  if (host === undefined && allocated !== 0) {
    throw new ImageError("corrupt", "subclusters are allocated in no cluster", place);
  }
  const size = context.clusterSize / SUBCLUSTERS;
  const stop = inside + take;
  for (let at = inside; at < stop; ) {
    const state = stateOf(zeros, allocated, Math.floor(at / size));
    let to = Math.min(stop, (Math.floor(at / size) + 1) * size);
    while (to < stop && stateOf(zeros, allocated, to / size) === state) to = Math.min(stop, to + size);
    if (state !== "stored") runs.push({ kind: state, length: to - at });
    else {
      const run = storedRun(context, host! + at, to - at, place);
      runs.push(run);
      // Cut at the end of the file: what comes next is an error of its own.
      if (run.length < to - at) return;
    }
    at = to;
  }
}

function stateOf(zeros: number, allocated: number, index: number): "zero" | "stored" | "absent" {
  const bit = 1 << index;
  if ((zeros & bit) !== 0) return "zero";
  return (allocated & bit) !== 0 ? "stored" : "absent";
}

function checkReserved(hi: number, lo: number, place: ErrorPlace): void {
  if ((hi & L2_RESERVED_HI) !== 0 || (lo & L2_RESERVED_LO) !== 0) {
    throw new ImageError("corrupt", `L2 entry 0x${hex(hi, lo)} has reserved bits set`, place);
  }
}

/** Byte of the data file, or undefined for "not allocated". */
function hostOffset(context: L2Context, hi: number, lo: number, place: ErrorPlace): number | undefined {
  const offset = joinU64(hi & OFFSET_MASK_HI, (lo & OFFSET_MASK_LO) >>> 0);
  if (offset % context.clusterSize !== 0) {
    throw new ImageError("corrupt", `cluster at byte ${offset}, not at a multiple of the cluster size`, place);
  }
  // The first cluster of an external data file is a place like any other; only the "copied" bit tells it from none.
  if (offset === 0) return context.externalData && (hi & L2_COPIED_HI) !== 0 ? 0 : undefined;
  return offset;
}

/** The part of a stored run that the file really has. Throws when it has none. */
function storedRun(context: L2Context, host: number, take: number, place: ErrorPlace): LayerRun {
  const available = context.data.size - host;
  if (available <= 0) {
    const reason = `a cluster lies at byte ${host}, past the end of the file at ${context.data.size}`;
    throw new ImageError("past-end", reason, place);
  }
  return { kind: "stored", device: context.data, offset: host, length: Math.min(take, available) };
}

/** A compressed descriptor: offset and number of sectors share 62 bits, split where the cluster size says. */
function compressed(context: L2Context, entry: Entry, hi: number, lo: number): LayerRun {
  const { cluster, inside, take, place } = entry;
  if (context.externalData) {
    throw new ImageError("corrupt", "a compressed cluster in an image with an external data file", place);
  }
  if ((hi & L2_COPIED_HI) !== 0) throw new ImageError("corrupt", "a compressed cluster is marked as copied", place);
  // The offset takes the lower 62 - (cluster_bits - 8) bits, always more than 32 of them.
  const offsetHighBits = 62 - (context.clusterBits - 8) - 32;
  const offset = joinU64(hi & (2 ** offsetHighBits - 1), lo, place);
  const sectors = ((hi & 0x3fff_ffff) >>> offsetHighBits) + 1;
  // The last cluster of a file may end inside its last sector.
  const length = Math.min(sectors * 512 - (offset % 512), context.data.size - offset);
  if (offset === 0 || length <= 0) {
    const reason = `a compressed cluster lies at byte ${offset} of a file of ${context.data.size} bytes`;
    throw new ImageError(offset === 0 ? "corrupt" : "past-end", reason, place);
  }
  return {
    kind: "decoded",
    length: take,
    skip: inside,
    physical: offset,
    load: (signal) => context.decode(cluster, offset, length, signal),
  };
}

function hex(hi: number, lo: number): string {
  return (hi >>> 0).toString(16).padStart(8, "0") + (lo >>> 0).toString(16).padStart(8, "0");
}

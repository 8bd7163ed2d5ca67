import { throwIfAborted } from "./abort.js";
import { allocate, type BlockDevice, checkRange, type MappedRange } from "./device.js";
import { ImageError } from "./errors.js";

/**
 * Where a run of bytes of a mapped device comes from.
 *
 * - `zero`: stored nowhere, reads as zeros.
 * - `stored`: as it is, from byte `offset` of `device`.
 * - `decoded`: part of something that must be decoded as a whole, from byte `skip` of what `load` resolves to.
 */
export type Run =
  | { readonly kind: "zero"; readonly length: number }
  | { readonly kind: "stored"; readonly length: number; readonly device: BlockDevice; readonly offset: number }
  | {
      readonly kind: "decoded";
      readonly length: number;
      readonly skip: number;
      /** The decoded whole; it may come from a cache. Not written to. */
      load(signal?: AbortSignal): Promise<Uint8Array>;
    };

/** What a mapped device is made of. */
export interface Mapping {
  /** Bytes of the mapped device. */
  readonly size: number;
  readonly sectorSize?: number | undefined;
  /**
   * The runs from byte `offset` on, in order and without a gap: at least one byte, at most `length` bytes together. A
   * mapping that walks tables answers as far as the table at hand goes. The range lies within the device, and is not
   * empty.
   */
  locate(offset: number, length: number, signal?: AbortSignal): Promise<readonly Run[]>;
}

/** Reads of one request that are under way together: enough to hide a network's latency, few enough for its server. */
const PARALLEL = 16;
/** Most ranges in one answer of `map`. A fragmented 10 TiB image must be asked in parts. */
const MAX_RANGES = 1 << 20;

/** The device that `mapping` describes. Zero runs cost no read, neighbouring stored runs cost one. */
export function mappedDevice(mapping: Mapping): BlockDevice {
  return {
    size: mapping.size,
    sectorSize: mapping.sectorSize,
    async read(offset, length, signal) {
      checkRange(mapping.size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const first = mergeRuns(await locate(mapping, offset, length, signal));
      if (first.length === 1 && first[0]!.length === length) return readRun(first[0]!, signal);
      const target = allocate(length);
      let runs: readonly Run[] = first;
      for (let at = 0; at < length; ) {
        if (at > 0) runs = mergeRuns(await locate(mapping, offset + at, length - at, signal));
        at = await fill(target, at, runs, signal);
      }
      return target;
    },
    async map(offset, length, signal) {
      checkRange(mapping.size, offset, length);
      const ranges: MappedRange[] = [];
      for (let at = offset; at < offset + length; ) {
        for (const run of await locate(mapping, at, offset + length - at, signal)) {
          await mapRun(ranges, at, run, signal);
          at += run.length;
        }
        if (ranges.length > MAX_RANGES) {
          throw new ImageError("limit", `more than ${MAX_RANGES} runs: ask for a shorter range`, { offset: at });
        }
      }
      return ranges;
    },
  };
}

/** A device of fixed runs, laid end to end: the extents of a split image, the segments of a logical volume. */
export function runsDevice(runs: readonly Run[], options: { readonly sectorSize?: number } = {}): BlockDevice {
  const starts: number[] = [];
  let size = 0;
  for (const run of runs) {
    if (run.kind === "stored") checkRange(run.device.size, run.offset, run.length);
    starts.push(size);
    size += run.length;
  }
  const indexAt = (offset: number): number => {
    let low = 0;
    let high = runs.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return mappedDevice({
    size,
    sectorSize: options.sectorSize,
    async locate(offset, length) {
      const index = indexAt(offset);
      const found = runs.slice(index, index + PARALLEL);
      return clipRuns(found, offset - starts[index]!, length);
    },
  });
}

/** The part of `runs` that lies `skip` bytes in and is at most `length` bytes long. */
function clipRuns(runs: readonly Run[], skip: number, length: number): Run[] {
  const clipped: Run[] = [];
  let before = skip;
  let left = length;
  for (const run of runs) {
    const from = Math.min(before, run.length);
    before -= from;
    const take = Math.min(run.length - from, left);
    if (take === 0) continue;
    left -= take;
    clipped.push(cutRun(run, from, take));
  }
  return clipped;
}

function cutRun(run: Run, from: number, length: number): Run {
  if (from === 0 && length === run.length) return run;
  if (run.kind === "zero") return { kind: "zero", length };
  if (run.kind === "stored") return { ...run, length, offset: run.offset + from };
  return { ...run, length, skip: run.skip + from };
}

async function locate(mapping: Mapping, offset: number, length: number, signal: AbortSignal | undefined) {
  throwIfAborted(signal);
  const runs = await mapping.locate(offset, length, signal);
  const total = runs.reduce((sum, run) => sum + run.length, 0);
  // A mapping that gives nothing would be asked for ever.
  if (total <= 0 || total > length) {
    throw new ImageError("invalid-argument", `a mapping gave ${total} bytes where 1 to ${length} were asked for`);
  }
  return runs;
}

/** Joins runs that continue each other, so that one read serves them. */
function mergeRuns(runs: readonly Run[]): Run[] {
  const merged: Run[] = [];
  for (const run of runs) {
    const last = merged.at(-1);
    if (last?.kind === "zero" && run.kind === "zero") {
      merged[merged.length - 1] = { kind: "zero", length: last.length + run.length };
    } else if (
      last?.kind === "stored" &&
      run.kind === "stored" &&
      last.device === run.device &&
      last.offset + last.length === run.offset
    ) {
      merged[merged.length - 1] = { ...last, length: last.length + run.length };
    } else if (run.length > 0) {
      merged.push(run);
    }
  }
  return merged;
}

async function readRun(run: Run, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (run.kind === "zero") return allocate(run.length);
  if (run.kind === "stored") return run.device.read(run.offset, run.length, signal);
  const whole = await run.load(signal);
  return whole.subarray(run.skip, run.skip + run.length);
}

/** Reads `runs` into `target` from `at` on; resolves to the place after them. */
async function fill(target: Uint8Array, start: number, runs: readonly Run[], signal: AbortSignal | undefined) {
  let at = start;
  let pending: Promise<void>[] = [];
  for (const run of runs) {
    if (run.kind !== "zero") {
      const place = at;
      pending.push(readRun(run, signal).then((data) => target.set(data, place)));
    }
    at += run.length;
    if (pending.length === PARALLEL) {
      await Promise.all(pending);
      pending = [];
    }
  }
  await Promise.all(pending);
  return at;
}

async function mapRun(ranges: MappedRange[], offset: number, run: Run, signal: AbortSignal | undefined) {
  if (run.kind !== "stored" || run.device.map === undefined) {
    append(ranges, { offset, length: run.length, kind: run.kind === "zero" ? "hole" : "data" });
    return;
  }
  for (const inner of await run.device.map(run.offset, run.length, signal)) {
    append(ranges, { ...inner, offset: offset + inner.offset - run.offset });
  }
}

function append(ranges: MappedRange[], range: MappedRange): void {
  const last = ranges.at(-1);
  if (last?.kind === range.kind && last.offset + last.length === range.offset) {
    ranges[ranges.length - 1] = { ...last, length: last.length + range.length };
  } else if (range.length > 0) {
    ranges.push(range);
  }
}

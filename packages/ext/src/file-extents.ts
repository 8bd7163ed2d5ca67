import type { Extent } from "@guestprobe/vfs";
import type { FileMap } from "./file-map.js";
import type { Run } from "./runs.js";

/** Extents from byte `at` to before `end`, as far as one node of the map tells; at least one. */
export async function nextExtents(
  map: FileMap,
  blockSize: number,
  at: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Extent[]> {
  return toExtents(await map.runs(Math.floor(at / blockSize), Math.ceil(end / blockSize), signal), blockSize, at, end);
}

/** Runs of blocks as extents in bytes, cut to the range from `at` to before `end`. */
export function toExtents(runs: readonly Run[], blockSize: number, at: number, end: number): Extent[] {
  return runs.map((run) => {
    const logical = Math.max(at, run.first * blockSize);
    const skipped = logical - run.first * blockSize;
    return {
      kind: run.physical === undefined ? "hole" : run.unwritten ? "unwritten" : "data",
      logical,
      length: Math.min(end, (run.first + run.count) * blockSize) - logical,
      physical: run.physical === undefined ? undefined : run.physical * blockSize + skipped,
    };
  });
}

/** All extents from byte `offset` on, for `length` bytes, of a map that lies in its inode; undefined for others. */
export function extentsNow(map: FileMap, blockSize: number, offset: number, length: number): Extent[] | undefined {
  const end = offset + length;
  const runs = map.runsNow(Math.floor(offset / blockSize), Math.ceil(end / blockSize));
  return runs && toExtents(runs, blockSize, offset, end);
}

/** All extents from byte `offset` on, for `length` bytes. */
export async function extentsFrom(
  map: FileMap,
  blockSize: number,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Extent[]> {
  const end = offset + length;
  const extents: Extent[] = [];
  for (let at = offset; at < end; ) {
    for (const extent of await nextExtents(map, blockSize, at, end, signal)) {
      extents.push(extent);
      at = extent.logical + extent.length;
    }
  }
  return extents;
}

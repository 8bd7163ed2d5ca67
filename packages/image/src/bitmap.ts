import type { LayerRun } from "./layer.js";

/** Which sectors of a block an image holds itself; the others are absent. */
export interface SectorBitmap {
  readonly sectorSize: number;
  /** By number of the sector in its block. */
  isSet(sector: number): boolean;
}

/**
 * The runs of `take` bytes from byte `inside` of a block. `stored` gives the run of a part of the block, shortened where
 * the file ends; what it throws ends the answer, unless it is the first run.
 */
export function bitmapRuns(
  bitmap: SectorBitmap,
  inside: number,
  take: number,
  stored: (start: number, size: number) => LayerRun,
): LayerRun[] {
  const { sectorSize } = bitmap;
  const runs: LayerRun[] = [];
  const end = inside + take;
  for (let at = inside; at < end; ) {
    const set = bitmap.isSet(Math.floor(at / sectorSize));
    let to = Math.min(end, (Math.floor(at / sectorSize) + 1) * sectorSize);
    while (to < end && bitmap.isSet(to / sectorSize) === set) to = Math.min(end, to + sectorSize);
    if (!set) runs.push({ kind: "absent", length: to - at });
    else {
      try {
        const run = stored(at, to - at);
        runs.push(run);
        if (run.length < to - at) return runs;
      } catch (error) {
        if (runs.length === 0) throw error;
        return runs;
      }
    }
    at = to;
  }
  return runs;
}

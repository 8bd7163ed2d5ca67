import type { ByteRange } from "@guestprobe/block";
import { PART_OVERLAP } from "./findings.js";
import type { Note } from "./note.js";
import type { Gap, Partition } from "./types.js";

/** Reports volumes of one table that share bytes. */
export function checkOverlaps(partitions: readonly Partition[], note: Note): void {
  const volumes = partitions.filter((part) => part.kind !== "extended").sort((a, b) => a.start - b.start);
  /** Of those that begin before the one at hand, the one that reaches furthest. */
  let furthest: Partition | undefined;
  for (const part of volumes) {
    if (furthest !== undefined && part.start < furthest.start + furthest.length) {
      note(PART_OVERLAP, `partitions ${furthest.number} and ${part.number} share bytes from ${part.start} on`, {
        format: part.table,
        offset: part.offset,
      });
    }
    if (furthest === undefined || part.start + part.length > furthest.start + furthest.length) furthest = part;
  }
}

/** What `used` leaves of a disk of `size` bytes. */
export function findGaps(used: readonly ByteRange[], size: number): Gap[] {
  const gaps: Gap[] = [];
  let at = 0;
  for (const range of [...used].sort((a, b) => a.offset - b.offset)) {
    const start = Math.min(range.offset, size);
    if (start > at) gaps.push({ start: at, length: start - at });
    at = Math.max(at, start + Math.min(range.length, size - start));
  }
  if (at < size) gaps.push({ start: at, length: size - at });
  return gaps;
}

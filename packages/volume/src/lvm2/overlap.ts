import type { VolumeGroup } from "./metadata.js";
import type { Area, Segment } from "./segment.js";

/** An extent that two volumes claim. */
export interface Overlap {
  /** Name of the physical volume in the text. */
  readonly pv: string;
  /** Names of the volumes; the same one twice if it claims the extent twice. */
  readonly a: string;
  readonly b: string;
  readonly extent: number;
}

interface Claim {
  readonly lv: string;
  readonly start: number;
  readonly end: number;
}

/** Extents that more than one segment of the group's volumes claims, one for each pair of neighbours. */
export function overlaps(vg: VolumeGroup): Overlap[] {
  const claims = new Map<string, Claim[]>();
  for (const lv of vg.logicalVolumes.values()) {
    for (const segment of lv.segments) {
      for (const [area, extents] of areasOf(segment)) {
        if (!vg.physicalVolumes.has(area.name)) continue;
        const list = claims.get(area.name) ?? [];
        list.push({ lv: lv.name, start: area.start, end: area.start + extents });
        claims.set(area.name, list);
      }
    }
  }
  const found: Overlap[] = [];
  for (const [pv, list] of claims) {
    list.sort((x, y) => x.start - y.start);
    let last: Claim | undefined;
    for (const claim of list) {
      if (last !== undefined && claim.start < last.end)
        found.push({ pv, a: last.lv, b: claim.lv, extent: claim.start });
      if (last === undefined || claim.end > last.end) last = claim;
    }
  }
  return found;
}

function areasOf(segment: Segment): [Area, number][] {
  const { extentCount } = segment;
  if (segment.kind === "striped") return segment.areas.map((area) => [area, extentCount / segment.areas.length]);
  return segment.kind === "mirror" ? segment.areas.map((area) => [area, extentCount]) : [];
}

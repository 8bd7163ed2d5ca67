import type { Section } from "./metadata-lexer.js";
import { corrupt, countOf, optionalCount, optionalText, textOf, wordsOf } from "./section.js";

/** A run of a physical volume or of another logical volume. */
export interface Area {
  /** The name of either in the text: "pv0", "root_rimage_0". */
  readonly name: string;
  /** Its first extent. */
  readonly start: number;
}

/** What a segment is made of. Sectors are of 512 bytes. */
export type SegmentBody =
  /** One area after the other in stripes; with one area, plainly linear. */
  | { readonly kind: "striped"; readonly stripeSectors: number; readonly areas: readonly Area[] }
  /** The same bytes in each area. */
  | { readonly kind: "mirror"; readonly areas: readonly Area[] }
  | {
      readonly kind: "raid";
      /** LVM's name of level and layout: "raid5_ls". */
      readonly level: string;
      readonly stripeSectors: number;
      /** In the order of the array; metadata where the level has it. */
      readonly images: readonly { readonly data: Area; readonly metadata: string | undefined }[];
      /** raid10 only. */
      readonly copies: number;
      /** Sectors at the start of each image in front of the data. */
      readonly dataOffset: number;
    }
  /** A cache of either kind in front of `origin`. */
  | { readonly kind: "cache"; readonly origin: string; readonly cache: string; readonly mode: string | undefined }
  | {
      readonly kind: "thin-pool";
      readonly metadata: string;
      readonly data: string;
      readonly chunkSectors: number;
    }
  | {
      readonly kind: "thin";
      readonly pool: string;
      readonly deviceId: number;
      readonly externalOrigin: string | undefined;
    }
  | {
      readonly kind: "snapshot";
      readonly origin: string;
      readonly store: string;
      readonly chunkSectors: number;
      /** The snapshot is being written back: the origin is to be seen through it. */
      readonly isMerging: boolean;
    }
  /** Sums beside the data, which lie in `origin` as they are. */
  | { readonly kind: "integrity"; readonly origin: string }
  | { readonly kind: "zero" }
  /** Reads fail, on purpose. */
  | { readonly kind: "error" }
  /** The parts of a pool that are no volume by themselves. */
  | { readonly kind: "cache-pool"; readonly mode: string | undefined }
  | { readonly kind: "unknown" };

export type Segment = SegmentBody & {
  /** In extents of the logical volume. */
  readonly startExtent: number;
  readonly extentCount: number;
  /** As the text has it, with flags: "cache+CACHE_USES_CACHEVOL". */
  readonly type: string;
};

/** Copies that raid10 keeps where the text does not say. */
const DEFAULT_COPIES = 2;

/** @throws ImageError `corrupt` with the offset in the text. */
export function decodeSegment(section: Section, extentSize: number): Segment {
  const type = textOf(section, "type");
  const common = {
    type,
    startExtent: countOf(section, "start_extent"),
    extentCount: countOf(section, "extent_count", 1),
  };
  return { ...decodeBody(section, type.replace(/\+.*$/, ""), common.extentCount * extentSize), ...common };
}

function decodeBody(section: Section, type: string, sectors: number): SegmentBody {
  if (/^raid(0|0_meta|1|4|5|5_.*|6|6_.*|10|10_.*)$/.test(type)) return decodeRaid(section, type);
  switch (type) {
    case "striped": {
      const areas = areasOf(section, "stripes", countOf(section, "stripe_count", 1));
      // One area is not striped, whatever the text says of stripes.
      return {
        kind: "striped",
        areas,
        stripeSectors: areas.length === 1 ? sectors : countOf(section, "stripe_size", 1),
      };
    }
    case "mirror":
      return { kind: "mirror", areas: areasOf(section, "mirrors", countOf(section, "mirror_count", 1)) };
    case "cache":
      return {
        kind: "cache",
        origin: textOf(section, "origin"),
        cache: textOf(section, "cache_pool"),
        mode: optionalText(section, "cache_mode"),
      };
    case "writecache":
      return {
        kind: "cache",
        origin: textOf(section, "origin"),
        cache: textOf(section, "writecache"),
        mode: "writeback",
      };
    case "thin-pool":
      return {
        kind: "thin-pool",
        metadata: textOf(section, "metadata"),
        data: textOf(section, "pool"),
        chunkSectors: countOf(section, "chunk_size", 1),
      };
    case "thin":
      return {
        kind: "thin",
        pool: textOf(section, "thin_pool"),
        deviceId: countOf(section, "device_id"),
        externalOrigin: optionalText(section, "external_origin"),
      };
    case "snapshot":
      return {
        kind: "snapshot",
        origin: textOf(section, "origin"),
        store: optionalText(section, "merging_store") ?? textOf(section, "cow_store"),
        chunkSectors: countOf(section, "chunk_size", 1),
        isMerging: section.values.has("merging_store"),
      };
    case "integrity":
      return { kind: "integrity", origin: textOf(section, "origin") };
    case "cache-pool":
      return { kind: "cache-pool", mode: optionalText(section, "cache_mode") };
    case "zero":
    case "error":
      return { kind: type };
    default:
      return { kind: "unknown" };
  }
}

function decodeRaid(section: Section, level: string): SegmentBody {
  const count = optionalCount(section, "device_count", 1) ?? countOf(section, "stripe_count", 1);
  const hasMetadata = section.values.has("raids");
  const names = wordsOf(section, hasMetadata ? "raids" : "raid0_lvs");
  // The array is what counts: a number that says more would make room for nothing.
  if (names.length !== count * (hasMetadata ? 2 : 1)) {
    throw corrupt(section, "device_count", `${names.length} names for ${count} images`);
  }
  const images = Array.from({ length: count }, (_, index) =>
    hasMetadata
      ? { metadata: names[2 * index], data: { name: names[2 * index + 1]!, start: 0 } }
      : { metadata: undefined, data: { name: names[index]!, start: 0 } },
  );
  const copies = optionalCount(section, "data_copies", 1) ?? DEFAULT_COPIES;
  return {
    kind: "raid",
    level,
    // raid1 has none.
    stripeSectors: level === "raid1" ? 0 : countOf(section, "stripe_size", 1),
    images,
    copies,
    dataOffset: optionalCount(section, "data_offset") ?? 0,
  };
}

/** Pairs of name and extent. */
function areasOf(section: Section, key: string, count: number): readonly Area[] {
  const value = section.values.get(key);
  const items = Array.isArray(value) ? value : [];
  if (items.length !== 2 * count) throw corrupt(section, key, `${items.length} values in "${key}" for ${count} areas`);
  const areas: Area[] = [];
  for (let at = 0; at < items.length; at += 2) {
    const [name, start] = [items[at], items[at + 1]];
    if (typeof name !== "string" || typeof start !== "number" || !Number.isSafeInteger(start) || start < 0) {
      throw corrupt(section, key, `"${key}" holds no pairs of name and extent`);
    }
    areas.push({ name, start });
  }
  return areas;
}

import { type ImageError, isImageError } from "@guestprobe/block";
import { parseConfig, type Section } from "./metadata-lexer.js";
import { corrupt, countOf, optionalText, textOf, wordsOf } from "./section.js";
import { decodeSegment, type Segment } from "./segment.js";

/** A volume group as one text has it. LVM2, lib/format_text/export.c. */
export interface VolumeGroup {
  readonly name: string;
  /** With dashes. */
  readonly uuid: string;
  /** Raised by each change. */
  readonly seqno: number;
  /** Sectors of 512 bytes in an extent. */
  readonly extentSize: number;
  /** By the names that segments use: "pv0". */
  readonly physicalVolumes: ReadonlyMap<string, PhysicalVolume>;
  /** By name, in the order of the text. */
  readonly logicalVolumes: ReadonlyMap<string, LogicalVolume>;
}

export interface PhysicalVolume {
  /** With dashes. */
  readonly uuid: string;
  /** Where it was when the text was written: "/dev/sda2". */
  readonly device: string | undefined;
  /** Of the first extent, in sectors of 512 bytes. */
  readonly peStart: number;
  /** Extents. */
  readonly peCount: number;
  /** LVM itself had lost it when it wrote the text. */
  readonly isMissing: boolean;
}

export interface LogicalVolume {
  readonly name: string;
  /** With dashes. */
  readonly uuid: string;
  readonly status: readonly string[];
  /** Meant to be used by itself. */
  readonly isVisible: boolean;
  /** In the order of the text; empty when `error` says why it cannot be read. */
  readonly segments: readonly Segment[];
  /** Extents. */
  readonly extents: number;
  /** What is wrong with its part of the text; the other volumes do not depend on it. */
  readonly error: ImageError | undefined;
}

/**
 * The volume group of a text. A logical volume that makes no sense keeps its name and says so in `error`.
 *
 * @throws ImageError `corrupt` with the offset in the text, `limit`.
 */
export function decodeVolumeGroup(text: Uint8Array): VolumeGroup {
  const root = parseConfig(text);
  const [entry, ...rest] = root.sections;
  if (entry === undefined) throw corrupt(root, "", "the text has no volume group");
  if (rest.length > 0) throw corrupt(rest[0]![1], rest[0]![0], "the text has more than one volume group");
  const [name, section] = entry;
  const extentSize = countOf(section, "extent_size", 1);
  const physicalVolumes = new Map<string, PhysicalVolume>();
  for (const [key, pv] of section.sections.get("physical_volumes")?.sections ?? []) {
    physicalVolumes.set(key, decodePhysicalVolume(pv, extentSize));
  }
  const logicalVolumes = new Map<string, LogicalVolume>();
  for (const [key, lv] of section.sections.get("logical_volumes")?.sections ?? []) {
    logicalVolumes.set(key, decodeLogicalVolume(key, lv, extentSize));
  }
  return {
    name,
    uuid: textOf(section, "id"),
    seqno: countOf(section, "seqno"),
    extentSize,
    physicalVolumes,
    logicalVolumes,
  };
}

function decodePhysicalVolume(section: Section, extentSize: number): PhysicalVolume {
  const peCount = countOf(section, "pe_count");
  const peStart = countOf(section, "pe_start");
  if (!Number.isSafeInteger((peStart + peCount * extentSize) * 512)) {
    throw corrupt(section, "pe_count", `${peCount} extents of ${extentSize} sectors pass 2^53 bytes`);
  }
  return {
    uuid: textOf(section, "id"),
    device: optionalText(section, "device"),
    peStart,
    peCount,
    isMissing: [...wordsOf(section, "status"), ...wordsOf(section, "flags")].includes("MISSING"),
  };
}

function decodeLogicalVolume(name: string, section: Section, extentSize: number): LogicalVolume {
  const status = wordsOf(section, "status");
  const lv = {
    name,
    uuid: String(section.values.get("id") ?? ""),
    status,
    isVisible: status.includes("VISIBLE"),
  };
  try {
    textOf(section, "id");
    const segments = [...section.sections]
      .filter(([key]) => /^segment[0-9]+$/.test(key))
      .map(([, segment]) => decodeSegment(segment, extentSize));
    const count = countOf(section, "segment_count");
    if (count !== segments.length) {
      throw corrupt(section, "segment_count", `"${name}" has ${segments.length} segments and says ${count}`);
    }
    return { ...lv, segments, extents: checkOrder(section, name, segments, extentSize), error: undefined };
  } catch (error) {
    if (!isImageError(error)) throw error;
    return { ...lv, segments: [], extents: 0, error };
  }
}

/** The extents of a volume whose segments follow each other without a gap, as LVM demands. */
function checkOrder(section: Section, name: string, segments: readonly Segment[], extentSize: number): number {
  let end = 0;
  for (const { startExtent, extentCount } of segments) {
    if (startExtent !== end) {
      const what = startExtent < end ? "overlaps the one before it" : "leaves a gap";
      throw corrupt(
        section,
        "start_extent",
        `a segment of "${name}" at extent ${startExtent} ${what}, which ends at ${end}`,
      );
    }
    end += extentCount;
  }
  if (!Number.isSafeInteger(end * extentSize * 512)) {
    throw corrupt(section, "extent_count", `${end} extents of ${extentSize} sectors pass 2^53 bytes`);
  }
  return end;
}

import { crc32, decodeText, encodeText, equalBytes, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  disk_locn,
  INITIAL_CRC,
  LABEL_ID,
  LABEL_SCAN_SECTORS,
  LABEL_TYPE,
  label_header,
  MDA_HEADER_SIZE,
  MDA_MAGIC,
  MDA_VERSION,
  mda_header,
  pv_header,
  RAW_LOCN_IGNORED,
  RAW_LOCNS_AT,
  raw_locn,
  SECTOR_SIZE,
} from "./layout.js";

/** A run of bytes of a physical volume. `size` 0 means: up to its end. */
export interface DiskLocation {
  readonly offset: number;
  readonly size: number;
}

/** The label of a physical volume, checked by itself. */
export interface PvLabel {
  /** The sector in which it was found, 0 to 3. */
  readonly sector: number;
  /** With dashes, as LVM prints it. */
  readonly uuid: string;
  /** Bytes. */
  readonly deviceSize: number;
  readonly dataAreas: readonly DiskLocation[];
  readonly metadataAreas: readonly DiskLocation[];
  /** Undefined when the checksum is right. */
  readonly checksumProblem: string | undefined;
}

/** Where the text of a metadata area lies. */
export interface MdaText {
  /** Bytes from the start of the area. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly checksum: number;
  /** LVM keeps no text here (pvchange --metadataignore). */
  readonly isIgnored: boolean;
}

const ID = encodeText(LABEL_ID);
const TYPE = encodeText(LABEL_TYPE);
const MAGIC = encodeText(MDA_MAGIC);
/** Bytes of a device that hold its label, if it has one. */
export const LABEL_BYTES = LABEL_SCAN_SECTORS * SECTOR_SIZE;

/** LVM's own CRC-32. `seed` is the result for what comes before. */
export function lvmCrc(data: Uint8Array, seed: number = INITIAL_CRC): number {
  return ~crc32(data, ~seed) >>> 0;
}

/**
 * Looks for a label in the first four sectors of a device; undefined where there is none. The first that has both magics
 * counts, as in LVM and in GRUB; a wrong checksum is told and does not end the search: GRUB reads none.
 *
 * @param data The start of the device, up to `LABEL_BYTES`.
 * @throws ImageError `corrupt` when there is a label and it is damaged.
 */
export function decodeLabel(data: Uint8Array): PvLabel | undefined {
  for (let sector = 0; sector < LABEL_SCAN_SECTORS; sector += 1) {
    const label = data.subarray(sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE);
    if (label.length < SECTOR_SIZE) return undefined;
    const view = viewOf(label);
    if (!equalBytes(label_header.id(view, 0), ID) || !equalBytes(label_header.type(view, 0), TYPE)) continue;
    return decodeLabelSector(label, sector);
  }
  return undefined;
}

function decodeLabelSector(label: Uint8Array, sector: number): PvLabel {
  const base = sector * SECTOR_SIZE;
  const view = viewOf(label);
  const corrupt = (structure: string, field: string, at: number, reason: string): ImageError =>
    new ImageError("corrupt", reason, { format: "lvm2", structure, field, offset: base + at });
  const headerAt = label_header.offset_xl(view, 0);
  if (headerAt < label_header.$size || headerAt + pv_header.$size > SECTOR_SIZE) {
    const reason = `the header of the physical volume would begin at byte ${headerAt} of a sector`;
    throw corrupt("label_header", "offset_xl", label_header.$fields.offset_xl.offset, reason);
  }
  let at = headerAt + pv_header.$size;
  const list = (field: string): DiskLocation[] => {
    const found: DiskLocation[] = [];
    for (;;) {
      if (at + disk_locn.$size > SECTOR_SIZE) {
        throw corrupt("pv_header", field, at, `the list of ${field} does not end within its sector`);
      }
      // Beyond 2^53 no device goes: such a word is damage, and named so.
      const offset = guard(() => disk_locn.offset(view, at), base + at);
      const size = guard(() => disk_locn.size(view, at), base + at);
      at += disk_locn.$size;
      if (offset === 0) return found;
      found.push({ offset, size });
    }
  };
  const dataAreas = list("data areas");
  const metadataAreas = list("metadata areas");
  const stored = label_header.crc_xl(view, 0);
  const computed = lvmCrc(label.subarray(label_header.$fields.offset_xl.offset));
  const own = guard(() => label_header.sector_xl(view, 0), base);
  return {
    sector,
    uuid: formatLvmId(pv_header.pv_uuid(view, headerAt)),
    deviceSize: guard(() => pv_header.device_size_xl(view, headerAt), base + headerAt),
    dataAreas,
    metadataAreas,
    checksumProblem:
      stored !== computed
        ? `the label's checksum is 0x${stored.toString(16)}, its bytes give 0x${computed.toString(16)}`
        : own !== sector
          ? `the label in sector ${sector} says that it is that of sector ${own}`
          : undefined,
  };
}

/** Adds format and place to what a field's reader throws. */
function guard<T>(read: () => T, offset: number): T {
  try {
    return read();
  } catch (cause) {
    const { reason, structure, field } = cause as ImageError;
    throw new ImageError("corrupt", reason, { format: "lvm2", structure, field, offset, cause });
  }
}

/** Thirty-two characters as LVM prints a UUID: groups of 6, 4, 4, 4, 4, 4 and 6. */
export function formatLvmId(data: Uint8Array): string {
  const text = decodeText(data);
  const cuts = [0, 6, 10, 14, 18, 22, 26, 32];
  return cuts
    .slice(1)
    .map((end, index) => text.slice(cuts[index], end))
    .join("-");
}

/** The header of a metadata area, checked against the area that the label gives. */
export interface MdaHeader {
  /** Bytes of the area. */
  readonly size: number;
  /** The committed text; undefined where there is none. */
  readonly text: MdaText | undefined;
  /** Undefined when the header's checksum is right. */
  readonly checksumProblem: string | undefined;
}

/**
 * @param area Where the header was read, from the label.
 * @throws ImageError `corrupt`.
 */
export function decodeMdaHeader(data: Uint8Array, area: DiskLocation): MdaHeader {
  const place = (field: keyof typeof mda_header.$fields) => ({
    format: "lvm2",
    structure: "mda_header",
    field,
    offset: area.offset + mda_header.$fields[field].offset,
  });
  if (data.length < MDA_HEADER_SIZE) {
    throw new ImageError("past-end", "the device ends inside the header of a metadata area", place("magic"));
  }
  const view = viewOf(data);
  if (!equalBytes(mda_header.magic(view, 0), MAGIC)) {
    throw new ImageError("corrupt", "a metadata area does not begin with its magic", place("magic"));
  }
  const version = mda_header.version(view, 0);
  if (version !== MDA_VERSION) {
    throw new ImageError("unsupported", `version ${version} of a metadata area, known is 1`, place("version"));
  }
  const start = guard(() => mda_header.start(view, 0), area.offset);
  if (start !== area.offset) {
    throw new ImageError(
      "corrupt",
      `a metadata area at byte ${area.offset} says that it begins at ${start}`,
      place("start"),
    );
  }
  const size = guard(() => mda_header.size(view, 0), area.offset);
  if (size <= MDA_HEADER_SIZE) throw new ImageError("corrupt", `a metadata area of ${size} bytes`, place("size"));
  const stored = mda_header.checksum_xl(view, 0);
  const computed = lvmCrc(data.subarray(4, MDA_HEADER_SIZE));
  const textOffset = guard(() => raw_locn.offset(view, RAW_LOCNS_AT), area.offset + RAW_LOCNS_AT);
  const textSize = guard(() => raw_locn.size(view, RAW_LOCNS_AT), area.offset + RAW_LOCNS_AT);
  if (textOffset !== 0 && (textOffset < MDA_HEADER_SIZE || textOffset >= size || textSize > size - MDA_HEADER_SIZE)) {
    throw new ImageError(
      "corrupt",
      `${textSize} bytes of text at byte ${textOffset} do not fit a metadata area of ${size} bytes`,
      { format: "lvm2", structure: "raw_locn", field: "offset", offset: area.offset + RAW_LOCNS_AT },
    );
  }
  return {
    size,
    text:
      textOffset === 0 || textSize === 0
        ? undefined
        : {
            offset: textOffset,
            size: textSize,
            checksum: raw_locn.checksum(view, RAW_LOCNS_AT),
            isIgnored: (raw_locn.flags(view, RAW_LOCNS_AT) & RAW_LOCN_IGNORED) !== 0,
          },
    checksumProblem:
      stored === computed
        ? undefined
        : `the checksum of a metadata area's header is 0x${stored.toString(16)}, its bytes give 0x${computed.toString(16)}`,
  };
}

/** The one or two runs of the ring in which a text lies, in bytes from the start of the area. */
export function ringRuns(text: MdaText, areaSize: number): readonly DiskLocation[] {
  const first = Math.min(text.size, areaSize - text.offset);
  const runs = [{ offset: text.offset, size: first }];
  if (first < text.size) runs.push({ offset: MDA_HEADER_SIZE, size: text.size - first });
  return runs;
}

import { type BlockDevice, finding, isImageError, type Report, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { BAD_BOOT_CATALOGUE } from "./findings.js";
import { boot_entry as layout, SECTOR } from "./layout.js";
import { FORMAT } from "./place.js";

/** An entry of the El Torito boot catalogue: what firmware may start from the disc. */
export interface BootEntry {
  /** "x86", "ppc", "mac", "efi", or its number. */
  readonly platform: string;
  readonly bootable: boolean;
  /** "none", or the medium that is emulated. */
  readonly emulation: string;
  readonly loadSegment: number;
  /** Where the image lies: bytes from the start of the device. */
  readonly offset: number;
  /** Bytes that firmware loads; 0 or 512 where it may find out for itself how many there are. */
  readonly length: number;
  /** Who made the section, for people. */
  readonly id: Uint8Array;
}

const PLATFORMS: ReadonlyMap<number, string> = new Map([
  [0x00, "x86"],
  [0x01, "ppc"],
  [0x02, "mac"],
  [0xef, "efi"],
]);
const EMULATIONS = ["none", "floppy 1.2M", "floppy 1.44M", "floppy 2.88M", "hard disk"] as const;
/** Sectors of the catalogue that are read. */
const MAX_SECTORS = 16;

/** The entries of the catalogue at byte `offset`; what does not fit is told, and what came before it counts. */
export async function readBootCatalogue(
  device: BlockDevice,
  offset: number,
  report: Report | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly BootEntry[]> {
  const bad = (reason: string, at: number): void =>
    report?.(finding(BAD_BOOT_CATALOGUE, reason, { format: FORMAT, structure: layout.$name, offset: at }));
  const length = Math.min(MAX_SECTORS * SECTOR, device.size - offset);
  if (length < SECTOR) {
    bad(`the catalogue lies at byte ${offset} of ${device.size}`, offset);
    return [];
  }
  let data: Uint8Array;
  try {
    data = await device.read(offset, length, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    bad(error.reason, offset);
    return [];
  }
  const { entries, problem } = decodeBootCatalogue(data);
  if (problem !== undefined) bad(problem.reason, offset + problem.at);
  return entries;
}

const HEADER = 0x90;
const LAST_HEADER = 0x91;
const EXTENSION = 0x44;
const BOOTABLE = 0x88;

/** Decodes a catalogue: the validation entry, the default entry, then sections. El Torito, 2. */
export function decodeBootCatalogue(data: Uint8Array): {
  readonly entries: readonly BootEntry[];
  readonly problem: { readonly reason: string; readonly at: number } | undefined;
} {
  const view = viewOf(data);
  let sum = 0;
  for (let at = 0; at < layout.$size; at += 2) sum = (sum + view.getUint16(at, true)) & 0xffff;
  if (layout.indicator(view, 0) !== 1 || layout.key(view, 0) !== 0xaa55 || sum !== 0) {
    return { entries: [], problem: { reason: "the validation entry is none", at: 0 } };
  }
  const entries: BootEntry[] = [];
  let platform = layout.platform(view, 0);
  let id = untilNul(data.slice(4, 28));
  let left = 1;
  let isLast = false;
  for (let at = layout.$size; at + layout.$size <= data.length; at += layout.$size) {
    const indicator = layout.indicator(view, at);
    if (left === 0) {
      // Zeros end a catalogue whose last header does not say so; many writers make no header at all.
      if (isLast || (indicator !== HEADER && indicator !== LAST_HEADER)) break;
      isLast = indicator === LAST_HEADER;
      platform = layout.platform(view, at);
      left = layout.section_entries(view, at);
      id = untilNul(data.slice(at + 4, at + 32));
      continue;
    }
    if (indicator === EXTENSION) continue;
    if (indicator !== BOOTABLE && indicator !== 0) {
      return { entries, problem: { reason: `an entry of kind 0x${indicator.toString(16)}`, at } };
    }
    left -= 1;
    entries.push({
      platform: PLATFORMS.get(platform) ?? `platform 0x${platform.toString(16)}`,
      bootable: indicator === BOOTABLE,
      emulation: EMULATIONS[layout.media(view, at) & 0x0f] ?? `medium ${layout.media(view, at) & 0x0f}`,
      loadSegment: layout.load_segment(view, at),
      offset: layout.load_rba(view, at) * SECTOR,
      length: layout.sector_count(view, at) * 512,
      id,
    });
  }
  return { entries, problem: undefined };
}

import {
  equalBytes,
  finding,
  findingFromError,
  ImageError,
  isImageError,
  type Report,
  readUpTo,
} from "@guestprobe/block";
import type { VolumeMember } from "../types.js";
import { LVM_LABEL, LVM_METADATA_AREA } from "./findings.js";
import {
  type DiskLocation,
  decodeLabel,
  decodeMdaHeader,
  lvmCrc,
  type MdaText,
  type PvLabel,
  ringRuns,
} from "./label.js";
import { MDA_HEADER_SIZE } from "./layout.js";
import { decodeVolumeGroup, type VolumeGroup } from "./metadata.js";

/** Bytes of one text. A group of a thousand volumes has about one MiB. */
const MAX_TEXT = 32 << 20;
/** Bytes of different texts that are parsed for one guest. */
const MAX_TEXTS = 64 << 20;

/** A physical volume with the texts that it holds. */
export interface PhysicalVolumeFound {
  readonly member: VolumeMember;
  readonly label: PvLabel;
  /** One for each metadata area, in the order of the label. */
  readonly areas: readonly MetadataArea[];
}

/** What one metadata area holds; `vg` is undefined where nothing can be made of it. */
export interface MetadataArea {
  readonly vg: VolumeGroup | undefined;
  /** Every checksum is right, and LVM keeps the area up to date. */
  readonly isSound: boolean;
}

/** Texts that were parsed: the areas of a group hold the same one, as a rule. */
export class TextCache {
  readonly #known: { readonly text: Uint8Array; readonly vg: VolumeGroup | ImageError }[] = [];
  #bytes = 0;

  /** @throws ImageError `corrupt`, `limit`. */
  parse(text: Uint8Array): VolumeGroup {
    let entry = this.#known.find((known) => equalBytes(known.text, text));
    if (entry === undefined) {
      this.#bytes += text.length;
      if (this.#bytes > MAX_TEXTS) {
        throw new ImageError("limit", `more than ${MAX_TEXTS} bytes of metadata text`, { format: "lvm2" });
      }
      entry = { text, vg: parseOrError(text) };
      this.#known.push(entry);
    }
    if (isImageError(entry.vg)) throw entry.vg;
    return entry.vg as VolumeGroup;
  }
}

function parseOrError(text: Uint8Array): VolumeGroup | ImageError {
  try {
    return decodeVolumeGroup(text);
  } catch (error) {
    if (!isImageError(error)) throw error;
    return error;
  }
}

/**
 * The physical volume on a member; undefined where there is none. Damage to its label or to one of its areas is reported,
 * and costs no more than that.
 *
 * @param start The first `LABEL_BYTES` of the member.
 * @throws ImageError `aborted`, `io`.
 */
export async function readPhysicalVolume(
  member: VolumeMember,
  start: Uint8Array,
  texts: TextCache,
  report: Report,
  signal?: AbortSignal,
): Promise<PhysicalVolumeFound | undefined> {
  let label: PvLabel | undefined;
  try {
    label = decodeLabel(start);
  } catch (error) {
    if (!isImageError(error, "corrupt")) throw error;
    report(findingFromError(error, { device: member.name }));
  }
  if (label === undefined) return undefined;
  if (label.checksumProblem !== undefined) {
    const place = { device: member.name, format: "lvm2", structure: "label_header", offset: label.sector * 512 };
    report(finding(LVM_LABEL, label.checksumProblem, place));
  }
  const areas: MetadataArea[] = [];
  // One after the other: a text that was seen is not parsed again.
  for (const area of label.metadataAreas) areas.push(await readArea(member, area, texts, report, signal));
  return { member, label, areas };
}

async function readArea(
  { name, device }: VolumeMember,
  area: DiskLocation,
  texts: TextCache,
  report: Report,
  signal: AbortSignal | undefined,
): Promise<MetadataArea> {
  const damaged = (reason: string, structure: string, offset: number): void =>
    report(finding(LVM_METADATA_AREA, reason, { device: name, format: "lvm2", structure, offset }));
  try {
    const header = decodeMdaHeader(await readUpTo(device, area.offset, MDA_HEADER_SIZE, signal), area);
    if (header.checksumProblem !== undefined) damaged(header.checksumProblem, "mda_header", area.offset);
    if (header.text === undefined) return { vg: undefined, isSound: false };
    const { text, runs } = await readText(device, area, header.size, header.text, signal);
    const computed = lvmCrc(text);
    const isIntact = computed === header.text.checksum;
    if (!isIntact && !header.text.isIgnored) {
      const reason = `the text's checksum is 0x${header.text.checksum.toString(16)}, its bytes give 0x${computed.toString(16)}`;
      damaged(reason, "metadata text", runs[0]!.offset);
    }
    try {
      const vg = texts.parse(text);
      return { vg, isSound: isIntact && header.checksumProblem === undefined && !header.text.isIgnored };
    } catch (error) {
      if (!isImageError(error)) throw error;
      // What a hostile text says of itself is not worth more than its place.
      const at = onDevice(error.offset ?? 0, runs);
      throw new ImageError(error.code, error.reason, {
        format: "lvm2",
        structure: "metadata text",
        field: error.field,
        offset: at,
        cause: error,
      });
    }
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "io") throw error;
    damaged(error.reason, error.structure ?? "mda_header", error.offset ?? area.offset);
    return { vg: undefined, isSound: false };
  }
}

/** The text of an area and the runs of the device that it lies in. */
async function readText(
  device: VolumeMember["device"],
  area: DiskLocation,
  areaSize: number,
  text: MdaText,
  signal: AbortSignal | undefined,
): Promise<{ readonly text: Uint8Array; readonly runs: readonly DiskLocation[] }> {
  const runs = ringRuns(text, areaSize).map(({ offset, size }) => ({ offset: area.offset + offset, size }));
  const place = { format: "lvm2", structure: "raw_locn", field: "size", offset: area.offset };
  if (text.size > MAX_TEXT) {
    throw new ImageError("limit", `a text of ${text.size} bytes; ${MAX_TEXT} are read at most`, place);
  }
  for (const { offset, size } of runs) {
    if (offset + size > device.size) {
      throw new ImageError("past-end", `${size} bytes of text at byte ${offset} pass the end of the device`, place);
    }
  }
  const parts = await Promise.all(runs.map(({ offset, size }) => device.read(offset, size, signal)));
  if (parts.length === 1) return { text: parts[0]!, runs };
  const joined = new Uint8Array(text.size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return { text: joined, runs };
}

/** Where byte `at` of a text lies on its device. */
function onDevice(at: number, runs: readonly DiskLocation[]): number {
  let left = at;
  for (const { offset, size } of runs) {
    if (left < size) return offset + left;
    left -= size;
  }
  return runs[0]?.offset ?? 0;
}

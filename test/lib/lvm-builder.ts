/** Physical volumes of LVM2 in memory, for tests of damage: the real ones are the fixtures, made by LVM itself. */
import { viewOf } from "@guestprobe/block/struct";
import { INITIAL_CRC } from "../../packages/volume/src/lvm2/layout.js";

export const MIB = 1 << 20;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** CRC-32, bit by bit, as LVM has it: no inversion at either end. */
export function slowCrc(data: Uint8Array, seed = INITIAL_CRC): number {
  let crc = seed;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}

/** "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA". */
export const uuidOf = (letter: string): string =>
  [6, 4, 4, 4, 4, 4, 6].map((length) => letter.repeat(length)).join("-");

export interface PvOptions {
  /** One letter: its UUID. */
  readonly letter?: string;
  /** The text; none leaves the area empty. */
  readonly text?: string | Uint8Array | undefined;
  /** Bytes. */
  readonly size?: number;
  /** Bytes of the metadata area, which begins at byte 4096. */
  readonly areaSize?: number;
  /** Bytes from the start of the area to the text: near its end, the text wraps. */
  readonly textAt?: number;
}

/** Where `buildPv` puts things, in bytes. */
export const PV_AT = { label: 512, pvHeader: 544, dataArea: 584, mda: 4096, rawLocn: 4136 };

/** A physical volume: label in sector 1, one metadata area, extents from byte 64 KiB on. */
export function buildPv(options: PvOptions = {}): Uint8Array {
  const { letter = "A", text, size = 2 * MIB, areaSize = 60 << 10, textAt = 512 } = options;
  const data = new Uint8Array(size);
  const view = viewOf(data);
  data.set(encode("LABELONE"), PV_AT.label);
  view.setBigUint64(PV_AT.label + 8, 1n, true);
  view.setUint32(PV_AT.label + 20, 32, true);
  data.set(encode("LVM2 001"), PV_AT.label + 24);
  data.set(encode(letter.repeat(32)), PV_AT.pvHeader);
  view.setBigUint64(PV_AT.pvHeader + 32, BigInt(size), true);
  view.setBigUint64(PV_AT.dataArea, 65536n, true);
  view.setBigUint64(PV_AT.dataArea + 32, BigInt(PV_AT.mda), true);
  view.setBigUint64(PV_AT.dataArea + 40, BigInt(areaSize), true);
  data.set(encode(" LVM2 x[5A%r0N*>"), PV_AT.mda + 4);
  view.setUint32(PV_AT.mda + 20, 1, true);
  view.setBigUint64(PV_AT.mda + 24, BigInt(PV_AT.mda), true);
  view.setBigUint64(PV_AT.mda + 32, BigInt(areaSize), true);
  if (text !== undefined) {
    const written = typeof text === "string" ? encode(text) : text;
    const bytes = new Uint8Array(written.length + 1);
    bytes.set(written);
    const first = Math.min(bytes.length, areaSize - textAt);
    data.set(bytes.subarray(0, first), PV_AT.mda + textAt);
    data.set(bytes.subarray(first), PV_AT.mda + 512);
    view.setBigUint64(PV_AT.rawLocn, BigInt(textAt), true);
    view.setBigUint64(PV_AT.rawLocn + 8, BigInt(bytes.length), true);
    view.setUint32(PV_AT.rawLocn + 16, slowCrc(bytes), true);
  }
  return sealPv(data);
}

/** Sets the checksums of label and area header to what their bytes give. */
export function sealPv(data: Uint8Array): Uint8Array {
  const view = viewOf(data);
  view.setUint32(PV_AT.label + 16, slowCrc(data.subarray(PV_AT.label + 20, PV_AT.label + 512)), true);
  view.setUint32(PV_AT.mda, slowCrc(data.subarray(PV_AT.mda + 4, PV_AT.mda + 512)), true);
  return data;
}

/** A text with these physical volumes, by letter, and these logical volumes. Extents are of 64 KiB. */
export function vgText(options: {
  readonly name?: string;
  readonly letter?: string;
  readonly seqno?: number;
  readonly pvs?: readonly string[];
  readonly peCount?: number | string;
  readonly lvs?: readonly string[];
}): string {
  const { name = "vg", letter = "V", seqno = 1, pvs = ["A"], peCount = 31, lvs = [] } = options;
  const physical = pvs.map(
    (pv, index) =>
      `pv${index} {\nid = "${uuidOf(pv)}"\ndevice = "/dev/sd${"abcdef"[index]}"\nstatus = ["ALLOCATABLE"]\nflags = []\n` +
      `dev_size = 4096\npe_start = 128\npe_count = ${peCount}\n}`,
  );
  return (
    `${name} {\nid = "${uuidOf(letter)}"\nseqno = ${seqno}\nformat = "lvm2"\nstatus = ["RESIZEABLE", "READ", "WRITE"]\n` +
    `flags = []\nextent_size = 128\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\n\nphysical_volumes {\n${physical.join("\n")}\n}\n` +
    `${lvs.length === 0 ? "" : `logical_volumes {\n${lvs.join("\n")}\n}\n`}}\n# Generated for a test\ncontents = "Text Format Volume Group"\nversion = 1\n`
  );
}

/** A logical volume with these segments, each the lines behind its extents. */
export function lvText(
  name: string,
  segments: readonly (readonly [start: number | string, count: number | string, body: string])[],
  { letter = "L", status = '"READ", "WRITE", "VISIBLE"' } = {},
): string {
  const parts = segments.map(
    ([start, count, body], index) =>
      `segment${index + 1} {\nstart_extent = ${start}\nextent_count = ${count}\n${body}\n}`,
  );
  return `${name} {\nid = "${uuidOf(letter)}"\nstatus = [${status}]\nflags = []\nsegment_count = ${segments.length}\n${parts.join("\n")}\n}`;
}

/** The body of a linear segment. */
export const linear = (on: string, start: number | string): string =>
  `type = "striped"\nstripe_count = 1\nstripes = [\n"${on}", ${start}\n]`;

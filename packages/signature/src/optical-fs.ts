import { decodeText, encodeText, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { hs_volume_descriptor, iso_volume_descriptor, udf_descriptor } from "./layout/interchange.js";
import { type Found, labelOf, labelOfUtf16, type ReadMore, type SignatureRow } from "./row.js";
import type { Window } from "./window.js";

const DESCRIPTORS_AT = 0x8000;
const DESCRIPTOR = 0x800;
/** Descriptors that are looked at for Joliet's. */
const MAX_DESCRIPTORS = 16;
const PRIMARY_AT = DESCRIPTORS_AT;
const SUPPLEMENTARY = 2;
const TERMINATOR = 0xff;
const JOLIET = ["%/@", "%/C", "%/E"];

function decodeIso(window: Window): Found | undefined {
  const primary = window.view(PRIMARY_AT, iso_volume_descriptor.$size);
  if (primary === undefined) return undefined;
  const uuid =
    dateAsUuid(iso_volume_descriptor.modification_date(primary, 0)) ??
    dateAsUuid(iso_volume_descriptor.creation_date(primary, 0));
  const label = labelOf(iso_volume_descriptor.volume_id(primary, 0));
  const found: Found = { offset: PRIMARY_AT + 1, uuid, label };
  for (let index = 1; index <= MAX_DESCRIPTORS; index += 1) {
    const view = window.view(DESCRIPTORS_AT + index * DESCRIPTOR, iso_volume_descriptor.$size);
    if (view === undefined || iso_volume_descriptor.type(view, 0) === TERMINATOR) break;
    if (iso_volume_descriptor.type(view, 0) !== SUPPLEMENTARY) continue;
    if (!JOLIET.includes(decodeText(iso_volume_descriptor.escape_sequences(view, 0)))) continue;
    const joliet = decodeUtf16be(iso_volume_descriptor.volume_id(view, 0));
    return { ...found, version: "Joliet Extension", label: mergeLabels(label, joliet) };
  }
  return found;
}

/** Characters of a Joliet label: half as many as the primary one has. */
const JOLIET_CHARS = 16;

/**
 * Joliet keeps case and accents, the primary descriptor has room for twice as many characters: where the two are the same
 * label, the first is completed from the second.
 */
function mergeLabels(primary: Uint8Array, joliet: string): Uint8Array {
  const own = labelOf(encodeText(joliet));
  if (own.length === 0) return primary;
  const long = decodeText(primary);
  const isSame = [...joliet].every((char, index) => {
    const other = long[index] ?? " ";
    return other === "_" || other.toUpperCase() === char.toUpperCase();
  });
  return isSame && joliet.length === JOLIET_CHARS ? labelOf(encodeText(joliet + long.slice(JOLIET_CHARS))) : own;
}

const decodeUtf16be = (field: Uint8Array): string =>
  new TextDecoder("utf-16be", { ignoreBOM: true }).decode(field).replace(/\0.*$/s, "");

/** "2026-11-29-06-30-00-00": what stands for a UUID on a disc that has none. */
function dateAsUuid(date: Uint8Array): string | undefined {
  const digits = decodeText(date.subarray(0, 16));
  const isUnset = /^0{16}$/.test(digits) && date[16] === 0;
  if (isUnset || !/^[\x20-\x7e]{16}$/.test(digits)) return undefined;
  return digits.replace(/^(.{4})(..)(..)(..)(..)(..)(..)$/, "$1-$2-$3-$4-$5-$6-$7");
}

/** Descriptors of the volume recognition sequence. ECMA-167, part 2, 8.3, and UDF 2.60, 2.1.7. */
const SEQUENCE_IDS = ["BEA01", "BOOT2", "CD001", "CDW02", "TEA01"];
const NSR_IDS = ["NSR02", "NSR03"];
const UDF_BLOCKS = [2048, 512, 4096, 1024];
const MAX_SEQUENCE = 64;

function hasNsr(window: Window): boolean {
  for (const step of [DESCRIPTOR, 2 * DESCRIPTOR]) {
    for (let index = 0; index < MAX_SEQUENCE; index += 1) {
      const id = window.bytes(DESCRIPTORS_AT + index * step + 1, 5);
      if (id === undefined) break;
      if (NSR_IDS.includes(decodeText(id))) return true;
      if (!SEQUENCE_IDS.includes(decodeText(id))) break;
    }
  }
  return false;
}

const TAG_PRIMARY = 1;
const TAG_ANCHOR = 2;
const TAG_LOGICAL = 6;
const TAG_TERMINATING = 8;
const TAG_INTEGRITY = 9;
const ANCHOR_BLOCK = 256;
/** Blocks of the descriptor sequence that are read; UDF wants 16 at least, and programs write that many. */
const MAX_BLOCKS = 64;

/** The anchor says where the descriptors are that hold the names. Its own place tells the size of blocks. */
async function finishUdf(_: Window, found: Found, read: ReadMore): Promise<Found> {
  const anchors = await Promise.all(UDF_BLOCKS.map((size) => readTag(ANCHOR_BLOCK, size, TAG_ANCHOR, read)));
  const index = anchors.findIndex((anchor) => anchor !== undefined);
  const anchor = anchors[index];
  const blockSize = UDF_BLOCKS[index];
  if (anchor === undefined || blockSize === undefined) return { ...found, problem: "no anchor in block 256" };
  const location = udf_descriptor.anchor_location(anchor, 0);
  const count = Math.min(Math.floor(udf_descriptor.anchor_length(anchor, 0) / blockSize), MAX_BLOCKS);
  const data = count === 0 ? undefined : await read(location * blockSize, count * blockSize);
  if (data === undefined) return { ...found, problem: "the volume descriptors cannot be read" };
  let label: Uint8Array | undefined;
  let uuid: string | undefined;
  let revision: number | undefined;
  let integrity: number | undefined;
  for (let block = 0; block < count; block += 1) {
    const view = viewOf(data.subarray(block * blockSize, block * blockSize + udf_descriptor.$size));
    const tag = udf_descriptor.tagIdent(view, 0);
    if (tag === 0 || tag === TAG_TERMINATING || udf_descriptor.tagLocation(view, 0) !== location + block) break;
    if (tag === TAG_PRIMARY && isOstaUnicode(udf_descriptor.descCharSet(view, 0)))
      uuid ??= volumeSetUuid(udf_descriptor.volSetIdent(view, 0));
    if (tag === TAG_LOGICAL) {
      if (isOstaUnicode(udf_descriptor.logical_descCharSet(view, 0))) {
        label ??= dstring(udf_descriptor.logicalVolIdent(view, 0));
      }
      const domain = decodeText(labelOf(udf_descriptor.domainIdent(view, 0)));
      if (domain === "*OSTA UDF Compliant") revision ??= udf_descriptor.domain_udf_revision(view, 0);
      if (udf_descriptor.numPartitionMaps(view, 0) > 0 && udf_descriptor.integritySeq_length(view, 0) > 0) {
        integrity ??= udf_descriptor.integritySeq_location(view, 0);
      }
    }
  }
  const needed = integrity === undefined ? undefined : await minimumRevision(integrity, blockSize, read);
  const version = needed || revision;
  return {
    ...found,
    uuid,
    ...(label && { label: labelOf(label) }),
    ...(version ? { version: `${version >> 8}.${(version & 0xff).toString(16).padStart(2, "0")}` } : {}),
  };
}

async function readTag(block: number, size: number, tag: number, read: ReadMore): Promise<DataView | undefined> {
  const data = await read(block * size, udf_descriptor.$size);
  if (data === undefined) return undefined;
  const view = viewOf(data);
  const isIt = udf_descriptor.tagIdent(view, 0) === tag && udf_descriptor.tagLocation(view, 0) === block;
  return isIt ? view : undefined;
}

/** Revision that a reader must know, from the implementation use of the integrity descriptor. UDF 2.60, 2.2.6.4. */
async function minimumRevision(block: number, blockSize: number, read: ReadMore): Promise<number | undefined> {
  const view = await readTag(block, blockSize, TAG_INTEGRITY, read);
  if (view === undefined || udf_descriptor.lvid_impUse_length(view, 0) < 46) return undefined;
  const at = 80 + 8 * udf_descriptor.lvid_numPartitions(view, 0) + 40;
  return at + 2 > view.byteLength ? undefined : view.getUint16(at, true);
}

/** The one set of characters that UDF allows: type 0, and its name. UDF 2.60, 2.1.2. */
const isOstaUnicode = (charSet: Uint8Array): boolean =>
  charSet[0] === 0 && decodeText(untilNul(charSet.subarray(1))) === "OSTA Compressed Unicode";

/** A "dstring": how it is encoded, the text, and in the last byte how much of it is used. UDF 2.60, 2.1.3. */
function dstring(field: Uint8Array): Uint8Array | undefined {
  const used = Math.min(Math.max(field.at(-1)! - 1, 0), field.length - 2);
  const text = field.subarray(1, 1 + used);
  if (field[0] === 8) return encodeText(String.fromCharCode(...text));
  return field[0] === 16 ? labelOfUtf16(text, "utf-16be") : undefined;
}

/**
 * The first sixteen characters of the volume set's name are unique by rule: eight hexadecimal digits of a time, and eight
 * more. What is no such digit is written as two.
 */
function volumeSetUuid(field: Uint8Array): string | undefined {
  const full = dstring(field);
  const name = full && untilNul(full).subarray(0, 16);
  if (name === undefined || name.length < 8) return undefined;
  const text = Array.from(name, (byte) => String.fromCharCode(byte));
  const digits = text.findIndex((char) => !/[0-9A-Fa-f]/.test(char));
  const valid = digits < 0 ? name.length : digits;
  const hex = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, index) => (name[from + index] ?? 0).toString(16).padStart(2, "0")).join("");
  if (valid < 8) return hex(0, 8);
  const start = text.slice(0, 8).join("").toLowerCase();
  return valid < 16 ? start + hex(8, 12) : text.join("").toLowerCase();
}

/** UDF before ISO 9660, as blkid has it: a bridge disc carries both. */
export const OPTICAL_ROWS: readonly SignatureRow[] = [
  {
    kind: "udf",
    title: "UDF file system",
    usage: "filesystem",
    source: "ECMA-167; OSTA UDF 2.60",
    decode: (window) => (hasNsr(window) ? { offset: DESCRIPTORS_AT + 1 } : undefined),
    more: finishUdf,
  },
  {
    kind: "iso9660",
    title: "ISO 9660 file system",
    usage: "filesystem",
    source: "ECMA-119, 8.4",
    magics: [{ at: DESCRIPTORS_AT + 1, is: "CD001" }],
    decode: decodeIso,
  },
  {
    kind: "iso9660",
    title: "High Sierra file system",
    usage: "filesystem",
    source: "High Sierra Group, 1986",
    magics: [{ at: DESCRIPTORS_AT + 9, is: "CDROM" }],
    decode(window, at) {
      const view = window.view(DESCRIPTORS_AT, hs_volume_descriptor.$size);
      if (view === undefined) return undefined;
      return { offset: at, version: "High Sierra", label: labelOf(hs_volume_descriptor.volume_id(view, 0)) };
    },
  },
];

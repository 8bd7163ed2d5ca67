import {
  type BlockDevice,
  crc32c,
  decodeText,
  finding,
  formatGuid,
  ImageError,
  isZero,
  readUpTo,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { IMAGE_CHECKSUM } from "../findings.js";
import type { LayerContext } from "../layer.js";
import { failer } from "../tables.js";
import {
  BAT_REGION,
  HEADERS_AT,
  MAX_ENTRIES,
  METADATA_REGION,
  MIB,
  REGION_TABLES_AT,
  TABLE_SIZE,
  VHDX_HEADER,
  VHDX_REGION_TABLE_ENTRY,
  VHDX_REGION_TABLE_HEADER,
} from "./layout.js";

/** The header in force, checked by itself. */
export interface VhdxHeader {
  readonly dataWriteGuid: string;
  /** Undefined when the log is empty. */
  readonly logGuid: Uint8Array | undefined;
  readonly logOffset: number;
  readonly logLength: number;
}

/** A part of the file, in bytes. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

/** CRC-32C of `data` with the four bytes at `at` taken as zero. */
export function checksumHolds(data: Uint8Array, at: number): boolean {
  const sum = crc32c(data.subarray(at + 4), crc32c(new Uint8Array(4), crc32c(data.subarray(0, at))));
  return sum === viewOf(data).getUint32(at, true);
}

/** The sequence number of a header; undefined when it is not sound. */
function soundSequence(data: Uint8Array): bigint | undefined {
  if (data.length < VHDX_HEADER.$size || decodeText(data.subarray(0, 4)) !== "head") return undefined;
  if (!checksumHolds(data, VHDX_HEADER.$fields.Checksum.offset)) return undefined;
  return VHDX_HEADER.SequenceNumber(viewOf(data), 0);
}

/** Decodes a sound header. Throws `corrupt`, `unsupported`. */
function decodeHeader(data: Uint8Array, base: number): VhdxHeader {
  const view = viewOf(data);
  const fail = failer("vhdx", VHDX_HEADER, base);
  return fail.guard(() => {
    const version = VHDX_HEADER.Version(view, 0);
    if (version !== 1) throw fail.unsupported("Version", `version ${version}, known is 1`);
    const logGuid = VHDX_HEADER.LogGuid(view, 0);
    const logOffset = VHDX_HEADER.LogOffset(view, 0);
    const logLength = VHDX_HEADER.LogLength(view, 0);
    const empty = isZero(logGuid);
    if (!empty) {
      const logVersion = VHDX_HEADER.LogVersion(view, 0);
      if (logVersion !== 0) throw fail.unsupported("LogVersion", `log version ${logVersion}, known is 0`);
      if (logOffset < MIB || logOffset % MIB !== 0) throw fail.corrupt("LogOffset", `is ${logOffset}`);
      if (logLength === 0 || logLength % MIB !== 0) throw fail.corrupt("LogLength", `is ${logLength}`);
    }
    return {
      dataWriteGuid: formatGuid(VHDX_HEADER.DataWriteGuid(view, 0)),
      logGuid: empty ? undefined : logGuid,
      logOffset,
      logLength,
    };
  });
}

/**
 * The sound header with the higher sequence number.
 *
 * @throws ImageError `not-this-format`, `bad-checksum` when neither is sound, `unsupported`, `corrupt`.
 */
export async function readHeader(file: BlockDevice, context: LayerContext): Promise<VhdxHeader> {
  const { signal } = context;
  const magic = await readUpTo(file, 0, 8, signal);
  if (decodeText(magic) !== "vhdxfile") {
    throw new ImageError("not-this-format", 'the file does not start with "vhdxfile"', { format: "vhdx", offset: 0 });
  }
  const copies = await Promise.all(HEADERS_AT.map((base) => readUpTo(file, base, VHDX_HEADER.$size, signal)));
  const headers = copies.map((data, index) => ({ data, base: HEADERS_AT[index]!, sequence: soundSequence(data) }));
  let current: { data: Uint8Array; base: number; sequence: bigint } | undefined;
  for (const { data, base, sequence } of headers) {
    if (sequence !== undefined && sequence > (current?.sequence ?? -1n)) current = { data, base, sequence };
  }
  if (current === undefined) {
    const place = failer("vhdx", VHDX_HEADER, HEADERS_AT[0]!).place("Checksum");
    throw new ImageError("bad-checksum", "neither header is sound", place);
  }
  for (const { data, base, sequence } of headers) {
    // A file that was never updated twice may have one header of zeros.
    if (sequence !== undefined || isZero(data)) continue;
    const place = failer("vhdx", VHDX_HEADER, base).place("Checksum");
    context.report(finding(IMAGE_CHECKSUM, "one of the two headers is damaged: the other is used", place));
  }
  return decodeHeader(current.data, current.base);
}

/** Where the block allocation table and the metadata lie. */
export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
}

/** @throws ImageError `corrupt`, `unsupported`; undefined for a table that is not sound. */
export function decodeRegions(data: Uint8Array, base: number, fileSize: number): Regions | undefined {
  if (data.length < TABLE_SIZE || decodeText(data.subarray(0, 4)) !== "regi") return undefined;
  if (!checksumHolds(data, VHDX_REGION_TABLE_HEADER.$fields.Checksum.offset)) return undefined;
  const view = viewOf(data);
  const failTable = failer("vhdx", VHDX_REGION_TABLE_HEADER, base);
  const count = VHDX_REGION_TABLE_HEADER.EntryCount(view, 0);
  if (count > MAX_ENTRIES) throw failTable.corrupt("EntryCount", `is ${count}, at most ${MAX_ENTRIES}`);
  const found = new Map<string, Region>();
  for (let index = 0; index < count; index += 1) {
    const at = VHDX_REGION_TABLE_HEADER.$size + index * VHDX_REGION_TABLE_ENTRY.$size;
    const fail = failer("vhdx", VHDX_REGION_TABLE_ENTRY, base + at);
    const guid = formatGuid(VHDX_REGION_TABLE_ENTRY.Guid(view, at));
    if (guid !== BAT_REGION && guid !== METADATA_REGION) {
      if ((VHDX_REGION_TABLE_ENTRY.Required(view, at) & 1) === 0) continue;
      throw fail.unsupported("Guid", `region ${guid} is required, and unknown`);
    }
    if (found.has(guid)) throw fail.corrupt("Guid", `${guid} is there twice`);
    const offset = fail.guard(() => VHDX_REGION_TABLE_ENTRY.FileOffset(view, at));
    const length = VHDX_REGION_TABLE_ENTRY.Length(view, at);
    if (offset < MIB || offset % MIB !== 0) throw fail.corrupt("FileOffset", `is ${offset}`);
    if (length === 0 || length % MIB !== 0) throw fail.corrupt("Length", `is ${length}`);
    if (offset + length > fileSize) {
      const reason = `a region of ${length} bytes at byte ${offset} passes the end of the file at ${fileSize}`;
      throw new ImageError("past-end", reason, fail.place("FileOffset"));
    }
    found.set(guid, { offset, length });
  }
  const bat = found.get(BAT_REGION);
  const metadata = found.get(METADATA_REGION);
  if (bat === undefined || metadata === undefined) {
    throw failTable.corrupt("EntryCount", `is ${count}: the table or the metadata have no entry`);
  }
  if (bat.offset < metadata.offset + metadata.length && metadata.offset < bat.offset + bat.length) {
    throw failTable.corrupt("EntryCount", `is ${count}: the table and the metadata overlap`);
  }
  return { bat, metadata };
}

/** Reads the region table, from the file as it is after replay. Throws `bad-checksum` when neither copy is sound. */
export async function readRegions(file: BlockDevice, context: LayerContext): Promise<Regions> {
  for (const [index, base] of REGION_TABLES_AT.entries()) {
    const data = await readUpTo(file, base, TABLE_SIZE, context.signal);
    const regions = decodeRegions(data, base, file.size);
    if (regions !== undefined) return regions;
    const place = failer("vhdx", VHDX_REGION_TABLE_HEADER, base).place("Checksum");
    if (index === REGION_TABLES_AT.length - 1) {
      throw new ImageError("bad-checksum", "neither region table is sound", place);
    }
    context.report(finding(IMAGE_CHECKSUM, "the first region table is damaged: the second is used", place));
  }
  throw new ImageError("corrupt", "there is no region table", { format: "vhdx" });
}

import { viewOf } from "@guestprobe/block/struct";
import {
  FLAG_ASSOCIATED,
  FLAG_DIRECTORY,
  FLAG_MORE,
  iso_directory_record as layout,
  iso_directory_record_m as layoutM,
} from "./layout.js";
import { shortTime } from "./times.js";

/** One directory record; numbers are the little-endian ones. */
export interface DirectoryRecord {
  /** Bytes from the start of the device. */
  readonly offset: number;
  /** A copy of the whole record, system use included. */
  readonly raw: Uint8Array;
  readonly name: Uint8Array;
  /** First logical block of the content. */
  readonly extent: number;
  /** Bytes. */
  readonly size: number;
  readonly flags: number;
  readonly timeNs: bigint;
  /** Whether parts of the file are interleaved with others. */
  readonly isInterleaved: boolean;
  /** The system use area: bytes from the start of `raw`. */
  readonly systemUse: number;
}

/** What is wrong with the bytes where a record should be. */
export interface RecordProblem {
  readonly field: keyof typeof layout.$fields;
  readonly reason: string;
}

/** Shortest record: one byte of a name, which also is what pads it. */
const MIN_LENGTH = layout.$size + 1;

/**
 * The record at byte `at` of a sector; undefined for zeros that fill the rest of it.
 *
 * @param offset Where it lies: bytes from the start of the device.
 */
export function decodeRecord(
  data: Uint8Array,
  at: number,
  offset: number,
): DirectoryRecord | RecordProblem | undefined {
  const length = data[at]!;
  if (length === 0) return undefined;
  if (length < MIN_LENGTH) return { field: "length", reason: `record of ${length} bytes, at least ${MIN_LENGTH}` };
  if (at + length > data.length) {
    return { field: "length", reason: `record of ${length} bytes, its sector ends after ${data.length - at}` };
  }
  const raw = data.slice(at, at + length);
  const view = viewOf(raw);
  const nameLength = layout.name_len(view, 0);
  if (layout.$size + nameLength > length) {
    return { field: "name_len", reason: `name of ${nameLength} bytes in a record of ${length}` };
  }
  const name = raw.subarray(layout.$size, layout.$size + nameLength);
  // What follows the name begins at an even byte.
  const systemUse = layout.$size + nameLength + (nameLength % 2 === 0 ? 1 : 0);
  return {
    offset,
    raw,
    name,
    extent: layout.extent(view, 0) + layout.ext_attr_length(view, 0),
    size: layout.size(view, 0),
    flags: layout.flags(view, 0),
    timeNs: shortTime(layout.date(view, 0)),
    isInterleaved: layout.interleave(view, 0) !== 0 || layout.file_unit_size(view, 0) !== 0,
    systemUse,
  };
}

export const isProblem = (result: DirectoryRecord | RecordProblem): result is RecordProblem => "reason" in result;

/** Whether the record is a directory's own, or its parent's. ECMA-119, 6.8.2.2. */
export const isDotRecord = ({ name }: DirectoryRecord): boolean => name.length === 1 && name[0]! <= 1;

export const isDirectoryRecord = ({ flags }: DirectoryRecord): boolean => (flags & FLAG_DIRECTORY) !== 0;
export const isAssociated = ({ flags }: DirectoryRecord): boolean => (flags & FLAG_ASSOCIATED) !== 0;
export const hasMore = ({ flags }: DirectoryRecord): boolean => (flags & FLAG_MORE) !== 0;

/** The first number that its two byte orders give two values; undefined where they agree. */
export function differingField({ raw }: DirectoryRecord): "extent" | "size" | undefined {
  const view = viewOf(raw);
  return (["extent", "size"] as const).find((field) => layout[field](view, 0) !== layoutM[field](view, 0));
}

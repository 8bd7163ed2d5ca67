import { decodeText, type ErrorPlace, ImageError } from "@guestprobe/block";
import { quoteName } from "../name.js";
import { SECTOR } from "./layout.js";

/** Most bytes of a descriptor. Real ones have a line for every two gigabytes at most. */
export const DESCRIPTOR_MAX = 1 << 20;
const MAX_EXTENTS = 32768;
const SIGNATURE = "# Disk DescriptorFile";

export type ExtentType = "FLAT" | "SPARSE" | "ZERO" | "VMFS" | "VMFSSPARSE" | "SESPARSE";
const READ: ReadonlySet<string> = new Set<ExtentType>(["FLAT", "SPARSE", "ZERO", "VMFS", "VMFSSPARSE", "SESPARSE"]);

/** One line of the extent description. */
export interface ExtentLine {
  /** Bytes of the disk. */
  readonly length: number;
  readonly type: ExtentType;
  /** Empty for ZERO. */
  readonly name: string;
  /** FLAT and VMFS: where the data starts in the file, in bytes. */
  readonly offset: number;
}

export interface Descriptor {
  readonly createType: string;
  /** Changes when the disk is first written after opening; what a child knows its parent by. */
  readonly cid: string | undefined;
  readonly parentCid: string | undefined;
  readonly parentName: string | undefined;
  readonly extents: readonly ExtentLine[];
}

export function isDescriptor(data: Uint8Array): boolean {
  return decodeText(data.subarray(0, SIGNATURE.length)) === SIGNATURE;
}

const PAIR = /^\s*([\w.]+)\s*=\s*"?(.*?)"?\s*$/;
const EXTENT = /^\s*(RW|RDONLY|NOACCESS)\s+(\S+)\s+(\w+)(?:\s+"([^"]*)")?(?:\s+(\S+))?/;
const NONE = "ffffffff";

/**
 * Parses a descriptor that starts at byte `base` of the file: `key=value` lines and extent lines; anything else is a
 * remark. A NUL ends it.
 *
 * @throws ImageError `corrupt`, `unsupported`, at the line.
 */
export function parseDescriptor(data: Uint8Array, base: number): Descriptor {
  const end = data.indexOf(0);
  const bytes = end < 0 ? data : data.subarray(0, end);
  const text = decodeAs(bytes, /^\s*encoding\s*=\s*"?([\w-]+)/m.exec(latin1(bytes))?.[1]);
  const values = new Map<string, string>();
  const extents: ExtentLine[] = [];
  let line = 0;
  for (const content of text.split("\n")) {
    line += 1;
    const place = { format: "vmdk", structure: "descriptor", field: `line ${line}`, offset: base };
    const extent = EXTENT.exec(content);
    if (extent !== null) {
      if (extents.length === MAX_EXTENTS) throw new ImageError("limit", `more than ${MAX_EXTENTS} extents`, place);
      extents.push(parseExtent(extent, place));
      continue;
    }
    const pair = content.trimStart().startsWith("#") ? null : PAIR.exec(content);
    // The first one counts, as in the reference reader.
    if (pair !== null && !values.has(pair[1]!.toLowerCase())) values.set(pair[1]!.toLowerCase(), pair[2]!);
  }
  const createType = values.get("createtype");
  if (createType === undefined) {
    throw new ImageError("corrupt", "there is no createType", {
      format: "vmdk",
      structure: "descriptor",
      offset: base,
    });
  }
  const parentCid = values.get("parentcid")?.toLowerCase();
  return {
    createType,
    cid: values.get("cid")?.toLowerCase(),
    parentCid: parentCid === NONE ? undefined : parentCid,
    parentName: parentCid === undefined || parentCid === NONE ? undefined : values.get("parentfilenamehint"),
    extents,
  };
}

function parseExtent(match: RegExpExecArray, place: ErrorPlace): ExtentLine {
  const [, access, sectors, type = "", name = "", offset] = match;
  if (access === "NOACCESS") throw new ImageError("unsupported", "an extent that must not be accessed", place);
  if (!READ.has(type)) throw new ImageError("unsupported", `an extent of type ${quoteName(type)}`, place);
  const length = parseSectors(sectors ?? "", place);
  if (length === 0) throw new ImageError("corrupt", "an extent of no sectors", place);
  if (type !== "ZERO" && name === "") throw new ImageError("corrupt", "an extent without a file name", place);
  if (type === "FLAT" && offset === undefined)
    throw new ImageError("corrupt", "a flat extent without its offset", place);
  const flat = type === "FLAT" || type === "VMFS";
  return {
    length,
    type: type as ExtentType,
    name: type === "ZERO" ? "" : name,
    offset: flat && offset !== undefined ? parseSectors(offset, place) : 0,
  };
}

/** A decimal number of sectors, in bytes. */
function parseSectors(text: string, place: ErrorPlace): number {
  const bytes = /^\d{1,16}$/.test(text) ? Number(text) * SECTOR : Number.NaN;
  if (!Number.isSafeInteger(bytes))
    throw new ImageError("corrupt", `${quoteName(text)} is no number of sectors`, place);
  return bytes;
}

function latin1(data: Uint8Array): string {
  return new TextDecoder("windows-1252").decode(data);
}

/** File names are in the encoding that the descriptor names; UTF-8 where it names none, or one that is unknown. */
function decodeAs(data: Uint8Array, encoding: string | undefined): string {
  if (encoding === undefined || /^utf-?8$/i.test(encoding)) return decodeText(data);
  try {
    return new TextDecoder(encoding).decode(data);
  } catch {
    return decodeText(data);
  }
}

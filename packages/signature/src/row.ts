import { decodeTextStrict, encodeText, formatUuid, isZero, untilNul } from "@guestprobe/block";
import type { Signature, SignatureUsage } from "./types.js";
import type { Window } from "./window.js";

/** Bytes that tell a format, and where. */
export interface Magic {
  /** Bytes from the start of the device. */
  readonly at: number;
  /** Text stands for its bytes. */
  readonly is: string | Uint8Array;
}

/** What a decoder makes of a superblock. */
export type Found = Pick<Signature, "offset"> & Partial<Pick<Signature, "label" | "uuid" | "version" | "problem">>;

/** Reads more of the device; undefined where it cannot be read, or enough has been read. */
export type ReadMore = (offset: number, length: number) => Promise<Uint8Array | undefined>;

/** One format. */
export interface SignatureRow {
  readonly kind: string;
  readonly title: string;
  readonly usage: SignatureUsage;
  /** Where the layout is from. */
  readonly source: string;
  /** Bytes; a smaller device is not asked about. */
  readonly minSize?: number;
  /** Any of them is enough; without any, the decoder looks by itself. */
  readonly magics?: readonly Magic[];
  /**
   * Checks the superblock, and takes out label and UUID. Without it, the magic is all there is.
   *
   * @param at Where the magic lies that was found.
   */
  readonly decode?: (window: Window, at: number) => Found | undefined;
  /** For formats whose label lies away from the superblock; asked after `decode`. */
  readonly more?: (window: Window, found: Found, read: ReadMore) => Promise<Found>;
}

/** Bytes of a text, one for each character up to U+00FF. */
export function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? Uint8Array.from(text, (char) => char.charCodeAt(0)) : text;
}

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** A label as blkid shows it: up to the first NUL, without white space at its end. */
export function labelOf(field: Uint8Array): Uint8Array {
  const text = untilNul(field);
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1]!)) end -= 1;
  return text.subarray(0, end);
}

/** A label in UTF-16, as UTF-8. */
export function labelOfUtf16(field: Uint8Array, order: "utf-16le" | "utf-16be"): Uint8Array {
  const text = new TextDecoder(order, { ignoreBOM: true }).decode(field.subarray(0, field.length - (field.length % 2)));
  return labelOf(encodeText(text));
}

/** A UUID; undefined when all of it is zero. */
export function uuidOf(field: Uint8Array): string | undefined {
  return isZero(field) ? undefined : formatUuid(field);
}

/** A UUID that is stored as text; undefined where it is none. */
export function uuidOfText(field: Uint8Array): string | undefined {
  const text = decodeTextStrict(untilNul(field));
  return text === undefined || !/^[\x21-\x7e]+$/.test(text) ? undefined : text;
}

/** A serial number of 32 bits as "1234-ABCD". */
export function serialOf(serial: number): string | undefined {
  if (serial === 0) return undefined;
  const digits = serial.toString(16).toUpperCase().padStart(8, "0");
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}

export const BAD_CHECKSUM = "the checksum of the superblock does not match";
/** What to say of a checksum. */
export function checksumProblem(matches: boolean): Pick<Found, "problem"> {
  return matches ? {} : { problem: BAD_CHECKSUM };
}

import { compareBytes } from "@guestprobe/block";

/**
 * Text as GRUB sees it is bytes. Inside this package it is a JavaScript string decoded from UTF-8 in which each byte
 * that is not valid UTF-8 stands as U+DC80..U+DCFF, so that the way back is exact: no guest's path or title is altered.
 */

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Bytes to text; never fails, and `encodeText` gives the same bytes back. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return fatal.decode(bytes);
  } catch {
    return decodeWithEscapes(bytes);
  }
}

/** Code units that become text by one call: they are its arguments, of which an engine takes only so many. */
const UNITS = 4096;

function decodeWithEscapes(bytes: Uint8Array): string {
  // No sequence has more code units than bytes. A string for each character would take ten times as long.
  const units = new Uint16Array(bytes.length);
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const code = length === 0 ? 0xdc00 + bytes[at]! : codePoint(bytes, at, length);
    if (code > 0xffff) {
      units[count] = 0xd800 + ((code - 0x1_0000) >> 10);
      units[count + 1] = 0xdc00 + (code & 0x3ff);
      count += 2;
    } else {
      units[count] = code;
      count += 1;
    }
    at += length || 1;
  }
  let text = "";
  for (let from = 0; from < count; from += UNITS) {
    text += String.fromCharCode(...units.subarray(from, Math.min(count, from + UNITS)));
  }
  return text;
}

/** Length of the valid UTF-8 sequence at `at` (Unicode 15, table 3-7), or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first <= 0xf4 ? 4 : 0;
  if (length === 0 || first < 0xc2 || at + length > bytes.length) return 0;
  for (let index = 1; index < length; index++) if ((bytes[at + index]! & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1]!;
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}

function codePoint(bytes: Uint8Array, at: number, length: number): number {
  if (length === 1) return bytes[at]!;
  let value = bytes[at]! & (0xff >> (length + 1));
  for (let index = 1; index < length; index++) value = (value << 6) | (bytes[at + index]! & 0x3f);
  return value;
}

/** Text to the bytes it came from. */
export function encodeText(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return encoder.encode(text);
  const out: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) out.push(code - 0xdc00);
    else out.push(...encoder.encode(character));
  }
  return Uint8Array.from(out);
}

/** Number of bytes `encodeText` would give for the characters from `start` to `end` (excluded). */
export function textLength(text: string, start: number, end: number): number {
  let length = 0;
  for (let index = start; index < end; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x80 || (code >= 0xdc80 && code <= 0xdcff && !isHighSurrogate(text, index - 1))) length += 1;
    else if (code < 0x800) length += 2;
    else if (isHighSurrogate(text, index)) {
      length += 4;
      index += 1;
    } else length += 3;
  }
  return length;
}

function isHighSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  const next = text.charCodeAt(index + 1);
  return code >= 0xd800 && code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
}

/** Order of two strings by their bytes, as `grub_strcmp` has it; UTF-16 order differs past U+FFFF. */
export function compareText(left: string, right: string): number {
  return left === right ? 0 : compareBytes(encodeText(left), encodeText(right));
}

/** `grub_isspace`: the four blanks that GRUB knows. */
export function isSpace(character: string | undefined): boolean {
  return character === " " || character === "\t" || character === "\n" || character === "\r";
}

/**
 * `text` without the characters of `set` at its end. In one pass: a pattern such as `/ +$/` starts anew at each blank of
 * a run that is not at the end, and takes the square of its length.
 */
export function withoutEnd(text: string, set: string): string {
  let end = text.length;
  while (end > 0 && set.includes(text[end - 1]!)) end -= 1;
  return text.slice(0, end);
}

export interface ParsedNumber {
  readonly value: bigint;
  /** Index of the first character that is not part of the number. */
  readonly end: number;
  /** "overflow": past 64 bits, the value is all ones. "none": there is no number, the value is 0. */
  readonly fault: "none" | "overflow" | undefined;
}

const ALL_ONES = (1n << 64n) - 1n;

/** `grub_strtoull` of GRUB 2.06 (kern/misc.c): blanks skipped, base 0 guesses 0x and 0, unsigned 64 bits. */
export function parseNumber(text: string, base: 0 | 10 | 16 = 0): ParsedNumber {
  let at = 0;
  while (isSpace(text[at])) at += 1;
  let radix: number = base;
  if (text[at] === "0") {
    if (text[at + 1] === "x") {
      if (base !== 10) {
        radix = 16;
        at += 2;
      }
    } else if (base === 0 && /[0-7]/.test(text[at + 1] ?? "")) radix = 8;
  }
  if (radix === 0) radix = 10;
  const start = at;
  let value = 0n;
  for (; at < text.length; at++) {
    const digit = Number.parseInt(text[at]!, 36);
    if (!/[0-9a-zA-Z]/.test(text[at]!) || Number.isNaN(digit) || digit >= radix) break;
    value = value * BigInt(radix) + BigInt(digit);
    if (value > ALL_ONES) return { value: ALL_ONES, end: at, fault: "overflow" };
  }
  return { value, end: at, fault: at === start ? "none" : undefined };
}

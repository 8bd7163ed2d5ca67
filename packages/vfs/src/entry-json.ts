import type { Stat } from "./types.js";

/** Most bytes that `writeEntry` writes beside the path and `before`. */
export const ENTRY_BYTES = 1024;

/** What copies a path to where it is printed, as an entry of a walk does. */
export interface PathSource {
  /** Bytes of the path. */
  readonly pathLength: number;
  /** Copies the path to byte `at` of `target`, which must have room for it; where it ends. */
  copyPath(target: Uint8Array, at: number): number;
}

/**
 * Writes what `JSON.stringify(toEntry(parts))` answers, as bytes, for a file with which nothing is wrong: that of a stat whose path is
 * of printable ASCII without `"` and `\`, and that has no link target. As text, V8 makes thirty strings of each file, and one more
 * of all.
 *
 * @param target Has room for the path, `before` and `ENTRY_BYTES` from byte `at` on.
 * @param before Members that come before those of the entry, as JSON, each with the comma behind it.
 * @param sha256 Lower-case hexadecimal digits; null where there are none.
 * @returns Where it ends; undefined for others, whose bytes are to be forgotten.
 */
export function writeEntry(
  target: Uint8Array,
  at: number,
  before: Uint8Array,
  source: PathSource,
  stat: Stat,
  sha256: string | null,
): number | undefined {
  const { type, mode, atimeNs, mtimeNs, ctimeNs, crtimeNs, rdev } = stat;
  if (rdev !== undefined || mode > 0o7777) return undefined;
  target[at] = BRACE;
  const from = putBytes(target, putBytes(target, at + 1, before), PATH);
  let to = source.copyPath(target, from);
  if (!isPlain(target, from, to)) return undefined;
  to = putText(target, putBytes(target, to, TYPE), type);
  to = putBytes(target, to, MODE);
  for (let shift = 9; shift >= 0; shift -= 3, to += 1) target[to] = ZERO + ((mode >> shift) & 7);
  to = putNumber(target, putBytes(target, to, UID), stat.uid);
  to = putNumber(target, putBytes(target, to, GID), stat.gid);
  to = putNumber(target, putBytes(target, to, SIZE), stat.size);
  to = putNumber(target, putBytes(target, to, NLINK), stat.nlink);
  to = putNumber(target, putBytes(target, to, INO), stat.ino);
  to = putText(target, putBytes(target, to, MTIME), String(mtimeNs));
  to = putText(target, putBytes(target, to, ATIME), String(atimeNs));
  to = putText(target, putBytes(target, to, CTIME), String(ctimeNs));
  to = putBytes(target, to, CRTIME);
  to = crtimeNs === undefined ? putBytes(target, to, NULL) : putQuoted(target, to, String(crtimeNs));
  to = putBytes(target, to, TARGET);
  to = sha256 === null ? putBytes(target, to, NULL) : putQuoted(target, to, sha256);
  target[to] = BRACE + 2;
  return to + 1;
}

const letters = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const ZERO = 0x30;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const PATH = letters('"path":"');
const TYPE = letters('","type":"');
const MODE = letters('","mode":"');
const UID = letters('","uid":');
const GID = letters(',"gid":');
const SIZE = letters(',"size":');
const NLINK = letters(',"nlink":');
const INO = letters(',"ino":"');
const MTIME = letters('","mtimeNs":"');
const ATIME = letters('","atimeNs":"');
const CTIME = letters('","ctimeNs":"');
const CRTIME = letters('","crtimeNs":');
const TARGET = letters(',"target":null,"rdev":null,"sha256":');
const NULL = letters("null");

/** Letters that stand in JSON as they are, and which no terminal obeys. */
function isPlain(data: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = data[at]!;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return false;
  }
  return true;
}

// By hand: what is put here is short, and a call of `set` takes longer.
function putBytes(target: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  for (let n = 0; n < length; n += 1) target[at + n] = bytes[n]!;
  return at + length;
}

/** ASCII. */
function putText(target: Uint8Array, at: number, text: string): number {
  const { length } = text;
  for (let n = 0; n < length; n += 1) target[at + n] = text.charCodeAt(n);
  return at + length;
}

function putQuoted(target: Uint8Array, at: number, text: string): number {
  target[at] = QUOTE;
  const end = putText(target, at + 1, text);
  target[end] = QUOTE;
  return end + 1;
}

function putNumber(target: Uint8Array, at: number, value: number): number {
  // Digits by division of what V8 holds as a small integer; all others are rare.
  if (!(value >= 0 && value < 2 ** 30 && Number.isInteger(value))) return putText(target, at, String(value));
  let end = at + 1;
  for (let bound = 10; bound <= value; bound *= 10) end += 1;
  for (let to = end - 1, left = value; to >= at; to -= 1) {
    const tenth = Math.trunc(left / 10);
    target[to] = ZERO + left - 10 * tenth;
    left = tenth;
  }
  return end;
}

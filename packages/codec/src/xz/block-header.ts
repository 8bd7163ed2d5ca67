import { crc32, ImageError } from "@guestprobe/block";
import { corrupt } from "../bound.js";

import { arm, arm64, armThumb, delta, type Filter, ia64, powerPc, sparc, x86 } from "./filters.js";

export const FORMAT = "xz";

/** A variable-length integer of at most `end - at` bytes (xz file format, section 1.2). */
export function readVli(src: Uint8Array, at: number, end: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    if (at + i >= end) throw corrupt(FORMAT, "structure ends inside an integer", at);
    const byte = src[at + i]!;
    if (byte === 0 && i > 0) throw corrupt(FORMAT, "integer is longer than it need be", at);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      if (!Number.isSafeInteger(value)) throw corrupt(FORMAT, "integer is 2^53 or more", at);
      return { value, next: at + i + 1 };
    }
  }
  throw corrupt(FORMAT, "integer is longer than 9 bytes", at);
}

/** Throws unless the little-endian word at `at` is the CRC-32 of what lies from `from` to `to`. */
export function checkCrc32(src: Uint8Array, from: number, to: number, at: number, what: string): void {
  const stored = (src[at]! | (src[at + 1]! << 8) | (src[at + 2]! << 16) | (src[at + 3]! << 24)) >>> 0;
  const sum = crc32(src.subarray(from, to));
  if (stored === sum) return;
  const reason = `CRC-32 of the ${what} is 0x${stored.toString(16)}, computed 0x${sum.toString(16)}`;
  throw new ImageError("bad-checksum", reason, { format: FORMAT, offset: at });
}

/** One filter before LZMA2, with the position of the block's first byte. */
export interface BlockFilter {
  readonly apply: Filter;
  readonly position: number;
}

export interface BlockHeader {
  readonly end: number;
  readonly compressedSize: number | undefined;
  readonly uncompressedSize: number | undefined;
  /** In the order in which the encoder applied them. */
  readonly filters: readonly BlockFilter[];
  /** LZMA2's dictionary, in bytes. */
  readonly dictionary: number;
}

const DELTA = 0x03;
const LZMA2 = 0x21;
/** Branch converters by filter id, with the alignment their start offset must have. */
const CONVERTERS: ReadonlyMap<number, { readonly apply: Filter; readonly align: number }> = new Map([
  [0x04, { apply: x86, align: 1 }],
  [0x05, { apply: powerPc, align: 4 }],
  [0x06, { apply: ia64, align: 16 }],
  [0x07, { apply: arm, align: 4 }],
  [0x08, { apply: armThumb, align: 2 }],
  [0x09, { apply: sparc, align: 4 }],
  [0x0a, { apply: arm64, align: 4 }],
]);

/** Decodes and checks the block header at `at` (xz file format, section 3.1). */
export function readBlockHeader(src: Uint8Array, at: number): BlockHeader {
  const size = (src[at]! + 1) * 4;
  if (size > src.length - at) throw corrupt(FORMAT, "input ends inside a block header", at);
  const end = at + size - 4;
  checkCrc32(src, at, end, end, "block header");
  const flags = src[at + 1]!;
  if (flags & 0x3c) throw corrupt(FORMAT, "reserved flags of the block header are set", at + 1);
  let p = at + 2;
  const vli = (): number => {
    const { value, next } = readVli(src, p, end);
    p = next;
    return value;
  };
  const compressedSize = flags & 0x40 ? vli() : undefined;
  const uncompressedSize = flags & 0x80 ? vli() : undefined;
  if (compressedSize === 0) throw corrupt(FORMAT, "compressed size is 0", at);

  const filters: BlockFilter[] = [];
  let dictionary: number | undefined;
  for (let left = (flags & 3) + 1; left > 0; left--) {
    const filterAt = p;
    const id = vli();
    const length = vli();
    if (length > end - p) throw corrupt(FORMAT, "filter properties pass the block header", filterAt);
    const properties = src.subarray(p, p + length);
    p += length;
    if (id === LZMA2) {
      if (left !== 1) throw corrupt(FORMAT, "LZMA2 is not the last filter", filterAt);
      dictionary = dictionarySize(properties, filterAt);
    } else {
      filters.push(readFilter(id, properties, filterAt));
    }
  }
  if (dictionary === undefined) throw corrupt(FORMAT, "the last filter is not LZMA2", at);
  for (; p < end; p++) if (src[p] !== 0) throw corrupt(FORMAT, "padding of the block header is not zero", p);
  return { end: at + size, compressedSize, uncompressedSize, filters, dictionary };
}

function dictionarySize(properties: Uint8Array, at: number): number {
  const bits = properties[0];
  if (properties.length !== 1 || bits === undefined || bits > 40) throw corrupt(FORMAT, "LZMA2 properties are bad", at);
  return bits === 40 ? 0xffff_ffff : (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11);
}

function readFilter(id: number, properties: Uint8Array, at: number): BlockFilter {
  if (id === DELTA) {
    if (properties.length !== 1) throw corrupt(FORMAT, "delta properties are bad", at);
    return { apply: delta(properties[0]! + 1), position: 0 };
  }
  const converter = CONVERTERS.get(id);
  if (converter === undefined) {
    throw new ImageError("unsupported", `xz filter 0x${id.toString(16)}`, { format: FORMAT, offset: at });
  }
  if (properties.length !== 0 && properties.length !== 4) throw corrupt(FORMAT, "filter properties are bad", at);
  const position =
    properties.length === 0 ? 0 : new DataView(properties.buffer, properties.byteOffset).getUint32(0, true);
  if (position % converter.align !== 0) throw corrupt(FORMAT, `start offset ${position} is not aligned`, at);
  return { apply: converter.apply, position };
}

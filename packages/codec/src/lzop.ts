import { crc32, ImageError } from "@guestprobe/block";
import { allocationFor, capacityOf, checkLength, corrupt, tooLong, trailingBytes, trimTo } from "./bound.js";
import { adler32 } from "./checksum/adler32.js";

import { decodeLzo1x } from "./lzo1x.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "lzop";
const MAGIC = [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a];
/** Header flags: which checksums follow, and features of the header. */
const ADLER32_D = 0x1;
const ADLER32_C = 0x2;
const EXTRA_FIELD = 0x40;
const CRC32_D = 0x100;
const CRC32_C = 0x200;
const MULTIPART = 0x400;
const FILTER = 0x800;
const HEADER_CRC32 = 0x1000;
/** The largest block lzop makes or takes. */
const BLOCK_MAX = 64 * 1024 * 1024;

/**
 * An lzop file, as `lzop` writes it and as kernels compressed with LZO hold it: a header, blocks of LZO1X or stored
 * bytes with Adler-32 or CRC-32 sums, which are verified, and a zero word. All numbers are big-endian.
 * Source: lzop 1.04, whose own reader defines the format.
 */
export function decodeLzop(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const header = readHeader(src);
  const blocks = walkBlocks(src, header.end, header.flags);
  checkLength(blocks.total, bound, FORMAT, header.end);
  // Zeros after the end are the padding of the medium to lzop, and anything else is not.
  if (options.trailing !== "ignore" && !isZero(src, blocks.end)) throw trailingBytes(FORMAT, blocks.end, src.length);
  const out = new Uint8Array(allocationFor(bound, capacity, blocks.total));
  let op = 0;
  for (const { at, sums, from, stored, size } of blocks.list) {
    const data = src.subarray(from, from + stored);
    const plain = stored < size ? decodeLzo1x(data, { exact: size }) : data;
    if (size > out.length - op) throw tooLong(bound, FORMAT, at);
    for (const sum of sums) {
      const value = sum.hash(sum.compressed ? data : plain);
      if (value !== sum.stored) {
        throw new ImageError("bad-checksum", `${sum.name} of a block does not match`, { format: FORMAT, offset: at });
      }
    }
    out.set(plain, op);
    op += size;
  }
  return trimTo(out, op);
}

function isZero(src: Uint8Array, from: number): boolean {
  for (let p = from; p < src.length; p++) if (src[p] !== 0) return false;
  return true;
}

interface BlockSum {
  readonly name: string;
  readonly hash: (data: Uint8Array) => number;
  readonly compressed: boolean;
  readonly stored: number;
}

interface LzopBlock {
  readonly at: number;
  readonly sums: readonly BlockSum[];
  readonly from: number;
  readonly stored: number;
  readonly size: number;
}

class Cursor {
  readonly #src: Uint8Array;
  readonly #view: DataView;
  at: number;

  constructor(src: Uint8Array, at: number) {
    this.#src = src;
    this.#view = new DataView(src.buffer, src.byteOffset, src.byteLength);
    this.at = at;
  }

  skip(count: number): number {
    if (count > this.#src.length - this.at) throw corrupt(FORMAT, "input is truncated", this.at);
    const from = this.at;
    this.at += count;
    return from;
  }

  u8(): number {
    return this.#src[this.skip(1)]!;
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2));
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4));
  }
}

function readHeader(src: Uint8Array): { readonly end: number; readonly flags: number } {
  if (MAGIC.some((byte, i) => src[i] !== byte)) throw corrupt(FORMAT, "magic is not that of lzop", 0);
  const cursor = new Cursor(src, MAGIC.length);
  const version = cursor.u16();
  if (version < 0x0900) throw corrupt(FORMAT, `version 0x${version.toString(16)}, expected 0x900 or later`, 9);
  const recent = version >= 0x0940;
  cursor.u16(); // library version
  if (recent) cursor.u16(); // version needed to extract: the method says what matters
  const method = cursor.u8();
  if (method < 1 || method > 3) {
    throw new ImageError("unsupported", `lzop method ${method}`, { format: FORMAT, offset: cursor.at - 1 });
  }
  if (recent) cursor.u8(); // level
  const flags = cursor.u32();
  if (flags & (FILTER | MULTIPART)) {
    const name = flags & FILTER ? "filter" : "multipart";
    throw new ImageError("unsupported", `lzop ${name}`, { format: FORMAT, offset: cursor.at - 4 });
  }
  cursor.skip(recent ? 12 : 8); // mode, time
  cursor.skip(cursor.u8()); // name
  checkHeaderSum(src, MAGIC.length, cursor, flags);
  if (flags & EXTRA_FIELD) {
    const from = cursor.at;
    cursor.skip(cursor.u32());
    checkHeaderSum(src, from, cursor, flags);
  }
  return { end: cursor.at, flags };
}

function checkHeaderSum(src: Uint8Array, from: number, cursor: Cursor, flags: number): void {
  const covered = src.subarray(from, cursor.at);
  if (cursor.u32() === (flags & HEADER_CRC32 ? crc32(covered) : adler32(covered))) return;
  throw new ImageError("bad-checksum", "header checksum does not match", { format: FORMAT, offset: cursor.at - 4 });
}

function walkBlocks(
  src: Uint8Array,
  start: number,
  flags: number,
): { readonly list: readonly LzopBlock[]; readonly total: number; readonly end: number } {
  const cursor = new Cursor(src, start);
  const list: LzopBlock[] = [];
  let total = 0;
  for (;;) {
    const at = cursor.at;
    const size = cursor.u32();
    if (size === 0) return { list, total, end: cursor.at };
    if (size > BLOCK_MAX) throw corrupt(FORMAT, `block of ${size} bytes, at most ${BLOCK_MAX} are allowed`, at);
    const stored = cursor.u32();
    if (stored === 0 || stored > size) throw corrupt(FORMAT, `block of ${size} bytes is stored in ${stored}`, at + 4);
    const sums: BlockSum[] = [];
    const sum = (flag: number, name: string, hash: BlockSum["hash"], compressed: boolean): void => {
      // A stored block carries no sum of its compressed bytes: they are the same.
      if (flags & flag && !(compressed && stored === size)) sums.push({ name, hash, compressed, stored: cursor.u32() });
    };
    sum(ADLER32_D, "Adler-32", adler32, false);
    sum(CRC32_D, "CRC-32", (data) => crc32(data), false);
    sum(ADLER32_C, "Adler-32", adler32, true);
    sum(CRC32_C, "CRC-32", (data) => crc32(data), true);
    list.push({ at, sums, from: cursor.skip(stored), stored, size });
    total += size;
  }
}

import { crc32, ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, trailingBytes } from "../bound.js";

import { crc64 } from "../checksum/crc64.js";
import { sha256 } from "../checksum/sha256.js";
import type { DecodeOptions, OutputBound } from "../types.js";
import { type BlockHeader, checkCrc32, FORMAT, readBlockHeader, readVli } from "./block-header.js";
import { decodeLzma2, measureLzma2 } from "./lzma2.js";

const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const HEADER_SIZE = 12;
/** Most bytes that an LZMA2 chunk decodes to. */
const CHUNK_MAX = 0x20_0000;
/** Most bytes before the end of its input that a branch filter does not touch. */
const FILTER_REACH = 16;
const CHECK_NONE = 0;
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;
const CHECK_SHA256 = 10;
const CHECK_SIZE: ReadonlyMap<number, number> = new Map([
  [CHECK_NONE, 0],
  [CHECK_CRC32, 4],
  [CHECK_CRC64, 8],
  [CHECK_SHA256, 32],
]);

/** A block as its header and its LZMA2 chunk headers describe it. */
interface Block {
  readonly header: BlockHeader;
  /** Byte of the input after the LZMA2 data. */
  readonly dataEnd: number;
  readonly size: number;
  /** Without the padding, as the index counts it. */
  readonly unpaddedSize: number;
  readonly check: number;
  readonly checkAt: number;
}

/**
 * An .xz file: streams of blocks, with LZMA2 after delta and branch filters. Header, index and footer are checked
 * against each other before anything is decoded, so that a truncated file or a false size costs nothing; then every
 * block's check (CRC-32, CRC-64 or SHA-256) is verified. Source: xz file format 1.1.0.
 */
export function decodeXz(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  capacityOf(bound, FORMAT);
  const blocks: Block[] = [];
  let end = readStream(src, 0, blocks);
  while (options.trailing !== "ignore" && end < src.length) {
    const padding = end;
    while (end < src.length && src[end] === 0) end++;
    if ((end - padding) % 4 !== 0) throw corrupt(FORMAT, "stream padding is not a multiple of four bytes", padding);
    if (end === src.length) break;
    if (src[end] !== HEADER_MAGIC[0]) throw trailingBytes(FORMAT, end, src.length);
    end = readStream(src, end, blocks);
  }
  const total = blocks.reduce((sum, block) => sum + block.size, 0);
  checkLength(total, bound, FORMAT, end);
  // A branch filter leaves the last bytes of a block that is cut short as they were.
  const enough = options.enough === undefined ? total : Math.min(total, options.enough + FILTER_REACH);
  const room = Math.min(total, enough + CHUNK_MAX);
  const { into } = options;
  const out = into !== undefined && into.length >= room ? into.subarray(0, room) : new Uint8Array(room);
  let op = 0;
  for (const block of blocks) {
    if (op >= enough) break;
    const { filters, dictionary, end: from } = block.header;
    const place = out.subarray(op, Math.min(out.length, op + block.size));
    const length = decodeLzma2(FORMAT, src, from, block.dataEnd, place, dictionary, enough - op, options.signal);
    const data = place.subarray(0, length);
    for (const filter of [...filters].reverse()) filter.apply(data, filter.position);
    if (data.length === block.size) verify(src, block, data);
    op += data.length;
  }
  return op === total ? out.subarray(0, total) : out.subarray(0, enough - FILTER_REACH);
}

/** Checks the stream at `at` but for its data, adds its blocks to `blocks`, and answers where it ends. */
function readStream(src: Uint8Array, at: number, blocks: Block[]): number {
  if (HEADER_SIZE > src.length - at) throw corrupt(FORMAT, "input ends inside the stream header", at);
  if (HEADER_MAGIC.some((byte, i) => src[at + i] !== byte)) throw corrupt(FORMAT, "magic is not that of xz", at);
  checkCrc32(src, at + 6, at + 8, at + 8, "stream header");
  const check = src[at + 7]!;
  const checkSize = CHECK_SIZE.get(check);
  if (src[at + 6] !== 0 || check > 15) {
    throw new ImageError("unsupported", "xz stream flags are reserved", { format: FORMAT, offset: at + 6 });
  }
  if (checkSize === undefined) {
    throw new ImageError("unsupported", `xz check type ${check}`, { format: FORMAT, offset: at + 7 });
  }
  const first = blocks.length;
  let p = at + HEADER_SIZE;
  for (;;) {
    if (p >= src.length) throw corrupt(FORMAT, "input ends between blocks", p);
    if (src[p] === 0) break;
    const header = readBlockHeader(src, p);
    const data = measureLzma2(FORMAT, src, header.end);
    const stored = data.end - header.end;
    if (header.compressedSize !== undefined && header.compressedSize !== stored) {
      throw corrupt(FORMAT, `compressed size is ${stored}, the block header says ${header.compressedSize}`, p);
    }
    if (header.uncompressedSize !== undefined && header.uncompressedSize !== data.size) {
      throw corrupt(FORMAT, `size is ${data.size}, the block header says ${header.uncompressedSize}`, p);
    }
    const checkAt = skipPadding(src, data.end, p);
    if (checkSize > src.length - checkAt) throw corrupt(FORMAT, "input ends inside a block's check", checkAt);
    blocks.push({ header, dataEnd: data.end, size: data.size, unpaddedSize: data.end - p + checkSize, check, checkAt });
    p = checkAt + checkSize;
  }
  const footer = checkIndex(src, p, blocks, first);
  return checkFooter(src, footer, footer - p, at);
}

/** Past the zero bytes that fill up to a multiple of four. Streams start at multiples of four, so offsets will do. */
function skipPadding(src: Uint8Array, from: number, origin: number): number {
  let p = from;
  for (; (p - origin) % 4 !== 0; p++) {
    if (src[p] !== 0) throw corrupt(FORMAT, "padding is missing or not zero", p);
  }
  return p;
}

/** Checks the index at `at` (section 4) against the blocks from `first` on, and answers where it ends. */
function checkIndex(src: Uint8Array, at: number, blocks: readonly Block[], first: number): number {
  const count = readVli(src, at + 1, src.length);
  if (count.value !== blocks.length - first) {
    throw corrupt(FORMAT, `index lists ${count.value} blocks, the stream has ${blocks.length - first}`, at);
  }
  let p = count.next;
  for (let i = first; i < blocks.length; i++) {
    const block = blocks[i]!;
    const unpadded = readVli(src, p, src.length);
    const size = readVli(src, unpadded.next, src.length);
    if (unpadded.value !== block.unpaddedSize || size.value !== block.size) {
      throw corrupt(FORMAT, `index record ${i - first} does not match its block`, p);
    }
    p = size.next;
  }
  const end = skipPadding(src, p, at);
  if (end + 4 > src.length) throw corrupt(FORMAT, "input ends inside the index", end);
  checkCrc32(src, at, end, end, "index");
  return end + 4;
}

/** Checks the footer at `at` (section 2.1.2) against the index's size and the header at `header`. */
function checkFooter(src: Uint8Array, at: number, indexSize: number, header: number): number {
  if (HEADER_SIZE > src.length - at) throw corrupt(FORMAT, "input ends inside the stream footer", at);
  if (src[at + 10] !== 0x59 || src[at + 11] !== 0x5a) throw corrupt(FORMAT, "stream footer has no magic", at + 10);
  checkCrc32(src, at + 4, at + 10, at, "stream footer");
  const backward = new DataView(src.buffer, src.byteOffset).getUint32(at + 4, true);
  if ((backward + 1) * 4 !== indexSize) throw corrupt(FORMAT, "footer and index disagree on the index's size", at + 4);
  if (src[at + 8] !== src[header + 6] || src[at + 9] !== src[header + 7]) {
    throw corrupt(FORMAT, "footer and header disagree on the stream flags", at + 8);
  }
  return at + HEADER_SIZE;
}

function verify(src: Uint8Array, block: Block, data: Uint8Array): void {
  const expected = checkOf(block.check, data);
  if (expected.every((byte, i) => src[block.checkAt + i] === byte)) return;
  throw new ImageError("bad-checksum", "check of a block does not match", { format: FORMAT, offset: block.checkAt });
}

function checkOf(check: number, data: Uint8Array): Uint8Array {
  if (check === CHECK_NONE) return new Uint8Array(0);
  if (check === CHECK_SHA256) return sha256(data);
  const bytes = new Uint8Array(check === CHECK_CRC32 ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (check === CHECK_CRC32) {
    view.setUint32(0, crc32(data), true);
  } else {
    const { hi, lo } = crc64(data);
    view.setUint32(0, lo, true);
    view.setUint32(4, hi, true);
  }
  return bytes;
}

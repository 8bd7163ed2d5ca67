import { alignUp, ImageError, throwIfAborted } from "@guestprobe/block";
import { capacityOf, checkLength, copyTo, corrupt, handOver, tooLong } from "./bound.js";
import type { DecodeOptions, OutputBound } from "./types.js";
import { OUTPUT_ALIGNMENT, reserveMemory, WasmDecoder } from "./wasm.js";
import { WASM } from "./zstd-wasm.js";

const FORMAT = "zstd";
const MAGIC = 0xfd2f_b528;
/** The largest block, compressed or not (RFC 8878, section 3.1.1.2.4). */
const BLOCK_MAX = 128 * 1024;
/** Of the window, over 1 KiB: libzstd goes no further on any machine. */
const MAX_EXPONENT = 21;

/** What assembly/zstd.ts exports. */
interface ZstdExports {
  readonly memory: WebAssembly.Memory;
  readonly INPUT: WebAssembly.Global;
  readonly OUTPUT_SLACK: WebAssembly.Global;
  readonly DONE: WebAssembly.Global;
  readonly TOO_LONG: WebAssembly.Global;
  startFrame(at: number, window: number): void;
  decodeBlock(from: number, end: number, limit: number): number;
  copyBlock(from: number, size: number): void;
  fillBlock(from: number, size: number): void;
  getOutput(): number;
  checksum(): number;
}

const wasm = new WasmDecoder<ZstdExports>(FORMAT, WASM);

/** What the headers of one frame say, without decoding it. */
interface Frame {
  /** Where its first block is; at its end for a skippable frame, which has none. */
  readonly blocks: number;
  /** Bytes that a match may reach back. */
  readonly window: number;
  readonly hasChecksum: boolean;
  /** Byte after the frame, from the start of the input. */
  readonly end: number;
  /** The most the frame can decode to, in bytes; the whole truth where `stated`. */
  readonly most: number;
  readonly stated: boolean;
}

interface Block {
  /** Where its header is. */
  readonly at: number;
  /** 0 for bytes as they are, 1 for a byte repeated, 2 for compressed ones. */
  readonly type: number;
  /** As the header has it: bytes of input, or of output for a byte repeated. */
  readonly size: number;
  readonly from: number;
  readonly end: number;
}

/** The blocks from byte `at` on, to the last of the frame (RFC 8878, section 3.1.1.2). Throws `corrupt`. */
function* blocks(src: Uint8Array, at: number): Generator<Block> {
  let p = at;
  for (let last = false; !last; ) {
    const header = p;
    const from = need(src, p, 3, "block header");
    const word = src[header]! | (src[header + 1]! << 8) | (src[header + 2]! << 16);
    const size = word >> 3;
    const type = (word >> 1) & 3;
    last = (word & 1) === 1;
    if (type === 3) throw corrupt(FORMAT, "block type 3 is reserved", header);
    if (size > BLOCK_MAX) throw corrupt(FORMAT, `block of ${size} bytes, at most ${BLOCK_MAX} are allowed`, header);
    p = need(src, from, type === 1 ? 1 : size, "block");
    yield { at: header, type, size, from, end: p };
  }
}

function need(src: Uint8Array, from: number, count: number, what: string): number {
  if (count > src.length - from) throw corrupt(FORMAT, `input ends inside the ${what}`, from);
  return from + count;
}

/** Finds where the frame at `at` ends, by its header and the headers of its blocks (RFC 8878, section 3.1.1). */
function walkFrame(src: Uint8Array, at: number): Frame {
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength);
  need(src, at, 5, "frame header");
  const magic = view.getUint32(at, true);
  if (magic >>> 4 === 0x184d_2a5) {
    const from = need(src, at, 8, "skippable frame");
    const end = need(src, from, view.getUint32(at + 4, true), "skippable frame");
    return { blocks: end, window: 0, hasChecksum: false, end, most: 0, stated: true };
  }
  if (magic !== MAGIC) throw corrupt(FORMAT, `magic is 0x${magic.toString(16)}, expected 0xfd2fb528`, at);

  const descriptor = src[at + 4]!;
  const single = (descriptor & 0x20) !== 0;
  const idSize = [0, 1, 2, 4][descriptor & 3]!;
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (descriptor & 8) throw corrupt(FORMAT, "a reserved bit of the frame header is set", at + 4);
  let p = need(src, at + 5, (single ? 0 : 1) + idSize + contentSize, "frame header") - contentSize;
  for (let i = p - idSize; i < p; i++) {
    if (src[i] !== 0)
      throw new ImageError("unsupported", "zstd frame needs a dictionary", { format: FORMAT, offset: i });
  }
  let content: number | undefined;
  if (contentSize === 1) content = src[p]!;
  else if (contentSize === 2) content = view.getUint16(p, true) + 256;
  else if (contentSize === 4) content = view.getUint32(p, true);
  else if (contentSize === 8) content = view.getUint32(p + 4, true) * 0x1_0000_0000 + view.getUint32(p, true);
  p += contentSize;

  // Section 3.1.1.1.2; a single segment is its own window.
  const exponent = src[at + 5]! >> 3;
  const mantissa = src[at + 5]! & 7;
  if (!single && exponent > MAX_EXPONENT) {
    const place = { format: FORMAT, offset: at + 5 };
    throw new ImageError("unsupported", `zstd window of 2^${10 + exponent} bytes or more`, place);
  }
  const window = single ? content! : 2 ** (10 + exponent) + 2 ** (7 + exponent) * mantissa;

  const from = p;
  let most = 0;
  for (const { type, size, end } of blocks(src, from)) {
    most += type === 2 ? BLOCK_MAX : size;
    p = end;
  }
  const hasChecksum = (descriptor & 4) !== 0;
  if (hasChecksum) p = need(src, p, 4, "content checksum");
  const frame = { blocks: from, window: Math.min(window, 0xffff_ffff), hasChecksum, end: p };
  if (content === undefined) return { ...frame, most, stated: false };
  if (content > most) throw corrupt(FORMAT, `frame states ${content} bytes, its blocks hold ${most} at most`, at);
  return { ...frame, most: content, stated: true };
}

/**
 * Zstandard frames as in RFC 8878, without dictionaries; a content checksum is verified where the frame has one. Every
 * rule of the format is held to: streams of bits that are used up to the last, distances within the window and the
 * output, blocks no longer than the window.
 */
export function decodeZstd(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const frames: Frame[] = [];
  let end = 0;
  let most = 0;
  let stated = true;
  do {
    const frame = walkFrame(src, end);
    frames.push(frame);
    end = frame.end;
    most += frame.most;
    stated &&= frame.stated;
  } while (options.trailing !== "ignore" && end < src.length);
  // What the headers say is enough to refuse most lies before any output is allocated.
  if (stated || most < capacity) {
    if (stated && most > capacity) throw tooLong(bound, FORMAT, 0);
    if ("exact" in bound && most < bound.exact) checkLength(most, bound, FORMAT, 0);
  }
  const data = src.subarray(0, end);
  return wasm.use((exports) => {
    const out = decodeFrames(exports, data, frames, Math.min(capacity, most), bound, options.signal);
    checkLength(out.length, bound, FORMAT, end);
    return handOver(out, options.into);
  });
}

/** Decodes the frames of `src` into the decoder's memory, of which the result is a part. */
function decodeFrames(
  exports: ZstdExports,
  src: Uint8Array,
  frames: readonly Frame[],
  room: number,
  bound: OutputBound,
  signal: AbortSignal | undefined,
): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const input: number = exports.INPUT.value;
  const start = alignUp(input + src.length + exports.OUTPUT_SLACK.value, OUTPUT_ALIGNMENT);
  reserveMemory(exports.memory, start + room + exports.OUTPUT_SLACK.value, FORMAT);
  copyTo(new Uint8Array(exports.memory.buffer, input), src);
  const stop = start + room;
  let op = start;
  for (const frame of frames) {
    if (frame.blocks === frame.end) continue;
    exports.startFrame(op, frame.window);
    const frameStart = op;
    for (const { at, type, size, from, end } of blocks(src, frame.blocks)) {
      throwIfAborted(signal);
      const limit = Math.min(stop, op + Math.min(frame.window, BLOCK_MAX));
      if (type === 2) {
        const result = exports.decodeBlock(input + from, input + end, limit);
        if (result === exports.TOO_LONG.value && limit === stop && room === capacity) throw tooLong(bound, FORMAT, at);
        if (result !== exports.DONE.value) throw corrupt(FORMAT, "block is damaged", at);
      } else {
        if (size > limit - op) {
          if (limit === stop && room === capacity) throw tooLong(bound, FORMAT, at);
          const most = limit === stop ? "more than its frame states" : "longer than the window";
          throw corrupt(FORMAT, `block of ${size} bytes, ${most}`, at);
        }
        if (type === 0) exports.copyBlock(input + from, size);
        else exports.fillBlock(input + from, size);
      }
      op = exports.getOutput() >>> 0;
    }
    checkFrame(exports, src, frame, op - frameStart);
  }
  return new Uint8Array(exports.memory.buffer, start, op - start);
}

/** Checks the length and the checksum of the frame that was just decoded to `length` bytes. */
function checkFrame(exports: ZstdExports, src: Uint8Array, frame: Frame, length: number): void {
  if (frame.stated && length !== frame.most) {
    throw corrupt(FORMAT, `frame holds ${length} bytes, its header says ${frame.most}`, frame.blocks);
  }
  if (!frame.hasChecksum) return;
  const stored = new DataView(src.buffer, src.byteOffset, src.byteLength).getUint32(frame.end - 4, true);
  if (stored === exports.checksum() >>> 0) return;
  const place = { format: FORMAT, offset: frame.end - 4 };
  throw new ImageError("bad-checksum", "content checksum does not match", place);
}

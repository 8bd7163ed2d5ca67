import { ImageError, throwIfAborted } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, tooLong, trailingBytes, trimTo } from "./bound.js";
import { type BlockSymbols, decodeBlockSymbols, FORMAT, SymbolReader } from "./bzip2-block.js";
import { InvertedBytes } from "./bzip2-random.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const CRC_TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c1_1db7 : value << 1;
  CRC_TABLE[byte] = value;
}

/** Output that grows as blocks really decode, and never passes its limit. */
interface Sink {
  out: Uint8Array;
  op: number;
}

/**
 * A bzip2 file: one or more streams, every block's CRC and every stream's combined CRC verified. The format has no
 * specification but its reference implementation, bzip2 1.0.8, which reads the randomised blocks of its forerunners too.
 */
export function decodeBzip2(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const sink: Sink = { out: new Uint8Array(Math.min(capacity, Math.max(0x1_0000, src.length * 8))), op: 0 };
  let end = 0;
  do {
    end = decodeStream(src, end, sink, bound, capacity, options.signal);
  } while (options.trailing !== "ignore" && end < src.length && src[end] === 0x42);
  if (options.trailing !== "ignore" && end < src.length) throw trailingBytes(FORMAT, end, src.length);
  checkLength(sink.op, bound, FORMAT, end);
  return trimTo(sink.out, sink.op);
}

function decodeStream(
  src: Uint8Array,
  at: number,
  sink: Sink,
  bound: OutputBound,
  capacity: number,
  signal: AbortSignal | undefined,
): number {
  const level = src[at + 3]! - 0x30;
  if (src[at] !== 0x42 || src[at + 1] !== 0x5a || src[at + 2] !== 0x68 || !(level >= 1 && level <= 9)) {
    throw corrupt(FORMAT, "magic is not BZh1 to BZh9", at);
  }
  const reader = new SymbolReader(src, at + 4);
  const symbols = new Uint32Array(level * 100_000);
  let combined = 0;
  for (;;) {
    throwIfAborted(signal);
    const start = reader.position;
    const magic = reader.bits(24) * 0x100_0000 + reader.bits(24);
    const crc = (reader.bits(16) << 16) | reader.bits(16);
    if (magic === 0x1772_4538_5090) {
      if (crc !== combined) {
        throw new ImageError("bad-checksum", "combined CRC does not match", { format: FORMAT, offset: start });
      }
      return reader.position;
    }
    if (magic !== 0x3141_5926_5359) throw corrupt(FORMAT, "neither a block nor the end of the stream", start);
    const block = decodeBlockSymbols(reader, symbols);
    if (expand(symbols, block, sink, bound, capacity, start) !== crc) {
      throw new ImageError("bad-checksum", "CRC of a block does not match", { format: FORMAT, offset: start });
    }
    combined = ((combined << 1) | (combined >>> 31)) ^ crc;
  }
}

/**
 * Undoes the Burrows-Wheeler transform and the run lengths on top of it (four equal bytes are followed by a count), and
 * answers the CRC of what came out. The low byte of `symbols` is the last column, the rest is where the links go.
 */
function expand(
  symbols: Uint32Array,
  { count, origin, isRandomised }: BlockSymbols,
  sink: Sink,
  bound: OutputBound,
  capacity: number,
  offset: number,
): number {
  let { out, op } = sink;
  let crc = -1;
  let link = symbols[origin]! >>> 8;
  let run = 0;
  let previous = -1;
  const invertedBytes = new InvertedBytes();
  let inverted = isRandomised ? invertedBytes.next() : -1;
  for (let i = 0; i < count; i++) {
    const entry = symbols[link]!;
    let byte = entry & 0xff;
    if (i === inverted) {
      byte ^= 1;
      inverted = invertedBytes.next();
    }
    link = entry >>> 8;
    let copies = 1;
    let value = byte;
    if (run === 4) {
      copies = byte;
      value = previous;
      run = 0;
      previous = -1;
    } else {
      run = byte === previous ? run + 1 : 1;
      previous = byte;
    }
    if (copies > out.length - op) {
      if (copies > capacity - op) throw tooLong(bound, FORMAT, offset);
      const larger = new Uint8Array(Math.min(capacity, out.length * 2 + 256));
      larger.set(out.subarray(0, op));
      out = larger;
    }
    for (let j = 0; j < copies; j++) {
      out[op++] = value;
      crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ value]!;
    }
  }
  sink.out = out;
  sink.op = op;
  return ~crc;
}

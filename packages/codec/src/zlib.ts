import { ImageError } from "@guestprobe/block";
import { allocationFor, capacityOf, checkLength, corrupt, tooLong, trailingBytes } from "./bound.js";
import { adler32 } from "./checksum/adler32.js";
import { isTooLarge, nodeOptions, nodeZlib, owned } from "./inflate.js";
import { type Inflated, inflateRaw } from "./inflate-raw.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "zlib";

/**
 * A zlib stream (RFC 1950): two bytes of header, DEFLATE data, Adler-32, which is verified. By Node's zlib where there
 * is one, else by `decodeZlibPortable`.
 */
export function decodeZlib(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  if (nodeZlib === undefined) return decodeZlibPortable(src, bound, options);
  const capacity = capacityOf(bound, FORMAT);
  checkHeader(src);
  let result: ReturnType<typeof nodeZlib.inflateSync>;
  try {
    result = nodeZlib.inflateSync(src, nodeOptions(allocationFor(bound, capacity, src.length * 1032)));
  } catch (cause) {
    if (isTooLarge(cause)) throw tooLong(bound, FORMAT, 0);
    throw corrupt(FORMAT, "stream is damaged or truncated", 0, { cause });
  }
  return finish({ out: owned(result.buffer), end: result.engine.bytesWritten }, src, bound, options);
}

/** The same without Node. */
export function decodeZlibPortable(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  checkHeader(src);
  const result = inflateRaw(FORMAT, src, 2, capacity, "exact" in bound);
  if (result === undefined) throw tooLong(bound, FORMAT, 0);
  const { out, end } = result;
  if (src.length - end < 4) throw corrupt(FORMAT, "input ends inside the Adler-32", end);
  const stored = new DataView(src.buffer, src.byteOffset, src.byteLength).getUint32(end);
  if (stored !== adler32(out)) {
    throw new ImageError("bad-checksum", "Adler-32 does not match", { format: FORMAT, offset: end });
  }
  return finish({ out, end: end + 4 }, src, bound, options);
}

function checkHeader(src: Uint8Array): void {
  if (src.length < 6) throw corrupt(FORMAT, `input of ${src.length} bytes is shorter than an empty stream`, 0);
  const cmf = src[0]!;
  const flg = src[1]!;
  if ((cmf & 15) !== 8) throw corrupt(FORMAT, `compression method is ${cmf & 15}, expected 8 (DEFLATE)`, 0);
  if (cmf >> 4 > 7) throw corrupt(FORMAT, `window of 2^${(cmf >> 4) + 8} bytes, at most 2^15 is allowed`, 0);
  if ((cmf * 256 + flg) % 31 !== 0) throw corrupt(FORMAT, "header check bits do not match", 1);
  if (flg & 0x20) throw corrupt(FORMAT, "stream needs a preset dictionary", 1);
}

function finish(result: Inflated, src: Uint8Array, bound: OutputBound, options: DecodeOptions): Uint8Array {
  const { out, end } = result;
  checkLength(out.length, bound, FORMAT, end);
  if (options.trailing !== "ignore" && end < src.length) throw trailingBytes(FORMAT, end, src.length);
  return out;
}

import { allocationFor, capacityOf, checkLength, corrupt, tooLong, trailingBytes } from "./bound.js";
import { adler32 } from "./checksum/adler32.js";
import { type Inflated, inflatePortable, isTooLarge, nodeOptions, nodeZlib, owned } from "./inflate.js";
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

/** The same without Node: fflate does the work, and header, Adler-32 and length are checked here. */
export function decodeZlibPortable(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  checkHeader(src);
  const ignore = options.trailing === "ignore";
  const trailer = (out: Uint8Array): Uint8Array => {
    const sum = adler32(out);
    return Uint8Array.of(sum >>> 24, sum >>> 16, sum >>> 8, sum);
  };
  const result = inflatePortable(FORMAT, src, 2, capacity, trailer, ignore);
  if (result === undefined) throw tooLong(bound, FORMAT, 0);
  return finish(result, src, bound, options);
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

import { ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, handOver, tooLong, trailingBytes } from "./bound.js";
import { withInflater } from "./inflate.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "zlib";

/** A zlib stream (RFC 1950): two bytes of header, DEFLATE data, Adler-32, which is verified. */
export function decodeZlib(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  checkHeader(src);
  return withInflater(FORMAT, src, options.signal, (inflater) => {
    const result = inflater.run(2, capacity, "exact" in bound);
    if (result === undefined) throw tooLong(bound, FORMAT, 0);
    const end = checkAdler(src, result.end, inflater.adler32(result));
    checkLength(result.out.length, bound, FORMAT, end);
    if (options.trailing !== "ignore" && end < src.length) throw trailingBytes(FORMAT, end, src.length);
    return handOver(result.out, options.into);
  });
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

/** Compares the sum that stands at byte `at`, behind the data; answers where it ends. */
function checkAdler(src: Uint8Array, at: number, computed: number): number {
  if (src.length - at < 4) throw corrupt(FORMAT, "input ends inside the Adler-32", at);
  const stored = new DataView(src.buffer, src.byteOffset, src.byteLength).getUint32(at);
  if (stored === computed) return at + 4;
  throw new ImageError("bad-checksum", "Adler-32 does not match", { format: FORMAT, offset: at });
}

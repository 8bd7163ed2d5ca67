import { crc32, ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, tooLong, trailingBytes } from "./bound.js";
import { withInflater } from "./inflate.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "gzip";

/** A gzip file (RFC 1952): one or more members, each with its CRC-32 and size verified. */
export function decodeGzip(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  return withInflater(FORMAT, src, options.signal, (inflater) => {
    const parts: Uint8Array[] = [];
    let total = 0;
    let at = 0;
    do {
      // Of an exact size, too, a member may have less: there may be others.
      const result = inflater.run(skipHeader(src, at), capacity - total, false);
      if (result === undefined) throw tooLong(bound, FORMAT, at);
      at = checkTrailer(src, result.out, result.end);
      total += result.out.length;
      parts.push(result.out.slice());
    } while (options.trailing !== "ignore" && at < src.length && src[at] === 0x1f && src[at + 1] === 0x8b);
    if (options.trailing !== "ignore" && at < src.length) throw trailingBytes(FORMAT, at, src.length);
    checkLength(total, bound, FORMAT, at);
    return parts.length === 1 ? parts[0]! : joined(parts, total);
  });
}

function joined(parts: readonly Uint8Array[], total: number): Uint8Array {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Checks the member header at `at` and answers where its DEFLATE data begins (RFC 1952, section 2.3). */
function skipHeader(src: Uint8Array, at: number): number {
  const need = (from: number, count: number): number => {
    if (count > src.length - from) throw corrupt(FORMAT, "input ends inside the member header", from);
    return from + count;
  };
  const afterString = (from: number): number => {
    const end = src.indexOf(0, from);
    if (end < 0) throw corrupt(FORMAT, "input ends inside the member header", from);
    return end + 1;
  };
  let p = need(at, 10);
  if (src[at] !== 0x1f || src[at + 1] !== 0x8b) throw corrupt(FORMAT, "magic is not 1f 8b", at);
  if (src[at + 2] !== 8) throw corrupt(FORMAT, `compression method is ${src[at + 2]}, expected 8 (DEFLATE)`, at + 2);
  const flags = src[at + 3]!;
  if (flags & 0xe0) throw corrupt(FORMAT, `reserved flags 0x${(flags & 0xe0).toString(16)} are set`, at + 3);
  if (flags & 4) {
    const size = need(p, 2);
    p = need(size, src[p]! | (src[p + 1]! << 8));
  }
  if (flags & 8) p = afterString(p);
  if (flags & 16) p = afterString(p);
  if (flags & 2) {
    const stored = need(p, 2) - 2;
    const sum = crc32(src.subarray(at, p)) & 0xffff;
    if ((src[stored]! | (src[stored + 1]! << 8)) !== sum) {
      throw new ImageError("bad-checksum", "header CRC-16 does not match", { format: FORMAT, offset: stored });
    }
    p += 2;
  }
  return p;
}

/** Verifies the CRC-32 and the size of a member's data, which stand at byte `at`; answers where they end. */
function checkTrailer(src: Uint8Array, out: Uint8Array, at: number): number {
  if (src.length - at < 8) throw corrupt(FORMAT, "input ends inside the member trailer", at);
  const view = new DataView(src.buffer, src.byteOffset + at, 8);
  if (view.getUint32(0, true) === crc32(out) && view.getUint32(4, true) === out.length) return at + 8;
  const place = { format: FORMAT, offset: at };
  throw new ImageError("bad-checksum", "CRC-32 or size of the member does not match", place);
}

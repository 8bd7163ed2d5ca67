import { crc32, ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, tooLong, trailingBytes } from "./bound.js";

import { isTooLarge, nodeOptions, nodeZlib, owned } from "./inflate.js";
import { type Inflated, inflateRaw } from "./inflate-raw.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "gzip";

/**
 * A gzip file (RFC 1952): one or more members, each with its CRC-32 and size verified. By Node's zlib where there is
 * one, else by `decodeGzipPortable`.
 */
export function decodeGzip(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  return decodeMembers(src, bound, options, nodeZlib === undefined ? portable : native);
}

/** The same without Node. */
export function decodeGzipPortable(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  return decodeMembers(src, bound, options, portable);
}

/** Inflates the data at `at` and verifies the trailer; undefined when there are more than `capacity` bytes. */
type Member = (src: Uint8Array, at: number, capacity: number) => Inflated | undefined;

function decodeMembers(src: Uint8Array, bound: OutputBound, options: DecodeOptions, member: Member): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const parts: Uint8Array[] = [];
  let total = 0;
  let at = 0;
  do {
    const result = member(src, skipHeader(src, at), capacity - total);
    if (result === undefined) throw tooLong(bound, FORMAT, at);
    parts.push(result.out);
    total += result.out.length;
    at = result.end;
  } while (options.trailing !== "ignore" && at < src.length && src[at] === 0x1f && src[at + 1] === 0x8b);
  if (options.trailing !== "ignore" && at < src.length) throw trailingBytes(FORMAT, at, src.length);
  checkLength(total, bound, FORMAT, at);
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(total);
  let op = 0;
  for (const part of parts) {
    out.set(part, op);
    op += part.length;
  }
  return out;
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

const trailer = (out: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, crc32(out), true);
  view.setUint32(4, out.length, true);
  return bytes;
};

/** Verifies what must follow the member's data, which ends at byte `stored`. */
function verified(src: Uint8Array, out: Uint8Array, stored: number): Inflated {
  if (src.length - stored < 8) throw corrupt(FORMAT, "input ends inside the member trailer", stored);
  const expected = trailer(out);
  if (!expected.every((byte, i) => src[stored + i] === byte)) {
    throw new ImageError("bad-checksum", "CRC-32 or size of the member does not match", {
      format: FORMAT,
      offset: stored,
    });
  }
  return { out, end: stored + 8 };
}

const portable: Member = (src, at, capacity) => {
  const result = inflateRaw(FORMAT, src, at, capacity, false);
  return result && verified(src, result.out, result.end);
};

const native: Member = (src, at, capacity) => {
  let result: { buffer: Uint8Array; engine: { bytesWritten: number } };
  try {
    const possible = (src.length - at) * 1032;
    result = nodeZlib!.inflateRawSync(src.subarray(at), nodeOptions(Math.min(capacity, possible)));
  } catch (cause) {
    if (isTooLarge(cause)) return undefined;
    throw corrupt(FORMAT, "DEFLATE data is damaged or truncated", at, { cause });
  }
  const out = owned(result.buffer);
  if (out.length > capacity) return undefined;
  return verified(src, out, at + result.engine.bytesWritten);
};

import { allocationFor, capacityOf, checkLength, corrupt, tooLong, trailingBytes, trimTo } from "./bound.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "lz4";
/** The last bytes of a block that no match may reach, and the room a match needs before the end of the output. */
const LAST_LITERALS = 5;
const MATCH_ROOM = 12;

/**
 * One LZ4 block, raw, as squashfs stores it (LZ4 Block Format). A block does not say where it ends: all of `src` is
 * decoded. The rules for the end of a block are the reference decoder's: the last sequence is literals only, and no
 * match reaches the last five bytes of the room there is.
 */
export function decodeLz4Block(src: Uint8Array, bound: OutputBound): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const out = new Uint8Array(allocationFor(bound, capacity, src.length * 255));
  const length = decodeBlock(src, 0, src.length, out, 0, capacity, bound);
  checkLength(length, bound, FORMAT, src.length);
  return trimTo(out, length);
}

/** Decodes the block from `ip` to `end` into `out` from `start`, up to `limit`; answers where the output ends. */
function decodeBlock(
  src: Uint8Array,
  ip: number,
  end: number,
  out: Uint8Array,
  start: number,
  limit: number,
  bound: OutputBound,
): number {
  let op = start;
  for (;;) {
    if (ip >= end) throw corrupt(FORMAT, "block ends without a last sequence of literals", ip);
    const sequence = ip;
    const token = src[ip++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (ip >= end) throw corrupt(FORMAT, "block ends inside a literal length", sequence);
        more = src[ip++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - ip) throw corrupt(FORMAT, `${literals} literals pass the end of the block`, sequence);
    if (literals > limit - op) throw tooLong(bound, FORMAT, sequence);
    if (literals > 48) {
      out.set(src.subarray(ip, ip + literals), op);
      ip += literals;
      op += literals;
    } else {
      for (const stop = ip + literals; ip < stop; ) out[op++] = src[ip++]!;
    }
    if (ip === end) return op;
    if (op > limit - MATCH_ROOM) throw tooLong(bound, FORMAT, sequence);
    // A match, its token's successor and five literals must still fit.
    if (end - ip < 2 + 1 + LAST_LITERALS) throw corrupt(FORMAT, "block ends too soon after a match", sequence);
    const distance = src[ip]! | (src[ip + 1]! << 8);
    ip += 2;
    if (distance === 0) throw corrupt(FORMAT, "match at distance 0", sequence);
    if (distance > op - start) {
      throw corrupt(FORMAT, `match at distance ${distance} after ${op - start} bytes of output`, sequence);
    }
    let count = token & 15;
    if (count === 15) {
      let more: number;
      do {
        more = src[ip++]!;
        count += more;
        if (ip > end - LAST_LITERALS + 1) throw corrupt(FORMAT, "block ends inside a match length", sequence);
      } while (more === 255);
    }
    count += 4;
    if (count > limit - LAST_LITERALS - op) throw tooLong(bound, FORMAT, sequence);
    if (count > 48 && distance >= count) {
      out.copyWithin(op, op - distance, op - distance + count);
      op += count;
    } else {
      for (const stop = op + count; op < stop; op++) out[op] = out[op - distance]!;
    }
  }
}

const LEGACY_MAGIC = 0x184c_2102;
const LEGACY_BLOCK = 8 * 1024 * 1024;
/** The most that a block of 8 MiB compresses to. */
const LEGACY_STORED_MAX = LEGACY_BLOCK + Math.floor(LEGACY_BLOCK / 255) + 16;

/**
 * An LZ4 legacy frame, the only one that Linux kernels are compressed in: the magic, then blocks of 8 MiB, each after
 * its stored size; the last may be shorter. Frames may follow each other. Under `trailing: "ignore"` the size that kernel builds append is left alone.
 */
export function decodeLz4Legacy(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength);
  if (src.length < 4 || view.getUint32(0, true) !== LEGACY_MAGIC) {
    throw corrupt(FORMAT, "magic is not that of a legacy frame (02 21 4c 18)", 0);
  }
  const blocks = walkLegacy(view, options.trailing === "ignore");
  const possible = blocks.reduce((sum, [from, to]) => sum + Math.min(LEGACY_BLOCK, (to - from) * 255), 0);
  const out = new Uint8Array(allocationFor(bound, capacity, possible));
  let op = 0;
  for (const [from, to] of blocks) {
    op = decodeBlock(src, from, to, out, op, Math.min(op + LEGACY_BLOCK, capacity), bound);
  }
  checkLength(op, bound, FORMAT, src.length);
  return trimTo(out, op);
}

/** Where each block begins and ends, of one frame or of several that follow each other. */
function walkLegacy(view: DataView, ignoreTrailing: boolean): [from: number, to: number][] {
  const blocks: [number, number][] = [];
  const length = view.byteLength;
  let p = 4;
  while (p < length) {
    const size = length - p >= 4 ? view.getUint32(p, true) : 0;
    if (ignoreTrailing && (length - p <= 4 || size === 0 || size > LEGACY_STORED_MAX)) break;
    if (length - p < 4) throw trailingBytes(FORMAT, p, length);
    if (size === LEGACY_MAGIC) {
      p += 4;
      continue;
    }
    if (size === 0 || size > LEGACY_STORED_MAX) throw corrupt(FORMAT, `stored size of a block is ${size}`, p);
    if (size > length - p - 4) throw corrupt(FORMAT, `block of ${size} bytes passes the end of the input`, p);
    blocks.push([p + 4, p + 4 + size]);
    p += 4 + size;
  }
  return blocks;
}

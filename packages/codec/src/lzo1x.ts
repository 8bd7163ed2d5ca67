import { allocationFor, capacityOf, checkLength, corrupt, tooLong, trimTo } from "./bound.js";
import type { OutputBound } from "./types.js";

const FORMAT = "lzo1x";

/**
 * LZO1X, a raw block without framing: every level of the LZO1X and LZO1X-999 compressors, as squashfs, btrfs and lzop
 * store it. The block must end with its end marker, and nothing may follow. Source: the stream description in the Linux
 * documentation (staging/lzo).
 *
 * An instruction byte means different things after a long literal run, after one to three literals, and after a match;
 * `state` holds which: 0 for a match without literals, 1 to 3 for that many literals, 4 for a run.
 */
export function decodeLzo1x(src: Uint8Array, bound: OutputBound): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  // A length byte stands for 255 bytes at most.
  const out = new Uint8Array(allocationFor(bound, capacity, src.length * 256));
  const length = src.length;
  let ip = 0;
  let op = 0;
  let state = 0;
  let literals = 0;

  if (length === 0) throw corrupt(FORMAT, "input is empty", 0);
  if (src[0]! > 17) {
    literals = src[0]! - 17;
    ip = 1;
    state = Math.min(literals, 4);
  }

  for (;;) {
    if (literals > 0) {
      if (literals > length - ip) throw corrupt(FORMAT, `literal run of ${literals} passes the end of the input`, ip);
      if (literals > out.length - op) throw tooLong(bound, FORMAT, ip);
      if (literals > 48) {
        out.set(src.subarray(ip, ip + literals), op);
        ip += literals;
        op += literals;
      } else {
        for (const end = ip + literals; ip < end; ) out[op++] = src[ip++]!;
      }
      literals = 0;
    }
    if (ip >= length) throw corrupt(FORMAT, "input ends without the end marker", ip);
    const start = ip;
    const t = src[ip++]!;
    let distance: number;
    let count: number;
    let next: number;
    if (t >= 64) {
      if (ip >= length) throw corrupt(FORMAT, "input ends inside a match", start);
      distance = 1 + ((t >> 2) & 7) + (src[ip++]! << 3);
      count = (t >> 5) + 1;
      next = t & 3;
    } else if (t >= 16) {
      // The length is in the low bits, or, when those are 0, in a run of zero bytes and the byte after it.
      const mask = t >= 32 ? 31 : 7;
      count = t & mask;
      if (count === 0) {
        while (ip < length && src[ip] === 0) ip++;
        if (ip >= length) throw corrupt(FORMAT, "input ends inside a match length", start);
        count = mask + (ip - start - 1) * 255 + src[ip++]!;
      }
      count += 2;
      if (length - ip < 2) throw corrupt(FORMAT, "input ends inside a match", start);
      const word = src[ip]! | (src[ip + 1]! << 8);
      ip += 2;
      next = word & 3;
      if (t >= 32) {
        distance = 1 + (word >> 2);
      } else {
        distance = ((t & 8) << 11) + (word >> 2);
        if (distance === 0) {
          // The end marker's length is 3 in every real block; liblzo does not look at it, and neither does GRUB's copy.
          if (ip < length) throw corrupt(FORMAT, `${length - ip} bytes follow the end marker`, ip);
          checkLength(op, bound, FORMAT, ip);
          return trimTo(out, op);
        }
        distance += 0x4000;
      }
    } else if (state === 0) {
      literals = t;
      if (t === 0) {
        while (ip < length && src[ip] === 0) ip++;
        if (ip >= length) throw corrupt(FORMAT, "input ends inside a literal length", start);
        literals = 15 + (ip - start - 1) * 255 + src[ip++]!;
      }
      literals += 3;
      state = 4;
      continue;
    } else {
      if (ip >= length) throw corrupt(FORMAT, "input ends inside a match", start);
      distance = (state === 4 ? 0x801 : 1) + (t >> 2) + (src[ip++]! << 2);
      count = state === 4 ? 3 : 2;
      next = t & 3;
    }
    if (distance > op) throw corrupt(FORMAT, `match at distance ${distance} after ${op} bytes of output`, start);
    if (count > out.length - op) throw tooLong(bound, FORMAT, start);
    if (count > 48 && distance >= count) {
      out.copyWithin(op, op - distance, op - distance + count);
      op += count;
    } else {
      for (const end = op + count; op < end; op++) out[op] = out[op - distance]!;
    }
    literals = next;
    state = next;
  }
}

/** Adler-32 (RFC 1950, section 8.2) as an unsigned number. */
export function adler32(data: Uint8Array): number {
  let a = 1;
  let b = 0;
  let at = 0;
  while (at < data.length) {
    // 3800 bytes is the most for which b stays below 2^31 between reductions.
    const end = Math.min(at + 3800, data.length);
    for (; at < end; at++) {
      a += data[at]!;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
}

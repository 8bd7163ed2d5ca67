const words = new Uint32Array(2);
const value = new BigInt64Array(words.buffer);
/** Which of the two words is the low one on this machine. */
const LOW = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;

/** Seconds whose nanoseconds fit into 63 bits, and so do those of some seconds more. */
const FARTHEST = 9_000_000_000;

/**
 * Nanoseconds since 1970 as `Stat` has them. Joined by words, since a walk asks four times for each file, and each
 * step with bigints takes as long as the whole of this.
 *
 * @param seconds Whole seconds since 1970.
 * @param rest Nanoseconds, 0 to 2^32 - 1.
 */
export function nanoseconds(seconds: number, rest: number): bigint {
  // Past 2262, where ext4's times go on and 63 bits of nanoseconds do not.
  if (Math.abs(seconds) > FARTHEST) return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
  // seconds = 4096 * above + below; 4096 * 10^9 * above is moved in by shifting, and nothing passes 2^53.
  const above = Math.floor(seconds / 4096);
  const below = (seconds - above * 4096) * 1_000_000_000 + rest;
  const product = above * 1_000_000_000;
  const high = Math.floor(product / 0x10_0000);
  const low = (product - high * 0x10_0000) * 4096 + below;
  const carry = Math.floor(low / 0x1_0000_0000);
  words[LOW] = low - carry * 0x1_0000_0000;
  words[1 - LOW] = high + carry;
  return value[0]!;
}

import { viewOf } from "@guestprobe/block/struct";

/** Fractional parts of the cube roots of the first 64 primes, and of the square roots of the first eight. */
const [ROUND, INITIAL] = makeConstants();

function makeConstants(): readonly [Uint32Array, Uint32Array] {
  const round = new Uint32Array(64);
  const initial = new Uint32Array(8);
  let count = 0;
  for (let prime = 2; count < 64; prime += 1) {
    let isPrime = true;
    for (let factor = 2; factor * factor <= prime; factor += 1) if (prime % factor === 0) isPrime = false;
    if (!isPrime) continue;
    if (count < 8) initial[count] = fraction(prime ** (1 / 2));
    round[count] = fraction(prime ** (1 / 3));
    count += 1;
  }
  return [round, initial];
}

function fraction(root: number): number {
  return (root - Math.floor(root)) * 2 ** 32;
}

const rotate = (value: number, by: number): number => (value >>> by) | (value << (32 - by));

/** SHA-256 (FIPS 180-4) of a short message. Not asynchronous, as the platform's is: names are shown by it. */
export function sha256(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = viewOf(padded);
  view.setUint32(padded.length - 8, Math.floor(message.length / 2 ** 29));
  view.setUint32(padded.length - 4, message.length * 8);
  const state = Uint32Array.from(INITIAL);
  const words = new Uint32Array(64);
  for (let at = 0; at < padded.length; at += 64) {
    for (let n = 0; n < 16; n += 1) words[n] = view.getUint32(at + n * 4);
    for (let n = 16; n < 64; n += 1) {
      const [near, far] = [words[n - 2]!, words[n - 15]!];
      const low = rotate(far, 7) ^ rotate(far, 18) ^ (far >>> 3);
      const high = rotate(near, 17) ^ rotate(near, 19) ^ (near >>> 10);
      words[n] = words[n - 16]! + low + words[n - 7]! + high;
    }
    compress(state, words);
  }
  const digest = new Uint8Array(32);
  for (const [n, word] of state.entries()) viewOf(digest).setUint32(n * 4, word);
  return digest;
}

function compress(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = Array.from(state, (word) => word | 0) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let n = 0; n < 64; n += 1) {
    const choice = (e & f) ^ (~e & g);
    const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + ROUND[n]! + words[n]!) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [n, word] of [a, b, c, d, e, f, g, h].entries()) state[n]! += word;
}

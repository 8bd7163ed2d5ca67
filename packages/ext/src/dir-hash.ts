import { DX_HASH_HALF_MD4, DX_HASH_LEGACY, DX_HASH_LEGACY_UNSIGNED, DX_HASH_TEA } from "./layout.js";

/** Hash of a name in an indexed directory. Its lowest bit is 0: the index marks collisions with it. */
export interface NameHash {
  readonly hash: number;
  readonly minor: number;
}

/** The initial state of MD4, taken where the volume has no seed. */
const DEFAULT_SEED = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
/** The largest hash means the end of a directory to the kernel, so no name may have it. */
const END_OF_DIRECTORY = 0xffff_fffe;

/**
 * Hash of a name. Linux fs/ext4/hash.c.
 *
 * @param version DX_HASH_*, its unsigned variants (3 to 5) included.
 * @returns undefined for a version that needs a key or is not known.
 */
export function hashName(name: Uint8Array, version: number, seed: Uint32Array | undefined): NameHash | undefined {
  const isUnsigned = version >= DX_HASH_LEGACY_UNSIGNED;
  const bytes = isUnsigned ? name : new Int8Array(name.buffer, name.byteOffset, name.length);
  const state = Uint32Array.from(seed ?? DEFAULT_SEED);
  switch (isUnsigned ? version - DX_HASH_LEGACY_UNSIGNED : version) {
    case DX_HASH_LEGACY:
      return finish(legacyHash(bytes), 0);
    case DX_HASH_HALF_MD4:
      for (let at = 0; at < bytes.length; at += 32) halfMd4(state, packWords(bytes, at, 8));
      return finish(state[1]!, state[2]!);
    case DX_HASH_TEA:
      for (let at = 0; at < bytes.length; at += 16) tea(state, packWords(bytes, at, 4));
      return finish(state[0]!, state[1]!);
    default:
      return undefined;
  }
}

function finish(raw: number, minor: number): NameHash {
  const hash = (raw & ~1) >>> 0;
  return { hash: hash === END_OF_DIRECTORY ? hash - 2 : hash, minor: minor >>> 0 };
}

function legacyHash(bytes: Uint8Array | Int8Array): number {
  let last = 0x37abe8f9;
  let hash = 0x12a3fe2d;
  for (const byte of bytes) {
    let next = (last + (hash ^ Math.imul(byte, 7152373))) >>> 0;
    if (next & 0x8000_0000) next -= 0x7fff_ffff;
    last = hash;
    hash = next;
  }
  return (hash << 1) >>> 0;
}

/** Bytes from `start` as big-endian words, filled up with the length that is left. */
function packWords(bytes: Uint8Array | Int8Array, start: number, count: number): Uint32Array {
  const left = bytes.length - start;
  const pad = left | (left << 8) | ((left | (left << 8)) << 16);
  const words = new Uint32Array(count).fill(pad);
  const length = Math.min(left, count * 4);
  let word = pad;
  for (let n = 0; n < length; n += 1) {
    word = bytes[start + n]! + (word << 8);
    if (n % 4 === 3) {
      words[n >>> 2] = word;
      word = pad;
    }
  }
  if (length % 4 !== 0) words[length >>> 2] = word;
  return words;
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

type Mix = (x: number, y: number, z: number) => number;

/** Function, constant, order of the words and shifts of each of the three rounds. */
const MD4_ROUNDS: readonly (readonly [Mix, number, readonly number[], readonly number[]])[] = [
  [(x, y, z) => z ^ (x & (y ^ z)), 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]],
  [(x, y, z) => ((x & y) + ((x ^ y) & z)) | 0, 0x5a827999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]],
  [(x, y, z) => x ^ y ^ z, 0x6ed9eba1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]],
];

/** MD4 cut to three rounds of eight steps. */
function halfMd4(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d] = [state[0]! | 0, state[1]! | 0, state[2]! | 0, state[3]! | 0];
  for (const [mix, constant, order, shifts] of MD4_ROUNDS) {
    for (let step = 0; step < 8; step += 1) {
      const sum = (a + mix(b, c, d) + words[order[step]!]! + constant) | 0;
      [a, b, c, d] = [d, rotate(sum, shifts[step % 4]!), b, c];
    }
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}

/** Sixteen rounds of the Tiny Encryption Algorithm. */
function tea(state: Uint32Array, key: Uint32Array): void {
  const [a, b, c, d] = [key[0]!, key[1]!, key[2]!, key[3]!];
  let [left, right] = [state[0]!, state[1]!];
  let sum = 0;
  for (let round = 0; round < 16; round += 1) {
    sum = (sum + 0x9e3779b9) >>> 0;
    left = (left + (((right << 4) + a) ^ (right + sum) ^ ((right >>> 5) + b))) >>> 0;
    right = (right + (((left << 4) + c) ^ (left + sum) ^ ((left >>> 5) + d))) >>> 0;
  }
  state[0]! += left;
  state[1]! += right;
}

import { equalBytes } from "@guestprobe/block";

/** `value` turned left by `bits` of 32. */
const turn = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** Lower case in ISO 8859-1, which is what the kernel means by "ASCII" here: bytes 0xC0 to 0xDE but 0xD7 count. */
function lower(byte: number): number {
  const isUpper = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0xc0 && byte <= 0xde && byte !== 0xd7);
  return isUpper ? byte + 32 : byte;
}

/**
 * Hash of a name, unsigned. XFS Algorithms & Data Structures, 3rd ed., "Hash Values": seven bits a byte, the last byte
 * lowest. Where case is ignored, of the name in lower case.
 */
export function hashName(name: Uint8Array, ignoreCase = false): number {
  let hash = 0;
  // Byte by byte gives the same as the specification's four at a time: turning by 7 distributes over exclusive or.
  for (const byte of name) hash = (ignoreCase ? lower(byte) : byte) ^ turn(hash, 7);
  return hash >>> 0;
}

/** `exact`, or `case` for names that differ in case alone, where that is ignored. */
export function compareNames(a: Uint8Array, b: Uint8Array, ignoreCase: boolean): "exact" | "case" | undefined {
  if (equalBytes(a, b)) return "exact";
  if (!ignoreCase || a.length !== b.length) return undefined;
  return a.every((byte, at) => lower(byte) === lower(b[at]!)) ? "case" : undefined;
}

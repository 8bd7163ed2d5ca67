import { type ErrorPlace, ImageError } from "./errors.js";

const TWO_32 = 0x1_0000_0000;

/** Joins two 32-bit words; refuses what a number cannot hold exactly (2^53 and above). Throws `corrupt`. */
export function joinU64(hi: number, lo: number, place: ErrorPlace = {}): number {
  if (hi >= 0x20_0000) {
    const value = (BigInt(hi) << 32n) | BigInt(lo);
    throw new ImageError("corrupt", `value 0x${value.toString(16)} is 2^53 or more`, place);
  }
  return hi * TWO_32 + lo;
}

/** Whether the word at `at` is all ones, the "none" of many formats. */
export function isU64None(view: DataView, at: number): boolean {
  return view.getUint32(at) === 0xffff_ffff && view.getUint32(at + 4) === 0xffff_ffff;
}

/** `a + b`, refused with `corrupt` when the sum is not an exact number; both must be exact and not negative. */
export function checkedAdd(a: number, b: number, place: ErrorPlace = {}): number {
  const sum = a + b;
  if (!Number.isSafeInteger(sum)) throw new ImageError("corrupt", `${a} + ${b} is 2^53 or more`, place);
  return sum;
}

/** `a * b`, refused with `corrupt` when the product is not an exact number. */
export function checkedMul(a: number, b: number, place: ErrorPlace = {}): number {
  const product = a * b;
  if (!Number.isSafeInteger(product)) throw new ImageError("corrupt", `${a} * ${b} is 2^53 or more`, place);
  return product;
}

/** Smallest multiple of `unit` that is at least `value`. Works above 2^31, where bit tricks do not. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Largest multiple of `unit` that is at most `value`. */
export function alignDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

/** Whether `value` is a power of two, from 1 to 2^52. The logarithm of 2^48 + 1 is rounded to 48: it is not enough. */
export function isPowerOfTwo(value: number): boolean {
  return value >= 1 && 2 ** Math.round(Math.log2(value)) === value && value <= 2 ** 52;
}

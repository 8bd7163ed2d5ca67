import { toHex } from "./text.js";

const dashed = (digits: string): string =>
  `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;

/** Sixteen bytes in the order of RFC 9562, as file systems store a UUID: lower-case text with dashes. */
export function formatUuid(data: Uint8Array): string {
  return dashed(toHex(data.subarray(0, 16)));
}

/** Sixteen bytes as GPT and VHDX store a GUID, its first three parts little-endian: upper-case text with dashes. */
export function formatGuid(data: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return dashed(toHex(Uint8Array.from(order, (index) => data[index] ?? 0))).toUpperCase();
}

/** Whether all bytes are zero: an unset UUID, an unused entry. */
export function isZero(data: Uint8Array): boolean {
  // Not every(): whole sparse files pass through here, and a call for each byte costs ten times the loop.
  for (let at = 0; at < data.length; at += 1) if (data[at] !== 0) return false;
  return true;
}

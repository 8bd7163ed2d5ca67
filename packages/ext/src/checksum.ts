import { crc32cOfView, type ErrorPlace, finding, ImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import { BAD_CHECKSUM } from "./findings.js";
import { hex } from "./place.js";

/** What to do about a checksum that does not match. */
export interface ChecksumSink {
  readonly checksums: ChecksumPolicy;
  readonly report: Report | undefined;
}

/**
 * Deals with a stored checksum and what was computed instead. Answers whether they match.
 *
 * @throws ImageError `bad-checksum` under the policy `require`.
 */
export function compareChecksums(
  sink: ChecksumSink,
  stored: number,
  computed: number,
  what: string,
  place: ErrorPlace,
): boolean {
  if (stored === computed) return true;
  const message = `${what}: the checksum is ${hex(stored)}, computed ${hex(computed)}`;
  if (sink.checksums === "require") throw new ImageError("bad-checksum", message, place);
  sink.report?.(finding(BAD_CHECKSUM, message, place));
  return false;
}

const zeros = viewOf(new Uint8Array(4));

/** CRC-32C of bytes `from` to `to` of `view`, with `size` bytes (at most 4) from `at` taken as zeros. */
export function crcOfPartWithGap(
  register: number,
  view: DataView,
  from: number,
  to: number,
  at: number,
  size: number,
): number {
  const before = crc32cOfView(view, register, from, at);
  const gap = crc32cOfView(zeros, before, 0, size);
  return crc32cOfView(view, gap, at + size, to);
}

/** CRC-32C of `data` with `size` bytes (at most 4) from `at` taken as zeros: where the checksum itself is stored. */
export function crcWithGap(register: number, data: Uint8Array, at: number, size: number): number {
  return crcOfPartWithGap(register, viewOf(data), 0, data.length, at, size);
}

let crc16Table: Uint16Array | undefined;

/** CRC-16 (polynomial 0x8005, reflected), the kernel's `crc16`: checksum of group descriptors under uninit_bg. */
export function crc16(register: number, data: Uint8Array): number {
  crc16Table ??= Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
    return crc;
  });
  let crc = register;
  for (const byte of data) crc = (crc >>> 8) ^ crc16Table[(crc ^ byte) & 0xff]!;
  return crc;
}

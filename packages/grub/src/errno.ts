import type { ErrorCode } from "@guestprobe/block";

/** GRUB's error numbers, as `$?` shows them after a command. GRUB 2.06, include/grub/err.h. */
export const GRUB_ERRNO = {
  none: 0,
  "test-failure": 1,
  "bad-module": 2,
  "out-of-memory": 3,
  "bad-file-type": 4,
  "file-not-found": 5,
  "file-read-error": 6,
  "bad-filename": 7,
  "unknown-fs": 8,
  "bad-fs": 9,
  "bad-number": 10,
  "out-of-range": 11,
  "unknown-device": 12,
  "bad-device": 13,
  "read-error": 14,
  "write-error": 15,
  "unknown-command": 16,
  "invalid-command": 17,
  "bad-argument": 18,
  "bad-part-table": 19,
  "unknown-os": 20,
  "bad-os": 21,
  "no-kernel": 22,
  "bad-font": 23,
  "not-implemented": 24,
  "symlink-loop": 25,
  "bad-compressed-data": 26,
  menu: 27,
  timeout: 28,
  io: 29,
  "access-denied": 30,
  extractor: 31,
} as const;
export type GrubError = keyof typeof GRUB_ERRNO;

/** What GRUB would answer where a reader of this toolkit throws. */
const FROM_CODE: { readonly [Code in ErrorCode]: GrubError } = {
  "past-end": "out-of-range",
  io: "read-error",
  aborted: "none",
  "not-this-format": "bad-fs",
  corrupt: "bad-fs",
  "bad-checksum": "bad-fs",
  unsupported: "not-implemented",
  encrypted: "not-implemented",
  limit: "out-of-memory",
  "not-found": "file-not-found",
  "not-a-directory": "bad-file-type",
  "is-a-directory": "bad-file-type",
  "not-a-symlink": "bad-file-type",
  "symlink-loop": "symlink-loop",
  "invalid-argument": "bad-filename",
};

export function grubErrorOf(code: ErrorCode): GrubError {
  return FROM_CODE[code];
}

/**
 * Whether an error ends the search for a driver. GRUB 2.06, kern/fs.c, grub_fs_probe: after any error but these two no
 * further driver is asked, so a device that a later one could read stays unknown.
 */
export function endsProbe(error: GrubError): boolean {
  return error !== "bad-fs" && error !== "out-of-range";
}

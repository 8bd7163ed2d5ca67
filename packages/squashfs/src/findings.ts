import type { FindingKind } from "@guestprobe/block";

export const TRUNCATED: FindingKind = {
  code: "squashfs-truncated",
  severity: "error",
  title: "The volume is larger than its device",
  explanation:
    "The superblock counts more bytes than the device has: an image cut short, or a partition that is too small. The " +
    "tables lie at the end of a squashfs volume, so little of it can be read. Linux refuses to mount it.",
  next: ["fetch the image again and compare sizes"],
};

export const BAD_NAME: FindingKind = {
  code: "squashfs-bad-name",
  severity: "error",
  title: "A directory entry has a name that no file can have",
  explanation:
    "The name is a dot or two, or holds a slash or a NUL byte. mksquashfs writes no such entry. It is left out, since no " +
    "path could lead to it and a copy might be written outside its folder.",
  next: ["run `unsquashfs -lls` on a copy of the volume", "do not unpack the volume as root"],
};

/** Every kind of finding of this package. */
export const SQUASHFS_FINDINGS: readonly FindingKind[] = [TRUNCATED, BAD_NAME];

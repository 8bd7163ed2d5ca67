import type { FindingKind } from "@guestprobe/block";

const LIST = "list the volume with `isoinfo -l -R` or `xorriso -indev IMAGE -lsl`";

export const TRUNCATED: FindingKind = {
  code: "iso-truncated",
  severity: "error",
  title: "The volume is larger than its device",
  explanation:
    "The primary volume descriptor counts more blocks than the device has: a download that broke off, most often. What lies " +
    "within the device is read.",
  next: ["fetch the image again and compare checksums"],
};

export const BYTE_ORDERS_DIFFER: FindingKind = {
  code: "iso-byte-orders-differ",
  severity: "warning",
  title: "A number is stored twice, with two values",
  explanation:
    "ISO 9660 keeps numbers in both byte orders. Here the two disagree: the volume was changed by hand, or made to be read " +
    "differently on different machines. Linux, GRUB and this tool take the little-endian one.",
  next: ["look at both: `xxd -s OFFSET -l 8 IMAGE`"],
};

export const NO_TERMINATOR: FindingKind = {
  code: "iso-no-terminator",
  severity: "warning",
  title: "The volume descriptors do not end",
  explanation:
    "The set of volume descriptors has no terminator within the first hundred sectors. GRUB reads on until one comes.",
  next: [LIST],
};

export const BAD_RECORD: FindingKind = {
  code: "iso-bad-record",
  severity: "error",
  title: "A directory record does not fit",
  explanation:
    "The record is shorter than what it must hold, ends past its sector, or has a name longer than itself. Readers that believed " +
    "such lengths had holes: among others XSA-497, CVE-2026-42494 and its kin, in pygrub. The rest of the sector is passed over; " +
    "what other sectors hold is listed. Linux stops listing there.",
  next: ["treat the image as hostile", LIST],
};

export const BAD_SYSTEM_USE: FindingKind = {
  code: "iso-bad-system-use",
  severity: "error",
  title: "A Rock Ridge field does not fit",
  explanation:
    "A field of the system use area is shorter than what it must hold, or ends past the area; or a continuation area lies " +
    "outside its block, outside the volume, or behind too many others. Readers that believed such lengths had holes: among others " +
    "XSA-497 in pygrub. The fields before it are used, it and those behind it are not.",
  next: ["treat the image as hostile", LIST],
};

export const BAD_NAME: FindingKind = {
  code: "iso-bad-name",
  severity: "error",
  title: "A directory entry has a name that no file can have",
  explanation:
    "The name is empty, a dot or two, or holds a slash. The entry is left out, since no path could lead to it and a copy might be " +
    "written outside its folder.",
  next: ["do not unpack the volume as root", LIST],
};

export const PATH_TABLE_DIFFERS: FindingKind = {
  code: "iso-path-table-differs",
  severity: "warning",
  title: "The path table and the directories disagree",
  explanation:
    "The path table lists every directory once more, for fast access. It misses this one, or has one that its parent does not " +
    "record, or its two byte orders differ. DOS and some firmware find files through the table; Linux, GRUB and this tool through " +
    "the directories. A directory that only the table has is not shown.",
  next: ["compare with `isoinfo -p`", LIST],
};

export const EMPTY_ROCK_RIDGE: FindingKind = {
  code: "iso-empty-rock-ridge",
  severity: "note",
  title: "The Rock Ridge tree is empty and Joliet's is shown",
  explanation:
    "The root directory has no entry but its own two, while Joliet's has some. Linux shows Joliet's then; GRUB does not.",
  next: [LIST],
};

export const UDF_BRIDGE: FindingKind = {
  code: "iso-udf-bridge",
  severity: "note",
  title: "The volume carries a UDF file system too",
  explanation:
    "Both trees usually name the same files. The ISO 9660 one is shown. GRUB asks its UDF driver first, and reads that one.",
  next: ["mount it read-only with `-t udf` in a disposable virtual machine and compare"],
};

export const BAD_BOOT_CATALOGUE: FindingKind = {
  code: "iso-bad-boot-catalogue",
  severity: "warning",
  title: "The El Torito boot catalogue makes no sense",
  explanation:
    "Its validation entry or checksum is wrong, or it lies outside the volume. Firmware would not boot the disc.",
  next: ["compare with `xorriso -indev IMAGE -report_el_torito plain`"],
};

/** Every kind of finding of this package. */
export const ISO9660_FINDINGS: readonly FindingKind[] = [
  TRUNCATED,
  BYTE_ORDERS_DIFFER,
  NO_TERMINATOR,
  BAD_RECORD,
  BAD_SYSTEM_USE,
  BAD_NAME,
  PATH_TABLE_DIFFERS,
  EMPTY_ROCK_RIDGE,
  UDF_BRIDGE,
  BAD_BOOT_CATALOGUE,
];

import type { FindingKind } from "@guestprobe/block";

const CHECK = "run `fsck.fat -n` on a copy of the volume";

export const DIRTY: FindingKind = {
  code: "fat-dirty",
  severity: "warning",
  title: "The volume was not unmounted cleanly",
  explanation:
    "Linux and Windows set a flag while a FAT volume is mounted for writing, and take it back at the end. Here it is still set: " +
    "the image was taken from a running guest, or the guest crashed. FAT has no journal, so what was being written may be half " +
    "done: chains without a name, sizes that do not fit.",
  next: ["shut the guest down before its disk is examined", CHECK],
};

export const MEDIUM_ERRORS: FindingKind = {
  code: "fat-medium-errors",
  severity: "warning",
  title: "The guest has met bad sectors on this volume",
  explanation:
    "A bit of the second FAT entry or of the boot sector says that reading or writing the medium failed once.",
  next: ["copy the image again, and compare checksums", CHECK],
};

export const COPIES_DIFFER: FindingKind = {
  code: "fat-copies-differ",
  severity: "warning",
  title: "The copies of the file allocation table disagree",
  explanation:
    "A FAT volume has two tables that are written alike, and each part that is used is held against its copy. Here they differ: " +
    "a write was cut off, or something wrote to one of them alone. Linux and this tool read the first; GRUB and Windows read " +
    "the one that the boot sector names as active, on FAT32.",
  next: [CHECK],
};

export const COPY_USED: FindingKind = {
  code: "fat-copy-used",
  severity: "error",
  title: "The first file allocation table cannot be read and its copy is used",
  explanation:
    "A part of the first table lies on sectors that cannot be read. The copy is shown in its place. Linux and GRUB read the " +
    "first table alone.",
  next: ["copy the image again, and compare checksums"],
};

export const ACTIVE_COPY: FindingKind = {
  code: "fat-active-copy",
  severity: "warning",
  title: "Another file allocation table than the first is marked as active",
  explanation:
    "BPB_ExtFlags turns mirroring off and names the table in use. Windows and GRUB follow it. Linux always reads the first, as " +
    "is done here, and may see other files.",
  next: ["compare the tables byte by byte: `cmp`", CHECK],
};

export const ODD_FIRST_ENTRY: FindingKind = {
  code: "fat-odd-first-entry",
  severity: "warning",
  title: "The file allocation table does not begin with the media byte",
  explanation:
    "The first entry repeats BPB_Media of the boot sector. GRUB takes a volume where it does not for no FAT volume at all. Linux " +
    "does not look.",
  next: [CHECK],
};

export const BACKUP_BOOT_SECTOR: FindingKind = {
  code: "fat-backup-boot-sector",
  severity: "error",
  title: "The boot sector is damaged and its copy is used",
  explanation:
    "The first sector is no boot sector of a FAT volume, but the copy that FAT32 keeps in sector 6 is. The volume is shown " +
    "through it. Neither Linux nor GRUB looks for the copy by itself.",
  next: ["restore it on a copy of the volume: `fsck.fat`"],
};

export const BOOT_SECTORS_DIFFER: FindingKind = {
  code: "fat-boot-sectors-differ",
  severity: "note",
  title: "The boot sector and its copy disagree about the volume",
  explanation:
    "FAT32 keeps a copy of the boot sector. Its fields differ from those in use, so a repair that falls back on it would show " +
    "another volume.",
  next: [CHECK],
};

export const ODD_FSINFO: FindingKind = {
  code: "fat-odd-fsinfo",
  severity: "note",
  title: "FAT32's summary of free clusters makes no sense",
  explanation:
    "The sector has no signature, lies outside the reserved sectors, or counts more free clusters than there are. It serves " +
    "writers as a hint: nothing that is read depends on it.",
  next: [CHECK],
};

export const LABELS_DIFFER: FindingKind = {
  code: "fat-labels-differ",
  severity: "note",
  title: "The volume has two labels",
  explanation:
    "The boot sector has one label and the root directory another. The root directory's counts for Linux, Windows and GRUB.",
  next: ["set it anew inside the guest: `fatlabel DEVICE LABEL`"],
};

export const TRUNCATED: FindingKind = {
  code: "fat-truncated",
  severity: "error",
  title: "The volume is larger than its device",
  explanation:
    "The boot sector counts more sectors than the device has: an image cut short, or a partition table that no longer fits. What " +
    "lies within the device is read.",
  next: ["fetch the image again and compare sizes"],
};

export const FEW_FAT_SECTORS: FindingKind = {
  code: "fat-short-table",
  severity: "warning",
  title: "The file allocation table is too short for the volume",
  explanation:
    "The table has no entries for the last clusters. Linux uses those that it has entries for, as is done here.",
  next: [CHECK],
};

export const CROSSED: FindingKind = {
  code: "fat-crossed-chains",
  severity: "error",
  title: "Two files share a cluster",
  explanation:
    "The chains of two files or directories meet. At most one of them has the content that was written to it; a write to one " +
    "changes the other.",
  next: [CHECK],
};

export const LONG_CHAIN: FindingKind = {
  code: "fat-long-chain",
  severity: "warning",
  title: "A file has more clusters than its size needs",
  explanation:
    "The chain goes on past the size that the directory tells: the guest crashed while the file grew, or the size was changed. " +
    "What lies there is not part of the file.",
  next: [CHECK],
};

export const ORPHANED_LONG_NAME: FindingKind = {
  code: "fat-orphaned-long-name",
  severity: "note",
  title: "Parts of a long name belong to no entry",
  explanation:
    "The parts are out of order, their checksum is of another short name, or no entry follows them. A system that does not know " +
    "long names has renamed or deleted the file. Such parts are passed over, and the short name is what counts.",
  next: [CHECK],
};

export const BAD_NAME: FindingKind = {
  code: "fat-bad-name",
  severity: "error",
  title: "A directory entry has a name that no file can have",
  explanation:
    "The long name is empty, a dot or two, or holds a slash. The short name is shown in its place; where that is of no use " +
    "either, the entry is left out, since no path could lead to it and a copy might be written outside its folder.",
  next: [CHECK],
};

export const HALF_SURROGATE: FindingKind = {
  code: "fat-half-surrogate",
  severity: "note",
  title: "A long name holds half of a surrogate pair",
  explanation:
    "Long names are UTF-16, where letters past U+FFFF take two units that belong together. One of them stands alone here, which " +
    "UTF-8 cannot express. Linux leaves it out of the name, as is done here; two names may come out alike.",
  next: [CHECK],
};

export const PAST_END_MARK: FindingKind = {
  code: "fat-past-end-mark",
  severity: "warning",
  title: "A directory goes on after its end mark",
  explanation:
    "An entry whose first byte is zero ends a directory. Linux does not stop there and shows what follows, as is done here. " +
    "Windows and GRUB stop, so those files do not exist for them.",
  next: [CHECK],
};

export const NO_DOTS: FindingKind = {
  code: "fat-no-dot-entries",
  severity: "warning",
  title: "A directory does not begin with its two dot entries",
  explanation:
    'Every directory but the root begins with "." and "..". This one does not: its cluster may hold something else. Linux refuses ' +
    "it since 2025. GRUB reads it.",
  next: [CHECK],
};

/** Every kind of finding of this package. */
export const FAT_FINDINGS: readonly FindingKind[] = [
  DIRTY,
  MEDIUM_ERRORS,
  COPIES_DIFFER,
  COPY_USED,
  ACTIVE_COPY,
  ODD_FIRST_ENTRY,
  BACKUP_BOOT_SECTOR,
  BOOT_SECTORS_DIFFER,
  ODD_FSINFO,
  LABELS_DIFFER,
  TRUNCATED,
  FEW_FAT_SECTORS,
  CROSSED,
  LONG_CHAIN,
  ORPHANED_LONG_NAME,
  BAD_NAME,
  HALF_SURROGATE,
  PAST_END_MARK,
  NO_DOTS,
];

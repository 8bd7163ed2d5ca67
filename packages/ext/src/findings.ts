import type { FindingKind } from "@guestprobe/block";

export const BAD_CHECKSUM: FindingKind = {
  code: "ext-bad-checksum",
  severity: "warning",
  title: "A checksum of ext metadata does not match",
  explanation:
    "The structure was changed after its checksum was written: a damaged medium, a stray write, or a tool that does " +
    "not know metadata_csum. Linux refuses to use it. GRUB verifies no checksum of ext and reads on, as is done here.",
  next: ["run `e2fsck -n` on a copy of the volume", "`--checksums require` stops at the first one"],
};

export const BACKUP_SUPERBLOCK: FindingKind = {
  code: "ext-backup-superblock",
  severity: "error",
  title: "The first superblock is damaged and a copy is used",
  explanation:
    "The superblock at byte 1024 cannot be used, but a copy further on can. The volume is shown through " +
    "that copy and " +
    "its group descriptors. Neither Linux nor GRUB looks for copies by itself, so neither would see this volume.",
  next: ["repair a copy of the volume with `e2fsck -b BLOCK`", "mount it read-only with `-o sb=BLOCK`"],
};

export const BACKUP_DESCRIPTOR: FindingKind = {
  code: "ext-backup-descriptor",
  severity: "error",
  title: "A group descriptor is damaged and its copy is used",
  explanation:
    "A descriptor says where the inodes of its group lie. This one points outside the volume, or its checksum is " +
    "wrong, and a copy of the descriptor table holds a sound one. Linux does not mount such a volume.",
  next: ["run `e2fsck -n` on a copy of the volume"],
};

export const ODD_FIELD: FindingKind = {
  code: "ext-odd-field",
  severity: "warning",
  title: "A field of the superblock has a value that no tool writes",
  explanation:
    "The field is not needed to read the volume, or was worked out in another way, so reading goes on. " +
    "Linux may refuse " +
    "to mount the volume for it.",
  next: ["compare with `dumpe2fs -h`", "run `e2fsck -n` on a copy of the volume"],
};

export const TRUNCATED: FindingKind = {
  code: "ext-truncated",
  severity: "error",
  title: "The volume is larger than its device",
  explanation:
    "The superblock counts more blocks than the device has: an image cut short, or a partition table that no longer " +
    "fits. What lies within the device is read; Linux refuses to mount the volume.",
  next: ["fetch the image again and compare sizes", "compare the partition's size with `dumpe2fs -h`"],
};

export const NOT_CLEAN: FindingKind = {
  code: "ext-not-clean",
  severity: "note",
  title: "The volume was not unmounted cleanly",
  explanation:
    "The state in the superblock says that a writer still had the volume mounted. With a journal, " +
    "ext-journal-dirty says " +
    "more; without one, metadata may be half written.",
  next: ["shut the guest down before its disk is examined"],
};

export const ERRORS_RECORDED: FindingKind = {
  code: "ext-errors-recorded",
  severity: "warning",
  title: "The guest's kernel has met errors on this volume",
  explanation: "The superblock's state has the error bit: Linux found metadata that made no sense, and said so there.",
  next: ["see the first and last error in `dumpe2fs -h`", "run `e2fsck -n` on a copy of the volume"],
};

export const JOURNAL_DIRTY: FindingKind = {
  code: "ext-journal-dirty",
  severity: "warning",
  title: "The journal holds changes that are not yet in place",
  explanation:
    "The volume was in use when the image was taken, or the guest crashed. Linux replays the journal when it mounts; " +
    "GRUB does not, and boots from what is in place. That is also what is shown, unless a replay is asked for.",
  next: ["`--journal replay` shows the volume as Linux would see it", "shut the guest down cleanly"],
};

export const JOURNAL_DAMAGED: FindingKind = {
  code: "ext-journal-damaged",
  severity: "error",
  title: "The journal cannot be replayed in full",
  explanation:
    "A block of the log does not match its checksum or makes no sense. Transactions before it are shown as replayed, " +
    "what follows is not. Linux refuses to mount such a volume until e2fsck has dealt with it.",
  next: ["run `e2fsck -n` on a copy of the volume"],
};

export const FAST_COMMITS: FindingKind = {
  code: "ext-fast-commits",
  severity: "warning",
  title: "The journal holds fast commits, which are not replayed",
  explanation:
    "Between full transactions the fast_commit feature logs small changes in an area of its own. The " +
    "replay shows the " +
    "volume as of the last full transaction; Linux would also apply the changes since then.",
  next: ["let Linux recover a copy of the volume when the last seconds before the crash matter"],
};

export const HTREE_DAMAGED: FindingKind = {
  code: "ext-htree-damaged",
  severity: "error",
  title: "The index of a directory is damaged",
  explanation:
    "A directory's hash index makes no sense or does not match its checksum. Its blocks are searched one after the " +
    "other instead, so no name is missed.",
  next: ["rebuild it with `e2fsck -D` on a copy of the volume"],
};

export const DIRECTORY_HOLE: FindingKind = {
  code: "ext-directory-hole",
  severity: "warning",
  title: "A directory has a hole",
  explanation: "A block of the directory is not allocated. Linux says so in its log and passes on; so is done here.",
  next: ["run `e2fsck -n` on a copy of the volume"],
};

export const BAD_NAME: FindingKind = {
  code: "ext-bad-name",
  severity: "error",
  title: "A directory entry has a name that no file can have",
  explanation:
    "The name is empty or holds a slash or a NUL byte. Linux stops listing there. The entry is left out, " +
    "since no path " +
    "could lead to it and a copy might be written outside its folder.",
  next: ["run `e2fsck -n` on a copy of the volume"],
};

export const CASEFOLD_ENCODING: FindingKind = {
  code: "ext-casefold-encoding",
  severity: "note",
  title: "Names of a casefold directory use an encoding that is not known",
  explanation: "Lookup in such directories disregards case by the rules of UTF-8, which may not be the volume's.",
  next: ["compare with `dumpe2fs -h`"],
};

export const BAD_BITMAP: FindingKind = {
  code: "ext-bad-bitmap",
  severity: "warning",
  title: "A bitmap of used blocks or inodes does not match its checksum",
  explanation:
    "Bitmaps matter to a writer only: nothing that is read depends on them. Linux allocates nothing more " +
    "in such a group.",
  next: ["run `e2fsck -n` on a copy of the volume"],
};

/** Every kind of finding of this package. */
export const EXT_FINDINGS: readonly FindingKind[] = [
  BAD_CHECKSUM,
  BACKUP_SUPERBLOCK,
  BACKUP_DESCRIPTOR,
  ODD_FIELD,
  TRUNCATED,
  NOT_CLEAN,
  ERRORS_RECORDED,
  JOURNAL_DIRTY,
  JOURNAL_DAMAGED,
  FAST_COMMITS,
  HTREE_DAMAGED,
  DIRECTORY_HOLE,
  BAD_NAME,
  CASEFOLD_ENCODING,
  BAD_BITMAP,
];

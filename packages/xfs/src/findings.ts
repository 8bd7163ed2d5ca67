import type { FindingKind } from "@guestprobe/block";

export const XFS_BAD_CHECKSUM: FindingKind = {
  code: "xfs-bad-checksum",
  severity: "warning",
  title: "A metadata block does not match its checksum",
  explanation:
    "Volumes of version 5 keep a CRC-32C in every metadata block. One that does not match means that the block was " +
    "damaged or written by something other than XFS. The kernel refuses to use it. GRUB never looks at checksums, so " +
    "the block is read as it stands, as GRUB would.",
  next: ["run `xfs_repair -n DEVICE` on a copy", "compare with a backup of the image"],
};

export const XFS_FOREIGN_BLOCK: FindingKind = {
  code: "xfs-foreign-block",
  severity: "warning",
  title: "A metadata block says that it belongs elsewhere",
  explanation:
    "Version 5 metadata names its volume (UUID), its inode and its own block number. A block that names others was " +
    "misplaced by a lost or misdirected write, or made up. The kernel refuses to use it; GRUB does not look.",
  next: ["run `xfs_repair -n DEVICE` on a copy", "check the storage below for lost writes"],
};

export const XFS_LOG_DIRTY: FindingKind = {
  code: "xfs-log-dirty",
  severity: "warning",
  title: "The log holds changes that were not written back",
  explanation:
    "The volume was not unmounted before the image was taken. Linux would first replay the log, then show the files. " +
    "GRUB does not replay it: it sees the volume as it lies on the disk, possibly without the newest files or with " +
    "old versions of them. That is the view given here.",
  next: [
    "shut the guest down cleanly and look again",
    "in the guest, `xfs_freeze` the volume holding /boot after an update of the boot loader",
  ],
};

export const XFS_LOG_UNREADABLE: FindingKind = {
  code: "xfs-log-unreadable",
  severity: "note",
  title: "It cannot be told whether the log is clean",
  explanation:
    "The log lies on another device, or its place in the superblock makes no sense, or its blocks cannot be read. If " +
    "it holds changes, Linux would replay them before it shows the files; GRUB would not.",
  next: ["run `xfs_logprint -t DEVICE` with the log device at hand"],
};

export const XFS_BACKUP_SUPERBLOCK: FindingKind = {
  code: "xfs-superblock-backup",
  severity: "error",
  title: "The first superblock is damaged; a copy is used",
  explanation:
    "Every allocation group begins with a copy of the superblock. The first one, which is the one in force, cannot be " +
    "used, so the volume was opened by a copy. Neither Linux nor GRUB does that: they do not recognise the volume.",
  next: ["run `xfs_repair DEVICE` on a copy of the image: it restores the first superblock from the others"],
};

export const XFS_NEEDS_REPAIR: FindingKind = {
  code: "xfs-needs-repair",
  severity: "warning",
  title: "The volume is marked as in need of repair",
  explanation:
    "xfs_repair or xfs_admin set this mark before a change and was not able to clear it. Linux refuses to mount the " +
    "volume; GRUB prints a warning and reads it.",
  next: ["run `xfs_repair DEVICE` in the guest or on a copy"],
};

export const XFS_DIRECTORY_INDEX: FindingKind = {
  code: "xfs-directory-index",
  severity: "warning",
  title: "The hash index of a directory is damaged",
  explanation:
    "Names are found through an index sorted by hash. This one cannot be used, so the directory was read from end to " +
    "end instead, as GRUB always does. Linux would fail to find names in it.",
  next: ["run `xfs_repair -n DEVICE` on a copy"],
};

export const XFS_DIRECTORY_ENTRY: FindingKind = {
  code: "xfs-directory-entry",
  severity: "warning",
  title: "A directory entry has a name that no file can have",
  explanation: "A name holds a slash or a NUL byte. No path leads to such an entry; it is left out.",
  next: ["run `xfs_repair -n DEVICE` on a copy"],
};

export const XFS_TRUNCATED: FindingKind = {
  code: "xfs-truncated",
  severity: "error",
  title: "The device is smaller than the volume on it",
  explanation:
    "The superblock counts more blocks than the device has: the image or the partition was cut. Linux refuses to " +
    "mount it. Files whose blocks lie within the device are read.",
  next: ["compare the size of the image with that of its source", "check the partition table"],
};

/** Every kind of finding that this package reports. */
export const XFS_FINDINGS: readonly FindingKind[] = [
  XFS_BAD_CHECKSUM,
  XFS_FOREIGN_BLOCK,
  XFS_LOG_DIRTY,
  XFS_LOG_UNREADABLE,
  XFS_BACKUP_SUPERBLOCK,
  XFS_NEEDS_REPAIR,
  XFS_DIRECTORY_INDEX,
  XFS_DIRECTORY_ENTRY,
  XFS_TRUNCATED,
];

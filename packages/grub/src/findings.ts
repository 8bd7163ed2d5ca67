import type { FindingKind } from "@guestprobe/block";

const kind = (code: string, title: string, explanation: string, ...next: string[]): FindingKind => ({
  code,
  severity: "warning",
  title,
  explanation,
  next,
});

export const TABLE_REFUSED = kind(
  "grub-table-refused",
  "GRUB does not accept the partition table",
  "The partition is there, and GRUB lists no such device. GRUB drops a whole MBR for one status byte that is neither 0 nor " +
    "0x80, or for an entry of type 0xEE; it reads a GPT only behind a protective MBR, and never from the backup.",
  "repair the table inside the guest: `sfdisk --verify`, `sgdisk -v`",
);
export const FEATURE_REFUSED = kind(
  "grub-feature-refused",
  "GRUB's driver does not read this file system",
  "The volume uses a feature that the driver does not know, or has a value that it takes for damage. To GRUB the device holds no " +
    "file system at all.",
  "keep /boot on a volume without that feature",
  "for ext4: `tune2fs -O ^FEATURE` where it can be turned off",
);
export const NO_SUPERBLOCK = kind(
  "grub-no-superblock",
  "The first superblock is damaged, and GRUB reads no other",
  "The volume was opened by a backup of its superblock. GRUB looks at the first one alone and finds no file system.",
  "repair the volume inside the guest: `e2fsck -b BACKUP`",
);
export const OTHER_DRIVER = kind(
  "grub-other-driver",
  "GRUB would take the volume for another file system",
  "The device carries the marks of two file systems, and GRUB asks its drivers in another order. What it would find there is " +
    "not known here.",
  "wipe the stale signature inside the guest: `wipefs`",
);
export const NESTED_NAME = kind(
  "grub-nested-name",
  "A partition inside a partition, which this GRUB cannot open",
  "GRUB lists the device, and builds since February 2025 refuse its name: nothing may follow the first partition number.",
  "move the volume to a partition of the outer table",
);
export const TOO_MANY_LINKS = kind(
  "grub-too-many-links",
  "The way to the file leads through more symbolic links than GRUB follows",
  "Linux follows forty; GRUB gives up at the eighth, and on btrfs at the thirty-second.",
  "shorten the chain of links",
);
export const FILE_ENCRYPTED = kind(
  "grub-file-encrypted",
  "The file, or a directory on the way to it, is encrypted",
  "The volume is readable, this part of it is not without its key, which GRUB cannot have.",
  "keep /boot out of encrypted directories",
);

export const IN_SUBVOLUME = kind(
  "grub-in-subvolume",
  "The file exists in a subvolume that GRUB does not begin at",
  "Linux mounts one subvolume of a btrfs volume as its root, and the path leads to the file from there. GRUB begins at the top " +
    "level of the volume, where the same path leads nowhere; the file has a longer one. Guests whose own GRUB is installed " +
    "inside them know that; a loader on the host that asks for a fixed path does not.",
  "put a copy of what the loader asks for at the top level: `mount -o subvolid=5`",
  "keep /boot on a volume of its own",
);
export const VOLUME_REFUSED = kind(
  "grub-volume-refused",
  "GRUB does not read this logical volume or array",
  "GRUB puts volumes together in its own way: linear, striped and mirrored ones, RAID 1, 4, 5 and 6 of LVM by exactly these " +
    "names, and what is behind a cache pool; no thin volumes, no snapshots, no other types. It knows the first metadata area of " +
    "a physical volume alone, and drops a whole group for one volume that lies on something unknown.",
  "keep /boot on a plain partition, or on a linear volume",
);

/** Every kind of finding that a search reports for what it could not see as GRUB. */
export const GRUB_SEARCH_FINDINGS: readonly FindingKind[] = [
  TABLE_REFUSED,
  FEATURE_REFUSED,
  NO_SUPERBLOCK,
  OTHER_DRIVER,
  NESTED_NAME,
  TOO_MANY_LINKS,
  FILE_ENCRYPTED,
  IN_SUBVOLUME,
  VOLUME_REFUSED,
];

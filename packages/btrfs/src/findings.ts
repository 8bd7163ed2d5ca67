import type { FindingKind } from "@guestprobe/block";

export const BTRFS_BAD_COPY: FindingKind = {
  code: "btrfs-bad-copy",
  severity: "warning",
  title: "One copy of a block is damaged; another was read",
  explanation:
    "A block failed its checksum, could not be read, or was not the block that its parent points to. The volume keeps " +
    "more than one copy, or parity, and a sound one was found. GRUB verifies no checksum: it takes the first copy that " +
    "it can read, which may be the damaged one.",
  next: ["run `btrfs scrub start` inside the guest", "check the disk or the storage below it"],
};

export const BTRFS_BAD_BLOCK: FindingKind = {
  code: "btrfs-bad-block",
  severity: "error",
  title: "A block fails its checksum and no better copy exists",
  explanation:
    "Every copy of the block fails its checksum. Its structure is sound, so it was read all the same, as GRUB would " +
    "read it; Linux refuses it. What it says may be wrong.",
  next: ["`--checksums require` shows what Linux would refuse", "run `btrfs check --readonly` on a copy"],
};

export const BTRFS_SUPER_COPY: FindingKind = {
  code: "btrfs-super-copy",
  severity: "warning",
  title: "A copy of the superblock is damaged or is the one in use",
  explanation:
    "btrfs keeps its superblock at 64 KiB, 64 MiB and 256 GiB. The newest sound copy is used, as GRUB does. Linux " +
    "mounts by the first alone, and refuses the volume when that is damaged.",
  next: ["run `btrfs rescue super-recover` inside the guest or on a copy of the disk"],
};

export const BTRFS_MEMBER_MISSING: FindingKind = {
  code: "btrfs-member-missing",
  severity: "warning",
  title: "A device of the volume is missing; everything can be read without it",
  explanation:
    "The volume spans several devices and not all of them were given. Each of its chunks has copies or parity on the " +
    "devices that are there. Linux mounts such a volume only with the option `degraded`.",
  next: ["name the missing disk as well"],
};

export const BTRFS_MEMBER_NEEDED: FindingKind = {
  code: "btrfs-member-needed",
  severity: "error",
  title: "A device of the volume is missing, and some of the volume is only there",
  explanation:
    "The volume spans several devices and not all of them were given. Some chunks have nothing on the devices that " +
    "are there; files in them cannot be read.",
  next: ["name the missing disk as well"],
};

export const BTRFS_MEMBER_STALE: FindingKind = {
  code: "btrfs-member-stale",
  severity: "warning",
  title: "A device of the volume missed the latest changes",
  explanation:
    "The superblocks of the devices are of different generations: one of them was away while the volume was written to. " +
    "The others are preferred. Metadata that the stale device has is recognised by its generation; file data is not, " +
    "unless it is verified.",
  next: [
    "run `btrfs scrub start` with all devices present",
    "`--checksums require` verifies file data, and takes it from the other devices",
  ],
};

export const BTRFS_DEVICE_SHORT: FindingKind = {
  code: "btrfs-device-short",
  severity: "error",
  title: "A device is smaller than the volume says",
  explanation:
    "The superblock records how many bytes of the device belong to the volume, and the device has fewer: the image was " +
    "cut, or the partition was made smaller. Linux refuses to mount it. What lies past the end cannot be read.",
  next: ["copy the image again", "compare the partition table with the size of the volume"],
};

export const BTRFS_DEVICE_COUNT: FindingKind = {
  code: "btrfs-device-count",
  severity: "warning",
  title: "The superblock counts other devices than the chunk tree lists",
  explanation:
    "The number of devices in the superblock is not the number of device items. The device items are believed. Linux " +
    "since 6.0 corrects it when it mounts the volume, older kernels refuse.",
  next: ["run `btrfs rescue fix-device-size` or mount with a newer kernel"],
};

export const BTRFS_LOG_TREE: FindingKind = {
  code: "btrfs-log-tree",
  severity: "note",
  title: "Files synced just before a crash wait in the log tree",
  explanation:
    "The guest was not shut down cleanly, or is running. Changes that were synced by fsync since the last commit lie in " +
    "the log tree; Linux applies them when it mounts the volume. GRUB does not read the log tree, and neither does this " +
    "reader: what you see is the last commit, at most half a minute older.",
  next: ["shut the guest down cleanly, or mount it once, to see the latest state"],
};

export const BTRFS_METADUMP: FindingKind = {
  code: "btrfs-metadump",
  severity: "warning",
  title: "The image holds metadata alone",
  explanation:
    "It was made by btrfs-image, which copies metadata and leaves file data out. Names and attributes are right; the " +
    "content of all but the smallest files is not there.",
  next: ["ask for a full copy of the disk"],
};

export const BTRFS_BAD_DATA: FindingKind = {
  code: "btrfs-bad-data",
  severity: "error",
  title: "File data fails its checksum and no better copy exists",
  explanation:
    "Every copy of a sector of file data fails its checksum, or has none where its file asks for one. The bytes were " +
    "given as they are on the disk, as GRUB would; Linux answers with an I/O error.",
  next: ["restore the file from a backup", "`--checksums require` refuses such data, as Linux does"],
};

/** Every kind of finding that this package reports. */
export const BTRFS_FINDINGS: readonly FindingKind[] = [
  BTRFS_BAD_COPY,
  BTRFS_BAD_BLOCK,
  BTRFS_SUPER_COPY,
  BTRFS_MEMBER_MISSING,
  BTRFS_MEMBER_NEEDED,
  BTRFS_MEMBER_STALE,
  BTRFS_DEVICE_SHORT,
  BTRFS_DEVICE_COUNT,
  BTRFS_LOG_TREE,
  BTRFS_METADUMP,
  BTRFS_BAD_DATA,
];

import type { FindingKind } from "@guestprobe/block";

export const MD_AMBIGUOUS: FindingKind = {
  code: "md-ambiguous",
  severity: "warning",
  title: "A device has superblocks of more than one md array",
  explanation:
    "The device was used for an array before, and the older superblock was not wiped. The youngest by its creation time " +
    "is believed, as mdadm does. GRUB has no such rule: it may take the device for a member of the other array.",
  next: ["compare with `mdadm --examine DEVICE`", "wipe the stale superblock with `mdadm --zero-superblock`"],
};

export const MD_BAD_CHECKSUM: FindingKind = {
  code: "md-bad-checksum",
  severity: "error",
  title: "The superblock of an array's member fails its checksum",
  explanation:
    "Linux takes such a device for no member at all. It is left out here too, unless the array cannot be read without it. " +
    "GRUB checks no sum and uses it.",
  next: ["compare with `mdadm --examine` of the other members", "check the storage below the device"],
};

export const MD_MEMBER_STALE: FindingKind = {
  code: "md-member-stale",
  severity: "warning",
  title: "A member of an array missed the latest changes",
  explanation:
    "Each change of an array counts up its event counter on all members that are there. This one has fallen behind: it " +
    "failed, or was away while the array was written to. Linux leaves it out, and so does this toolkit, unless the array " +
    "cannot be read without it. GRUB compares no counters: it may read old content from this member.",
  next: ["add it again inside the guest with `mdadm --re-add`", "look there for why it failed"],
};

export const MD_STALE_NEEDED: FindingKind = {
  code: "md-stale-needed",
  severity: "error",
  title: "An array can only be read with a member that missed the latest changes",
  explanation:
    "Without it too few members are left. Linux does not start such an array by itself; it was put together as `mdadm " +
    "--assemble --force` would. What was written while the member was away is a mixture of old and new.",
  next: ["name the missing disk as well", "compare the event counts with `mdadm --examine`"],
};

export const MD_DEGRADED: FindingKind = {
  code: "md-degraded",
  severity: "warning",
  title: "An array lacks members; everything can be read without them",
  explanation:
    "Not all members of the array are there, and those that are have copies or parity of everything. Linux starts it " +
    "degraded; an initial ramdisk may first wait some minutes for the others.",
  next: ["name the missing disk as well", "replace the failed member inside the guest"],
};

export const MD_DIRTY_DEGRADED: FindingKind = {
  code: "md-dirty-degraded",
  severity: "error",
  title: "An array with parity lacks a member and was not shut down cleanly",
  explanation:
    "Stripes that were being written when the machine stopped may have parity that does not belong to their data; what is " +
    "computed from it is then wrong. Linux refuses to start such an array unless told to. Everything else is right.",
  next: [
    "name the missing disk as well",
    "start it with `mdadm --assemble --force` on a copy, and check its file system",
  ],
};

export const MD_INCOMPLETE: FindingKind = {
  code: "md-incomplete",
  severity: "error",
  title: "An array lacks members without which it cannot be read",
  explanation:
    "Fewer members were found than the level needs. Neither Linux nor GRUB can read the array, and what is on it cannot be " +
    "told.",
  next: ["name the missing disks as well"],
};

export const MD_REBUILDING: FindingKind = {
  code: "md-rebuilding",
  severity: "note",
  title: "A member of an array is still being rebuilt",
  explanation:
    "Linux was copying or computing the member's content when the image was taken. It is left out: the others have " +
    "everything. GRUB does not know about rebuilding and may read what is not there yet.",
  next: ["wait for the rebuild to end inside the guest"],
};

export const MD_CONTRADICTION: FindingKind = {
  code: "md-contradiction",
  severity: "error",
  title: "Members of one array describe it differently",
  explanation:
    "Superblocks with the same UUID differ in what never changes without all of them being written: level, layout, chunk, " +
    "size, number of members. The one with the most events is believed, as Linux does, and the others are left out.",
  next: ["compare with `mdadm --examine` of each", "look for a disk that was copied and used on by itself"],
};

export const MD_DUPLICATE: FindingKind = {
  code: "md-duplicate",
  severity: "warning",
  title: "Two devices claim the same place in an array",
  explanation:
    "One may be a copy of the other, or the whole disk whose last partition is the member. The one with more events is " +
    "read, then the smaller, then the first that was given.",
  next: ["leave out the copy", "compare with `mdadm --examine` of each"],
};

export const MD_MEMBER_SHORT: FindingKind = {
  code: "md-member-short",
  severity: "error",
  title: "A member of an array is smaller than its superblock says",
  explanation:
    "The image was cut, or the partition was made smaller. Linux refuses the member. What it has is read; the rest is " +
    "taken from other members where they have it.",
  next: ["copy the image again", "compare the partition table with `mdadm --examine`"],
};

/** Every kind of finding about arrays of md. */
export const MD_FINDINGS: readonly FindingKind[] = [
  MD_AMBIGUOUS,
  MD_BAD_CHECKSUM,
  MD_MEMBER_STALE,
  MD_STALE_NEEDED,
  MD_DEGRADED,
  MD_DIRTY_DEGRADED,
  MD_INCOMPLETE,
  MD_REBUILDING,
  MD_CONTRADICTION,
  MD_DUPLICATE,
  MD_MEMBER_SHORT,
];

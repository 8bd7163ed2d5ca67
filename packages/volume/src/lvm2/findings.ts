import type { FindingKind } from "@guestprobe/block";

const kind = (
  code: string,
  severity: FindingKind["severity"],
  title: string,
  explanation: string,
  ...next: string[]
): FindingKind => ({ code, severity, title, explanation, next });

export const LVM_LABEL = kind(
  "lvm-label",
  "warning",
  "The label of a physical volume fails its checks",
  "The sector has the magic of LVM, and its checksum or its own number is wrong. LVM passes over such a label and does not " +
    "see the physical volume; GRUB checks neither and reads it. It is read here.",
  "compare with `pvck --dump headers DEVICE`",
);
export const LVM_METADATA_AREA = kind(
  "lvm-metadata-area",
  "warning",
  "A metadata area of a volume group cannot be used",
  "Its header or its text is damaged. Other areas, on this or on other physical volumes, hold the same text, and the newest " +
    "sound one is used. GRUB knows the first area of each physical volume alone, and checks no checksum.",
  "compare the areas: `pvck --dump metadata_area DEVICE`",
);
export const LVM_METADATA_OLD = kind(
  "lvm-metadata-old",
  "warning",
  "Physical volumes of one group hold texts of different age",
  "LVM writes its text to each metadata area and raises its number with each change. An area that was left behind belonged to " +
    "a disk that was away for a while, or a change was interrupted. The newest is used. GRUB takes the text of the first " +
    "physical volume that it finds, whatever its number.",
  "`vgck --updatemetadata VG` inside the guest",
);
export const LVM_PV_MISSING = kind(
  "lvm-pv-missing",
  "error",
  "A physical volume of a group was not found",
  "The group's text names a physical volume that is on none of the disks given. What lies on it cannot be read; volumes that " +
    "keep copies or parity elsewhere can.",
  "give all disks of the guest on one command line",
);
export const LVM_PV_DUPLICATE = kind(
  "lvm-pv-duplicate",
  "warning",
  "Two devices are the same physical volume",
  "Two devices carry a label with one UUID: a copy of a disk, or two paths to one. LVM refuses to use the group until one of " +
    "them is gone. The first is read.",
  "leave one of the two disks out",
);
export const LVM_PV_SHORT = kind(
  "lvm-pv-short",
  "warning",
  "A physical volume is shorter than its extents",
  "The device ends before the last extent that the group's text gives it: it was truncated, or shrunk without LVM. What lies " +
    "past its end cannot be read.",
  "compare the size of the device with `pvs -o dev_size` inside the guest",
);
export const LVM_ORPHAN = kind(
  "lvm-orphan",
  "note",
  "A physical volume belongs to no group",
  "It has a label, and no metadata area names it: it was prepared and never used, was taken out of its group, or the group's " +
    "other physical volumes, which hold the text, are missing.",
  "give all disks of the guest on one command line",
);
export const LVM_VG_NAME = kind(
  "lvm-vg-name",
  "warning",
  "Two volume groups have the same name",
  "They have different UUIDs. LVM wants them told apart by those; GRUB adds `_1` to the names of the volumes that it finds " +
    "later.",
  "rename one inside its guest: `vgrename UUID NAME`",
);
export const LVM_OVERLAP = kind(
  "lvm-overlap",
  "warning",
  "Two logical volumes claim the same extents",
  "LVM never gives an extent of a physical volume to two volumes. One of the two holds what the other wrote.",
  "compare with an older text: `pvck --dump metadata_all DEVICE`",
);
export const LVM_VOLUME = kind(
  "lvm-volume",
  "error",
  "A logical volume makes no sense",
  "Its part of the group's text is damaged, names what is not there, or leads back to itself. The other volumes of the group " +
    "do not depend on it.",
  "compare with an older text: `pvck --dump metadata_all DEVICE`",
);
export const LVM_TYPE = kind(
  "lvm-type",
  "warning",
  "A logical volume is of a type that is not read",
  "The message names the type. VDO keeps its data deduplicated and compressed in a format of its own.",
  "read it with the kernel, in a disposable virtual machine",
);
export const LVM_CACHE = kind(
  "lvm-cache",
  "note",
  "A cached volume is read past its cache",
  "The cache is `writethrough`: it holds nothing that is not also on the volume behind it. GRUB reads a volume behind a cache " +
    "pool in the same way, and none that uses a cache volume or a write cache.",
);
export const LVM_CACHE_DIRTY = kind(
  "lvm-cache-dirty",
  "warning",
  "A volume is read past a cache that may hold newer data",
  "What lies in the cache and was not yet written to the volume behind it is not seen. It may be anything recent, and what is " +
    "read instead may not fit together. GRUB reads a volume behind a cache pool in the same way.",
  "flush the cache inside the guest: `lvconvert --splitcache VG/LV`",
);
export const LVM_RAID_DEGRADED = kind(
  "lvm-raid-degraded",
  "warning",
  "A RAID volume is read without some of its images",
  "Images lie on physical volumes that were not found. Copies or parity on the others make up for them.",
  "give all disks of the guest on one command line",
);
export const LVM_RAID_STALE = kind(
  "lvm-raid-stale",
  "warning",
  "An image of a RAID volume holds old data",
  "The metadata of the other images have it as failed, or it missed changes, or it was being rebuilt. Linux leaves it out as " +
    "long as it is not rebuilt. GRUB does not look: it may read old data from it.",
  "`lvs -a -o name,lv_health_status` inside the guest",
);

/** Every kind of finding that the readers of LVM report. */
export const LVM_FINDINGS: readonly FindingKind[] = [
  LVM_LABEL,
  LVM_METADATA_AREA,
  LVM_METADATA_OLD,
  LVM_PV_MISSING,
  LVM_PV_DUPLICATE,
  LVM_PV_SHORT,
  LVM_ORPHAN,
  LVM_VG_NAME,
  LVM_OVERLAP,
  LVM_VOLUME,
  LVM_TYPE,
  LVM_CACHE,
  LVM_CACHE_DIRTY,
  LVM_RAID_DEGRADED,
  LVM_RAID_STALE,
];

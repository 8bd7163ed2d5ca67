import type { FindingKind } from "@guestprobe/block";

const kind = (
  code: string,
  severity: FindingKind["severity"],
  title: string,
  explanation: string,
  ...next: string[]
): FindingKind => ({ code, severity, title, explanation, next });

export const PART_PAST_END = kind(
  "part-past-end",
  "warning",
  "A partition passes the end of the disk",
  "The table gives the partition more bytes than the disk has. The image was cut short, or it was copied to a smaller " +
    "disk. What lies within the disk is read; anything past it cannot be.",
  "compare the size of the image with that of the original disk",
);
export const PART_OFF_DISK = kind(
  "part-off-disk",
  "error",
  "A partition begins past the end of the disk",
  "Nothing of this partition is in the image. GRUB lists the name all the same, and every read of it fails.",
  "compare the size of the image with that of the original disk",
  "check that the right sector size is used",
);
export const PART_OVERLAP = kind(
  "part-overlap",
  "warning",
  "Two partitions share bytes of the disk",
  "A write to one of them damages the other. Tables made by partitioning programs have no overlaps, so the table was " +
    "edited by hand, is damaged, or is made to look different to different programs.",
  "find out which of the two holds a sound file system",
);
export const PART_NO_LENGTH = kind(
  "part-no-length",
  "note",
  "An entry has a type and no sectors",
  "Linux takes such an entry as unused. GRUB lists a partition for it, of length zero, on which nothing can be found, and " +
    "counts it when it numbers logical partitions.",
);
export const MBR_STATUS = kind(
  "mbr-status",
  "warning",
  "The status byte of a partition entry is neither 0 nor 0x80",
  "GRUB takes the whole table as invalid and sees no MBR partition on this disk; Linux does the same. The entries make " +
    "sense otherwise, so they are listed here.",
  "set the status byte to 0x00 or 0x80 inside the guest, for instance with `sfdisk --activate`",
);
export const MBR_EBR_LOOP = kind(
  "mbr-ebr-loop",
  "error",
  "The chain of extended partitions leads back to itself",
  "The link of an extended boot record points to a record that was read before. The logical partitions up to there are " +
    "listed.",
  "rebuild the extended partition from a backup of the table",
);
export const MBR_EBR_UNREADABLE = kind(
  "mbr-ebr-unreadable",
  "error",
  "An extended boot record is missing",
  "The chain of logical partitions leads to a sector that has no boot signature, cannot be read, or lies past the end of " +
    "the disk. Logical partitions from there on are lost.",
  "look for boot records in the rest of the extended partition",
);
export const MBR_EBR_OUTSIDE = kind(
  "mbr-ebr-outside",
  "warning",
  "A logical partition or its boot record lies outside the extended partition",
  "The extended partition is too short for what its chain holds, or the chain is damaged. GRUB and Linux follow it anyway.",
);
export const MBR_EBR_LIMIT = kind(
  "mbr-ebr-limit",
  "warning",
  "The chain of extended partitions is longer than is followed",
  "No partitioning program makes chains this long; Linux gives up much earlier.",
);
export const MBR_TWO_EXTENDED = kind(
  "mbr-two-extended",
  "warning",
  "More than one extended partition",
  "Linux follows each of them and numbers their logical partitions on; GRUB follows the first alone.",
  "move what the second one holds to primary partitions",
);
export const GPT_PRIMARY_BAD = kind(
  "gpt-primary-bad",
  "error",
  "The first copy of the GPT is damaged or missing",
  "The partitions listed come from the backup at the end of the disk. GRUB never reads the backup: it sees what the " +
    "damaged copy says, or no partition at all. Linux uses the backup.",
  "rebuild the first copy: recovery menu of gdisk, command `b`",
);
export const GPT_BACKUP_BAD = kind(
  "gpt-backup-bad",
  "warning",
  "The backup copy of the GPT is damaged or missing",
  "The first copy is in use and is not affected. An image that was cut short or written to a larger disk looks like this.",
  "rewrite the backup: `sgdisk -e`",
);
export const GPT_BACKUP_NOT_AT_END = kind(
  "gpt-backup-not-at-end",
  "note",
  "The backup copy of the GPT is not in the last sector",
  "The disk grew after it was partitioned. The bytes past the backup belong to no partition.",
  "move the backup: `sgdisk -e`",
);
export const GPT_COPIES_DIFFER = kind(
  "gpt-copies-differ",
  "warning",
  "The two copies of the GPT disagree",
  "Both have valid checksums and they describe different partitions. The first one is used, as Linux and GRUB do.",
  "compare the two: `sgdisk -v`",
);
export const GPT_CHECKSUM = kind(
  "gpt-checksum",
  "error",
  "No copy of the GPT has valid checksums",
  "Linux refuses such a table. GRUB checks none of them and lists what the first copy says; so it is listed here.",
  "verify with `sgdisk -v` and rewrite the table",
);
export const GPT_HEADER_FIELD = kind(
  "gpt-header-field",
  "error",
  "A field of a GPT header is out of range",
  "The field cannot be right for this disk; the message says what was found and what is possible.",
);
export const GPT_ENTRIES_CUT = kind(
  "gpt-entries-cut",
  "error",
  "The array of GPT entries is larger than is possible",
  "The header claims more entries than the disk has room for, or than any disk has. Those that are there are listed.",
);
export const GPT_ENTRY_BAD = kind(
  "gpt-entry-bad",
  "error",
  "A GPT entry makes no sense",
  "Its last sector comes before its first, or a sector number is beyond what any disk has. The entry is left out, the others " +
    "are listed.",
);
export const GPT_OUTSIDE_USABLE = kind(
  "gpt-outside-usable",
  "warning",
  "A GPT partition reaches into the sectors of the table",
  "The header says which sectors partitions may use; this one passes them.",
);
export const GPT_NO_PROTECTIVE_MBR = kind(
  "gpt-no-protective-mbr",
  "warning",
  "There is a GPT and no protective MBR",
  "GRUB and Linux look for an MBR entry of type 0xEE first and see no GPT partition without it.",
  "write one: expert menu of gdisk, command `n`",
);
export const GPT_STALE = kind(
  "gpt-stale",
  "note",
  "A GPT was left behind on a disk with an MBR",
  "The MBR holds partitions and no entry of type 0xEE, so GRUB and Linux use the MBR alone. The GPT's partitions are not " +
    "listed.",
  "remove the remains: `wipefs --types gpt` takes away one signature and leaves the MBR",
);
export const GPT_HYBRID = kind(
  "gpt-hybrid",
  "note",
  "The MBR beside the GPT holds partitions of its own",
  "A hybrid MBR. GRUB and Linux use the GPT; old systems use the MBR. The two can come to disagree.",
);
export const GPT_MISSING = kind(
  "gpt-missing",
  "error",
  "A protective MBR and no GPT",
  "The MBR says that a GPT describes the disk, and neither copy of it is there. GRUB sees no partition on this disk.",
  "look whether the image was made for another sector size, or starts in the middle of the disk",
);

export const TABLE_CHECKSUM = kind(
  "table-checksum",
  "warning",
  "The checksum of a partition table does not match",
  "A label of BSD, DragonFly, SGI or Amiga was changed without its checksum, or is damaged. Its own system refuses it; GRUB " +
    "verifies those of SGI, Sun and Amiga alone. What it says is listed all the same.",
);
export const TABLE_COUNT = kind(
  "table-count",
  "warning",
  "A partition table counts entries that are not there",
  "The count in the table's head and the entries behind it do not go together. The entries that are there are listed, as " +
    "far as any program would write them.",
);
export const TABLE_LOOP = kind(
  "table-loop",
  "error",
  "The list of partitions leads back to itself",
  "The link of an Amiga partition block points to a block that was read before. The partitions up to there are listed. " +
    "GRUB follows such a list without end: its `ls` and `search` hang on this disk.",
);
export const TABLE_UNREADABLE = kind(
  "table-unreadable",
  "error",
  "A part of a partition table cannot be read",
  "The place that the table points to is past the end of the disk, cannot be read, or holds something else. What comes " +
    "before it is listed.",
);
export const TABLE_NESTED_OUTSIDE = kind(
  "part-outside-parent",
  "warning",
  "A partition passes the partition that it lies in",
  "A table inside a partition gives one of its own bytes that the outer one does not have. GRUB leaves such a partition " +
    "out, other systems may not.",
);
export const TABLE_NESTED_DEPTH = kind(
  "table-nesting",
  "warning",
  "Partition tables lie inside one another too often",
  "Tables in partitions in partitions are followed a few steps, for a hostile disk could nest them without end. No real " +
    "disk has more than two or three.",
);

/** Every kind of finding that this package reports. */
export const PARTITION_FINDINGS: readonly FindingKind[] = [
  PART_PAST_END,
  PART_OFF_DISK,
  PART_OVERLAP,
  PART_NO_LENGTH,
  MBR_STATUS,
  MBR_EBR_LOOP,
  MBR_EBR_UNREADABLE,
  MBR_EBR_OUTSIDE,
  MBR_EBR_LIMIT,
  MBR_TWO_EXTENDED,
  GPT_PRIMARY_BAD,
  GPT_BACKUP_BAD,
  GPT_BACKUP_NOT_AT_END,
  GPT_COPIES_DIFFER,
  GPT_CHECKSUM,
  GPT_HEADER_FIELD,
  GPT_ENTRIES_CUT,
  GPT_ENTRY_BAD,
  GPT_OUTSIDE_USABLE,
  GPT_NO_PROTECTIVE_MBR,
  GPT_STALE,
  GPT_HYBRID,
  GPT_MISSING,
  TABLE_CHECKSUM,
  TABLE_COUNT,
  TABLE_LOOP,
  TABLE_UNREADABLE,
  TABLE_NESTED_OUTSIDE,
  TABLE_NESTED_DEPTH,
];

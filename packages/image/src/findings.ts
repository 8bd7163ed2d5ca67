import type { FindingKind } from "@guestprobe/block";

export const IMAGE_AMBIGUOUS: FindingKind = {
  code: "image-ambiguous",
  severity: "warning",
  title: "A file looks like more than one image format",
  explanation:
    "The file carries the signature of a container format and of something else: another container, or a boot sector " +
    "of a raw disk. A guest that owns a raw disk can write a container header into its first sector, to have the host " +
    "read the disk as that container. What the file is can only be told by whoever configured the guest.",
  next: ["name the format with --input-format, raw for a plain disk", "see how the host's configuration names it"],
};

export const IMAGE_FILE_MISSING: FindingKind = {
  code: "image-file-missing",
  severity: "error",
  title: "An image needs another file, which was not supplied",
  explanation:
    "The header names a backing file, an extent or a data file. Such names come from the image and may point anywhere, " +
    "so nothing is opened by them. The disk can be read except where its bytes lie in that file.",
  next: ["give the file with --backing FILE", "or allow the folder it lies in with --allow-backing DIR"],
};

export const IMAGE_FILE_UNREADABLE: FindingKind = {
  code: "image-file-unreadable",
  severity: "error",
  title: "A file that an image needs cannot be opened as an image",
  explanation:
    "The file was supplied, but its own headers are damaged, of an unknown format, or lead back to an image that is " +
    "already part of the chain. The disk can be read except where its bytes lie in that file.",
  next: ["look at that file by itself: guestprobe inspect FILE"],
};

export const IMAGE_PARENT_MISMATCH: FindingKind = {
  code: "image-parent-mismatch",
  severity: "warning",
  title: "The supplied backing file is not the one that the image was made from",
  explanation:
    "A differencing image records an identifier of its parent, and the parent's own differs. Either it is the wrong " +
    "file, or it was changed after the child was made; in both cases the disk may be a mixture of two states.",
  next: ["find the parent with the recorded identifier"],
};

export const IMAGE_DIRTY: FindingKind = {
  code: "image-dirty",
  severity: "note",
  title: "An image was not closed cleanly",
  explanation:
    "The program that wrote the image stopped without finishing: its reference counts or its count of allocated blocks " +
    "may be out of date. What the guest reads does not depend on them.",
  next: ["the next writer repairs it; on a copy: qemu-img check -r all FILE"],
};

export const IMAGE_MARKED_CORRUPT: FindingKind = {
  code: "image-marked-corrupt",
  severity: "warning",
  title: "An image is marked as corrupt by the program that wrote it",
  explanation:
    "QEMU sets this bit when a write would have overwritten the image's own tables. It then refuses to write. The data " +
    "may be sound, but tables may have been damaged before it was noticed.",
  next: ["qemu-img check FILE shows the extent of it"],
};

export const IMAGE_REFCOUNTS: FindingKind = {
  code: "image-refcounts",
  severity: "warning",
  title: "The reference counts of an image cannot be right",
  explanation:
    "The table of reference counts lies outside the file or is misplaced. A reader does not need it; a writer would " +
    "destroy data.",
  next: ["do not start the guest from it before: qemu-img check -r all on a copy"],
};

export const IMAGE_SNAPSHOTS: FindingKind = {
  code: "image-snapshots",
  severity: "warning",
  title: "The table of internal snapshots is damaged",
  explanation: "Snapshots up to the damage are listed. The current state of the disk does not depend on the table.",
  next: ["qemu-img snapshot -l FILE"],
};

export const IMAGE_BITMAPS: FindingKind = {
  code: "image-bitmaps",
  severity: "note",
  title: "An image holds dirty bitmaps",
  explanation: "They record which clusters changed since a backup. They hold nothing of the disk and are not read.",
  next: [],
};

export const IMAGE_CHECKSUM: FindingKind = {
  code: "image-checksum",
  severity: "warning",
  title: "A header of an image has a wrong checksum",
  explanation:
    "A second copy of the header is used where there is a sound one. Where there is none the header is used as it is, " +
    "each of its fields being checked by itself.",
  next: ["compare size and geometry with what the guest should have"],
};

export const IMAGE_LOG: FindingKind = {
  code: "image-log-replayed",
  severity: "note",
  title: "A VHDX file holds changes in its log that were not written in place",
  explanation:
    "The host stopped before it finished. The log was replayed in memory, as the format requires before anything else " +
    "is read. The file itself is unchanged.",
  next: ["tools that cannot replay it refuse the file; on a copy: qemu-img check -r all FILE"],
};

export const IMAGE_EXTENT_ALONE: FindingKind = {
  code: "image-extent-alone",
  severity: "warning",
  title: "A single extent of a split disk was opened",
  explanation:
    "The file has no descriptor of its own: it is one part of a VMDK disk, and what is read is that part alone. " +
    "Partitions that lie in the others are not seen.",
  next: ["open the descriptor instead, the small .vmdk file that lists the extents"],
};

/** Every kind of finding that this package reports. */
export const IMAGE_FINDINGS: readonly FindingKind[] = [
  IMAGE_AMBIGUOUS,
  IMAGE_FILE_MISSING,
  IMAGE_FILE_UNREADABLE,
  IMAGE_PARENT_MISMATCH,
  IMAGE_DIRTY,
  IMAGE_MARKED_CORRUPT,
  IMAGE_REFCOUNTS,
  IMAGE_SNAPSHOTS,
  IMAGE_BITMAPS,
  IMAGE_CHECKSUM,
  IMAGE_LOG,
  IMAGE_EXTENT_ALONE,
];

import type { ErrorCode, FindingKind } from "@guestprobe/block";
import { BOOT_FINDINGS } from "@guestprobe/boot";
import { BTRFS_FINDINGS } from "@guestprobe/btrfs";
import { EXT_FINDINGS } from "@guestprobe/ext";
import { FAT_FINDINGS } from "@guestprobe/fat";
import { GRUB_SEARCH_FINDINGS } from "@guestprobe/grub";
import { IMAGE_FINDINGS } from "@guestprobe/image";
import { ISO9660_FINDINGS } from "@guestprobe/iso9660";
import { PARTITION_FINDINGS } from "@guestprobe/partition";
import { SIGNATURE_FINDINGS } from "@guestprobe/signature";
import { SQUASHFS_FINDINGS } from "@guestprobe/squashfs";
import { AMBIGUOUS_FILE_SYSTEM } from "@guestprobe/vfs";
import { VOLUME_FINDINGS } from "@guestprobe/volume";
import { XFS_FINDINGS } from "@guestprobe/xfs";
import { NOT_READ, NOTHING_RECOGNISED } from "./commands/inspect.js";
import { NAME_RESERVED, NAMES_CLASH } from "./portable-names.js";
import { SANDBOX_ENDED } from "./sandbox.js";

const kind = (
  code: ErrorCode,
  severity: FindingKind["severity"],
  title: string,
  explanation: string,
  ...next: string[]
): FindingKind => ({ code, severity, title, explanation, next });

/** The texts of the error codes: an error that hides one file or volume is shown as a finding of that code. */
const ERROR_KINDS: readonly FindingKind[] = [
  kind(
    "past-end",
    "error",
    "A pointer leads past the end of the image",
    "Something on the disk points to bytes that the image does not have. Either the image was cut short when it was " +
      "copied, or the structure that holds the pointer is damaged. What lies before the end is read all the same.",
    "compare the size of the image with the size that `guestprobe parts` shows for its partitions",
    "copy the image again, and compare checksums",
  ),
  kind(
    "io",
    "error",
    "The host could not deliver the bytes",
    "Reading the image failed on the host's side: a missing file, a missing permission, a bad sector of the host's own " +
      "disk, a network that broke. It says nothing about the guest.",
    "read the image with another program, e.g. `cat IMAGE > /dev/null`",
    "look at the host's kernel log",
  ),
  kind(
    "aborted",
    "error",
    "The work was stopped",
    "A signal of the calling program stopped the work before it was done.",
  ),
  kind(
    "not-this-format",
    "warning",
    "The bytes are not of this format",
    "The magic number of the format is not where it should be.",
    "let the format be recognised by leaving out --input-format",
  ),
  kind(
    "corrupt",
    "error",
    "A structure on the disk is damaged",
    "The magic of the format is there, but a field has a value that it cannot have. The message names structure, field " +
      "and byte offset. Only what depends on that structure is lost; everything else is still answered.",
    "look at the bytes: `xxd -s OFFSET -l 64 IMAGE`",
    "check the file system inside the guest, or on a copy: `e2fsck -fn`, `xfs_repair -n`, `btrfs check`",
  ),
  kind(
    "bad-checksum",
    "error",
    "A stored checksum does not match",
    "The structure was changed without its checksum, or damaged. With the policy `report` it is used all the same, as " +
      "GRUB would use it; with `require` it is refused.",
    "--checksums report or --checksums ignore reads it all the same",
    "check the file system on a copy with its own tools",
  ),
  kind(
    "unsupported",
    "warning",
    "The volume needs a feature that this tool does not read",
    "The message names the feature. The volume may be sound; this tool cannot tell what is on it.",
    "read the volume with the kernel, in a disposable virtual machine",
  ),
  kind(
    "encrypted",
    "warning",
    "The content is encrypted",
    "The bytes are there, the key is not. Nothing can be said about what they hold, neither by this tool nor by a boot " +
      "loader without the key.",
  ),
  kind(
    "limit",
    "error",
    "A limit was reached",
    "A bound on memory, time, entries or size stopped the work, so that a hostile or enormous image cannot take the host " +
      "down. What was answered until then was printed.",
    "raise the limit that was reached: --limit-memory, --limit-time, --limit-entries, --limit-depth, --limit-reads, --limit-decoded, --limit-file",
  ),
  kind("not-found", "error", "There is no such file", "No volume has a file of that path, or the inode is not in use."),
  kind("not-a-directory", "error", "A component of the path is no directory", "The path goes through something else."),
  kind("is-a-directory", "error", "The path names a directory", "A file was expected.", "guestprobe ls IMAGE PATH"),
  kind("not-a-symlink", "error", "The path names no symbolic link", "A symbolic link was expected."),
  kind(
    "symlink-loop",
    "error",
    "Too many symbolic links",
    "The path leads through more symbolic links than Linux (40) or GRUB (7) follows, most often because two of them lead " +
      "to each other.",
  ),
  kind(
    "invalid-argument",
    "error",
    "The request itself makes no sense",
    "A value given by the caller is out of range.",
  ),
];

/** Every code that this version can print, with its text. */
export const EXPLANATIONS: ReadonlyMap<string, FindingKind> = new Map(
  [
    ...ERROR_KINDS,
    AMBIGUOUS_FILE_SYSTEM,
    NOTHING_RECOGNISED,
    NOT_READ,
    SANDBOX_ENDED,
    NAMES_CLASH,
    NAME_RESERVED,
    ...IMAGE_FINDINGS,
    ...PARTITION_FINDINGS,
    ...SIGNATURE_FINDINGS,
    ...EXT_FINDINGS,
    ...XFS_FINDINGS,
    ...BTRFS_FINDINGS,
    ...SQUASHFS_FINDINGS,
    ...FAT_FINDINGS,
    ...ISO9660_FINDINGS,
    ...VOLUME_FINDINGS,
    ...GRUB_SEARCH_FINDINGS,
    ...BOOT_FINDINGS,
  ].map((each) => [each.code, each]),
);

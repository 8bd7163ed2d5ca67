import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import { iso9660 } from "@guestprobe/iso9660";
import { squashfs } from "@guestprobe/squashfs";
import type { FileSystemFormat } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";

/** The file systems that the command reads. */
export const FORMATS: readonly FileSystemFormat[] = [ext, xfs, btrfs, squashfs, fat, iso9660];

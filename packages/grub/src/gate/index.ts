import { btrfsGate } from "./btrfs.js";
import { ext2Gate } from "./ext2.js";
import { fatGate } from "./fat.js";
import { iso9660Gate } from "./iso9660.js";
import { squash4Gate } from "./squash4.js";
import type { Gate } from "./types.js";
import { xfsGate } from "./xfs.js";

/**
 * GRUB's file-system drivers in the order in which they are asked, the last loaded first; taken from the module order of
 * Debian's images for Xen. Drivers that no gate stands for are listed for their place alone.
 */
export const DRIVER_ORDER: readonly string[] = [
  "zfs",
  "xfs",
  "ufs2",
  "ufs1_be",
  "ufs1",
  "udf",
  "tar",
  "squash4",
  "sfs",
  "romfs",
  "reiserfs",
  "odc",
  "ntfs",
  "nilfs2",
  "newc",
  "minix",
  "jfs",
  "iso9660",
  "hfsplus",
  "hfs",
  "f2fs",
  "fat",
  "ext2",
  "exfat",
  "cpio",
  "cbfs",
  "procfs",
  "btrfs",
  "bfs",
  "affs",
  "afs",
];

/** The drivers whose rules are known here, in GRUB's order. */
export const GATES: readonly Gate[] = [btrfsGate, ext2Gate, fatGate, iso9660Gate, squash4Gate, xfsGate].sort(
  (a, b) => DRIVER_ORDER.indexOf(a.driver) - DRIVER_ORDER.indexOf(b.driver),
);

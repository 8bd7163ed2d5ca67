import { HFS_ROWS } from "./apple-fs.js";
import { BEFS_ROW } from "./befs.js";
import { BITLOCKER_ROW, CRYPTO_ROWS } from "./encrypted.js";
import { LATE_LINUX_ROWS, LINUX_ROWS } from "./linux-fs.js";
import { POOL_ROWS, RAID_ROWS, VOLUME_ROWS, ZFS_ROW } from "./members.js";
import { OPTICAL_ROWS } from "./optical-fs.js";
import { APFS_ROW, LAST_ROWS, SMALL_ROWS, UNIX_ROWS } from "./other-fs.js";
import type { SignatureRow } from "./row.js";
import { SWAP_ROWS } from "./swap.js";
import { EXFAT_ROW, FAT_ROW, NTFS_ROWS } from "./windows-fs.js";

/**
 * Every format that is told by its superblock, in the order in which blkid asks: members of arrays come first, for a
 * mirror shows the file system that lies on the array.
 */
export const SIGNATURES: readonly SignatureRow[] = [
  ...RAID_ROWS,
  ...VOLUME_ROWS,
  ...CRYPTO_ROWS,
  ...POOL_ROWS,
  BITLOCKER_ROW,
  FAT_ROW,
  ...SWAP_ROWS,
  ...LINUX_ROWS,
  ...OPTICAL_ROWS,
  ZFS_ROW,
  ...HFS_ROWS,
  ...UNIX_ROWS,
  ...NTFS_ROWS,
  ...SMALL_ROWS,
  ...LATE_LINUX_ROWS,
  ...LAST_ROWS,
  BEFS_ROW,
  EXFAT_ROW,
  APFS_ROW,
];

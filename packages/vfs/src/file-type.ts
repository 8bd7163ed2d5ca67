import type { FileType } from "./types.js";

/** By the type bits of `st_mode`, its four highest: S_IFMT >> 12, POSIX <sys/stat.h>. Undefined for the rest. */
export const FILE_TYPE_OF_MODE: Readonly<Record<number, FileType>> = {
  1: "fifo",
  2: "char",
  4: "dir",
  6: "block",
  8: "file",
  10: "symlink",
  12: "socket",
};

/**
 * By the number that directory entries of ext (EXT4_FT_*), XFS (XFS_DIR3_FT_*) and btrfs (BTRFS_FT_*) record: Linux,
 * include/linux/fs_types.h, FT_*. Undefined for an unknown type and what is past the table.
 */
export const FILE_TYPE_OF_DIRENT: readonly (FileType | undefined)[] = [
  undefined,
  "file",
  "dir",
  "char",
  "block",
  "fifo",
  "socket",
  "symlink",
];

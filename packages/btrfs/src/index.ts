export type { BtrfsDevice } from "./assemble.js";
export { COMPAT_RO, INCOMPAT } from "./features.js";
export type { BtrfsFileSystem } from "./filesystem.js";
export {
  BTRFS_BAD_BLOCK,
  BTRFS_BAD_COPY,
  BTRFS_BAD_DATA,
  BTRFS_DEVICE_COUNT,
  BTRFS_DEVICE_SHORT,
  BTRFS_FINDINGS,
  BTRFS_LOG_TREE,
  BTRFS_MEMBER_MISSING,
  BTRFS_MEMBER_NEEDED,
  BTRFS_MEMBER_STALE,
  BTRFS_METADUMP,
  BTRFS_SUPER_COPY,
} from "./findings.js";
export { type BtrfsOptions, btrfs, btrfsWith, isBtrfs } from "./format.js";
export type { Subvolume } from "./subvolume.js";

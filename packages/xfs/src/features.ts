import { type Feature, featureNames } from "@guestprobe/block";

/*
 * Names are those that `xfs_db -c version` prints. Sources: XFS Algorithms & Data Structures, 3rd ed., "Superblocks";
 * kernel 6.18, fs/xfs/libxfs/xfs_format.h.
 */

/** Bits of sb_versionnum above the version. */
export const XFS_VERSION_FEATURES: readonly Feature[] = [
  { bit: 0x0010, name: "ATTR", verdict: "read", why: "some inode has extended attributes" },
  { bit: 0x0020, name: "NLINK", verdict: "read", why: "32-bit link counts" },
  { bit: 0x0040, name: "QUOTA", verdict: "ignore", why: "quotas bind writers" },
  { bit: 0x0080, name: "ALIGN", verdict: "ignore", why: "alignment of inode chunks concerns allocation" },
  { bit: 0x0100, name: "DALIGN", verdict: "ignore", why: "stripe alignment concerns allocation" },
  { bit: 0x0200, name: "SHARED", verdict: "ignore", why: "once meant for shared read-only mounts; changes no layout" },
  { bit: 0x0400, name: "LOGV2", verdict: "read", why: "longer log records" },
  { bit: 0x0800, name: "SECTOR", verdict: "read", why: "sectors other than 512 bytes" },
  { bit: 0x1000, name: "EXTFLG", verdict: "read", why: "unwritten extents are marked" },
  { bit: 0x2000, name: "DIRV2", verdict: "read", why: "directories of version 2; those of version 1 are refused" },
  { bit: 0x4000, name: "ASCII_CI", verdict: "read", why: "names match without regard to case" },
  { bit: 0x8000, name: "MOREBITS", verdict: "read", why: "sb_features2 counts" },
];

/** Bits of sb_features2. */
export const XFS_FEATURES2: readonly Feature[] = [
  { bit: 0x002, name: "LAZYSBCOUNT", verdict: "ignore", why: "free counters are kept elsewhere" },
  { bit: 0x008, name: "ATTR2", verdict: "read", why: "the attribute fork may begin anywhere" },
  { bit: 0x010, name: "PARENT", verdict: "refuse", why: "parent pointers of IRIX, never in Linux" },
  { bit: 0x080, name: "PROJID32BIT", verdict: "ignore", why: "project numbers are not shown" },
  { bit: 0x100, name: "CRC", verdict: "read", why: "version 5 repeats here that it has checksums" },
  { bit: 0x200, name: "FTYPE", verdict: "read", why: "directory entries record the type" },
];

/** Bits of sb_features_ro_compat. A reader may pass over any of them, known or not: so says their name. */
export const XFS_RO_COMPAT: readonly Feature[] = [
  { bit: 0x1, name: "FINOBT", verdict: "ignore", why: "index of free inodes" },
  { bit: 0x2, name: "RMAPBT", verdict: "ignore", why: "index from blocks to owners" },
  { bit: 0x4, name: "REFLINK", verdict: "ignore", why: "blocks may be shared; they read the same" },
  { bit: 0x8, name: "INOBTCNT", verdict: "ignore", why: "counters of the inode indexes" },
];

/** Bits of sb_features_incompat. */
export const XFS_INCOMPAT: readonly Feature[] = [
  { bit: 0x001, name: "FTYPE", verdict: "read", why: "directory entries record the type" },
  {
    bit: 0x002,
    name: "SPARSE_INODES",
    verdict: "ignore",
    why: "chunks of inodes may have holes, which no name reaches",
  },
  { bit: 0x004, name: "META_UUID", verdict: "read", why: "metadata carries sb_meta_uuid instead of sb_uuid" },
  { bit: 0x008, name: "BIGTIME", verdict: "read", why: "time stamps of 64 bits" },
  { bit: 0x010, name: "NEEDSREPAIR", verdict: "read", why: "read all the same, with a finding" },
  { bit: 0x020, name: "NREXT64", verdict: "read", why: "extent counts of 48 and 32 bits" },
  { bit: 0x040, name: "EXCHANGE", verdict: "ignore", why: "files may swap extents; concerns log recovery" },
  { bit: 0x080, name: "PARENT", verdict: "read", why: "parent pointers are attributes of their own kind, not listed" },
  { bit: 0x100, name: "METADIR", verdict: "read", why: "internal inodes lie in a tree of their own" },
  { bit: 0x200, name: "ZONED", verdict: "read", why: "the realtime section is written zone by zone" },
  { bit: 0x400, name: "ZONE_GAPS", verdict: "read", why: "realtime groups begin at powers of two" },
];

export interface FeatureWords {
  readonly versionnum: number;
  readonly features2: number;
  readonly roCompat: number;
  readonly incompat: number;
}

/** Names of all features that are set, the version first. */
export function xfsFeatureNames(words: FeatureWords): string[] {
  const version = words.versionnum & 0x0f;
  const names = [
    ...featureNames(words.versionnum & 0xfff0, XFS_VERSION_FEATURES),
    ...featureNames(words.features2, XFS_FEATURES2),
    ...featureNames(words.roCompat, XFS_RO_COMPAT),
    ...featureNames(words.incompat, XFS_INCOMPAT),
  ];
  return [`V${version}`, ...new Set(names)];
}

import { type Feature, featureNames } from "@guestprobe/block";

/** `s_feature_compat`. None of these changes how a volume is read; an unknown one does not either. */
export const EXT_COMPAT: readonly Feature[] = [
  { bit: 0x0001, name: "dir_prealloc", verdict: "ignore", why: "how a writer allocates directories" },
  {
    bit: 0x0002,
    name: "imagic_inodes",
    verdict: "ignore",
    why: "AFS servers mark inodes with it; no change in layout",
  },
  { bit: 0x0004, name: "has_journal", verdict: "read", why: "the journal is detected, and replayed if asked" },
  { bit: 0x0008, name: "ext_attr", verdict: "read", why: "extended attributes in inodes and in their own blocks" },
  { bit: 0x0010, name: "resize_inode", verdict: "ignore", why: "room for the descriptor table to grow" },
  { bit: 0x0020, name: "dir_index", verdict: "read", why: "names are looked up by hash, linearly if the index is bad" },
  { bit: 0x0040, name: "lazy_bg", verdict: "ignore", why: "groups whose tables were not written; superseded" },
  { bit: 0x0100, name: "snapshot_bitmap", verdict: "ignore", why: "never in mainline Linux; an exclusion bitmap" },
  { bit: 0x0200, name: "sparse_super2", verdict: "read", why: "says which groups hold a copy of the superblock" },
  { bit: 0x0400, name: "fast_commit", verdict: "read", why: "fast commits are detected, reported and not replayed" },
  { bit: 0x0800, name: "stable_inodes", verdict: "ignore", why: "inode numbers and the UUID may not be changed" },
  { bit: 0x1000, name: "orphan_file", verdict: "ignore", why: "lists deleted files still open; no name leads to them" },
];

/** `s_feature_incompat`. An unknown one is refused: it may change the layout. */
export const EXT_INCOMPAT: readonly Feature[] = [
  { bit: 0x0001, name: "compression", verdict: "refuse", why: "never in mainline Linux" },
  { bit: 0x0002, name: "filetype", verdict: "read", why: "directory entries tell the type" },
  { bit: 0x0004, name: "needs_recovery", verdict: "read", why: "reported; the journal is replayed if asked" },
  { bit: 0x0008, name: "journal_dev", verdict: "refuse", why: "an external journal, not a file system" },
  { bit: 0x0010, name: "meta_bg", verdict: "read", why: "group descriptors lie among the groups" },
  { bit: 0x0040, name: "extent", verdict: "read", why: "files mapped by extent trees" },
  { bit: 0x0080, name: "64bit", verdict: "read", why: "block numbers above 2^32" },
  { bit: 0x0100, name: "mmp", verdict: "ignore", why: "guards against a second writer; nothing is ever written" },
  { bit: 0x0200, name: "flex_bg", verdict: "read", why: "inode tables may lie in another group" },
  { bit: 0x0400, name: "ea_inode", verdict: "read", why: "large attribute values lie in inodes of their own" },
  { bit: 0x1000, name: "dirdata", verdict: "refuse", why: "Lustre's; not in mainline Linux" },
  { bit: 0x2000, name: "metadata_csum_seed", verdict: "read", why: "checksums start from a stored seed" },
  { bit: 0x4000, name: "large_dir", verdict: "read", why: "directories above 2 GiB and indexes of three levels" },
  { bit: 0x8000, name: "inline_data", verdict: "read", why: "small files and directories lie in the inode" },
  { bit: 0x1_0000, name: "encrypt", verdict: "read", why: "per inode: names are shown encoded, content is refused" },
  { bit: 0x2_0000, name: "casefold", verdict: "read", why: "per directory: lookup disregards case" },
];

/** `s_feature_ro_compat`. An unknown one only forbids writing, which is never done. */
export const EXT_RO_COMPAT: readonly Feature[] = [
  { bit: 0x0001, name: "sparse_super", verdict: "read", why: "says which groups hold a copy of the superblock" },
  { bit: 0x0002, name: "large_file", verdict: "read", why: "sizes above 2 GiB" },
  { bit: 0x0004, name: "btree_dir", verdict: "ignore", why: "never used" },
  { bit: 0x0008, name: "huge_file", verdict: "read", why: "block counts in units of blocks" },
  { bit: 0x0010, name: "uninit_bg", verdict: "read", why: "descriptors carry a CRC-16, which is verified" },
  { bit: 0x0020, name: "dir_nlink", verdict: "read", why: "a directory of many directories has a link count of 1" },
  { bit: 0x0040, name: "extra_isize", verdict: "read", why: "inodes keep room for nanoseconds and the like" },
  { bit: 0x0080, name: "snapshot", verdict: "ignore", why: "never in mainline Linux" },
  { bit: 0x0100, name: "quota", verdict: "ignore", why: "usage per user and group, in hidden files" },
  { bit: 0x0200, name: "bigalloc", verdict: "read", why: "space is allocated in clusters; blocks are mapped as ever" },
  { bit: 0x0400, name: "metadata_csum", verdict: "read", why: "CRC-32C of metadata, verified where it is read" },
  { bit: 0x0800, name: "replica", verdict: "ignore", why: "never in mainline Linux" },
  { bit: 0x1000, name: "read-only", verdict: "ignore", why: "forbids what is never done" },
  { bit: 0x2000, name: "project", verdict: "ignore", why: "quota per project" },
  { bit: 0x4000, name: "shared_blocks", verdict: "read", why: "files may share blocks, which is nothing to a reader" },
  { bit: 0x8000, name: "verity", verdict: "read", why: "the hash tree lies past the end of the file; not verified" },
  { bit: 0x1_0000, name: "orphan_present", verdict: "ignore", why: "the orphan file is not empty" },
];

export const COMPAT = {
  has_journal: 0x0004,
  dir_index: 0x0020,
  sparse_super2: 0x0200,
  fast_commit: 0x0400,
} as const;

export const INCOMPAT = {
  filetype: 0x0002,
  needs_recovery: 0x0004,
  journal_dev: 0x0008,
  meta_bg: 0x0010,
  extent: 0x0040,
  "64bit": 0x0080,
  ea_inode: 0x0400,
  metadata_csum_seed: 0x2000,
  large_dir: 0x4000,
  inline_data: 0x8000,
  casefold: 0x2_0000,
} as const;

export const RO_COMPAT = {
  sparse_super: 0x0001,
  large_file: 0x0002,
  btree_dir: 0x0004,
  huge_file: 0x0008,
  uninit_bg: 0x0010,
  bigalloc: 0x0200,
  metadata_csum: 0x0400,
} as const;

export interface FeatureWords {
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
}

/** All features that are set, in the order and by the names that dumpe2fs prints. */
export function allFeatureNames(words: FeatureWords): string[] {
  return [
    ...featureNames(words.compat, EXT_COMPAT),
    ...featureNames(words.incompat, EXT_INCOMPAT),
    ...featureNames(words.roCompat, EXT_RO_COMPAT),
  ];
}

const EXT3_RO_COMPAT = RO_COMPAT.sparse_super | RO_COMPAT.large_file | RO_COMPAT.btree_dir;
const EXT2_INCOMPAT = INCOMPAT.filetype | INCOMPAT.meta_bg;
const EXT3_INCOMPAT = EXT2_INCOMPAT | INCOMPAT.needs_recovery;

/** As blkid names it: ext4 has what ext3 does not understand, ext3 has a journal, ext2 neither. */
export function extKind({ compat, incompat, roCompat }: FeatureWords): "ext2" | "ext3" | "ext4" {
  const hasJournal = (compat & COMPAT.has_journal) !== 0;
  if ((roCompat & ~EXT3_RO_COMPAT) !== 0) return "ext4";
  if ((incompat & ~(hasJournal ? EXT3_INCOMPAT : EXT2_INCOMPAT)) !== 0) return "ext4";
  return hasJournal ? "ext3" : "ext2";
}

import type { Feature } from "@guestprobe/block";

/** `incompat_flags`: a reader that does not know one of these must not read. */
export const INCOMPAT: readonly Feature[] = [
  { bit: 0x1, name: "mixed_backref", verdict: "ignore", why: "concerns the extent tree, which is not read" },
  { bit: 0x2, name: "default_subvol", verdict: "read", why: "the default subvolume is looked up" },
  { bit: 0x4, name: "mixed_groups", verdict: "read", why: "data and metadata share chunks" },
  { bit: 0x8, name: "compress_lzo", verdict: "read", why: "decoded by the codec package" },
  { bit: 0x10, name: "compress_zstd", verdict: "read", why: "decoded by the codec package" },
  { bit: 0x20, name: "big_metadata", verdict: "read", why: "nodes larger than a page" },
  { bit: 0x40, name: "extended_iref", verdict: "read", why: "more hard links of one directory than an item holds" },
  { bit: 0x80, name: "raid56", verdict: "read", why: "parity is used to rebuild what is missing" },
  { bit: 0x100, name: "skinny_metadata", verdict: "ignore", why: "concerns the extent tree, which is not read" },
  { bit: 0x200, name: "no_holes", verdict: "read", why: "what no extent covers is a hole" },
  { bit: 0x400, name: "metadata_uuid", verdict: "read", why: "nodes carry another id than the volume" },
  { bit: 0x800, name: "raid1c34", verdict: "read", why: "three and four copies" },
  { bit: 0x1000, name: "zoned", verdict: "refuse", why: "superblocks lie elsewhere, as logs that fill zones" },
  { bit: 0x2000, name: "extent_tree_v2", verdict: "refuse", why: "unfinished in the kernel; its layout still changes" },
  { bit: 0x4000, name: "raid_stripe_tree", verdict: "refuse", why: "chunks no longer say where the bytes lie" },
  { bit: 0x1_0000, name: "simple_quota", verdict: "ignore", why: "concerns the extent tree, which is not read" },
  { bit: 0x2_0000, name: "remap_tree", verdict: "refuse", why: "chunks no longer say where the bytes lie" },
];

/** `compat_ro_flags`: matter to writers only. Unknown ones are named, never refused. */
export const COMPAT_RO: readonly Feature[] = [
  { bit: 0x1, name: "free_space_tree", verdict: "ignore", why: "free space is not read" },
  { bit: 0x2, name: "free_space_tree_valid", verdict: "ignore", why: "free space is not read" },
  { bit: 0x4, name: "verity", verdict: "ignore", why: "verity items are kept beside the data, which stays readable" },
  { bit: 0x8, name: "block_group_tree", verdict: "ignore", why: "block groups are not read" },
];

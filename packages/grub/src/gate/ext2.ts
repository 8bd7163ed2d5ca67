import { formatUuid, hasBit, readUpTo, untilNul } from "@guestprobe/block";
import { bytes, LE, struct, u16, u32, viewOf } from "@guestprobe/block/struct";
import type { GrubVersionId } from "../versions.js";
import type { Gate, GateVerdict } from "./types.js";

/** A feature bit of ext2, ext3 and ext4, and what GRUB's driver does about it. */
export interface GrubFeature {
  readonly set: "compat" | "ro_compat" | "incompat";
  readonly bit: number;
  /** As e2fsprogs prints it. */
  readonly name: string;
  /** `read` and `ignore` let the volume through; `refuse` makes it "unknown filesystem". */
  readonly verdict: "read" | "ignore" | "refuse";
  readonly why: string;
}

const row = (bit: number, name: string, verdict: GrubFeature["verdict"], why: string): GrubFeature => ({
  set: "incompat",
  bit,
  name,
  verdict,
  why,
});

/**
 * Every incompatible feature. GRUB 2.06 (with the fixes that Debian ships), fs/ext2.c, EXT2_DRIVER_SUPPORTED_INCOMPAT and
 * EXT2_DRIVER_IGNORED_INCOMPAT; 2.12 and Red Hat's builds have the same sets. A bit that is not listed is refused.
 */
const INCOMPAT: readonly GrubFeature[] = [
  row(0x0001, "compression", "refuse", "never in mainline Linux"),
  row(0x0002, "filetype", "read", "the type in a directory entry is trusted"),
  row(0x0004, "needs_recovery", "ignore", "the journal is not replayed: GRUB may see old data"),
  row(0x0008, "journal_dev", "refuse", "a journal, not a file system"),
  row(0x0010, "meta_bg", "read", "group descriptors spread over the volume"),
  row(0x0040, "extent", "read", "extent trees"),
  row(0x0080, "64bit", "read", "descriptors of 64 bytes"),
  row(0x0100, "mmp", "ignore", "guards against a second writer"),
  row(0x0200, "flex_bg", "read", "bitmaps and inode tables of several groups together"),
  row(0x0400, "ea_inode", "refuse", "GRUB does not know the bit"),
  row(0x1000, "dirdata", "refuse", "GRUB does not know the bit"),
  row(0x2000, "metadata_csum_seed", "ignore", "no checksum is verified"),
  row(0x4000, "large_dir", "ignore", "directories are read from end to end; hash trees are not used"),
  row(0x8000, "inline_data", "refuse", "GRUB does not know the bit"),
  row(0x1_0000, "encrypt", "read", "encrypted files, directories and links are refused one by one"),
  row(0x2_0000, "casefold", "refuse", "GRUB does not know the bit"),
];

const ignored = (set: "compat" | "ro_compat", bit: number, name: string): GrubFeature => ({
  set,
  bit,
  name,
  verdict: "ignore",
  why: "GRUB's driver does not look at this set of bits",
});

/** What GRUB does with each feature bit of ext2, ext3 and ext4, for documentation and tests. */
export const GRUB_EXT2_FEATURES: readonly GrubFeature[] = [
  ...INCOMPAT,
  ignored("compat", 0x0001, "dir_prealloc"),
  ignored("compat", 0x0002, "imagic_inodes"),
  ignored("compat", 0x0004, "has_journal"),
  ignored("compat", 0x0008, "ext_attr"),
  ignored("compat", 0x0010, "resize_inode"),
  ignored("compat", 0x0020, "dir_index"),
  ignored("compat", 0x0040, "lazy_bg"),
  ignored("compat", 0x0100, "snapshot_bitmap"),
  ignored("compat", 0x0200, "sparse_super2"),
  ignored("compat", 0x0400, "fast_commit"),
  ignored("compat", 0x0800, "stable_inodes"),
  ignored("compat", 0x1000, "orphan_file"),
  ignored("ro_compat", 0x0001, "sparse_super"),
  ignored("ro_compat", 0x0002, "large_file"),
  ignored("ro_compat", 0x0008, "huge_file"),
  ignored("ro_compat", 0x0010, "uninit_bg"),
  ignored("ro_compat", 0x0020, "dir_nlink"),
  ignored("ro_compat", 0x0040, "extra_isize"),
  ignored("ro_compat", 0x0080, "snapshot"),
  ignored("ro_compat", 0x0100, "quota"),
  ignored("ro_compat", 0x0200, "bigalloc"),
  ignored("ro_compat", 0x0400, "metadata_csum"),
  ignored("ro_compat", 0x0800, "replica"),
  ignored("ro_compat", 0x1000, "read-only"),
  ignored("ro_compat", 0x2000, "project"),
  ignored("ro_compat", 0x4000, "shared_blocks"),
  ignored("ro_compat", 0x8000, "verity"),
  ignored("ro_compat", 0x1_0000, "orphan_present"),
];

/** The builds that `GRUB_EXT2_FEATURES` was checked for. */
export const GRUB_EXT2_VERSIONS: readonly GrubVersionId[] = ["debian-2.06", "2.12", "redhat-2.12"];

/** The fields that GRUB's driver decides by. fs/ext2.c, struct grub_ext2_sblock; little-endian. */
const grub_ext2_sblock = struct("grub_ext2_sblock", 1024, LE, {
  first_data_block: u32(0x14),
  log2_block_size: u32(0x18), // exponent of 1024 bytes
  inodes_per_group: u32(0x28),
  magic: u16(0x38),
  revision_level: u32(0x4c),
  inode_size: u16(0x58), // bytes; 128 in revision 0 whatever it says
  feature_incompat: u32(0x60),
  uuid: bytes(0x68, 16),
  volume_name: bytes(0x78, 16),
});
const MAGIC = 0xef53;
const SUPERBLOCK = 1024;

/** Decides from the 1024 bytes at byte 1024. GRUB 2.06, fs/ext2.c, grub_ext2_mount. */
export function judgeExt2(data: Uint8Array): GateVerdict {
  if (data.length < grub_ext2_sblock.$size) return { verdict: "not-mine" };
  const view = viewOf(data);
  const sb = grub_ext2_sblock;
  if (sb.magic(view, 0) !== MAGIC) return { verdict: "not-mine" };
  const refuse = (reason: string): GateVerdict => ({ verdict: "refuse", error: "bad-fs", reason });
  const logBlockSize = sb.log2_block_size(view, 0);
  const isDynamic = sb.revision_level(view, 0) !== 0;
  if (logBlockSize > 20) return refuse(`block size of 2^${logBlockSize} KiB`);
  if (sb.inodes_per_group(view, 0) === 0) return refuse("no inodes in a group");
  if (isDynamic && sb.inode_size(view, 0) === 0) return refuse("inodes of no bytes");
  const incompat = isDynamic ? sb.feature_incompat(view, 0) : 0;
  const refused = refusedNames(incompat);
  if (refused.length > 0) return refuse(`GRUB does not read the feature ${refused.join(", ")}`);
  if (logBlockSize === 0 && sb.first_data_block(view, 0) === 0) {
    // Descriptors are taken from the block after first_data_block, which is the superblock itself then.
    return refuse("blocks of 1 KiB numbered from 0, as bigalloc makes them: GRUB takes the superblock for descriptors");
  }
  return {
    verdict: "accept",
    label: untilNul(sb.volume_name(view, 0)),
    uuid: formatUuid(sb.uuid(view, 0)),
  };
}

function refusedNames(incompat: number): string[] {
  const names: string[] = [];
  for (let bit = 1; bit <= incompat; bit *= 2) {
    if (!hasBit(incompat, bit)) continue;
    const known = INCOMPAT.find((feature) => feature.bit === bit);
    if (known === undefined) names.push(`0x${bit.toString(16)}`);
    else if (known.verdict === "refuse") names.push(known.name);
  }
  return names;
}

/** GRUB's driver for ext2, ext3 and ext4. */
export const ext2Gate: Gate = {
  driver: "ext2",
  kinds: ["ext2", "ext3", "ext4"],
  async probe(device, _version, signal) {
    return judgeExt2(await readUpTo(device, SUPERBLOCK, grub_ext2_sblock.$size, signal));
  },
  refusesInode(inode, use) {
    return inode.flags.includes("encrypted") ? `${use} is encrypted` : undefined;
  },
};

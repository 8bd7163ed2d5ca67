import { type Feature, formatUuid, readUpTo, refusedFeatures, untilNul } from "@guestprobe/block";
import { BE, bytes, struct, u8, u16, u32, u64big, viewOf } from "@guestprobe/block/struct";
import type { GrubVersionId } from "../versions.js";
import type { Gate, GateVerdict } from "./types.js";

/**
 * The fields that GRUB's driver decides by, and the inode it reads when it mounts. fs/xfs.c, struct grub_xfs_sblock;
 * big-endian. It verifies neither checksum nor UUID.
 */
const grub_xfs_sblock = struct("grub_xfs_sblock", 512, BE, {
  magic: u32(0),
  uuid: bytes(32, 16),
  rootino: u64big(56),
  agsize: u32(84),
  version: u16(100),
  label: bytes(108, 12),
  log2_bsize: u8(120),
  log2_sect: u8(121),
  log2_inode: u8(122),
  log2_inop: u8(123),
  log2_agblk: u8(124),
  log2_dirblk: u8(192),
  features2: u32(200),
  sb_feat_incompat: u32(216),
});
const MAGIC = 0x58465342;
const INODE_MAGIC = 0x494e;
const NUMBITS = 0x000f;
const DIRV2 = 0x2000;
const MOREBITS = 0x8000;

const row = (bit: number, name: string, verdict: Feature["verdict"], why: string): Feature => ({
  bit,
  name,
  verdict,
  why,
});

/** Bits of the version word that matter in version 4. GRUB 2.06, fs/xfs.c, XFS_SB_VERSION_BITS_SUPPORTED. */
export const GRUB_XFS_VERSION_BITS: readonly Feature[] = [
  row(0x0010, "ATTR", "ignore", "attributes are not read"),
  row(0x0020, "NLINK", "ignore", "link counts are not read"),
  row(0x0040, "QUOTA", "ignore", "quotas bind writers"),
  row(0x0080, "ALIGN", "ignore", "concerns allocation"),
  row(0x0100, "DALIGN", "ignore", "concerns allocation"),
  row(0x0200, "SHARED", "refuse", "GRUB does not know the bit"),
  row(0x0400, "LOGV2", "ignore", "the log is not read"),
  row(0x0800, "SECTOR", "ignore", "sectors are not addressed"),
  row(0x1000, "EXTFLG", "read", "unwritten extents are not told apart: they read as what lies there"),
  row(0x2000, "DIRV2", "read", "without it the volume is refused"),
  row(0x4000, "ASCII_CI", "refuse", "GRUB does not know the bit; version 5 volumes are not asked for it"),
  row(0x8000, "MOREBITS", "read", "the second feature word counts"),
];

/**
 * Bits of the upper half of the second feature word that let a version 4 volume through. GRUB 2.06, fs/xfs.c,
 * grub_xfs_sb_valid: the 32-bit word is compared with a mask swapped as if it had 16, so on x86 the names that mean
 * something, all in the lower half, are never looked at.
 */
const FEATURES2_UPPER = 0x028a;

const NEWER = ["EXCHANGE", "PARENT", "METADIR"] as const;
const OLDER: readonly Feature[] = [
  row(0x001, "FTYPE", "read", "entries have a byte more"),
  row(0x002, "SPARSE_INODES", "ignore", "inodes are found by number"),
  row(0x004, "META_UUID", "ignore", "no UUID in metadata is compared"),
  row(0x008, "BIGTIME", "read", "time stamps of 64 bits"),
  row(0x010, "NEEDSREPAIR", "ignore", "a warning is printed"),
  row(0x020, "NREXT64", "read", "larger extent counts"),
];

/** Bits of sb_features_incompat, version 5, as 2.06 (with Debian's patches) and 2.12 take them. Others are refused. */
export const GRUB_XFS_INCOMPAT: { readonly [Id in GrubVersionId]: readonly Feature[] } = {
  "debian-2.06": [...OLDER, ...NEWER.map((name, n) => row(0x40 << n, name, "refuse", "GRUB does not know the bit"))],
  "2.12": [...OLDER, ...NEWER.map((name, n) => row(0x40 << n, name, "refuse", "GRUB does not know the bit"))],
  // Patches of January 2026.
  "redhat-2.12": [...OLDER, ...NEWER.map((name, n) => row(0x40 << n, name, "ignore", "concerns writers alone"))],
};

/** Decides from the first 512 bytes. GRUB 2.06, fs/xfs.c, grub_xfs_sb_valid. */
export function judgeXfs(data: Uint8Array, version: GrubVersionId): GateVerdict {
  if (data.length < grub_xfs_sblock.$size) return { verdict: "not-mine" };
  const view = viewOf(data);
  const sb = grub_xfs_sblock;
  if (sb.magic(view, 0) !== MAGIC) return { verdict: "not-mine" };
  const refuse = (reason: string): GateVerdict => ({ verdict: "refuse", error: "bad-fs", reason });
  const logBlock = sb.log2_bsize(view, 0);
  if (logBlock < 9 || logBlock + sb.log2_dirblk(view, 0) >= 27) return refuse(`blocks of 2^${logBlock} bytes`);
  const versionWord = sb.version(view, 0);
  const number = versionWord & NUMBITS;
  if (number === 4) {
    if ((versionWord & DIRV2) === 0) return refuse("directories of version 1");
    const features2 = (versionWord & MOREBITS) === 0 ? 0 : sb.features2(view, 0);
    const refused = refusedFeatures(versionWord & ~NUMBITS & 0xffff, GRUB_XFS_VERSION_BITS);
    if (((features2 >>> 16) & ~FEATURES2_UPPER) !== 0) refused.push(`0x${features2.toString(16)}`);
    if (refused.length > 0) return refuse(`GRUB does not read the feature ${refused.join(", ")}`);
  } else if (number === 5) {
    const refused = refusedFeatures(sb.sb_feat_incompat(view, 0), GRUB_XFS_INCOMPAT[version]);
    if (refused.length > 0) return refuse(`GRUB does not read the feature ${refused.join(", ")}`);
  } else {
    return refuse(`version ${number} of the superblock`);
  }
  return { verdict: "accept", label: untilNul(sb.label(view, 0)), uuid: formatUuid(sb.uuid(view, 0)) };
}

/** Where GRUB looks for the root inode: bytes from the start of the device. grub_xfs_inode_block and _offset. */
function rootInodeAt(data: Uint8Array): bigint {
  const view = viewOf(data);
  const sb = grub_xfs_sblock;
  const ino = sb.rootino(view, 0);
  const inop = BigInt(sb.log2_inop(view, 0) & 63);
  const bits = inop + BigInt(sb.log2_agblk(view, 0) & 63);
  const group = ino >> bits;
  const inGroup = (ino & ((1n << bits) - 1n)) >> inop;
  const block = group * BigInt(sb.agsize(view, 0)) + inGroup;
  const index = ino & ((1n << inop) - 1n);
  return (block << BigInt(sb.log2_bsize(view, 0))) + (index << BigInt(sb.log2_inode(view, 0) & 63));
}

/**
 * Whether pygrub's reader, libfsimage of Xen, takes an XFS volume: version 4 alone, with whatever feature bits.
 * Its xfs_mount looks at magic and version only. It takes directories for those of version 2 unasked.
 *
 * @param data The first 512 bytes.
 */
export function libfsimageReadsXfs(data: Uint8Array): boolean {
  if (data.length < grub_xfs_sblock.$size) return false;
  const view = viewOf(data);
  return grub_xfs_sblock.magic(view, 0) === MAGIC && (grub_xfs_sblock.version(view, 0) & NUMBITS) === 4;
}

/** GRUB's driver for XFS. */
export const xfsGate: Gate = {
  driver: "xfs",
  kinds: ["xfs"],
  async probe(device, version, signal) {
    const data = await readUpTo(device, 0, grub_xfs_sblock.$size, signal);
    const verdict = judgeXfs(data, version.id);
    if (verdict.verdict !== "accept") return verdict;
    const at = rootInodeAt(data);
    const inode = at < device.size ? await readUpTo(device, Number(at), 2, signal) : new Uint8Array(0);
    if (inode.length === 2 && viewOf(inode).getUint16(0) === INODE_MAGIC) return verdict;
    return { verdict: "refuse", error: "bad-fs", reason: "the root inode is not where the superblock says" };
  },
};

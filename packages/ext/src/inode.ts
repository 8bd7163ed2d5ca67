import { crc32cRaw, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type DeviceNumber, FILE_TYPE_OF_MODE, nanoseconds, type Stat } from "@guestprobe/vfs";
import { type ChecksumSink, compareChecksums, crcOfPartWithGap } from "./checksum.js";
import { INCOMPAT, RO_COMPAT } from "./features.js";
import { inodeSeed } from "./group-desc.js";
import {
  EXT4_GOOD_OLD_INODE_SIZE,
  EXT4_INLINE_DATA_FL,
  EXT4_OS_HURD,
  EXT4_OS_LINUX,
  ext4_inode as inode,
} from "./layout.js";
import { corrupt, hex, placeOf } from "./place.js";
import type { Superblock } from "./superblock.js";

/** An inode as decoded, before anything that it points at was read. */
export interface DecodedInode {
  readonly ino: number;
  /** Where it lies: bytes from the start of the device. */
  readonly offset: number;
  /** All `s_inode_size` bytes. */
  readonly raw: Uint8Array;
  readonly stat: Stat;
  /** `i_flags`. */
  readonly flags: number;
  /** `i_block`. */
  readonly block: Uint8Array;
  /** Block of attributes; 0 for none. */
  readonly fileAcl: number;
  readonly generation: number;
  /** Bytes past the first 128 that are fields; attributes may follow them. */
  readonly extraSize: number;
  /** Whether the target of a symbolic link lies in `i_block`. */
  readonly isFastSymlink: boolean;
  /** Where checksums of what belongs to this inode start; undefined without metadata_csum. */
  readonly seed: number | undefined;
}

/** `i_flags` by the long names of lsattr, in lower case. */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0x0000_0001, "secure-deletion"],
  [0x0000_0002, "undelete"],
  [0x0000_0004, "compression-requested"],
  [0x0000_0008, "synchronous-updates"],
  [0x0000_0010, "immutable"],
  [0x0000_0020, "append-only"],
  [0x0000_0040, "no-dump"],
  [0x0000_0080, "no-atime"],
  [0x0000_0800, "encrypted"],
  [0x0000_1000, "indexed-directory"],
  [0x0000_4000, "journaled-data"],
  [0x0000_8000, "no-tailmerging"],
  [0x0001_0000, "synchronous-directory-updates"],
  [0x0002_0000, "top-of-directory-hierarchies"],
  [0x0008_0000, "extents"],
  [0x0010_0000, "verity"],
  [0x0020_0000, "ea-inode"],
  [0x0080_0000, "no-cow"],
  [0x0200_0000, "dax"],
  [0x1000_0000, "inline-data"],
  [0x2000_0000, "project-hierarchy"],
  [0x4000_0000, "casefold"],
];

/** Names of the bits of `i_flags` that are set and known. */
export function inodeFlagNames(flags: number): string[] {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

/**
 * Checks and decodes an inode; undefined for one that was never used or is free, about which nothing may be said.
 *
 * @param raw `s_inode_size` bytes, which lie at byte `offset` of the device.
 * @throws ImageError `corrupt`, `bad-checksum`.
 */
export function decodeInode(
  sb: Superblock,
  ino: number,
  raw: Uint8Array,
  offset: number,
  sink: ChecksumSink,
): DecodedInode | undefined {
  const view = viewOf(raw);
  if (inode.i_links_count(view, 0) === 0) return undefined;
  const rawMode = inode.i_mode(view, 0);
  const generation = inode.i_generation(view, 0);
  const isLarge = raw.length > EXT4_GOOD_OLD_INODE_SIZE;
  const storedExtra = isLarge ? inode.i_extra_isize(view, 0) : 0;
  const bad = (field: keyof typeof inode.$fields, reason: string) =>
    corrupt(inode, field, offset, `inode ${ino}: ${field} is ${reason}`);
  if (storedExtra % 4 !== 0 || EXT4_GOOD_OLD_INODE_SIZE + storedExtra > raw.length) {
    throw bad("i_extra_isize", `${storedExtra} in an inode of ${raw.length} bytes`);
  }
  const seed = sb.csumSeed === undefined ? undefined : inodeSeed(sb.csumSeed, ino, generation);
  if (seed !== undefined && sink.checksums !== "ignore" && sb.creatorOs === EXT4_OS_LINUX) {
    verifyInode(ino, raw, view, offset, seed, storedExtra, sink);
  }

  const type = FILE_TYPE_OF_MODE[rawMode >>> 12];
  if (type === undefined) throw bad("i_mode", `${hex(rawMode)}, which is no type of file`);
  const flags = inode.i_flags(view, 0);
  // As the kernel: directories above 4 GiB only with large_dir.
  const hasHighSize = type === "file" || (sb.incompat & INCOMPAT.large_dir) !== 0;
  const high = hasHighSize ? inode.i_size_high(view, 0) : 0;
  const low = inode.i_size_lo(view, 0);
  const size = high === 0 ? low : joinU64(high, low, placeOf(inode, "i_size_high", offset));
  const has64bit = (sb.incompat & INCOMPAT["64bit"]) !== 0 && sb.creatorOs !== EXT4_OS_HURD;
  const fileAcl = (has64bit ? inode.i_file_acl_high(view, 0) * 2 ** 32 : 0) + inode.i_file_acl_lo(view, 0);

  // An i_extra_isize of 0 is taken for the kernel's own size of the fields: they are zeros then, or were never moved.
  const extraSize = isLarge && storedExtra === 0 ? inode.$size - EXT4_GOOD_OLD_INODE_SIZE : storedExtra;
  const end = isLarge ? EXT4_GOOD_OLD_INODE_SIZE + extraSize : 0;
  const { i_atime_extra, i_mtime_extra, i_ctime_extra, i_crtime_extra, i_crtime } = inode.$fields;
  const endOf = (field: { readonly offset: number; readonly size: number }): number => field.offset + field.size;
  const ctimeNs = decodeTime(inode.i_ctime(view, 0), endOf(i_ctime_extra) <= end ? inode.i_ctime_extra(view, 0) : 0);
  const created =
    endOf(i_crtime) <= end
      ? decodeTime(inode.i_crtime(view, 0), endOf(i_crtime_extra) <= end ? inode.i_crtime_extra(view, 0) : 0)
      : 0n;
  const block = inode.i_block(view, 0);
  const stat: Stat = {
    type,
    mode: rawMode & 0o7777,
    uid: inode.i_uid(view, 0) + inode.i_uid_high(view, 0) * 0x1_0000,
    gid: inode.i_gid(view, 0) + inode.i_gid_high(view, 0) * 0x1_0000,
    size,
    nlink: inode.i_links_count(view, 0),
    ino,
    rdev: type === "char" || type === "block" ? decodeDevice(block) : undefined,
    atimeNs: decodeTime(inode.i_atime(view, 0), endOf(i_atime_extra) <= end ? inode.i_atime_extra(view, 0) : 0),
    mtimeNs: decodeTime(inode.i_mtime(view, 0), endOf(i_mtime_extra) <= end ? inode.i_mtime_extra(view, 0) : 0),
    ctimeNs,
    // All zeros is what a tool leaves that does not know the field.
    crtimeNs: created === 0n ? undefined : created,
  };
  return {
    ino,
    offset,
    raw,
    stat,
    flags,
    block,
    fileAcl,
    generation,
    extraSize,
    isFastSymlink: type === "symlink" && isFastSymlink(sb, view, flags, size, fileAcl),
    seed,
  };
}

/** Nanoseconds since 1970: 32 signed bits of seconds, two more bits above them, and nanoseconds. */
export function decodeTime(seconds: number, extra: number): bigint {
  const low = seconds | 0;
  const epoch = (extra & 3) * 2 ** 32;
  return nanoseconds(low + epoch, extra >>> 2);
}

/**
 * The first word holds an old 16-bit number, or else the second a 32-bit one. Kernel: old_decode_dev, new_decode_dev.
 */
function decodeDevice(block: Uint8Array): DeviceNumber {
  const view = viewOf(block);
  const old = view.getUint32(0, true);
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  const dev = view.getUint32(4, true);
  return { major: (dev >>> 8) & 0xfff, minor: (dev & 0xff) | ((dev >>> 12) & 0xf_ff00) };
}

/** A link without data blocks. Kernel: ext4_inode_is_fast_symlink. */
function isFastSymlink(sb: Superblock, view: DataView, flags: number, size: number, fileAcl: number): boolean {
  if ((flags & EXT4_INLINE_DATA_FL) !== 0) return false;
  // Blocks of values in attribute inodes count for the link, so that its own block count says nothing.
  if ((sb.incompat & INCOMPAT.ea_inode) !== 0) return size > 0 && size < inode.$fields.i_block.size;
  const high = (sb.roCompat & RO_COMPAT.huge_file) !== 0 ? inode.i_blocks_high(view, 0) : 0;
  const attributeSectors = fileAcl === 0 ? 0 : sb.clusterSize / 512;
  return high * 2 ** 32 + inode.i_blocks_lo(view, 0) - attributeSectors === 0;
}

/** CRC-32C of an inode with its own two halves as zeros. Kernel: ext4_inode_csum_verify. */
function verifyInode(
  ino: number,
  raw: Uint8Array,
  view: DataView,
  offset: number,
  seed: number,
  extraSize: number,
  sink: ChecksumSink,
): void {
  const low = inode.$fields.i_checksum_lo.offset;
  const high = inode.$fields.i_checksum_hi.offset;
  const isWide = raw.length > EXT4_GOOD_OLD_INODE_SIZE && extraSize >= high + 2 - EXT4_GOOD_OLD_INODE_SIZE;
  const half = EXT4_GOOD_OLD_INODE_SIZE;
  const first = crcOfPartWithGap(seed, raw, 0, half, low, 2);
  const full = isWide ? crcOfPartWithGap(first, raw, half, raw.length, high, 2) : crc32cRaw(raw, first, half);
  const stored = inode.i_checksum_lo(view, 0) + (isWide ? inode.i_checksum_hi(view, 0) * 0x1_0000 : 0);
  const computed = isWide ? full : full & 0xffff;
  if (stored === computed) return;
  compareChecksums(sink, stored, computed, `inode ${ino}`, placeOf(inode, "i_checksum_lo", offset));
}

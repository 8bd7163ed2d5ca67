import { crc32cOfView, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type DeviceNumber, FILE_TYPE_OF_MODE, type FileType, nanoseconds, type Stat } from "@guestprobe/vfs";
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

/** An inode as decoded, before anything that it points at was read. What few ask for is decoded when they do. */
export class DecodedInode {
  readonly ino: number;
  /** Where it lies: bytes from the start of the device. */
  readonly offset: number;
  readonly stat: Stat;
  /** `i_flags`. */
  readonly flags: number;
  readonly generation: number;
  /** Bytes past the first 128 that are fields; attributes may follow them. */
  readonly extraSize: number;
  /** Where checksums of what belongs to this inode start; undefined without metadata_csum. */
  readonly seed: number | undefined;
  readonly #sb: Superblock;
  readonly #view: DataView;
  readonly #base: number;

  /** What `decodeInode` has checked: an inode at byte `base` of `view`. */
  constructor(
    sb: Superblock,
    view: DataView,
    base: number,
    offset: number,
    checked: { stat: Stat; flags: number; generation: number; extraSize: number; seed: number | undefined },
  ) {
    this.ino = checked.stat.ino;
    this.offset = offset;
    this.stat = checked.stat;
    this.flags = checked.flags;
    this.generation = checked.generation;
    this.extraSize = checked.extraSize;
    this.seed = checked.seed;
    this.#sb = sb;
    this.#view = view;
    this.#base = base;
  }

  /** All `s_inode_size` bytes. */
  get raw(): Uint8Array {
    const { buffer, byteOffset } = this.#view;
    return new Uint8Array(buffer, byteOffset + this.#base, this.#sb.inodeSize);
  }

  /** `i_block`. */
  get block(): Uint8Array {
    return inode.i_block(this.#view, this.#base);
  }

  /** Block of attributes; 0 for none. */
  get fileAcl(): number {
    const { incompat, creatorOs } = this.#sb;
    const has64bit = (incompat & INCOMPAT["64bit"]) !== 0 && creatorOs !== EXT4_OS_HURD;
    return (
      (has64bit ? inode.i_file_acl_high(this.#view, this.#base) * 2 ** 32 : 0) +
      inode.i_file_acl_lo(this.#view, this.#base)
    );
  }

  /**
   * Whether the target of a symbolic link lies in `i_block`: there are no data blocks. Kernel:
   * ext4_inode_is_fast_symlink.
   */
  get isFastSymlink(): boolean {
    const { incompat, roCompat, clusterSize } = this.#sb;
    const { type, size } = this.stat;
    if (type !== "symlink" || (this.flags & EXT4_INLINE_DATA_FL) !== 0) return false;
    // Blocks of values in attribute inodes count for the link, so that its own block count says nothing.
    if ((incompat & INCOMPAT.ea_inode) !== 0) return size > 0 && size < inode.$fields.i_block.size;
    const high = (roCompat & RO_COMPAT.huge_file) !== 0 ? inode.i_blocks_high(this.#view, this.#base) : 0;
    const attributeSectors = this.fileAcl === 0 ? 0 : clusterSize / 512;
    return high * 2 ** 32 + inode.i_blocks_lo(this.#view, this.#base) - attributeSectors === 0;
  }
}

/** What `stat` says. Times are decoded when they are asked for: a walk over many files hardly asks. */
class ExtStat implements Stat {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly ino: number;
  readonly rdev: DeviceNumber | undefined;
  readonly #view: DataView;
  readonly #base: number;
  /** Bytes of the inode that are fields. */
  readonly #end: number;

  constructor(ino: number, type: FileType, size: number, rawMode: number, view: DataView, base: number, end: number) {
    this.type = type;
    this.mode = rawMode & 0o7777;
    this.uid = inode.i_uid(view, base) + inode.i_uid_high(view, base) * 0x1_0000;
    this.gid = inode.i_gid(view, base) + inode.i_gid_high(view, base) * 0x1_0000;
    this.size = size;
    this.nlink = inode.i_links_count(view, base);
    this.ino = ino;
    this.rdev = type === "char" || type === "block" ? decodeDevice(inode.i_block(view, base)) : undefined;
    this.#view = view;
    this.#base = base;
    this.#end = end;
  }

  get atimeNs(): bigint {
    return decodeTime(inode.i_atime(this.#view, this.#base), this.#extra("i_atime_extra"));
  }

  get mtimeNs(): bigint {
    return decodeTime(inode.i_mtime(this.#view, this.#base), this.#extra("i_mtime_extra"));
  }

  get ctimeNs(): bigint {
    return decodeTime(inode.i_ctime(this.#view, this.#base), this.#extra("i_ctime_extra"));
  }

  get crtimeNs(): bigint | undefined {
    const { offset, size } = inode.$fields.i_crtime;
    if (offset + size > this.#end) return undefined;
    const created = decodeTime(inode.i_crtime(this.#view, this.#base), this.#extra("i_crtime_extra"));
    // All zeros is what a tool leaves that does not know the field.
    return created === 0n ? undefined : created;
  }

  #extra(field: "i_atime_extra" | "i_mtime_extra" | "i_ctime_extra" | "i_crtime_extra"): number {
    const { offset, size } = inode.$fields[field];
    return offset + size <= this.#end ? inode[field](this.#view, this.#base) : 0;
  }
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
 * @param view Holds its `s_inode_size` bytes from `base` on; they lie at byte `offset` of the device.
 * @throws ImageError `corrupt`, `bad-checksum`.
 */
export function decodeInode(
  sb: Superblock,
  ino: number,
  view: DataView,
  base: number,
  offset: number,
  sink: ChecksumSink,
): DecodedInode | undefined {
  const { inodeSize } = sb;
  if (inode.i_links_count(view, base) === 0) return undefined;
  const rawMode = inode.i_mode(view, base);
  const generation = inode.i_generation(view, base);
  const isLarge = inodeSize > EXT4_GOOD_OLD_INODE_SIZE;
  const storedExtra = isLarge ? inode.i_extra_isize(view, base) : 0;
  if (storedExtra % 4 !== 0 || EXT4_GOOD_OLD_INODE_SIZE + storedExtra > inodeSize) {
    throw bad(ino, offset, "i_extra_isize", `${storedExtra} in an inode of ${inodeSize} bytes`);
  }
  const seed = sb.csumSeed === undefined ? undefined : inodeSeed(sb.csumSeed, ino, generation);
  if (seed !== undefined && sink.checksums !== "ignore" && sb.creatorOs === EXT4_OS_LINUX) {
    verifyInode(sb, ino, view, base, offset, seed, storedExtra, sink);
  }

  const type = FILE_TYPE_OF_MODE[rawMode >>> 12];
  if (type === undefined) throw bad(ino, offset, "i_mode", `${hex(rawMode)}, which is no type of file`);
  const flags = inode.i_flags(view, base);
  // As the kernel: directories above 4 GiB only with large_dir.
  const hasHighSize = type === "file" || (sb.incompat & INCOMPAT.large_dir) !== 0;
  const high = hasHighSize ? inode.i_size_high(view, base) : 0;
  const low = inode.i_size_lo(view, base);
  const size = high === 0 ? low : joinU64(high, low, placeOf(inode, "i_size_high", offset));

  // An i_extra_isize of 0 is taken for the kernel's own size of the fields: they are zeros then, or were never moved.
  const extraSize = isLarge && storedExtra === 0 ? inode.$size - EXT4_GOOD_OLD_INODE_SIZE : storedExtra;
  const end = isLarge ? EXT4_GOOD_OLD_INODE_SIZE + extraSize : 0;
  const stat = new ExtStat(ino, type, size, rawMode, view, base, end);
  return new DecodedInode(sb, view, base, offset, { stat, flags, generation, extraSize, seed });
}

const bad = (ino: number, offset: number, field: keyof typeof inode.$fields, reason: string) =>
  corrupt(inode, field, offset, `inode ${ino}: ${field} is ${reason}`);

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

/** CRC-32C of an inode with its own two halves as zeros. Kernel: ext4_inode_csum_verify. */
function verifyInode(
  sb: Superblock,
  ino: number,
  view: DataView,
  base: number,
  offset: number,
  seed: number,
  extraSize: number,
  sink: ChecksumSink,
): void {
  const low = inode.$fields.i_checksum_lo.offset;
  const high = inode.$fields.i_checksum_hi.offset;
  const half = base + EXT4_GOOD_OLD_INODE_SIZE;
  const end = base + sb.inodeSize;
  const isWide = end > half && extraSize >= high + 2 - EXT4_GOOD_OLD_INODE_SIZE;
  const first = crcOfPartWithGap(seed, view, base, half, base + low, 2);
  const full = isWide ? crcOfPartWithGap(first, view, half, end, base + high, 2) : crc32cOfView(view, first, half, end);
  const stored = inode.i_checksum_lo(view, base) + (isWide ? inode.i_checksum_hi(view, base) * 0x1_0000 : 0);
  const computed = isWide ? full : full & 0xffff;
  if (stored === computed) return;
  compareChecksums(sink, stored, computed, `inode ${ino}`, placeOf(inode, "i_checksum_lo", offset));
}

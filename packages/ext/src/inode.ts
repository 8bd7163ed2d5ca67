import { crc32cOfRecords, crc32cOfView, type Gap, joinU64, type RecordBlock } from "@guestprobe/block";
import { type Reader, viewOf } from "@guestprobe/block/struct";
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

/**
 * An inode as decoded, before anything that it points at was read, and what `stat` says of it. What few ask for is decoded
 * when they do: a walk over many files asks neither for times nor for blocks.
 */
export class DecodedInode implements Stat {
  readonly ino: number;
  /** Where it lies: bytes from the start of the device. */
  readonly offset: number;
  readonly type: FileType;
  readonly size: number;
  /** Bytes past the first 128 that are fields; attributes may follow them. */
  readonly extraSize: number;
  readonly #sb: Superblock;
  readonly #view: DataView;
  readonly #base: number;

  /** What `decodeInode` has checked: an inode at byte `base` of `view`, which lies at byte `offset` of the device. */
  constructor(
    sb: Superblock,
    ino: number,
    view: DataView,
    base: number,
    offset: number,
    type: FileType,
    size: number,
    extraSize: number,
  ) {
    this.ino = ino;
    this.offset = offset;
    this.type = type;
    this.size = size;
    this.extraSize = extraSize;
    this.#sb = sb;
    this.#view = view;
    this.#base = base;
  }

  get mode(): number {
    return inode.i_mode(this.#view, this.#base) & 0o7777;
  }

  get nlink(): number {
    return inode.i_links_count(this.#view, this.#base);
  }

  /** `i_flags`. */
  get flags(): number {
    return inode.i_flags(this.#view, this.#base);
  }

  get uid(): number {
    return inode.i_uid(this.#view, this.#base) + inode.i_uid_high(this.#view, this.#base) * 0x1_0000;
  }

  get gid(): number {
    return inode.i_gid(this.#view, this.#base) + inode.i_gid_high(this.#view, this.#base) * 0x1_0000;
  }

  get rdev(): DeviceNumber | undefined {
    return this.type === "char" || this.type === "block" ? decodeDevice(this.block) : undefined;
  }

  get atimeNs(): bigint {
    return decodeTime(inode.i_atime(this.#view, this.#base), this.#extra(inode.i_atime_extra, ATIME_EXTRA_END));
  }

  get mtimeNs(): bigint {
    return decodeTime(inode.i_mtime(this.#view, this.#base), this.#extra(inode.i_mtime_extra, MTIME_EXTRA_END));
  }

  get ctimeNs(): bigint {
    return decodeTime(inode.i_ctime(this.#view, this.#base), this.#extra(inode.i_ctime_extra, CTIME_EXTRA_END));
  }

  get crtimeNs(): bigint | undefined {
    if (!this.#has(CRTIME_END)) return undefined;
    const created = decodeTime(
      inode.i_crtime(this.#view, this.#base),
      this.#extra(inode.i_crtime_extra, CRTIME_EXTRA_END),
    );
    // All zeros is what a tool leaves that does not know the field.
    return created === 0n ? undefined : created;
  }

  get generation(): number {
    return inode.i_generation(this.#view, this.#base);
  }

  /** Where checksums of what belongs to this inode start; undefined without metadata_csum. */
  get seed(): number | undefined {
    const { csumSeed } = this.#sb;
    return csumSeed === undefined ? undefined : inodeSeed(csumSeed, this.ino, this.generation);
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
    const high = has64bit ? inode.i_file_acl_high(this.#view, this.#base) : 0;
    return high * 2 ** 32 + inode.i_file_acl_lo(this.#view, this.#base);
  }

  /**
   * Whether the target of a symbolic link lies in `i_block`: there are no data blocks. Kernel:
   * ext4_inode_is_fast_symlink.
   */
  get isFastSymlink(): boolean {
    const { incompat, roCompat, clusterSize } = this.#sb;
    const { type, size } = this;
    if (type !== "symlink" || (this.flags & EXT4_INLINE_DATA_FL) !== 0) return false;
    // Blocks of values in attribute inodes count for the link, so that its own block count says nothing.
    if ((incompat & INCOMPAT.ea_inode) !== 0) return size > 0 && size < inode.$fields.i_block.size;
    const high = (roCompat & RO_COMPAT.huge_file) !== 0 ? inode.i_blocks_high(this.#view, this.#base) : 0;
    const attributeSectors = this.fileAcl === 0 ? 0 : clusterSize / 512;
    return high * 2 ** 32 + inode.i_blocks_lo(this.#view, this.#base) - attributeSectors === 0;
  }

  #extra(read: Reader<number>, end: number): number {
    return this.#has(end) ? read(this.#view, this.#base) : 0;
  }

  /** Whether the inode is long enough for a field past the first 128 bytes, which ends at byte `end`. */
  #has(end: number): boolean {
    return end <= EXT4_GOOD_OLD_INODE_SIZE + this.extraSize;
  }
}

const endOf = ({ offset, size }: { readonly offset: number; readonly size: number }): number => offset + size;
const ATIME_EXTRA_END = endOf(inode.$fields.i_atime_extra);
const MTIME_EXTRA_END = endOf(inode.$fields.i_mtime_extra);
const CTIME_EXTRA_END = endOf(inode.$fields.i_ctime_extra);
const CRTIME_END = endOf(inode.$fields.i_crtime);
const CRTIME_EXTRA_END = endOf(inode.$fields.i_crtime_extra);

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

/** Whether an inode is in use: what no name leads to has no links. */
export const isInodeUsed = (view: DataView, base: number): boolean => inode.i_links_count(view, base) !== 0;

/**
 * Checks and decodes an inode; undefined for one that was never used or is free, about which nothing may be said.
 *
 * @param view Holds its `s_inode_size` bytes from `base` on; they lie at byte `offset` of the device.
 * @param block What `sumInodes` knows of the inodes in `view`, where that was asked.
 * @throws ImageError `corrupt`, `bad-checksum`.
 */
export function decodeInode(
  sb: Superblock,
  ino: number,
  view: DataView,
  base: number,
  offset: number,
  sink: ChecksumSink,
  block?: RecordBlock,
): DecodedInode | undefined {
  const { inodeSize } = sb;
  if (inode.i_links_count(view, base) === 0) return undefined;
  const rawMode = inode.i_mode(view, base);
  const isLarge = inodeSize > EXT4_GOOD_OLD_INODE_SIZE;
  const storedExtra = isLarge ? inode.i_extra_isize(view, base) : 0;
  if (storedExtra % 4 !== 0 || EXT4_GOOD_OLD_INODE_SIZE + storedExtra > inodeSize) {
    throw bad(ino, offset, "i_extra_isize", `${storedExtra} in an inode of ${inodeSize} bytes`);
  }
  if (sb.csumSeed !== undefined && sink.checksums !== "ignore" && sb.creatorOs === EXT4_OS_LINUX) {
    verifyInode(sb, ino, view, base, offset, storedExtra, sink, block);
  }

  const type = FILE_TYPE_OF_MODE[rawMode >>> 12];
  if (type === undefined) throw bad(ino, offset, "i_mode", `${hex(rawMode)}, which is no type of file`);
  // As the kernel: directories above 4 GiB only with large_dir.
  const hasHighSize = type === "file" || (sb.incompat & INCOMPAT.large_dir) !== 0;
  const high = hasHighSize ? inode.i_size_high(view, base) : 0;
  const low = inode.i_size_lo(view, base);
  const size = high === 0 ? low : joinU64(high, low, placeOf(inode, "i_size_high", offset));

  // An i_extra_isize of 0 is taken for the kernel's own size of the fields: they are zeros then, or were never moved.
  const extraSize = isLarge && storedExtra === 0 ? inode.$size - EXT4_GOOD_OLD_INODE_SIZE : storedExtra;
  return new DecodedInode(sb, ino, view, base, offset, type, size, extraSize);
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

const LOW = inode.$fields.i_checksum_lo;
const HIGH = inode.$fields.i_checksum_hi;
const NARROW_GAPS: readonly Gap[] = [{ at: LOW.offset, size: LOW.size }];
const WIDE_GAPS: readonly Gap[] = [...NARROW_GAPS, { at: HIGH.offset, size: HIGH.size }];

/** Whether the upper half of the checksum is stored. */
const hasHighSum = (sb: Superblock, extraSize: number): boolean =>
  sb.inodeSize > EXT4_GOOD_OLD_INODE_SIZE && EXT4_GOOD_OLD_INODE_SIZE + extraSize >= HIGH.offset + HIGH.size;

/**
 * Finds the checksums of the inodes of one block of a table, the first of which has the number `first`, each as if it had
 * the upper half of the checksum wherever there is room for it. Signed.
 */
export function sumInodes(sb: Superblock, first: number, block: RecordBlock): void {
  const { inodeSize } = sb;
  const { view } = block;
  const isWide = inodeSize > EXT4_GOOD_OLD_INODE_SIZE;
  const sums = new Int32Array(view.byteLength / inodeSize);
  const stored = isWide ? new Int32Array(sums.length) : undefined;
  for (let n = 0, base = 0; n < sums.length; n += 1, base += inodeSize) {
    sums[n] = inodeSeed(sb.csumSeed!, first + n, inode.i_generation(view, base));
    if (stored !== undefined) {
      stored[n] = inode.i_checksum_lo(view, base) | (inode.i_checksum_hi(view, base) << 16);
    }
  }
  const data = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  block.isSound = crc32cOfRecords(data, inodeSize, isWide ? WIDE_GAPS : NARROW_GAPS, sums, stored);
  block.sums = sums;
}

/** CRC-32C of an inode with its own two halves as zeros. Kernel: ext4_inode_csum_verify. */
function verifyInode(
  sb: Superblock,
  ino: number,
  view: DataView,
  base: number,
  offset: number,
  extraSize: number,
  sink: ChecksumSink,
  block: RecordBlock | undefined,
): void {
  const isWide = hasHighSum(sb, extraSize);
  // All others of its block may be sound with both halves while this one has but the lower.
  if (block?.isSound === true && isWide) return;
  const sums = isWide || sb.inodeSize === EXT4_GOOD_OLD_INODE_SIZE ? block?.sums : undefined;
  const full = sums === undefined ? sumOfInode(sb, ino, view, base, isWide) : sums[base / sb.inodeSize]! >>> 0;
  const stored = inode.i_checksum_lo(view, base) + (isWide ? inode.i_checksum_hi(view, base) * 0x1_0000 : 0);
  const computed = isWide ? full : full & 0xffff;
  if (stored === computed) return;
  compareChecksums(sink, stored, computed, `inode ${ino}`, placeOf(inode, "i_checksum_lo", offset));
}

function sumOfInode(sb: Superblock, ino: number, view: DataView, base: number, isWide: boolean): number {
  const seed = inodeSeed(sb.csumSeed!, ino, inode.i_generation(view, base));
  const half = base + EXT4_GOOD_OLD_INODE_SIZE;
  const end = base + sb.inodeSize;
  const first = crcOfPartWithGap(seed, view, base, half, base + LOW.offset, LOW.size);
  return isWide
    ? crcOfPartWithGap(first, view, half, end, base + HIGH.offset, HIGH.size)
    : crc32cOfView(view, first, half, end);
}

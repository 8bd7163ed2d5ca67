import {
  type BlockDevice,
  crc32cOfView,
  finding,
  ImageError,
  type ReadAhead,
  type RecordTable,
  type Report,
  throwIfAborted,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import type { BmapLeaf } from "./bmap.js";
import { XFS_BAD_CHECKSUM, XFS_FOREIGN_BLOCK } from "./findings.js";
import type { Superblock } from "./superblock.js";

/** Most blocks that a memo remembers before it forgets all: some megabytes. */
const MEMO_LIMIT = 1 << 16;

/**
 * Blocks that passed a check, by where they lie and whose they are, so that a block which thousands of lookups go
 * through is not checked in full thousands of times.
 */
export class CheckMemo {
  readonly #owners = new Map<number, number>();

  has(at: number, owner: number): boolean {
    return this.#owners.get(at) === owner;
  }

  add(at: number, owner: number): void {
    if (this.#owners.size >= MEMO_LIMIT) this.#owners.clear();
    this.#owners.set(at, owner);
  }
}

/** What every part of the reader needs. */
export interface XfsContext {
  readonly device: BlockDevice;
  /** Where the blocks of realtime files lie; undefined when the caller gave no realtime device. */
  readonly realtime: BlockDevice | undefined;
  readonly sb: Superblock;
  readonly checksums: ChecksumPolicy;
  readonly report: Report;
  /** Blocks with inodes in them. */
  readonly inodes: RecordTable;
  /** For what a walk passes by. */
  readonly once: ReadAhead;
  /** Blocks whose self-description was checked. */
  readonly described: CheckMemo;
  /** Leaf and node blocks of directories whose entries are in order. */
  readonly ordered: CheckMemo;
  /** The leaf of an extent tree that was decoded last: each block of a large directory is looked up in the same one. */
  readonly extentLeaf: { last: DecodedLeaf | undefined };
}

/** A leaf of the extent tree of inode `ino`, which lies at byte `at`. */
export interface DecodedLeaf {
  readonly at: number;
  readonly ino: number;
  readonly leaf: BmapLeaf;
}

/** Bytes of the data device: at once when they are in memory. */
export async function readBytes(
  ctx: XfsContext,
  at: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  return ctx.device.peek?.(at, length) ?? ctx.device.read(at, length, signal);
}

/** As `readBytes`, of what a walk passes by: where the device answers at once, past the pages that it keeps. */
export const readOnce: typeof readBytes = (ctx, at, length, signal) => ctx.once.read(at, length, signal);

/** Where a version 5 structure says what it is: bytes of it. */
export interface SelfDescription {
  readonly structure: string;
  readonly crc: number;
  readonly uuid: number;
  /** The daddr at which it lies. */
  readonly blkno?: number;
  /** Whose it is: an inode's number in 64 bits, its own or that of the file which the block belongs to; or a group's in 32. */
  readonly owner: number;
  readonly isOwnedByGroup?: boolean;
}

/** Blocks of the hash index of a directory, and of attributes. */
export const DA3_BLKINFO: SelfDescription = { structure: "xfs_da3_blkinfo", crc: 12, uuid: 32, blkno: 16, owner: 48 };

const FOUR_ZEROS = viewOf(new Uint8Array(4));

/** Whether the little-endian CRC-32C at `field` is that of `size` bytes from `base` with the field itself as zeros. */
export function hasGoodCrc(view: DataView, base: number, size: number, field: number): boolean {
  const before = crc32cOfView(view, 0xffff_ffff, base, base + field);
  const gap = crc32cOfView(FOUR_ZEROS, before, 0, 4);
  const crc = ~crc32cOfView(view, gap, base + field + 4, base + size) >>> 0;
  return view.getUint32(base + field, true) === crc;
}

/**
 * Checks checksum, volume, place and owner of a version 5 structure, under the caller's policy. "Metadata Integrity",
 * XFS Algorithms & Data Structures, 3rd ed.
 *
 * @param at Where the structure lies: bytes from the start of the device.
 * @param owner The number of the inode or group that it must belong to.
 * @throws ImageError under `require`: `bad-checksum`, or `corrupt` for a block that belongs elsewhere.
 */
export function checkSelf(ctx: XfsContext, data: Uint8Array, at: number, self: SelfDescription, owner: number): void {
  checkPart(ctx, viewOf(data), 0, data.length, at, self, owner);
}

/**
 * As `checkSelf`, of the `size` bytes from byte `base` of a view: each inode of a walk is asked.
 *
 * @param sum Their CRC-32C with the field as zeros, not yet inverted, where it is known.
 */
export function checkPart(
  ctx: XfsContext,
  view: DataView,
  base: number,
  size: number,
  at: number,
  self: SelfDescription,
  owner: number,
  sum?: number,
): void {
  if (ctx.sb.version !== 5 || ctx.checksums === "ignore") return;
  const { structure } = self;
  if (self.blkno !== undefined && ctx.described.has(at, owner)) return;
  const isSound =
    sum === undefined ? hasGoodCrc(view, base, size, self.crc) : view.getInt32(base + self.crc, true) === ~sum;
  if (!isSound) {
    const message = "the checksum does not match";
    const place = { format: "xfs", structure, offset: at };
    if (ctx.checksums === "require") throw new ImageError("bad-checksum", message, place);
    ctx.report(finding(XFS_BAD_CHECKSUM, message, place));
  }
  const foreign = whatIsForeign(ctx.sb, view, base, at, self, owner);
  if (foreign === undefined) {
    if (self.blkno !== undefined) ctx.described.add(at, owner);
    return;
  }
  const place = { format: "xfs", structure, offset: at + foreign.field };
  if (ctx.checksums === "require") throw new ImageError("corrupt", foreign.message, place);
  ctx.report(finding(XFS_FOREIGN_BLOCK, foreign.message, place));
}

/** What a structure says of volume, place or owner that is not so. Its parameters are those of `checkPart`. */
export function whatIsForeign(
  sb: Superblock,
  view: DataView,
  base: number,
  at: number,
  self: SelfDescription,
  owner: number,
): { field: number; message: string } | undefined {
  if (!hasUuidAt(view, base + self.uuid, sb.metaUuid)) {
    return { field: self.uuid, message: "the block carries another volume's UUID" };
  }
  if (self.blkno !== undefined && !holds(view, base + self.blkno, at / 512)) {
    return { field: self.blkno, message: `the block does not say that it is block ${at / 512}` };
  }
  if (self.isOwnedByGroup === true) {
    if (view.getUint32(base + self.owner) === owner) return undefined;
    return { field: self.owner, message: `the block does not say that it belongs to group ${owner}` };
  }
  if (!holds(view, base + self.owner, owner)) {
    return { field: self.owner, message: `the block does not say that it belongs to inode ${owner}` };
  }
  return undefined;
}

function hasUuidAt(view: DataView, at: number, uuid: DataView): boolean {
  return (
    view.getUint32(at) === uuid.getUint32(0) &&
    view.getUint32(at + 4) === uuid.getUint32(4) &&
    view.getUint32(at + 8) === uuid.getUint32(8) &&
    view.getUint32(at + 12) === uuid.getUint32(12)
  );
}

/** Whether the big-endian 64 bits at `at` are `value`. */
function holds(view: DataView, at: number, value: number): boolean {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4) === value;
}

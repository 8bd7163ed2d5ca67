import { type BlockDevice, crc32cRaw, finding, ImageError, type Report, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ChecksumPolicy } from "@guestprobe/vfs";
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
  /** Blocks whose self-description was checked. */
  readonly described: CheckMemo;
  /** Leaf and node blocks of directories whose entries are in order. */
  readonly ordered: CheckMemo;
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

/** What a version 5 structure says of itself, as offsets within it, and what it should say. */
export interface SelfDescription {
  readonly structure: string;
  readonly crc: number;
  readonly uuid: number;
  /** The daddr at which it lies. */
  readonly blkno?: number;
  /** An inode's number in 64 bits: the inode's own, or that of the file which the block belongs to; or a group's in 32. */
  readonly owner: { readonly field: number; readonly ino: number } | { readonly field: number; readonly group: number };
}

const FOUR_ZEROS = new Uint8Array(4);

/** Whether the little-endian CRC-32C at `field` is that of all of `data` with the field itself as zeros. */
export function hasGoodCrc(data: Uint8Array, field: number): boolean {
  const before = crc32cRaw(data, 0xffff_ffff, 0, field);
  const crc = ~crc32cRaw(data, crc32cRaw(FOUR_ZEROS, before), field + 4) >>> 0;
  const stored = data[field]! | (data[field + 1]! << 8) | (data[field + 2]! << 16) | (data[field + 3]! << 24);
  return stored >>> 0 === crc;
}

/**
 * Checks checksum, volume, place and owner of a version 5 structure, under the caller's policy. "Metadata Integrity",
 * XFS Algorithms & Data Structures, 3rd ed.
 *
 * @param at Where the structure lies: bytes from the start of the device.
 * @throws ImageError under `require`: `bad-checksum`, or `corrupt` for a block that belongs elsewhere.
 */
export function checkSelf(ctx: XfsContext, data: Uint8Array, at: number, self: SelfDescription): void {
  if (ctx.sb.version !== 5 || ctx.checksums === "ignore") return;
  const { structure, owner } = self;
  const ownerNumber = "ino" in owner ? owner.ino : owner.group;
  if (self.blkno !== undefined && ctx.described.has(at, ownerNumber)) return;
  if (!hasGoodCrc(data, self.crc)) {
    const message = "the checksum does not match";
    const place = { format: "xfs", structure, offset: at };
    if (ctx.checksums === "require") throw new ImageError("bad-checksum", message, place);
    ctx.report(finding(XFS_BAD_CHECKSUM, message, place));
  }
  const foreign = whatIsForeign(ctx.sb, data, at, self);
  if (foreign === undefined) {
    if (self.blkno !== undefined) ctx.described.add(at, ownerNumber);
    return;
  }
  const place = { format: "xfs", structure, offset: at + foreign.field };
  if (ctx.checksums === "require") throw new ImageError("corrupt", foreign.message, place);
  ctx.report(finding(XFS_FOREIGN_BLOCK, foreign.message, place));
}

function whatIsForeign(
  sb: Superblock,
  data: Uint8Array,
  at: number,
  self: SelfDescription,
): { field: number; message: string } | undefined {
  if (!hasBytesAt(data, self.uuid, sb.metaUuid)) {
    return { field: self.uuid, message: "the block carries another volume's UUID" };
  }
  if (self.blkno !== undefined && !holds(data, self.blkno, at / 512)) {
    return { field: self.blkno, message: `the block does not say that it is block ${at / 512}` };
  }
  const { owner } = self;
  if ("group" in owner) {
    if (viewOf(data).getUint32(owner.field) === owner.group) return undefined;
    return { field: owner.field, message: `the block does not say that it belongs to group ${owner.group}` };
  }
  if (!holds(data, owner.field, owner.ino)) {
    return { field: owner.field, message: `the block does not say that it belongs to inode ${owner.ino}` };
  }
  return undefined;
}

function hasBytesAt(data: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let n = 0; n < expected.length; n += 1) {
    if (data[at + n] !== expected[n]) return false;
  }
  return true;
}

/** Whether the big-endian 64 bits at `at` are `value`. */
function holds(data: Uint8Array, at: number, value: number): boolean {
  return wordAt(data, at) === Math.floor(value / 2 ** 32) && wordAt(data, at + 4) === value % 2 ** 32;
}

/** The big-endian 32 bits at `at`, without a view of their own: each inode of a walk is asked. */
function wordAt(data: Uint8Array, at: number): number {
  return data[at]! * 0x100_0000 + ((data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!);
}

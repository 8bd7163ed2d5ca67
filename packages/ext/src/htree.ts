import { viewOf } from "@guestprobe/block/struct";
import { recordLength } from "./directory.js";
import { INCOMPAT } from "./features.js";
import { dx_entry, dx_node, dx_root, dx_tail } from "./layout.js";
import { corrupt } from "./place.js";
import type { Superblock } from "./superblock.js";

/** A node of a directory's index. Its entries are read where they lie: a lookup needs ten of five hundred. */
export interface DxNode {
  readonly view: DataView;
  /** Where the entries begin, in bytes from the start of the block. */
  readonly entriesAt: number;
  readonly count: number;
  readonly limit: number;
}

export interface DxRoot extends DxNode {
  readonly hashVersion: number;
  /** Levels of inner nodes between the root and the leaves. */
  readonly levels: number;
}

/** Inner levels that the kernel goes down: one, or two under large_dir. */
const maxLevels = (sb: Superblock): number => ((sb.incompat & INCOMPAT.large_dir) !== 0 ? 2 : 1);

/**
 * Checks and decodes the root of an index: the first block of its directory, at byte `at` of the device.
 *
 * @throws ImageError `corrupt`.
 */
export function decodeDxRoot(sb: Superblock, data: Uint8Array, at: number): DxRoot {
  const view = viewOf(data);
  const bad = (field: keyof typeof dx_root.$fields, value: number) =>
    corrupt(dx_root, field, at, `directory index: ${field} is ${value}`);
  const zero = dx_root.reserved_zero(view, 0);
  if (zero !== 0) throw bad("reserved_zero", zero);
  const infoLength = dx_root.info_length(view, 0);
  if (infoLength !== 8) throw bad("info_length", infoLength);
  const flags = dx_root.unused_flags(view, 0);
  if (flags & 1) throw bad("unused_flags", flags);
  const levels = dx_root.indirect_levels(view, 0);
  if (levels > maxLevels(sb)) throw bad("indirect_levels", levels);
  const entriesAt = dx_root.$fields.limit.offset;
  const [limit, count] = [dx_root.limit(view, 0), dx_root.count(view, 0)];
  if (limit !== wantedLimit(sb, data.length, entriesAt)) throw bad("limit", limit);
  if (count < 1 || count > limit) throw bad("count", count);
  return { view, entriesAt, count, limit, levels, hashVersion: dx_root.hash_version(view, 0) };
}

/**
 * Checks and decodes an inner node.
 *
 * @throws ImageError `corrupt`.
 */
export function decodeDxNode(sb: Superblock, data: Uint8Array, at: number): DxNode {
  const view = viewOf(data);
  const bad = (field: keyof typeof dx_node.$fields, value: number) =>
    corrupt(dx_node, field, at, `directory index: ${field} is ${value}`);
  const ino = dx_node.inode(view, 0);
  if (ino !== 0) throw bad("inode", ino);
  const length = dx_node.rec_len(view, 0);
  if (recordLength(length, data.length) !== data.length) throw bad("rec_len", length);
  const entriesAt = dx_node.$fields.limit.offset;
  const [limit, count] = [dx_node.limit(view, 0), dx_node.count(view, 0)];
  if (limit !== wantedLimit(sb, data.length, entriesAt)) throw bad("limit", limit);
  if (count < 1 || count > limit) throw bad("count", count);
  return { view, entriesAt, count, limit };
}

/** How many entries fit, room for the checksum left where there is one: the kernel accepts no other limit. */
function wantedLimit(sb: Superblock, blockSize: number, entriesAt: number): number {
  const room = blockSize - entriesAt - (sb.csumSeed === undefined ? 0 : dx_tail.$size);
  return Math.floor(room / dx_entry.$size);
}

/** Lowest hash below entry `index`; its lowest bit says that the entry before holds names of the same hash. */
export function dxHash(node: DxNode, index: number): number {
  // The first entry's hash is implied: limit and count lie in its place.
  return index === 0 ? 0 : dx_entry.hash(node.view, node.entriesAt + index * dx_entry.$size);
}

/** Block of the directory below entry `index`; the top four bits are reserved. */
export function dxBlock(node: DxNode, index: number): number {
  return dx_entry.block(node.view, node.entriesAt + index * dx_entry.$size) & 0x0fff_ffff;
}

/** The entry below which a hash lies: the last that is not above it. */
export function dxFind(node: DxNode, hash: number): number {
  let low = 1;
  let high = node.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (dxHash(node, middle) > hash) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

/** Whether the hashes ascend and no block is named twice. Not needed to find a name, but to say that there is none. */
export function isOrderly(node: DxNode): boolean {
  const blocks = new Set<number>([dxBlock(node, 0)]);
  for (let at = 1; at < node.count; at += 1) {
    if (dxHash(node, at) < dxHash(node, at - 1)) return false;
    blocks.add(dxBlock(node, at));
  }
  return blocks.size === node.count;
}

import { viewOf } from "@guestprobe/block/struct";
import {
  EXT_INIT_MAX_LEN,
  EXT4_EXT_MAGIC,
  EXT4_MAX_EXTENT_DEPTH,
  ext4_extent as extent,
  ext4_extent_header as header,
  ext4_extent_idx as index,
} from "./layout.js";
import { corrupt, hex } from "./place.js";
import { type Run, RunList } from "./runs.js";
import type { Superblock } from "./superblock.js";

/** A child of an inner node. */
export interface ExtentChild {
  /** First block of the file that it covers. */
  readonly first: number;
  /** Block of the volume that holds it. */
  readonly block: number;
}

/** A node of an extent tree: an inner node has children, a leaf has runs, with gaps where the file has holes. */
export interface ExtentNode {
  /** 0: leaf. */
  readonly depth: number;
  /** Most entries that it may hold: the checksum lies after that many. */
  readonly max: number;
  readonly children: readonly ExtentChild[];
  readonly runs: readonly Run[];
}

/** What a node's parent says about it. */
export interface ExpectedNode {
  readonly depth: number;
  /** The node's entries lie in this part of the file: blocks from `first` to before `end`. */
  readonly first: number;
  readonly end: number;
}

/** Blocks of a file that extents can number. */
export const EXTENT_FILE_BLOCKS = 2 ** 32;

/**
 * Checks and decodes a node. That the entries of a child lie within the range its parent gives it is also what ends
 * every cycle: a node cannot be reached again by another way without breaking it.
 *
 * @param data The node: `i_block` of an inode or a whole block.
 * @param at Where it lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeExtentNode(
  sb: Superblock,
  data: Uint8Array,
  at: number,
  expected: ExpectedNode | undefined,
): ExtentNode {
  const view = viewOf(data);
  const magic = header.eh_magic(view, 0);
  if (magic !== EXT4_EXT_MAGIC) {
    throw corrupt(header, "eh_magic", at, `extent tree: magic is ${hex(magic)}, expected ${hex(EXT4_EXT_MAGIC)}`);
  }
  const depth = header.eh_depth(view, 0);
  if (expected === undefined ? depth > EXT4_MAX_EXTENT_DEPTH : depth !== expected.depth) {
    const wanted = expected === undefined ? `at most ${EXT4_MAX_EXTENT_DEPTH}` : `${expected.depth}`;
    throw corrupt(header, "eh_depth", at, `extent tree: depth is ${depth}, expected ${wanted}`);
  }
  const max = header.eh_max(view, 0);
  const room = Math.floor((data.length - header.$size) / extent.$size);
  if (max < 1 || max > room) {
    throw corrupt(header, "eh_max", at, `extent tree: room for ${max} entries, expected 1 to ${room}`);
  }
  const count = header.eh_entries(view, 0);
  if (count > max || (count === 0 && depth > 0)) {
    throw corrupt(header, "eh_entries", at, `extent tree: ${count} entries in a node of depth ${depth} for ${max}`);
  }
  const range = expected ?? { first: 0, end: EXTENT_FILE_BLOCKS };
  return depth === 0
    ? { depth, max, children: [], runs: decodeLeaf(sb, view, at, count, range.first, range.end) }
    : { depth, max, children: decodeIndex(sb, view, at, count, range.first, range.end), runs: [] };
}

function decodeLeaf(sb: Superblock, view: DataView, at: number, count: number, low: number, end: number): Run[] {
  const list = new RunList();
  let next = low;
  for (let n = 0; n < count; n += 1) {
    const base = header.$size + n * extent.$size;
    const first = extent.ee_block(view, base);
    const rawLength = extent.ee_len(view, base);
    const unwritten = rawLength > EXT_INIT_MAX_LEN;
    const length = unwritten ? rawLength - EXT_INIT_MAX_LEN : rawLength;
    const physical = extent.ee_start_hi(view, base) * 2 ** 32 + extent.ee_start_lo(view, base);
    if (first < next || first >= end) {
      throw corrupt(extent, "ee_block", at + base, `extent at file block ${first}, expected ${next} to ${end - 1}`);
    }
    if (length === 0 || first + length > end) {
      throw corrupt(extent, "ee_len", at + base, `extent of ${length} blocks at file block ${first}, before ${end}`);
    }
    if (physical <= sb.firstDataBlock || physical + length > sb.blocksCount) {
      const where = `${length} blocks from block ${physical}`;
      throw corrupt(extent, "ee_start_lo", at + base, `extent of ${where}, in a volume of ${sb.blocksCount}`);
    }
    list.add(first, length, physical, unwritten);
    next = first + length;
  }
  return list.runs;
}

function decodeIndex(
  sb: Superblock,
  view: DataView,
  at: number,
  count: number,
  low: number,
  end: number,
): ExtentChild[] {
  const children: ExtentChild[] = [];
  let next = low;
  for (let n = 0; n < count; n += 1) {
    const base = header.$size + n * index.$size;
    const first = index.ei_block(view, base);
    const block = index.ei_leaf_hi(view, base) * 2 ** 32 + index.ei_leaf_lo(view, base);
    if (first < next || first >= end) {
      throw corrupt(index, "ei_block", at + base, `index at file block ${first}, expected ${next} to ${end - 1}`);
    }
    if (block <= sb.firstDataBlock || block >= sb.blocksCount) {
      throw corrupt(index, "ei_leaf_lo", at + base, `node in block ${block}, in a volume of ${sb.blocksCount}`);
    }
    children.push({ first, block });
    next = first + 1;
  }
  return children;
}

/** The runs of a leaf from file block `from` to before `end`, holes included. */
export function fillHoles(runs: readonly Run[], from: number, end: number): Run[] {
  const list = new RunList();
  let at = from;
  for (let n = firstEndingAfter(runs, from); n < runs.length && at < end; n += 1) {
    const run = runs[n]!;
    if (run.first >= end) break;
    list.add(at, run.first - at, undefined);
    const skipped = Math.max(0, from - run.first);
    const first = run.first + skipped;
    const count = Math.min(run.count - skipped, end - first);
    list.add(first, count, run.physical! + skipped, run.unwritten);
    at = first + count;
  }
  list.add(at, end - at, undefined);
  return list.runs;
}

function firstEndingAfter(runs: readonly Run[], block: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const run = runs[middle]!;
    if (run.first + run.count <= block) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The child that covers file block `block`: the last that begins at or before it. -1: before the first. */
export function childFor(children: readonly ExtentChild[], block: number): number {
  let low = 0;
  let high = children.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (children[middle]!.first <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

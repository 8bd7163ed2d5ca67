import { crc32cRaw, ImageError, LruCache } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { blockPath, decodePointer, decodePointers } from "./block-map.js";
import { compareChecksums } from "./checksum.js";
import {
  childFor,
  decodeExtentNode,
  EXTENT_FILE_BLOCKS,
  type ExpectedNode,
  type ExtentNode,
  fillHoles,
} from "./extent-tree.js";
import type { DecodedInode } from "./inode.js";
import { EXT4_EXTENTS_FL, ext4_extent, ext4_extent_header, ext4_extent_tail, ext4_inode } from "./layout.js";
import { corrupt, FORMAT, placeOf } from "./place.js";
import type { Run } from "./runs.js";
import type { Volume } from "./volume.js";

/** Nodes and indirect blocks that one file keeps decoded: at 4 KiB, the way to some 20,000 extents. */
const KEPT_NODES = 64;

/** Where the blocks of one file lie. */
export interface FileMap {
  /**
   * Runs from file block `from` on, without a gap, up to `end` at most: as many as one node of the map tells, and at
   * least one block.
   *
   * @throws ImageError `corrupt`, `bad-checksum`, `past-end`, `io`, `aborted`.
   */
  runs(from: number, end: number, signal: AbortSignal | undefined): Promise<readonly Run[]>;
  /** All of them up to `end` if the map lies in its inode whole, as that of most files does; undefined for others. */
  runsNow(from: number, end: number): readonly Run[] | undefined;
}

/** The map of an inode whose content lies in blocks. */
export function fileMap(volume: Volume, inode: DecodedInode): FileMap {
  return (inode.flags & EXT4_EXTENTS_FL) !== 0 ? new ExtentMap(volume, inode) : new BlockMap(volume, inode);
}

const blockField = (inode: DecodedInode): number => inode.offset + ext4_inode.$fields.i_block.offset;

class ExtentMap implements FileMap {
  readonly #volume: Volume;
  readonly #inode: DecodedInode;
  /** Made with the first node: most files have none outside their inode. */
  #nodes: LruCache<number, { readonly expected: ExpectedNode; readonly node: ExtentNode }> | undefined;
  #root: ExtentNode | undefined;

  constructor(volume: Volume, inode: DecodedInode) {
    this.#volume = volume;
    this.#inode = inode;
  }

  runsNow(from: number, end: number): readonly Run[] | undefined {
    const root = this.#rootNode();
    return root.depth > 0 ? undefined : fillHoles(root.runs, from, end);
  }

  #rootNode(): ExtentNode {
    this.#root ??= decodeExtentNode(this.#volume.sb, this.#inode.block, blockField(this.#inode), undefined);
    return this.#root;
  }

  async runs(from: number, end: number, signal: AbortSignal | undefined): Promise<readonly Run[]> {
    let node = this.#rootNode();
    let limit = Math.max(end, EXTENT_FILE_BLOCKS);
    while (node.depth > 0) {
      const at = childFor(node.children, from);
      const next = node.children[at + 1]?.first ?? limit;
      const child = node.children[at];
      if (child === undefined) return fillHoles([], from, Math.min(end, next));
      limit = next;
      const expected = { depth: node.depth - 1, first: child.first, end: Math.min(next, EXTENT_FILE_BLOCKS) };
      node = this.#kept(child.block, expected) ?? (await this.#read(child.block, expected, signal));
    }
    return fillHoles(node.runs, from, Math.min(end, limit));
  }

  #kept(block: number, expected: ExpectedNode): ExtentNode | undefined {
    const kept = this.#nodes?.get(block);
    if (kept === undefined) return undefined;
    const isSame =
      kept.expected.depth === expected.depth &&
      kept.expected.first === expected.first &&
      kept.expected.end === expected.end;
    return isSame ? kept.node : undefined;
  }

  async #read(block: number, expected: ExpectedNode, signal: AbortSignal | undefined): Promise<ExtentNode> {
    const volume = this.#volume;
    const data = await volume.readBlock(block, signal);
    const at = block * volume.sb.blockSize;
    const node = decodeExtentNode(volume.sb, data, at, expected);
    const { seed, ino } = this.#inode;
    if (seed !== undefined && volume.checksums !== "ignore") {
      const tail = ext4_extent_header.$size + node.max * ext4_extent.$size;
      if (tail + ext4_extent_tail.$size <= data.length) {
        const stored = ext4_extent_tail.et_checksum(viewOf(data), tail);
        const computed = crc32cRaw(data.subarray(0, tail), seed);
        const place = placeOf(ext4_extent_tail, "et_checksum", at + tail);
        compareChecksums(volume, stored, computed, `extent tree of inode ${ino}`, place);
      }
    }
    this.#nodes ??= new LruCache(KEPT_NODES);
    this.#nodes.set(block, { expected, node });
    return node;
  }
}

/** Pointers to blocks of the file itself in `i_block`, before those to blocks of pointers. */
const DIRECT_BLOCKS = 12;

class BlockMap implements FileMap {
  readonly #volume: Volume;
  readonly #inode: DecodedInode;
  readonly #blocks = new LruCache<number, Uint8Array>(KEPT_NODES);

  constructor(volume: Volume, inode: DecodedInode) {
    this.#volume = volume;
    this.#inode = inode;
  }

  runsNow(from: number, end: number): readonly Run[] | undefined {
    return end > DIRECT_BLOCKS ? undefined : this.#direct(from, end);
  }

  #direct(from: number, end: number): Run[] {
    return decodePointers(this.#volume.sb, this.#inode.block, blockField(this.#inode), from, end - from, from);
  }

  async runs(from: number, end: number, signal: AbortSignal | undefined): Promise<readonly Run[]> {
    const { sb } = this.#volume;
    const inodeAt = blockField(this.#inode);
    const path = blockPath(sb.blockSize, from);
    if (path === undefined) return fillHoles([], from, end);
    if (path.levels === 0) return this.#direct(from, Math.min(end, DIRECT_BLOCKS));
    let { base, span } = path;
    let pointer = decodePointer(sb, this.#inode.block, inodeAt, path.slot);
    let holeEnd = base + span;
    const way: number[] = [];
    for (let level = path.levels; ; level -= 1) {
      if (pointer === undefined) return fillHoles([], from, Math.min(end, holeEnd));
      if (way.includes(pointer)) {
        throw new ImageError("corrupt", `inode ${this.#inode.ino}: indirect block ${pointer} leads to itself`, {
          format: FORMAT,
          structure: "block map",
          offset: pointer * sb.blockSize,
        });
      }
      way.push(pointer);
      const data = this.#blocks.get(pointer) ?? (await this.#read(pointer, signal));
      const at = pointer * sb.blockSize;
      span /= sb.blockSize / 4;
      const index = Math.floor((from - base) / span);
      if (level === 1) {
        return decodePointers(sb, data, at, index, Math.min(end - from, sb.blockSize / 4 - index), from);
      }
      base += index * span;
      pointer = decodePointer(sb, data, at, index);
      // A hole goes on as far as the pointers beside it are zero too: one step over a terabyte of nothing.
      holeEnd = base + span * zeroPointers(data, index);
    }
  }

  async #read(block: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    // A copy: a view would keep a whole page of some cache in memory for it.
    const data = (await this.#volume.readBlock(block, signal)).slice();
    this.#blocks.set(block, data);
    return data;
  }
}

/** How many pointers from `index` on are zero; at least one is taken to be. */
function zeroPointers(data: Uint8Array, index: number): number {
  const view = viewOf(data);
  let next = index + 1;
  while (next * 4 < data.length && view.getUint32(next * 4, true) === 0) next += 1;
  return next - index;
}

/**
 * All runs of a file up to block `end`. Each step takes one node of the map or one hole between two, and a sound map
 * has each of its nodes once: one that leads to the same blocks again and again ends here.
 *
 * @throws ImageError as `FileMap.runs`, and `corrupt` for such a map.
 */
export async function* allRuns(
  volume: Volume,
  inode: DecodedInode,
  map: FileMap,
  end: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Run[]> {
  const most = 3 * Math.ceil(volume.device.size / volume.sb.blockSize) + 64;
  let steps = 0;
  for (let block = 0; block < end; steps += 1) {
    if (steps > most) {
      const reason = `inode ${inode.ino}: the map of its blocks has more nodes than the device has blocks`;
      throw corrupt(ext4_inode, "i_block", inode.offset, reason);
    }
    const runs = await map.runs(block, end, signal);
    const last = runs[runs.length - 1]!;
    block = last.first + last.count;
    yield runs;
  }
}

import {
  type FindingKind,
  finding,
  ImageError,
  isImageError,
  LruCache,
  type Report,
  throwIfAborted,
} from "@guestprobe/block";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import { type Checksum, checksumMatches } from "./checksum.js";
import type { Piece } from "./chunk.js";
import { BTRFS_BAD_BLOCK, BTRFS_BAD_COPY } from "./findings.js";
import { formatKey, type Key } from "./key.js";
import { btrfs_header, CSUM_SIZE, INODE_ITEM_KEY } from "./layout.js";
import {
  childPointer,
  compareNodeKey,
  countInodes,
  decodeNode,
  floorSlot,
  type Item,
  isOwner,
  isSubvolumeId,
  leafItem,
  lowerBound,
  type Node,
  type NodeExpectation,
  nodeKey,
  slotOf,
} from "./node.js";
import { corrupt } from "./place.js";
import { placeOf } from "./super-copies.js";
import type { TreeRoot } from "./superblock.js";
import type { Volume } from "./volume.js";

export interface TreeReaderOptions {
  readonly volume: Volume;
  readonly checksum: Checksum;
  readonly policy: ChecksumPolicy;
  readonly nodesize: number;
  readonly sectorsize: number;
  /** What node headers may carry as fsid. */
  readonly fsids: readonly Uint8Array[];
  /** Bytes of nodes that are kept. */
  readonly cacheBudget: number;
  readonly report: Report | undefined;
}

/** Consecutive items of one leaf. */
export interface LeafRange {
  readonly leaf: Node;
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

/** The leaf that would hold a key, and the last slot there that is not above it; -1 if there is none. */
interface Place {
  readonly leaf: Node;
  readonly slot: number;
}

/** Leaves that are kept when their inodes have all been looked up: where content lies is asked some hundred files later. */
const KEPT_SPENT = 16;

/** Reads and searches trees. Nodes are checked once, when they come from the device, and kept. */
export class TreeReader {
  readonly #options: TreeReaderOptions;
  readonly #cache: LruCache<number, Node>;
  /** Where something was last found: a walk looks up neighbours, one after the other. */
  #last: { readonly root: number; readonly leaf: Node; slot: number } | undefined;
  /** Leaves whose inodes have all been looked up, by their logical addresses; the oldest first. */
  readonly #spent: number[] = [];
  /** Logical addresses whose damage was told. */
  readonly #told = new Set<number>();

  constructor(options: TreeReaderOptions) {
    this.#options = options;
    this.#cache = new LruCache(options.cacheBudget);
  }

  /** The item of exactly this key. */
  async find(root: TreeRoot, key: Key, signal: AbortSignal | undefined): Promise<Item | undefined> {
    return this.#findInLast(root, key) ?? this.#exactly(root, key, await this.#descend(root, key, signal));
  }

  /** The same, if all that it takes is in memory or can be had at once; undefined otherwise. */
  findNow(root: TreeRoot, key: Key): Item | undefined {
    const item = this.#findInLast(root, key) ?? this.#exactly(root, key, this.#descendNow(root, key));
    if (item !== undefined && key.type === INODE_ITEM_KEY) this.#countAsked(item.leaf);
    return item;
  }

  /**
   * A walk looks up each inode once, and goes on: memory of a leaf that is given up young is used again by what is read next,
   * and new memory takes the system several times as long as reading.
   */
  #countAsked(leaf: Node): void {
    leaf.unasked -= 1;
    if (leaf.unasked !== 0) return;
    this.#spent.push(leaf.logical);
    if (this.#spent.length > KEPT_SPENT) this.#cache.delete(this.#spent.shift()!);
  }

  /** In the leaf in which the last item was found. */
  #findInLast(root: TreeRoot, key: Key): Item | undefined {
    const last = this.#last;
    if (last?.root !== root.logical) return undefined;
    const slot = slotOf(last.leaf, key, last.slot);
    if (slot === undefined) return undefined;
    last.slot = slot;
    return leafItem(last.leaf, slot);
  }

  /** The item there, if it has this key. */
  #exactly(root: TreeRoot, key: Key, place: Place | undefined): Item | undefined {
    if (place === undefined || place.slot < 0 || compareNodeKey(place.leaf, place.slot, key) !== 0) return undefined;
    const { leaf, slot } = place;
    this.#last = { root: root.logical, leaf, slot };
    return leafItem(leaf, slot);
  }

  /** The item with the greatest key that is not above `key`. */
  async floor(root: TreeRoot, key: Key, signal: AbortSignal | undefined): Promise<Item | undefined> {
    const { leaf, slot } = await this.#descend(root, key, signal);
    return slot >= 0 ? leafItem(leaf, slot) : undefined;
  }

  /** The same, if all that it takes is in memory or can be had at once; undefined otherwise. */
  floorNow(root: TreeRoot, key: Key): Item | undefined {
    const place = this.#descendNow(root, key);
    return place !== undefined && place.slot >= 0 ? leafItem(place.leaf, place.slot) : undefined;
  }

  async #descend(root: TreeRoot, key: Key, signal: AbortSignal | undefined): Promise<Place> {
    let expected = rootExpectation(root);
    let node = await this.#node(expected, signal);
    while (node.level > 0) {
      expected = childExpectation(node, Math.max(0, floorSlot(node, key)), expected);
      node = await this.#node(expected, signal);
    }
    return { leaf: node, slot: floorSlot(node, key) };
  }

  /** As `#descend`, through nodes that are in memory or can be had at once; undefined where one is not. */
  #descendNow(root: TreeRoot, key: Key): Place | undefined {
    let expected = rootExpectation(root);
    for (;;) {
      const node = this.#nodeNow(expected);
      if (node === undefined) return undefined;
      const slot = floorSlot(node, key);
      if (node.level === 0) return { leaf: node, slot };
      expected = childExpectation(node, Math.max(0, slot), expected);
    }
  }

  /**
   * The items from `from` to `to`, both included, a leaf at a time.
   *
   * @throws ImageError of the first node that cannot be read, after the items before it were given.
   */
  range(root: TreeRoot, from: Key, to: Key, signal: AbortSignal | undefined): AsyncGenerator<LeafRange> {
    return this.#range(root, from, to, (expected) => this.#node(expected, signal));
  }

  /** The same for a walk, which does not come back: where the device answers at once, past the pages that it keeps. */
  passedRange(root: TreeRoot, from: Key, to: Key, signal: AbortSignal | undefined): AsyncGenerator<LeafRange> {
    return this.#range(root, from, to, async (expected) => {
      throwIfAborted(signal);
      return this.#nodeNow(expected) ?? this.#node(expected, signal);
    });
  }

  async *#range(
    root: TreeRoot,
    from: Key,
    to: Key,
    read: (expected: NodeExpectation) => Promise<Node>,
  ): AsyncGenerator<LeafRange> {
    const path: { node: Node; slot: number; expected: NodeExpectation }[] = [];
    let expected = rootExpectation(root);
    for (;;) {
      let node = await read(expected);
      while (node.level > 0) {
        const slot = Math.max(0, floorSlot(node, from));
        path.push({ node, slot, expected });
        expected = childExpectation(node, slot, expected);
        node = await read(expected);
      }
      const first = lowerBound(node, from);
      const end = floorSlot(node, to) + 1;
      if (first < end) yield { leaf: node, first, end };
      if (end < node.count) return;
      // On to the next leaf: up to where there is a child to the right, whose first key tells whether to go on.
      let top = path.pop();
      while (top !== undefined && top.slot + 1 >= top.node.count) top = path.pop();
      if (top === undefined || compareNodeKey(top.node, top.slot + 1, to) > 0) return;
      const slot = top.slot + 1;
      path.push({ node: top.node, slot, expected: top.expected });
      expected = childExpectation(top.node, slot, top.expected);
    }
  }

  async #node(expected: NodeExpectation, signal: AbortSignal | undefined): Promise<Node> {
    const known = this.#cache.get(expected.logical);
    if (known !== undefined && isAsExpected(known, expected)) return known;
    const node = await this.#load(expected, signal);
    this.#cache.set(expected.logical, node, node.bytes.length);
    return node;
  }

  /** A node whose first copy can be had at once, and is sound; what is wrong with one is told by who reads it. */
  #nodeNow(expected: NodeExpectation): Node | undefined {
    const known = this.#cache.get(expected.logical);
    if (known !== undefined && isAsExpected(known, expected)) return known;
    const { volume, nodesize, sectorsize, fsids } = this.#options;
    try {
      const found = volume.nodeNow(expected.logical, nodesize);
      if (found === undefined) return undefined;
      const origin = found.from.device === 0 ? found.from.physical : undefined;
      if (this.#checkSum(found.data, expected.logical, origin) !== undefined) return undefined;
      const node = decodeNode(found.data, expected, fsids, sectorsize, origin);
      node.unasked = countInodes(node);
      this.#cache.set(expected.logical, node, nodesize);
      return node;
    } catch (error) {
      if (!isImageError(error)) throw error;
      return undefined;
    }
  }

  /** Reads a node from the first copy that is sound. */
  async #load(expected: NodeExpectation, signal: AbortSignal | undefined): Promise<Node> {
    const { volume, nodesize, sectorsize, fsids, policy } = this.#options;
    const pieces = [...volume.pieces(expected.logical, nodesize)];
    // Counted only once the first one failed.
    let ways: number | undefined;
    const hasWay = (way: number): boolean => {
      if (way === 0) return true;
      ways ??= Math.max(...pieces.map((piece) => volume.ways(piece)));
      return way < ways;
    };
    /** Why the first copy was not taken. */
    let reason: ImageError | undefined;
    /** Why nothing was. */
    let failure: ImageError | undefined;
    /** Fails its checksum and nothing else: better than nothing, where the policy allows. */
    let doubtful: Node | undefined;
    for (let way = 0; hasWay(way); way += 1) {
      try {
        const { data, origin } = await this.#read(pieces, way, signal);
        const error = this.#checkSum(data, expected.logical, origin);
        reason ??= error;
        if (error !== undefined && policy === "require") throw error;
        const node = decodeNode(data, expected, fsids, sectorsize, origin);
        if (error === undefined) {
          if (reason !== undefined) this.#tell(expected.logical, BTRFS_BAD_COPY, reason);
          return node;
        }
        doubtful ??= node;
      } catch (error) {
        if (!isImageError(error) || error.code === "aborted") throw error;
        reason ??= error;
        failure ??= error;
      }
    }
    if (doubtful === undefined) throw failure!;
    this.#tell(expected.logical, BTRFS_BAD_BLOCK, reason!);
    return doubtful;
  }

  /** One copy of a node, which lies in several pieces only where it crosses a stripe. */
  async #read(
    pieces: readonly Piece[],
    way: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly data: Uint8Array; readonly origin: number | undefined }> {
    const { volume, nodesize } = this.#options;
    const wayOf = (piece: Piece): number => (way === 0 ? 0 : Math.min(way, Math.max(0, volume.ways(piece) - 1)));
    const parts = await Promise.all(pieces.map((piece) => volume.readPiece(piece, wayOf(piece), signal)));
    const first = parts[0]!;
    if (parts.length === 1) {
      return { data: first.data, origin: first.from?.device === 0 ? first.from.physical : undefined };
    }
    const data = new Uint8Array(nodesize);
    for (const [index, part] of parts.entries()) data.set(part.data, pieces[index]!.logical - pieces[0]!.logical);
    return { data, origin: undefined };
  }

  #checkSum(data: Uint8Array, logical: number, origin: number | undefined): ImageError | undefined {
    const { checksum, policy } = this.#options;
    if (policy === "ignore" || checksumMatches(checksum, data, data.subarray(CSUM_SIZE))) return undefined;
    return new ImageError("bad-checksum", `node at logical address ${logical} fails its checksum (${checksum.name})`, {
      format: "btrfs",
      structure: btrfs_header.$name,
      field: "csum",
      offset: origin,
    });
  }

  #tell(logical: number, kind: FindingKind, error: ImageError): void {
    const { report } = this.#options;
    if (report === undefined || this.#told.has(logical)) return;
    if (this.#told.size < MAX_TOLD) this.#told.add(logical);
    report(finding(kind, error.reason, placeOf(error)));
  }
}

/** Damaged nodes that are remembered, so that each is told once; past this many a log has long stopped listening. */
const MAX_TOLD = 10_000;

function rootExpectation(root: TreeRoot): NodeExpectation {
  const { logical, level, generation, tree } = root;
  const owner = isSubvolumeId(BigInt(tree)) ? "subvolume" : BigInt(tree);
  return { logical, level, generation, owner, firstKey: undefined, endKey: undefined };
}

function childExpectation(parent: Node, slot: number, expected: NodeExpectation): NodeExpectation {
  const { logical, generation } = childPointer(parent, slot);
  return {
    logical,
    generation,
    level: parent.level - 1,
    owner: expected.owner,
    firstKey: nodeKey(parent, slot),
    endKey: slot + 1 < parent.count ? nodeKey(parent, slot + 1) : expected.endKey,
  };
}

/** A node that is kept was checked against one parent; a second one, in a damaged tree, may say something else. */
function isAsExpected(node: Node, expected: NodeExpectation): boolean {
  const { firstKey, endKey } = expected;
  return (
    node.level === expected.level &&
    (expected.generation === undefined || node.generation === expected.generation) &&
    isOwner(node.owner, expected.owner) &&
    (firstKey === undefined || (node.count > 0 && compareNodeKey(node, 0, firstKey) === 0)) &&
    (endKey === undefined || node.count === 0 || compareNodeKey(node, node.count - 1, endKey) < 0)
  );
}

/** The error for a tree that lacks an item which must be there. */
export function missingItem(root: TreeRoot, key: Key): ImageError {
  return corrupt(`tree ${root.tree} has no item ${formatKey(key)}`, { structure: "btrfs_item" });
}

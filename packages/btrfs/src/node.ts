import { equalBytes, formatUuid } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { compareKeyAt, compareKeysAt, formatKey, KEY_TYPE, type Key, readKey } from "./key.js";
import {
  btrfs_header,
  btrfs_item,
  btrfs_key_ptr,
  FIRST_FREE_OBJECTID,
  FS_TREE_OBJECTID,
  INODE_ITEM_KEY,
} from "./layout.js";
import { corrupt, decodeAt } from "./place.js";

const HEADER = btrfs_header.$size;
const ITEM = btrfs_item.$size;
const POINTER = btrfs_key_ptr.$size;

/** What a parent says about a node; what it does not say is undefined. */
export interface NodeExpectation {
  /** Logical address. */
  readonly logical: number;
  readonly level: number;
  readonly generation: number | undefined;
  /** The tree that the header must name; in a subvolume it may be any subvolume, for snapshots share nodes. */
  readonly owner: bigint | "subvolume";
  readonly firstKey: Key | undefined;
  /** All keys are below this one. */
  readonly endKey: Key | undefined;
}

/** A node of a tree that was checked: items and keys are within bounds and in order. */
export interface Node {
  readonly logical: number;
  readonly level: number;
  readonly generation: number;
  readonly owner: bigint;
  /** Items of a leaf, children of an inner node. */
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes from the start of the device that the volume was opened on, if it was read from there. */
  readonly origin: number | undefined;
  /** Inodes in it that nobody has looked up yet, where that is counted. */
  unasked: number;
}

/** Where the key of item or child `slot` lies in the node. */
const keyAt = (node: Node, slot: number): number => HEADER + slot * (node.level === 0 ? ITEM : POINTER);

export function nodeKey(node: Node, slot: number): Key {
  return readKey(node.view, keyAt(node, slot));
}

/** Negative, zero or positive, as the key of `slot` comes before, at or after `key`. */
export function compareNodeKey(node: Node, slot: number, key: Key): number {
  return compareKeyAt(node.view, keyAt(node, slot), key);
}

/** How many items of a leaf are inodes. */
export function countInodes({ view, count, level }: Node): number {
  if (level > 0) return 0;
  let found = 0;
  for (let slot = 0, at = HEADER; slot < count; slot += 1, at += ITEM) {
    if (view.getUint8(at + KEY_TYPE) === INODE_ITEM_KEY) found += 1;
  }
  return found;
}

/** The first slot whose key is not below `key`; `count` if there is none. */
export function lowerBound(node: Node, key: Key): number {
  let low = 0;
  let high = node.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNodeKey(node, middle, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Slots that `slotOf` looks at before it halves: an inode, its names and its extents lie before the next inode. */
const NEAR = 4;

/** The slot of exactly this key; undefined if there is none. Found soonest a few slots after `near`. */
export function slotOf(node: Node, key: Key, near: number): number | undefined {
  const end = Math.min(near + 1 + NEAR, node.count);
  for (let slot = near + 1; slot < end; slot += 1) {
    const order = compareNodeKey(node, slot, key);
    if (order === 0) return slot;
    if (order > 0) break;
  }
  const slot = lowerBound(node, key);
  return slot < node.count && compareNodeKey(node, slot, key) === 0 ? slot : undefined;
}

/** The last slot whose key is not above `key`; -1 if there is none. */
export function floorSlot(node: Node, key: Key): number {
  const slot = lowerBound(node, key);
  return slot < node.count && compareNodeKey(node, slot, key) === 0 ? slot : slot - 1;
}

/** Logical address and generation of a child. */
export function childPointer(node: Node, slot: number): { readonly logical: number; readonly generation: number } {
  const at = keyAt(node, slot);
  return { logical: btrfs_key_ptr.blockptr(node.view, at), generation: btrfs_key_ptr.generation(node.view, at) };
}

/** The data of an item, as bytes of the view of its leaf. */
export interface ItemBytes {
  readonly view: DataView;
  /** The bytes of the view. */
  readonly bytes: Uint8Array;
  /** Byte of them at which it begins. */
  readonly start: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes from the start of the device, if the leaf was read from the one that the volume was opened on. */
  readonly offset: number | undefined;
}

/** An item of a leaf: a key, its data, and where that lies. */
export interface Item extends ItemBytes {
  /** The leaf that it is in. */
  readonly leaf: Node;
  readonly key: Key;
  readonly data: Uint8Array;
  /** Logical address of the data. */
  readonly logical: number;
}

/** Made for each item that a walk looks at: a key and a view of the data only where somebody asks. */
class LeafItem implements Item {
  readonly leaf: Node;
  readonly start: number;
  readonly size: number;
  readonly offset: number | undefined;
  readonly #slot: number;

  constructor(leaf: Node, slot: number) {
    const at = keyAt(leaf, slot);
    this.start = HEADER + btrfs_item.offset(leaf.view, at);
    this.size = btrfs_item.size(leaf.view, at);
    this.offset = leaf.origin === undefined ? undefined : leaf.origin + this.start;
    this.leaf = leaf;
    this.#slot = slot;
  }

  get view(): DataView {
    return this.leaf.view;
  }

  get bytes(): Uint8Array {
    return this.leaf.bytes;
  }

  get key(): Key {
    return nodeKey(this.leaf, this.#slot);
  }

  get data(): Uint8Array {
    return bytesOf(this.leaf.view, this.start, this.size);
  }

  get logical(): number {
    return this.leaf.logical + this.start;
  }
}

export function leafItem(leaf: Node, slot: number): Item {
  return new LeafItem(leaf, slot);
}

/** The item of a leaf with the greatest key that is not above `key`; undefined where another leaf may have a greater one. */
export function floorItem(leaf: Node, key: Key): Item | undefined {
  const slot = floorSlot(leaf, key);
  return slot >= 0 && slot + 1 < leaf.count ? leafItem(leaf, slot) : undefined;
}

/** `size` bytes from byte `start` of a view. */
export function bytesOf(view: DataView, start: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, size);
}

/**
 * Checks a node against what its parent says of it, and everything within it that later code relies on.
 *
 * @param data The whole node.
 * @param fsids What its header may carry as fsid.
 * @param origin Where it lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeNode(
  data: Uint8Array,
  expected: NodeExpectation,
  fsids: readonly Uint8Array[],
  sectorsize: number,
  origin: number | undefined,
): Node {
  const view = viewOf(data);
  const wrong = (field: string, at: number, reason: string, structure = btrfs_header.$name) =>
    corrupt(`node at logical address ${expected.logical}: ${reason}`, {
      structure,
      field,
      offset: origin === undefined ? undefined : origin + at,
    });
  const header = (field: keyof typeof btrfs_header.$fields, reason: string) =>
    wrong(field, btrfs_header.$fields[field].offset, reason);
  const [bytenr, generation] = decodeAt(origin, () => [btrfs_header.bytenr(view, 0), btrfs_header.generation(view, 0)]);
  const level = btrfs_header.level(view, 0);
  const owner = btrfs_header.owner(view, 0);
  const count = btrfs_header.nritems(view, 0);

  if (bytenr !== expected.logical) throw header("bytenr", `it says it is at ${bytenr}`);
  const fsid = btrfs_header.fsid(view, 0);
  if (!fsids.some((candidate) => equalBytes(candidate, fsid))) {
    throw header("fsid", `it belongs to ${formatUuid(fsid)}, another volume`);
  }
  if (level !== expected.level) throw header("level", `level is ${level}, expected ${expected.level}`);
  if (expected.generation !== undefined && generation !== expected.generation) {
    throw header("generation", `generation is ${generation}, expected ${expected.generation}`);
  }
  if (!isOwner(owner, expected.owner)) {
    throw header("owner", `it belongs to tree ${owner}, expected ${expected.owner}`);
  }
  const most = Math.floor((data.length - HEADER) / (level === 0 ? ITEM : POINTER));
  if (count > most) throw header("nritems", `${count} items, at most ${most} fit`);
  // Only a root may be empty, and only if it is a leaf.
  if (count === 0 && (level > 0 || expected.firstKey !== undefined)) throw header("nritems", "it has no items");

  const node: Node = { logical: bytenr, level, generation, owner, count, bytes: data, view, origin, unasked: 0 };
  const structure = level === 0 ? btrfs_item.$name : btrfs_key_ptr.$name;
  checkKeys(node, expected, (at, reason) => wrong("key", at, reason, structure));
  if (level === 0) checkItems(node, (field, at, reason) => wrong(field, at, reason, structure));
  else checkPointers(node, sectorsize, (field, at, reason) => wrong(field, at, reason, structure));
  return node;
}

/** Whether a tree may have a node whose header names `owner`. */
export function isOwner(owner: bigint, expected: bigint | "subvolume"): boolean {
  return expected === "subvolume" ? isSubvolumeId(owner) : owner === expected;
}

/** The top level, or a subvolume: the ids from 256 to 2^48; above that they are quota groups and internal trees. */
export function isSubvolumeId(id: bigint): boolean {
  return id === TOP_LEVEL || (id >= FIRST_FREE && id < FIRST_QUOTA_GROUP);
}

const TOP_LEVEL = BigInt(FS_TREE_OBJECTID);
const FIRST_FREE = BigInt(FIRST_FREE_OBJECTID);
const FIRST_QUOTA_GROUP = 1n << 48n;

function checkKeys(node: Node, expected: NodeExpectation, wrong: (at: number, reason: string) => Error): void {
  const { view, count } = node;
  const step = keyAt(node, 1) - HEADER;
  for (let slot = 1, at = HEADER + step; slot < count; slot += 1, at += step) {
    if (compareKeysAt(view, at - step, at) < 0) continue;
    const [before, key] = [nodeKey(node, slot - 1), nodeKey(node, slot)];
    throw wrong(at, `key ${formatKey(key)} of slot ${slot} comes after ${formatKey(before)}`);
  }
  if (node.count === 0) return;
  const { firstKey, endKey } = expected;
  if (firstKey !== undefined && compareNodeKey(node, 0, firstKey) !== 0) {
    throw wrong(keyAt(node, 0), `first key is ${formatKey(nodeKey(node, 0))}, its parent says ${formatKey(firstKey)}`);
  }
  if (endKey !== undefined && compareNodeKey(node, node.count - 1, endKey) >= 0) {
    const last = formatKey(nodeKey(node, node.count - 1));
    throw wrong(keyAt(node, node.count - 1), `last key ${last} is not below ${formatKey(endKey)} of the next node`);
  }
}

type Wrong = (field: string, at: number, reason: string) => Error;

/** Item data fills the leaf from its end towards the item headers, without a gap. */
function checkItems(leaf: Node, wrong: Wrong): void {
  let end = leaf.bytes.length - HEADER;
  for (let slot = 0; slot < leaf.count; slot += 1) {
    const at = keyAt(leaf, slot);
    const offset = btrfs_item.offset(leaf.view, at);
    const size = btrfs_item.size(leaf.view, at);
    if (offset + size !== end) {
      throw wrong(
        "offset",
        at + btrfs_item.$fields.offset.offset,
        `data of slot ${slot} ends at ${offset + size}, expected ${end}`,
      );
    }
    if (offset < leaf.count * ITEM) {
      throw wrong("size", at + btrfs_item.$fields.size.offset, `data of slot ${slot} overlaps the item headers`);
    }
    end = offset;
  }
}

function checkPointers(node: Node, sectorsize: number, wrong: Wrong): void {
  for (let slot = 0; slot < node.count; slot += 1) {
    const at = keyAt(node, slot);
    const { logical } = decodeAt(node.origin === undefined ? undefined : node.origin + at, () =>
      childPointer(node, slot),
    );
    if (logical === 0 || logical % sectorsize !== 0) {
      throw wrong(
        "blockptr",
        at + btrfs_key_ptr.$fields.blockptr.offset,
        `child of slot ${slot} is at logical address ${logical}`,
      );
    }
  }
}

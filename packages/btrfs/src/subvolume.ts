import { encodeText, equalBytes, formatUuid, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { joinPath } from "@guestprobe/vfs";
import { decodeDirItems, nameHash } from "./dir-item.js";
import { MAX_OFFSET, makeKey, objectidOf, offsetOf } from "./key.js";
import {
  btrfs_inode_ref,
  DIR_ITEM_KEY,
  FIRST_FREE_OBJECTID,
  FS_TREE_OBJECTID,
  INODE_REF_KEY,
  ROOT_BACKREF_KEY,
  ROOT_ITEM_KEY,
  ROOT_REF_KEY,
} from "./layout.js";
import { isSubvolumeId, leafItem } from "./node.js";
import { corrupt } from "./place.js";
import { decodeRootItem, decodeRootRef, type RootItem, type RootRef } from "./root-item.js";
import type { Superblock, TreeRoot } from "./superblock.js";
import type { TreeReader } from "./tree.js";

/** A subvolume or snapshot. */
export interface Subvolume {
  readonly id: number;
  /** Of the subvolume that it hangs in; undefined for the top level and for what hangs nowhere. */
  readonly parent: number | undefined;
  /** From the top level, "/" in front; undefined for what no path leads to. */
  readonly path: Uint8Array | undefined;
  /** Transaction that last changed it. */
  readonly generation: number;
  readonly readOnly: boolean;
  readonly uuid: string | undefined;
  /** UUID of the subvolume that it is a snapshot of. */
  readonly parentUuid: string | undefined;
  readonly receivedUuid: string | undefined;
  /** Nanoseconds since 1970 UTC. */
  readonly createdNs: bigint | undefined;
  /** Whether Linux mounts it when no subvolume is named. */
  readonly isDefault: boolean;
}

const DEFAULT_NAME = encodeText("default");
/** Directories on the way up from where a subvolume hangs; the kernel's longest path holds no more. */
const MAX_DEPTH = 2048;

/** The root tree: which trees there are, and how subvolumes hang together. */
export class Subvolumes {
  readonly #superblock: Superblock;
  readonly #trees: TreeReader;
  readonly #rootTree: TreeRoot;
  readonly #known = new Map<number, RootItem>();

  constructor(superblock: Superblock, trees: TreeReader, rootTree: TreeRoot) {
    this.#superblock = superblock;
    this.#trees = trees;
    this.#rootTree = rootTree;
  }

  /** The root item of a tree; undefined if there is none. */
  async find(id: number, signal: AbortSignal | undefined): Promise<RootItem | undefined> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    // A snapshot's key has the transaction that made it as offset; the last one is the tree.
    const item = await this.#trees.floor(this.#rootTree, makeKey(id, ROOT_ITEM_KEY, MAX_OFFSET), signal);
    if (item === undefined || item.key.type !== ROOT_ITEM_KEY || !isObject(item.key, id)) return undefined;
    const root = decodeRootItem(item.data, id, this.#superblock.sectorsize, item.offset);
    this.#known.set(id, root);
    return root;
  }

  /** @throws ImageError `corrupt` if there is no such tree. */
  async tree(id: number, signal: AbortSignal | undefined): Promise<RootItem> {
    const root = await this.find(id, signal);
    if (root === undefined) throw corrupt(`the root tree has no tree ${id}`, { structure: "btrfs_root_item" });
    return root;
  }

  /** The id of the subvolume that Linux mounts when none is named. */
  async defaultId(signal: AbortSignal | undefined): Promise<number> {
    const key = makeKey(this.#superblock.rootDirObjectid, DIR_ITEM_KEY, nameHash(DEFAULT_NAME));
    const item = await this.#trees.find(this.#rootTree, key, signal);
    if (item === undefined) return FS_TREE_OBJECTID;
    const entry = decodeDirItems(item, "name").find(({ name }) => equalBytes(name, DEFAULT_NAME));
    return entry === undefined ? FS_TREE_OBJECTID : objectidOf(entry.location);
  }

  /** Where `child` hangs in `parent`, as the parent has it; undefined where it does not. */
  async reference(parent: number, child: number, signal: AbortSignal | undefined): Promise<RootRef | undefined> {
    const item = await this.#trees.find(this.#rootTree, makeKey(parent, ROOT_REF_KEY, child), signal);
    return item === undefined ? undefined : decodeRootRef(item.data, item.offset);
  }

  /** All subvolumes that are not being deleted, by id; the top level, 5, first. */
  async list(signal: AbortSignal | undefined): Promise<readonly Subvolume[]> {
    const roots = new Map<number, RootItem>();
    const hangs = new Map<number, { readonly parent: number; readonly ref: RootRef }>();
    const last = makeKey((1n << 48n) - 1n, ROOT_BACKREF_KEY, MAX_OFFSET);
    for await (const { leaf, first, end } of this.#trees.range(
      this.#rootTree,
      makeKey(FS_TREE_OBJECTID, ROOT_ITEM_KEY),
      last,
      signal,
    )) {
      for (let slot = first; slot < end; slot += 1) {
        const { key, data, offset } = leafItem(leaf, slot);
        if (key.type !== ROOT_ITEM_KEY && key.type !== ROOT_BACKREF_KEY) continue;
        const id = objectidOf(key);
        if (!isSubvolumeId(BigInt(id))) continue;
        if (key.type === ROOT_ITEM_KEY) roots.set(id, decodeRootItem(data, id, this.#superblock.sectorsize, offset));
        else hangs.set(id, { parent: offsetOf(key), ref: decodeRootRef(data, offset) });
      }
    }
    const defaultId = await this.defaultId(signal);
    const paths = new Map<number, readonly Uint8Array[] | undefined>([[FS_TREE_OBJECTID, []]]);
    const pathOf = async (id: number): Promise<readonly Uint8Array[] | undefined> => {
      // Up to an ancestor whose path is known, then down again. An id that is met twice is a loop, without a path.
      const climb: number[] = [];
      for (let at: number | undefined = id; at !== undefined && !paths.has(at); at = hangs.get(at)?.parent) {
        paths.set(at, undefined);
        climb.push(at);
      }
      for (const at of climb.reverse()) {
        const hang = hangs.get(at);
        const above = hang === undefined ? undefined : paths.get(hang.parent);
        const parent = hang === undefined ? undefined : roots.get(hang.parent);
        if (hang === undefined || above === undefined || parent === undefined) continue;
        const names = await this.#directoryNames(parent, hang.ref.dirid, signal);
        if (names !== undefined) paths.set(at, [...above, ...names, hang.ref.name]);
      }
      return paths.get(id);
    };
    const list: Subvolume[] = [];
    for (const [id, root] of roots) {
      if (root.refs === 0) continue;
      const names = await pathOf(id);
      list.push({
        id,
        parent: hangs.get(id)?.parent,
        path: names && joinPath(names),
        generation: root.root.generation ?? 0,
        readOnly: root.readOnly,
        uuid: root.uuid && formatUuid(root.uuid),
        parentUuid: root.parentUuid && formatUuid(root.parentUuid),
        receivedUuid: root.receivedUuid && formatUuid(root.receivedUuid),
        createdNs: root.createdNs,
        isDefault: id === defaultId,
      });
    }
    return list.sort((a, b) => a.id - b.id);
  }

  /** The names from the root directory of a subvolume down to directory `dirid`; undefined if it is not below it. */
  async #directoryNames(
    { root, dirid: top }: RootItem,
    dirid: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly Uint8Array[] | undefined> {
    const names: Uint8Array[] = [];
    for (let at = dirid; at !== top; ) {
      if (names.length >= MAX_DEPTH) return undefined;
      const item = await this.#trees.floor(root, makeKey(at, INODE_REF_KEY, MAX_OFFSET), signal);
      if (item === undefined || item.key.type !== INODE_REF_KEY || !isObject(item.key, at)) return undefined;
      const start = btrfs_inode_ref.$size;
      if (item.data.length < start) return undefined;
      const length = btrfs_inode_ref.name_len(viewOf(item.data), 0);
      if (length === 0 || start + length > item.data.length) return undefined;
      names.push(item.data.subarray(start, start + length));
      at = offsetOf(item.key);
    }
    return names.reverse();
  }

  /**
   * The root item of a subvolume that a caller asks for by its id.
   *
   * @throws ImageError `not-found`.
   */
  async open(id: number, signal: AbortSignal | undefined): Promise<RootItem> {
    const isPossible = id === FS_TREE_OBJECTID || id >= FIRST_FREE_OBJECTID;
    const root = isPossible ? await this.find(id, signal) : undefined;
    if (root === undefined || root.refs === 0) {
      throw new ImageError("not-found", `there is no subvolume ${id}`, { format: "btrfs" });
    }
    return root;
  }
}

const isObject = (key: { readonly objectHi: number; readonly objectLo: number }, id: number): boolean =>
  key.objectHi === Math.floor(id / 0x1_0000_0000) && key.objectLo === id % 0x1_0000_0000;

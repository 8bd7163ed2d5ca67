import { equalBytes, ImageError, throwIfAborted } from "@guestprobe/block";
import {
  clampRead,
  type Dirent,
  type Extent,
  type Inode,
  isContentRange,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import type { Context } from "./context.js";
import { decodeDirItems, type NamedDirent, nameHash, pushDirents } from "./dir-item.js";
import { deviceExtents, type FileContent, fileExtents, readContent, readContentNow } from "./file-data.js";
import { decodeInodeItem, type InodeItem } from "./inode-item.js";
import { type Key, MAX_OFFSET, makeKey, objectidOf } from "./key.js";
import { DIR_INDEX_KEY, DIR_ITEM_KEY, INODE_ITEM_KEY, ROOT_ITEM_KEY, XATTR_ITEM_KEY } from "./layout.js";
import { type Item, leafItem, type Node } from "./node.js";
import { corrupt } from "./place.js";
import { SubvolumePlaceholder } from "./placeholder.js";
import type { RootItem } from "./root-item.js";
import { missingItem } from "./tree.js";

/** The kernel's PATH_MAX: a longer target cannot have been stored. */
const MAX_TARGET = 4096;

/** Extents given at a time: stripes split one into as many as a damaged item claims, which are not held at once. */
const EXTENT_BATCH = 256;

/** Reads inode `ino` of a subvolume; undefined if there is none. */
export async function readInode(
  context: Context,
  subvolume: RootItem,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<Inode | undefined> {
  throwIfAborted(signal);
  const item = await context.trees.find(subvolume.root, makeKey(ino, INODE_ITEM_KEY), signal);
  if (item === undefined) return undefined;
  return new BtrfsInode(context, subvolume, item, ino);
}

/** The inode that a tree says is there. @throws ImageError `corrupt` if it is not. */
export async function requireInode(
  context: Context,
  subvolume: RootItem,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<Inode> {
  const inode = await readInode(context, subvolume, ino, signal);
  if (inode === undefined) throw missingItem(subvolume.root, makeKey(ino, INODE_ITEM_KEY));
  return inode;
}

class BtrfsInode implements Inode {
  readonly offset: number | undefined;
  readonly #leaf: Node;
  readonly #item: InodeItem;
  readonly #context: Context;
  readonly #subvolume: RootItem;
  #isCopied = false;

  /** @throws ImageError `corrupt`. */
  constructor(context: Context, subvolume: RootItem, item: Item, ino: number) {
    this.offset = item.offset;
    this.#leaf = item.leaf;
    this.#item = decodeInodeItem(item, ino);
    this.#context = context;
    this.#subvolume = subvolume;
  }

  get stat(): Stat {
    return this.#item;
  }

  get subvolume(): number {
    return this.#subvolume.id;
  }

  get flags(): readonly string[] {
    return this.#item.flagNames;
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    this.#requireDirectory();
    throwIfAborted(signal);
    const { ino } = this.stat;
    const [from, to] = [makeKey(ino, DIR_INDEX_KEY), makeKey(ino, DIR_INDEX_KEY, MAX_OFFSET)];
    for await (const { leaf, first, end } of this.#context.trees.passedRange(this.#subvolume.root, from, to, signal)) {
      throwIfAborted(signal);
      const batch: NamedDirent[] = [];
      let failure: unknown;
      for (let slot = first; slot < end && failure === undefined; slot += 1) {
        try {
          pushDirents(leafItem(leaf, slot), batch);
        } catch (error) {
          failure = error;
        }
      }
      if (batch.length > 0) yield batch;
      if (failure !== undefined) throw failure;
    }
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<Inode | undefined> {
    this.#requireDirectory();
    throwIfAborted(signal);
    const key = makeKey(this.stat.ino, DIR_ITEM_KEY, nameHash(name));
    const item = await this.#context.trees.find(this.#subvolume.root, key, signal);
    if (item === undefined) return undefined;
    const found = decodeDirItems(item, "name").find((entry) => equalBytes(entry.name, name));
    return found && this.#follow(found.location, name, signal);
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<Inode> {
    this.#requireDirectory();
    const location = (entry.ref as Key | undefined) ?? makeKey(entry.ino, INODE_ITEM_KEY);
    return this.#follow(location, entry.name, signal);
  }

  childNow(entry: Dirent): Inode | undefined {
    this.#requireDirectory();
    if (entry.ref !== undefined) return undefined;
    const item = this.#context.trees.findNow(this.#subvolume.root, makeKey(entry.ino, INODE_ITEM_KEY));
    if (item === undefined) return undefined;
    return new BtrfsInode(this.#context, this.#subvolume, item, entry.ino);
  }

  /** The inode that a directory entry leads to: in this subvolume, or the root of another one. */
  async #follow(location: Key, name: Uint8Array, signal: AbortSignal | undefined): Promise<Inode> {
    const id = objectidOf(location);
    if (location.type === INODE_ITEM_KEY) return requireInode(this.#context, this.#subvolume, id, signal);
    if (location.type !== ROOT_ITEM_KEY) {
      throw corrupt(`a name in directory ${this.stat.ino} leads to an item of type ${location.type}`, {
        structure: "btrfs_dir_item",
        field: "location",
        offset: this.offset,
      });
    }
    const { subvolumes } = this.#context;
    const reference = await subvolumes.reference(this.subvolume, id, signal);
    const isThere = reference?.dirid === this.stat.ino && equalBytes(reference.name, name);
    const rootOf = async (stop: AbortSignal | undefined): Promise<Inode | undefined> => {
      const child = await subvolumes.find(id, stop);
      if (child === undefined || child.refs === 0) return undefined;
      return requireInode(this.#context, child, child.dirid, stop);
    };
    const root = isThere ? await rootOf(signal) : undefined;
    return root ?? new SubvolumePlaceholder(this.stat, id, rootOf);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    const { type, size, ino } = this.stat;
    if (type !== "symlink") throw this.#error("not-a-symlink", `inode ${ino} is not a symbolic link`);
    if (size > MAX_TARGET) throw corrupt(`symbolic link ${ino} has ${size} bytes`, { offset: this.offset });
    throwIfAborted(signal);
    return size === 0 ? new Uint8Array(0) : readContent(this.#context, this.#content, 0, size, signal);
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    const { type, size, ino } = this.stat;
    if (type === "dir") throw this.#error("is-a-directory", `inode ${ino} is a directory`);
    if (type !== "file") throw this.#error("invalid-argument", `inode ${ino} is a ${type}, without content to read`);
    const count = clampRead(size, offset, length);
    throwIfAborted(signal);
    if (count === 0) return new Uint8Array(0);
    const content = this.#content;
    const bytes = await readContent(this.#context, content, offset, count, signal, into);
    this.#isCopied = !content.isEncoded && this.#context.volume.blocks;
    return bytes;
  }

  get isCopied(): boolean {
    return this.#isCopied;
  }

  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    if (!isContentRange(this.stat, offset, length)) return undefined;
    const { root } = this.#subvolume;
    return readContentNow(this.#context, root, this.#leaf, this.#item.ino, offset, length, into);
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    const { type, size } = this.stat;
    throwIfAborted(signal);
    if ((type !== "file" && type !== "symlink") || size === 0) return;
    for await (const batch of fileExtents(this.#context, this.#content, 0, size, signal)) {
      throwIfAborted(signal);
      let parts: Extent[] = [];
      for (const extent of batch) {
        for (const part of deviceExtents(this.#context.volume, extent, size)) {
          parts.push(part);
          if (parts.length < EXTENT_BATCH) continue;
          yield parts;
          parts = [];
        }
      }
      if (parts.length > 0) yield parts;
    }
  }

  async xattrs(signal?: AbortSignal): Promise<readonly Xattr[]> {
    throwIfAborted(signal);
    const { ino } = this.stat;
    const [from, to] = [makeKey(ino, XATTR_ITEM_KEY), makeKey(ino, XATTR_ITEM_KEY, MAX_OFFSET)];
    const all: Xattr[] = [];
    for await (const { leaf, first, end } of this.#context.trees.range(this.#subvolume.root, from, to, signal)) {
      for (let slot = first; slot < end; slot += 1) {
        for (const { name, value } of decodeDirItems(leafItem(leaf, slot), "xattr")) all.push({ name, value });
      }
    }
    return all;
  }

  get #content(): FileContent {
    const { ino, size, noDataSum } = this.#item;
    return { root: this.#subvolume.root, ino, size, noDataSum, isEncoded: false };
  }

  #requireDirectory(): void {
    if (this.stat.type !== "dir") throw this.#error("not-a-directory", `inode ${this.stat.ino} is not a directory`);
  }

  #error(
    code: "not-a-directory" | "is-a-directory" | "not-a-symlink" | "invalid-argument",
    reason: string,
  ): ImageError {
    return new ImageError(code, reason, { format: "btrfs", offset: this.offset });
  }
}

import { isImageError, throwIfAborted } from "@guestprobe/block";
import type { Dirent, Inode } from "./types.js";

/**
 * Listings of the directories that were looked into last, for formats that have no index of their own: a further lookup
 * costs a map's. Holds names up to a budget, and always those of one directory.
 */
export class ListingCache<K, V> {
  readonly #budget: number;
  readonly #namesIn: (listing: V) => number;
  readonly #kept = new Map<K, V>();
  #total = 0;

  constructor(budget: number, namesIn: (listing: V) => number) {
    this.#budget = budget;
    this.#namesIn = namesIn;
  }

  /** The listing of a directory, made by `list` unless it is kept. */
  async get(directory: K, list: () => Promise<V>): Promise<V> {
    const known = this.#kept.get(directory);
    if (known !== undefined) return known;
    const listing = await list();
    this.#drop(directory);
    for (const oldest of this.#kept.keys()) {
      if (this.#total + this.#namesIn(listing) <= this.#budget) break;
      this.#drop(oldest);
    }
    this.#kept.set(directory, listing);
    this.#total += this.#namesIn(listing);
    return listing;
  }

  #drop(directory: K): void {
    const listing = this.#kept.get(directory);
    if (listing === undefined) return;
    this.#kept.delete(directory);
    this.#total -= this.#namesIn(listing);
  }
}

/** Finds entries by inode number where nothing on the disk leads from one to the other: all directories are listed once. */
export class InodeIndex<T> {
  readonly #root: Inode;
  readonly #placeOf: (dirent: Dirent) => T;
  #places: Promise<ReadonlyMap<number, T>> | undefined;

  /** @param placeOf What to keep of an entry, so that its inode can be read again. */
  constructor(root: Inode, placeOf: (dirent: Dirent) => T) {
    this.#root = root;
    this.#placeOf = placeOf;
  }

  /** What was kept of the first entry with that number; undefined where there is none. */
  async find(ino: number, signal: AbortSignal | undefined): Promise<T | undefined> {
    this.#places ??= this.#list(signal).catch((error: unknown) => {
      this.#places = undefined;
      throw error;
    });
    return (await this.#places).get(ino);
  }

  async #list(signal: AbortSignal | undefined): Promise<ReadonlyMap<number, T>> {
    const places = new Map<number, T>();
    for (const open = [this.#root]; open.length > 0; ) {
      throwIfAborted(signal);
      const directory = open.pop()!;
      // What cannot be listed has no inodes that could be found.
      await unlessDamaged(async () => {
        for await (const batch of directory.entries(signal)) {
          for (const dirent of batch) {
            const isNew = !places.has(dirent.ino);
            if (isNew) places.set(dirent.ino, this.#placeOf(dirent));
            if (!isNew || (dirent.type !== "dir" && dirent.type !== undefined)) continue;
            await unlessDamaged(async () => {
              const inode = await directory.child(dirent, signal);
              if (inode.stat.type === "dir") open.push(inode);
            });
          }
        }
      });
    }
    return places;
  }
}

async function unlessDamaged(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
  }
}

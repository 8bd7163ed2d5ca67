import { ImageError, throwIfAborted } from "@guestprobe/block";
import { type Dirent, type Extent, type Inode, plainStat, type Stat, type Xattr } from "@guestprobe/vfs";
import { EMPTY_SUBVOL_DIR_OBJECTID } from "./layout.js";

/**
 * What Linux shows where a snapshot has the name of a subvolume that lay inside its source: an empty directory. The
 * name was copied, the subvolume was not.
 */
export class SubvolumePlaceholder implements Inode {
  readonly stat: Stat;
  readonly subvolume: number;
  readonly offset = undefined;
  readonly flags: readonly string[] = [];

  readonly #find: (signal: AbortSignal | undefined) => Promise<Inode | undefined>;

  /**
   * @param parent The directory that it lies in, whose owner and times the kernel shows.
   * @param find Reads the root directory of the subvolume, if there is one.
   */
  constructor(parent: Stat, subvolume: number, find: (signal: AbortSignal | undefined) => Promise<Inode | undefined>) {
    this.#find = find;
    this.subvolume = subvolume;
    this.stat = { ...plainStat(parent), mode: 0o755, size: 0, nlink: 1, ino: EMPTY_SUBVOL_DIR_OBJECTID };
  }

  standsFor(signal?: AbortSignal): Promise<Inode | undefined> {
    return this.#find(signal);
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    yield* [];
  }

  async lookup(_name: Uint8Array, signal?: AbortSignal): Promise<Inode | undefined> {
    throwIfAborted(signal);
    return undefined;
  }

  async child(): Promise<Inode> {
    throw this.#error("not-found", "the place of a subvolume is empty in a snapshot");
  }

  async readLink(): Promise<Uint8Array> {
    throw this.#error("not-a-symlink", "a directory is not a symbolic link");
  }

  async read(): Promise<Uint8Array> {
    throw this.#error("is-a-directory", "a directory has no content");
  }

  async *extents(): AsyncGenerator<readonly Extent[]> {
    yield* [];
  }

  async xattrs(): Promise<readonly Xattr[]> {
    return [];
  }

  #error(code: "not-found" | "is-a-directory" | "not-a-symlink", reason: string): ImageError {
    return new ImageError(code, reason, { format: "btrfs" });
  }
}

import { isImageError, throwIfAborted } from "@guestprobe/block";
import type { FatEntry } from "./directory.js";
import { type FatInode, openEntryAt, ROOT_INO } from "./fat-inode.js";
import { failure } from "./place.js";
import type { Volume } from "./volume.js";

/** Finds inodes by number. Nothing on the disk leads from one to its entry, so all directories are listed once. */
export class InodeIndex {
  readonly #volume: Volume;
  readonly #root: FatInode;
  /** Where the entry of each number lies. */
  #offsets: Promise<ReadonlyMap<number, number>> | undefined;

  constructor(volume: Volume, root: FatInode) {
    this.#volume = volume;
    this.#root = root;
  }

  /** @throws ImageError `not-found`. */
  async find(ino: number, signal: AbortSignal | undefined): Promise<FatInode> {
    if (ino === ROOT_INO) return this.#root;
    this.#offsets ??= this.#list(signal).catch((error: unknown) => {
      this.#offsets = undefined;
      throw error;
    });
    const offset = (await this.#offsets).get(ino);
    if (offset === undefined) throw failure("not-found", `no entry of a directory has the number ${ino}`);
    return openEntryAt(this.#volume, offset, signal);
  }

  async #list(signal: AbortSignal | undefined): Promise<ReadonlyMap<number, number>> {
    const offsets = new Map<number, number>();
    for (const open = [this.#root]; open.length > 0; ) {
      throwIfAborted(signal);
      const directory = open.pop()!;
      // What cannot be listed has no inodes that could be found.
      await unlessDamaged(async () => {
        for await (const batch of directory.entries(signal)) {
          for (const dirent of batch) {
            const isNew = !offsets.has(dirent.ino);
            if (isNew) offsets.set(dirent.ino, (dirent.ref as FatEntry).offset);
            if (!isNew || dirent.type !== "dir") continue;
            await unlessDamaged(async () => void open.push(await directory.child(dirent, signal)));
          }
        }
      });
    }
    return offsets;
  }
}

async function unlessDamaged(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
  }
}

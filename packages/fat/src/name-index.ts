import { type ImageError, isImageError } from "@guestprobe/block";
import { ListingCache } from "@guestprobe/vfs";
import { DirectoryDecoder } from "./directory.js";
import { nameKey } from "./names.js";
import type { Directory, Volume } from "./volume.js";

/** Names kept over all directories: a lookup costs a map's, not a listing. */
const KEPT_NAMES = 131_072;

/** Where the entry of each name lies, by `nameKey`. */
interface Names {
  readonly offsets: ReadonlyMap<string, number>;
  /** What ended the listing before its time. */
  readonly error: ImageError | undefined;
}

/** The names of the directories that were looked into last. */
export class NameIndex {
  readonly #volume: Volume;
  readonly #kept = new ListingCache<Directory, Names>(KEPT_NAMES, ({ offsets }) => offsets.size);

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /**
   * Where the entry of a name lies; undefined where there is none. A short name finds its file too.
   *
   * @throws ImageError what ended the listing, when the name was not found before that.
   */
  async find(directory: Directory, name: Uint8Array, signal: AbortSignal | undefined): Promise<number | undefined> {
    const key = nameKey(name);
    if (key === undefined) return undefined;
    const { offsets, error } = await this.#of(directory, signal);
    const offset = offsets.get(key);
    if (offset === undefined && error !== undefined) throw error;
    return offset;
  }

  #of(directory: Directory, signal: AbortSignal | undefined): Promise<Names> {
    return this.#kept.get(directory, () => this.#list(directory, signal));
  }

  async #list(directory: Directory, signal: AbortSignal | undefined): Promise<Names> {
    const offsets = new Map<string, number>();
    const decoder = new DirectoryDecoder(() => {});
    let { error } = directory;
    try {
      for await (const { data, offset } of this.#volume.pieces(directory.runs, signal)) {
        for (const entry of decoder.push(data, offset)) {
          // The first entry that a name fits is the one that is found.
          for (const name of [entry.short, entry.name]) {
            const key = nameKey(name);
            if (key !== undefined && !offsets.has(key)) offsets.set(key, entry.offset);
          }
        }
      }
    } catch (cause) {
      if (!isImageError(cause) || cause.code === "aborted") throw cause;
      error ??= cause;
    }
    return { offsets, error };
  }
}

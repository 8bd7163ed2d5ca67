import { type ImageError, isImageError } from "@guestprobe/block";
import { isUsableName, ListingCache } from "@guestprobe/vfs";
import { byteKey, jolietKey } from "./names.js";
import { type DirectoryRecord, hasMore, isAssociated, isDirectoryRecord } from "./record.js";
import type { IsoRecord, Telling, Volume } from "./volume.js";

/** Names kept over all directories. */
const KEPT_NAMES = 131_072;

/** A file as its directory tells it: one record, or several where it has several parts. */
export interface IsoEntry {
  readonly name: Uint8Array;
  /** Whether the name is the standard's own, neither Rock Ridge's nor Joliet's: GRUB disregards its case. */
  readonly isPlainName: boolean;
  /** The record that everything but name and further parts is taken from. */
  readonly first: IsoRecord;
  readonly parts: readonly DirectoryRecord[];
}

interface Names {
  /** Where the records of each file lie. */
  readonly offsets: ReadonlyMap<string, readonly number[]>;
  readonly error: ImageError | undefined;
}

/** A file has no more parts: 400 TiB. Linux follows a hundred. */
const MAX_PARTS = 100_000;

/**
 * The files of a directory. Relocated directories are left out where they were moved to, as are associated files.
 *
 * @param telling Where what is odd is reported.
 */
export async function* listEntries(
  volume: Volume,
  start: number,
  size: number,
  telling: Telling | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly IsoEntry[]> {
  const tells = telling !== undefined;
  let parts: DirectoryRecord[] = [];
  for await (const records of volume.records(start, size, telling, signal)) {
    const batch: IsoEntry[] = [];
    for (const record of records) {
      if (isDirectoryRecord(record)) telling?.directories.add(record.extent);
      if (isAssociated(record)) continue;
      parts.push(record);
      if (hasMore(record) && parts.length < MAX_PARTS) continue;
      const first = await volume.rockOf(parts[0]!, tells, signal);
      // The name is that of the last part, as for Linux.
      const last = parts.length === 1 ? first : await volume.rockOf(record, tells, signal);
      if (last.rock?.isRelocated !== true) {
        const isPlainName = volume.scheme !== "joliet" && last.rock?.name === undefined;
        batch.push({ name: volume.nameOf(last), isPlainName, first, parts });
      }
      parts = [];
    }
    if (batch.length > 0) yield batch;
  }
}

/** Finds names in directories, which have no order that helps. */
export class NameIndex {
  readonly #volume: Volume;
  readonly #kept = new ListingCache<string, Names>(KEPT_NAMES, ({ offsets }) => offsets.size);

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /**
   * Where the records of a name lie.
   *
   * @throws ImageError what ended the listing, when the name was not found before that.
   */
  async find(
    start: number,
    size: number,
    name: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<readonly number[] | undefined> {
    if (!isUsableName(name)) return undefined;
    const { offsets, error } = await this.#kept.get(`${start}:${size}`, () => this.#list(start, size, signal));
    const found = offsets.get(this.#keyOf(name));
    if (found === undefined && error !== undefined) throw error;
    return found;
  }

  /** Joliet's names are found in any case; all others byte by byte. */
  #keyOf(name: Uint8Array): string {
    return this.#volume.scheme === "joliet" ? jolietKey(name) : byteKey(name);
  }

  async #list(start: number, size: number, signal: AbortSignal | undefined): Promise<Names> {
    const offsets = new Map<string, readonly number[]>();
    try {
      for await (const batch of listEntries(this.#volume, start, size, undefined, signal)) {
        for (const { name, parts } of batch) {
          const key = this.#keyOf(name);
          if (!offsets.has(key))
            offsets.set(
              key,
              parts.map(({ offset }) => offset),
            );
        }
      }
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      return { offsets, error };
    }
    return { offsets, error: undefined };
  }
}

import { compareBytes } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { StoredDirent } from "@guestprobe/vfs";
import { fileTypeOf } from "./inode.js";
import {
  SQUASHFS_DIR_COUNT,
  SQUASHFS_NAME_LEN,
  squashfs_dir_entry,
  squashfs_dir_header,
  squashfs_dir_index,
} from "./layout.js";
import { corrupt, failure } from "./place.js";
import type { MetadataPosition } from "./superblock.js";

/** A directory entry; `ref` is the place of its inode. */
export type SquashDirent = StoredDirent<MetadataPosition>;

/**
 * Decodes a listing that comes in pieces cut anywhere: runs of up to 256 entries behind a header that they share. Feed
 * it the listing's bytes in order, and say when they end.
 */
export class ListingDecoder {
  readonly #inodeTable: number;
  #tail: Uint8Array = new Uint8Array(0);
  /** Entries left in the current run. */
  #left = 0;
  #inodeBlock = 0;
  #inodeNumber = 0;

  /** `inodeTable`: bytes from the start of the device. */
  constructor(inodeTable: number) {
    this.#inodeTable = inodeTable;
  }

  /**
   * The entries that `data` completes.
   *
   * @param offset The metadata block that `data` is from, for errors.
   * @throws ImageError `corrupt`.
   */
  push(data: Uint8Array, offset: number): SquashDirent[] {
    const bytes = this.#tail.length === 0 ? data : concat(this.#tail, data);
    const view = viewOf(bytes);
    const entries: SquashDirent[] = [];
    let at = 0;
    for (;;) {
      if (this.#left === 0) {
        if (bytes.length - at < squashfs_dir_header.$size) break;
        this.#startRun(view, at, offset);
        at += squashfs_dir_header.$size;
      }
      if (bytes.length - at < squashfs_dir_entry.$size) break;
      const size = squashfs_dir_entry.size(view, at) + 1;
      if (size > SQUASHFS_NAME_LEN) throw corrupt(squashfs_dir_entry, "size", offset, `name of ${size} bytes`);
      const from = at + squashfs_dir_entry.$size;
      if (bytes.length - from < size) break;
      const type = fileTypeOf(squashfs_dir_entry.type(view, at));
      if (type === undefined) {
        const raw = squashfs_dir_entry.type(view, at);
        throw corrupt(squashfs_dir_entry, "type", offset, `type of an entry is ${raw}, expected 1 to 7`);
      }
      // The sum wraps at 32 bits, as the kernel's does.
      const ino = (this.#inodeNumber + squashfs_dir_entry.inode_number(view, at)) >>> 0;
      const position = { block: this.#inodeBlock, offset: squashfs_dir_entry.offset(view, at) };
      entries.push(new StoredDirent(bytes, from, size, ino, type, position));
      at = from + size;
      this.#left -= 1;
    }
    this.#tail = bytes.slice(at);
    return entries;
  }

  /** @throws ImageError `corrupt` when the listing ends inside a run. */
  end(offset: number): void {
    if (this.#left === 0 && this.#tail.length === 0) return;
    throw corrupt(squashfs_dir_header, "count", offset, `the listing ends inside a run, ${this.#left} entries missing`);
  }

  #startRun(view: DataView, at: number, offset: number): void {
    const count = squashfs_dir_header.count(view, at) + 1;
    if (count > SQUASHFS_DIR_COUNT) {
      const reason = `run of ${count} entries, at most ${SQUASHFS_DIR_COUNT} are allowed`;
      throw corrupt(squashfs_dir_header, "count", offset, reason);
    }
    this.#left = count;
    this.#inodeBlock = this.#inodeTable + squashfs_dir_header.start_block(view, at);
    this.#inodeNumber = squashfs_dir_header.inode_number(view, at);
  }
}

/** One entry of a directory's index: the first name of a run, and where the run's header lies. */
export interface IndexEntry {
  readonly name: Uint8Array;
  /** Byte of the listing. */
  readonly index: number;
  /** Metadata block, in bytes from the start of the directory table. */
  readonly startBlock: number;
}

/**
 * Decodes as many whole index entries as `data` holds.
 *
 * @returns The entries and the bytes that they took.
 * @throws ImageError `corrupt` for a name that is too long.
 */
export function decodeIndex(
  data: Uint8Array,
  count: number,
  offset: number,
): { readonly entries: readonly IndexEntry[]; readonly used: number } {
  const view = viewOf(data);
  const entries: IndexEntry[] = [];
  let at = 0;
  while (entries.length < count && data.length - at >= squashfs_dir_index.$size) {
    const size = squashfs_dir_index.size(view, at) + 1;
    if (size > SQUASHFS_NAME_LEN) throw corrupt(squashfs_dir_index, "size", offset, `name of ${size} bytes`);
    const from = at + squashfs_dir_index.$size;
    if (data.length - from < size) break;
    entries.push({
      name: data.slice(from, from + size),
      index: squashfs_dir_index.index(view, at),
      startBlock: squashfs_dir_index.start_block(view, at),
    });
    at = from + size;
  }
  return { entries, used: at };
}

/**
 * Where to begin looking for `name`: the last index entry that is not after it; undefined for the start of the listing.
 *
 * @throws ImageError `corrupt` for an entry past the listing.
 */
export function startOfSearch(
  index: readonly IndexEntry[],
  name: Uint8Array,
  listingSize: number,
  offset: number,
): IndexEntry | undefined {
  let found: IndexEntry | undefined;
  for (const entry of index) {
    if (compareBytes(entry.name, name) > 0) break;
    found = entry;
  }
  if (found !== undefined && found.index >= listingSize) {
    throw failure("corrupt", `directory index points to byte ${found.index} of a listing of ${listingSize}`, offset);
  }
  return found;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

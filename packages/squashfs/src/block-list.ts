import { viewOf } from "@guestprobe/block/struct";
import { DATA_UNCOMPRESSED, SQUASHFS_METADATA_SIZE, squashfs_reg_inode } from "./layout.js";
import type { Metadata } from "./metadata.js";
import { corrupt } from "./place.js";
import type { MetadataPosition } from "./superblock.js";

/** Blocks of one step through a list: what a metadata block holds. */
export const LIST_CHUNK = SQUASHFS_METADATA_SIZE / 4;

/** A stretch of a file's block list, decoded. */
export interface ListChunk {
  /** Number of the first block. */
  readonly first: number;
  /** Stored size and flag of each block, as on the disk; 0 is a hole. */
  readonly words: Uint32Array;
  /** Where each block lies: bytes from the start of the device. */
  readonly starts: Float64Array;
}

/** Bytes that a block takes on the device. */
export const storedSize = (word: number): number => word % DATA_UNCOMPRESSED;
export const isStoredAsIs = (word: number): boolean => (word & DATA_UNCOMPRESSED) !== 0;

/**
 * The block list of a file. Where a block lies is the sum of the sizes before it, so the list is read from its start, a
 * chunk at a time; where each chunk begins is remembered.
 */
export class BlockList {
  readonly #metadata: Metadata;
  readonly #limit: number;
  readonly #count: number;
  /** By number of the chunk: where it is in the metadata, and where its first block is on the device. */
  readonly #chunks: { readonly position: MetadataPosition; readonly start: number }[];
  #last: ListChunk | undefined;

  /**
   * @param limit End of the inode table: bytes from the start of the device.
   * @param count Blocks of the file.
   * @param start The first block: bytes from the start of the device.
   */
  constructor(metadata: Metadata, limit: number, position: MetadataPosition, count: number, start: number) {
    this.#metadata = metadata;
    this.#limit = limit;
    this.#count = count;
    this.#chunks = [{ position, start }];
    // A metadata block takes three bytes at the least: a longer list than those could hold is a lie about the size.
    const room = Math.ceil((limit - position.block) / 3) * LIST_CHUNK;
    if (count > room) {
      const reason = `the file needs a list of ${count} blocks, the inode table has room for ${room} at most`;
      throw corrupt(squashfs_reg_inode, "file_size", position.block, reason);
    }
  }

  /** The chunk that holds block `n`. */
  async chunk(n: number, signal: AbortSignal | undefined): Promise<ListChunk> {
    const wanted = Math.floor(n / LIST_CHUNK);
    if (this.#last?.first === wanted * LIST_CHUNK) return this.#last;
    for (let known = Math.min(wanted, this.#chunks.length - 1); ; known += 1) {
      const chunk = await this.#load(known, signal);
      if (known === wanted) return chunk;
    }
  }

  async #load(index: number, signal: AbortSignal | undefined): Promise<ListChunk> {
    const { position, start } = this.#chunks[index]!;
    const first = index * LIST_CHUNK;
    const count = Math.min(LIST_CHUNK, this.#count - first);
    const { data, next } = await this.#metadata.read(position, count * 4, this.#limit, signal);
    const view = viewOf(data);
    const words = new Uint32Array(count);
    const starts = new Float64Array(count);
    let at = start;
    for (let i = 0; i < count; i += 1) {
      words[i] = view.getUint32(i * 4, true);
      starts[i] = at;
      at += storedSize(words[i]!);
    }
    if (this.#chunks.length === index + 1) this.#chunks.push({ position: next, start: at });
    this.#last = { first, words, starts };
    return this.#last;
  }
}

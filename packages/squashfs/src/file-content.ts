import { abortable, throwIfAborted } from "@guestprobe/block";
import { type Extent, placeAt } from "@guestprobe/vfs";
import { BlockList, isStoredAsIs, LIST_CHUNK, storedSize } from "./block-list.js";
import type { FilePart } from "./inode.js";
import { squashfs_reg_inode } from "./layout.js";
import { corrupt, failure } from "./place.js";
import type { MetadataPosition } from "./superblock.js";
import type { PackedBlock, Volume } from "./volume.js";

/** Bytes decoded at a time of one large read. */
const WINDOW = 4 << 20;
/** Reads of this many bytes or more have their blocks decoded to where they belong, past the cache. */
const BYPASS = 256 << 10;
/** Files of this many blocks or more are decoded across threads, where there are such. */
const MANY_BLOCKS = 8;

/** The content of a regular file: blocks, each compressed by itself, and a tail in a fragment that files share. */
export class FileContent {
  readonly #volume: Volume;
  readonly #size: number;
  readonly #file: FilePart;
  readonly #list: BlockList;
  /** Blocks of its own; the rest of the file, if any, is in the fragment. */
  readonly #blockCount: number;

  /** `list`: where the block list begins. Throws `corrupt` for a list that cannot be. */
  constructor(volume: Volume, file: FilePart, size: number, list: MetadataPosition) {
    const { blockSize, inodeTable, directoryTable } = volume.sb;
    this.#volume = volume;
    this.#file = file;
    this.#size = size;
    const blocks = size / blockSize;
    this.#blockCount = file.fragment === undefined ? Math.ceil(blocks) : Math.floor(blocks);
    if (list.block < inodeTable) throw failure("corrupt", "block list is outside the inode table", list.block);
    this.#list = new BlockList(volume.metadata, directoryTable, list, this.#blockCount, file.startBlock);
  }

  /** `length` bytes from `offset`; both lie within the file. In `into`, memory of so many bytes, where it is given. */
  async read(
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    const result = into?.subarray(0, length) ?? new Uint8Array(length);
    for (let at = offset; at < offset + length; ) {
      throwIfAborted(signal);
      const end = Math.min(at + WINDOW, offset + length);
      await abortable(this.#window(result, offset, at, end, signal), signal);
      at = end;
    }
    return result;
  }

  /** As `read`, of a file that lies in a fragment whole, if that is the one that was read last; undefined otherwise. */
  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    const { fragment, fragmentOffset } = this.#file;
    const last = this.#blockCount > 0 ? undefined : this.#volume.fragmentNow(fragment);
    if (last === undefined || fragmentOffset + this.#size > last.length || into.length !== length) return undefined;
    into.set(last.subarray(fragmentOffset + offset, fragmentOffset + offset + length));
    return into;
  }

  /** Fills `result`, which begins at byte `origin` of the file, from byte `from` to `to`: all blocks are asked for at once. */
  async #window(
    result: Uint8Array,
    origin: number,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { blockSize, bytesUsed } = this.#volume.sb;
    const own = this.#blockCount * blockSize;
    const pending: Promise<void>[] = [];
    // Blocks that are stored as they are, one behind the other: one read, straight to where it belongs.
    let plain = { at: from, start: bytesUsed, length: 0 };
    const readPlain = (): void => {
      const { at, start, length } = plain;
      const place = result.subarray(at - origin, at - origin + length);
      if (length > 0) {
        const stored = this.#volume.device.read(start, length, signal, place);
        pending.push(stored.then((bytes) => placeAt(place, 0, bytes)));
      }
      plain = { at: from, start: bytesUsed, length: 0 };
    };
    const isBulk = this.#blockCount >= MANY_BLOCKS;
    let packed: { blocks: PackedBlock[]; length: number } = { blocks: [], length: 0 };
    const readPacked = (): void => {
      const { blocks, length } = packed;
      if (blocks.length > 0) pending.push(this.#volume.run(blocks, length, isBulk));
      packed = { blocks: [], length: 0 };
    };
    try {
      for (let n = Math.floor(from / blockSize); n < this.#blockCount && n * blockSize < to; ) {
        const chunk = await this.#list.chunk(n, signal);
        const stop = chunk.first + chunk.words.length;
        for (; n < stop && n * blockSize < to; n += 1) {
          const at = Math.max(from, n * blockSize);
          const end = Math.min(to, n * blockSize + this.#lengthOf(n));
          const word = chunk.words[n - chunk.first]!;
          const start = chunk.starts[n - chunk.first]!;
          const skip = at - n * blockSize;
          if (word === 0) {
            // Memory of the caller's holds something else.
            result.fill(0, at - origin, end - origin);
            continue;
          }
          this.#volume.checkBlock(start, word);
          if (!isStoredAsIs(word)) {
            const exact = this.#lengthOf(n);
            if (end - at === exact && to - from >= BYPASS) {
              const last = packed.blocks[packed.blocks.length - 1];
              if (last !== undefined && start !== last.start + storedSize(last.word)) readPacked();
              packed.blocks.push({ start, word, place: result.subarray(at - origin, end - origin) });
              packed.length += storedSize(word);
              continue;
            }
            const put = (data: Uint8Array): void => result.set(data.subarray(skip, skip + end - at), at - origin);
            pending.push(this.#volume.useBlock(start, word, { exact }, isBulk, put));
            continue;
          }
          if (storedSize(word) !== this.#lengthOf(n)) {
            const reason = `block of ${storedSize(word)} bytes stored as they are, expected ${this.#lengthOf(n)}`;
            throw failure("corrupt", reason, start);
          }
          if (start + skip !== plain.start + plain.length || at !== plain.at + plain.length) {
            readPlain();
            plain = { at, start: start + skip, length: 0 };
          }
          plain.length += end - at;
        }
      }
      readPlain();
      readPacked();
      if (to > own) {
        const at = Math.max(from, own);
        pending.push(this.#tail(at - own, result.subarray(at - origin, to - origin), signal));
      }
    } catch (error) {
      // What was asked for already must not fail unheard.
      for (const promise of pending) promise.catch(() => {});
      throw error;
    }
    await Promise.all(pending);
  }

  /** Bytes of block `n`: less than the block size only in a last block without a fragment. */
  #lengthOf(n: number): number {
    const { blockSize } = this.#volume.sb;
    return Math.min(blockSize, this.#size - n * blockSize);
  }

  /** Fills `place` with the tail's bytes from `from` on. */
  async #tail(from: number, place: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const fragment = await this.#fragment(signal);
    const offset = this.#file.fragmentOffset;
    const needed = offset + (this.#size % this.#volume.sb.blockSize);
    await this.#volume.useFragment(this.#file.fragment!, fragment, (data) => {
      if (needed > data.length) {
        const reason = `the tail ends at byte ${needed} of a fragment block of ${data.length}`;
        throw corrupt(squashfs_reg_inode, "offset", fragment.start, reason);
      }
      place.set(data.subarray(offset + from, offset + from + place.length));
    });
  }

  async #fragment(signal: AbortSignal | undefined) {
    const fragment = await this.#volume.fragment(this.#file.fragment!, signal);
    this.#volume.checkBlock(fragment.start, fragment.size);
    return fragment;
  }

  /** The runs of the file, as many as a stretch of the block list tells at a time. */
  async *extents(signal: AbortSignal | undefined): AsyncGenerator<readonly Extent[]> {
    const { blockSize, compressor } = this.#volume.sb;
    for (let n = 0; n < this.#blockCount; n += LIST_CHUNK) {
      const { first, words, starts } = await this.#list.chunk(n, signal);
      const batch: Extent[] = [];
      words.forEach((word, i) => {
        const logical = (first + i) * blockSize;
        const length = this.#lengthOf(first + i);
        const before = batch[batch.length - 1];
        if (word === 0) {
          if (before?.kind === "hole") batch[batch.length - 1] = { ...before, length: before.length + length };
          else batch.push({ kind: "hole", logical, length, physical: undefined });
        } else if (isStoredAsIs(word)) {
          batch.push({ kind: "data", logical, length, physical: starts[i]! });
        } else {
          const physicalLength = storedSize(word);
          const { encoding } = compressor;
          batch.push({ kind: "encoded", logical, length, physical: starts[i]!, physicalLength, encoding });
        }
      });
      yield batch;
    }
    const logical = this.#blockCount * blockSize;
    if (logical < this.#size) yield [await this.#tailExtent(logical, this.#size - logical, signal)];
  }

  async #tailExtent(logical: number, length: number, signal: AbortSignal | undefined): Promise<Extent> {
    const { start, size } = await this.#fragment(signal);
    if (isStoredAsIs(size)) return { kind: "data", logical, length, physical: start + this.#file.fragmentOffset };
    const { encoding } = this.#volume.sb.compressor;
    return { kind: "encoded", logical, length, physical: start, physicalLength: storedSize(size), encoding };
  }
}

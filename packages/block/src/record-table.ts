import type { BlockDevice } from "./device.js";
import { LruCache } from "./lru.js";
import { ReadAhead } from "./read-ahead.js";
import { viewOf } from "./struct.js";

/** A stretch of a table, as it lies in memory. */
export class RecordBlock {
  /** Where it begins: bytes from the start of the device. */
  readonly at: number;
  /** Where it ends. */
  readonly end: number;
  readonly view: DataView;
  /** The checksums of its records, once somebody has computed them: `crc32cOfRecords` takes them together. */
  sums: Int32Array | undefined = undefined;
  /** Whether all of its records were found to be what they should be, so that nobody need look again. */
  isSound = false;
  /** Records that nobody has asked for yet, of a stretch that the table has read itself. */
  left = 0;

  /** @param at Where `data` lies: bytes from the start of the device. */
  constructor(data: Uint8Array, at: number) {
    this.at = at;
    this.end = at + data.length;
    this.view = viewOf(data);
  }
}

/**
 * Most bytes of a stretch, at multiples of which it begins: a page of `cachedDevice`. What is made once for each would cost
 * more than the records themselves if it were made for blocks of four kilobytes.
 */
const STRETCH = 16 << 10;
/** The same of what a table reads itself: a chunk of XFS's inodes; of ext4, 64 KiB are slower again. */
const LOADED = 32 << 10;

/** Bytes of stretches that a volume keeps unless it is told otherwise: the inodes of 130,000 files, which a large directory of ext4 names in any order. */
const KEPT_BYTES = 32 << 20;

/** What the tables of one volume have read, of a device that answers at once. */
export class RecordCache {
  readonly #ahead: ReadAhead;
  /** Stretches by where they begin. */
  readonly #kept: LruCache<number, RecordBlock>;

  /** @param budget Bytes of stretches that are kept. */
  constructor(device: BlockDevice, budget = KEPT_BYTES) {
    this.#ahead = new ReadAhead(device);
    this.#kept = new LruCache(budget);
  }

  /** A stretch that was read and is kept. */
  get(at: number): RecordBlock | undefined {
    return this.#kept.get(at);
  }

  /** A walk asks for each record once: what all were asked for goes, and memory that goes young is used again by the next. */
  drop(block: RecordBlock): void {
    this.#kept.delete(block.at);
  }

  /** Reads a stretch and keeps it; undefined where the device does not answer at once, or fails. */
  load(at: number, length: number): RecordBlock | undefined {
    const data = this.#ahead.copy(at, length);
    if (data === undefined) return undefined;
    const block = new RecordBlock(data, at);
    this.#kept.set(at, block, length);
    return block;
  }
}

export interface RecordTableOptions {
  /** Bytes of a record. */
  readonly size: number;
  /** Bytes of a block, a power of two; no record lies in two blocks. */
  readonly unit: number;
  /** Where the table begins: bytes from the start of the device. Default 0. */
  readonly start?: number;
  /** Where it ends. Default the end of the device. */
  readonly end?: number;
  /** Whether anybody will ask for the record at byte `base` of `view`: no directory names a free one. */
  readonly isUsed: (view: DataView, base: number) => boolean;
}

/**
 * A table of records, such as inodes. What is known of a stretch of it is kept: a directory names its inodes in any order,
 * and a view and a sum for each takes longer than to decode it.
 *
 * Of a device that answers at once the table reads its stretches itself, past the pages that the device keeps.
 */
export class RecordTable {
  readonly #device: BlockDevice;
  readonly #cache: RecordCache;
  /** Stretches in the device's own memory, by the array that it has them in, which is its to give up. */
  readonly #known = new WeakMap<Uint8Array, RecordBlock>();
  /** Those that do not fill their memory, of which there is a new array each time: by the memory, and where in it. */
  readonly #parts = new WeakMap<ArrayBufferLike, Map<number, RecordBlock>>();
  readonly #size: number;
  readonly #unit: number;
  readonly #stretch: number;
  /** The same of what the table reads itself. */
  readonly #loaded: number;
  readonly #start: number;
  readonly #end: number;
  readonly #isUsed: RecordTableOptions["isUsed"];
  #last: RecordBlock | undefined;

  /** @param cache What all tables of the volume have read of `device`. */
  constructor(device: BlockDevice, cache: RecordCache, options: RecordTableOptions) {
    const { size, unit, start = 0, end = device.size, isUsed } = options;
    this.#device = device;
    this.#cache = cache;
    this.#size = size;
    this.#unit = unit;
    this.#stretch = Math.max(STRETCH, unit);
    this.#loaded = Math.max(LOADED, unit);
    this.#start = start;
    const known = Math.min(end, device.size) - start;
    this.#end = start + known - (known % unit);
    this.#isUsed = isUsed;
  }

  /** A stretch of the table that holds the record at byte `at`; undefined if it is not in memory and cannot be had at once. */
  peek(at: number): RecordBlock | undefined {
    const last = this.#last;
    const block = last !== undefined && last.at <= at && at < last.end ? last : this.#find(at);
    this.#last = block;
    if (block === undefined || block.left === 0) return block;
    block.left -= 1;
    if (block.left === 0) this.#cache.drop(block);
    return block;
  }

  #find(at: number): RecordBlock | undefined {
    const kept = this.#cache.get(this.#startOf(at, this.#loaded));
    if (kept !== undefined && at < kept.end) return kept;
    if (at >= this.#end) return undefined;
    const from = this.#startOf(at, this.#stretch);
    // Blocks, where the pages of the device are of another size, or the volume begins between two of them.
    return (
      this.#ofDevice(from, this.#endOf(at, this.#stretch) - from) ??
      this.#ofDevice(at - ((at - this.#start) % this.#unit), this.#unit) ??
      this.#load(at)
    );
  }

  #load(at: number): RecordBlock | undefined {
    const from = this.#startOf(at, this.#loaded);
    const length = this.#endOf(at, this.#loaded) - from;
    const block = this.#cache.load(from, length);
    if (block === undefined) return undefined;
    for (let base = 0; base + this.#size <= length; base += this.#size) {
      if (this.#isUsed(block.view, base)) block.left += 1;
    }
    return block;
  }

  /** Where the stretch begins that holds byte `at`, of those of `bytes` bytes. */
  #startOf(at: number, bytes: number): number {
    // Not by a remainder, which of what may pass 2^31 takes ten times as long.
    return Math.max(this.#start, Math.floor(at / bytes) * bytes);
  }

  #endOf(at: number, bytes: number): number {
    return Math.min(this.#end, (Math.floor(at / bytes) + 1) * bytes);
  }

  #ofDevice(from: number, length: number): RecordBlock | undefined {
    const data = this.#device.peek?.(from, length);
    if (data === undefined) return undefined;
    if (data.length < data.buffer.byteLength) return this.#part(data, from);
    let block = this.#known.get(data);
    if (block === undefined) {
      block = new RecordBlock(data, from);
      this.#known.set(data, block);
    }
    return block;
  }

  #part(data: Uint8Array, at: number): RecordBlock {
    let blocks = this.#parts.get(data.buffer);
    if (blocks === undefined) {
      blocks = new Map();
      this.#parts.set(data.buffer, blocks);
    }
    let block = blocks.get(data.byteOffset);
    if (block === undefined || block.view.byteLength !== data.length) {
      block = new RecordBlock(data, at);
      blocks.set(data.byteOffset, block);
    }
    return block;
  }
}

import type { BlockDevice } from "./device.js";
import { viewOf } from "./struct.js";

/** A stretch of a table, as it lies in memory. */
export interface RecordBlock {
  /** Where it begins: bytes from the start of the device. */
  readonly at: number;
  /** Where it ends. */
  readonly end: number;
  readonly view: DataView;
  /** The checksums of its records, once somebody has computed them: `crc32cOfRecords` takes them together. */
  sums: Int32Array | undefined;
  /** Whether all of its records were found to be what they should be, so that nobody need look again. */
  isSound: boolean;
}

/**
 * Most bytes of a stretch, at multiples of which it begins: a page of `cachedDevice`. What is made once for each would cost
 * more than the records themselves if it were made for blocks of four kilobytes.
 */
const STRETCH = 16 << 10;

/**
 * A table of records, such as inodes. What is known of a stretch of it is kept for as long as the device holds it in
 * memory: a directory names its inodes in any order, and a view and a sum for each takes longer than to decode it.
 */
export class RecordTable {
  readonly #device: BlockDevice;
  /** By the array that the device has them in, which is its to give up. */
  readonly #known = new WeakMap<Uint8Array, RecordBlock>();
  /** Those that do not fill their memory, of which there is a new array each time: by the memory, and where in it. */
  readonly #parts = new WeakMap<ArrayBufferLike, Map<number, RecordBlock>>();
  readonly #unit: number;
  readonly #stretch: number;
  readonly #start: number;
  readonly #end: number;
  #last: RecordBlock | undefined;

  /**
   * @param unit Bytes of a block, a power of two; no record lies in two blocks.
   * @param start Where the table begins: bytes from the start of the device.
   * @param end Where it ends.
   */
  constructor(device: BlockDevice, unit: number, start = 0, end = device.size) {
    this.#device = device;
    this.#unit = unit;
    this.#stretch = Math.max(STRETCH, unit);
    this.#start = start;
    const known = Math.min(end, device.size) - start;
    this.#end = start + known - (known % unit);
  }

  /** A stretch of the table that holds the record at byte `at`; undefined if it is not in memory now. */
  peek(at: number): RecordBlock | undefined {
    const last = this.#last;
    if (last !== undefined && last.at <= at && at < last.end) return last;
    // Not a remainder, which of what may pass 2^31 takes ten times as long.
    const aligned = Math.floor(at / this.#stretch) * this.#stretch;
    let from = Math.max(this.#start, aligned);
    const end = Math.min(this.#end, aligned + this.#stretch);
    let data = at < end ? this.#device.peek?.(from, end - from) : undefined;
    if (data === undefined) {
      // Pages of another size, or those of a disk on which the volume begins between two of them.
      from = at - ((at - this.#start) % this.#unit);
      data = this.#device.peek?.(from, this.#unit);
    }
    if (data === undefined) return undefined;
    this.#last = this.#known.get(data) ?? this.#find(data, from);
    return this.#last;
  }

  #find(data: Uint8Array, at: number): RecordBlock {
    if (data.length < data.buffer.byteLength) return this.#part(data, at);
    const block = blockOf(data, at);
    this.#known.set(data, block);
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
      block = blockOf(data, at);
      blocks.set(data.byteOffset, block);
    }
    return block;
  }
}

function blockOf(data: Uint8Array, at: number): RecordBlock {
  return { at, end: at + data.length, view: viewOf(data), sums: undefined, isSound: false };
}

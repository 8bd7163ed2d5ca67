import type { BlockDevice } from "./device.js";
import { viewOf } from "./struct.js";

/** A block of a table, as it lies in memory. */
export interface RecordBlock {
  readonly view: DataView;
  /** The checksums of its records, once somebody has computed them: `crc32cOfRecords` takes them together. */
  sums: Int32Array | undefined;
}

/**
 * The blocks of a table of records, such as inodes. What is known of a block is kept for as long as the device holds it in
 * memory: a directory names its inodes in any order, and a view and a sum for each takes longer than to decode it.
 */
export class RecordTable {
  readonly #device: BlockDevice;
  /** By the memory that they lie in, which is the device's to give up, and where in it. */
  readonly #known = new WeakMap<ArrayBufferLike, Map<number, RecordBlock>>();
  #at = -1;
  #last: RecordBlock | undefined;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** The block of `length` bytes from byte `at`, always the same of a block; undefined if it is not in memory now. */
  peek(at: number, length: number): RecordBlock | undefined {
    if (this.#at === at) return this.#last;
    const data = this.#device.peek?.(at, length);
    if (data === undefined) return undefined;
    let blocks = this.#known.get(data.buffer);
    if (blocks === undefined) {
      blocks = new Map();
      this.#known.set(data.buffer, blocks);
    }
    let block = blocks.get(data.byteOffset);
    if (block === undefined) {
      block = { view: viewOf(data), sums: undefined };
      blocks.set(data.byteOffset, block);
    }
    this.#at = at;
    this.#last = block;
    return block;
  }
}

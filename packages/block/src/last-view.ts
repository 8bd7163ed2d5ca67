import type { BlockDevice } from "./device.js";
import { viewOf } from "./struct.js";

/**
 * The block of a table that was looked into last, as a view: names that were made together have their inodes together,
 * and a view for each inode takes longer than to decode it. Holds on to the memory of one block.
 */
export class LastView {
  readonly #device: BlockDevice;
  #at = -1;
  #view: DataView | undefined;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** `length` bytes from byte `at`, always the same of a block; undefined if they are not in memory now. */
  peek(at: number, length: number): DataView | undefined {
    if (this.#at === at) return this.#view;
    const data = this.#device.peek?.(at, length);
    if (data === undefined) return undefined;
    this.#at = at;
    this.#view = viewOf(data);
    return this.#view;
  }
}

import type { BlockDevice } from "./device.js";

/** Bytes of one call for small reads that follow one another. */
const WINDOW = 256 << 10;
/** Most bytes between a read and the next for which both are had by one call: copying them takes less than a call. */
const GAP = 64 << 10;
/** Reads in a row, each a little after the one before, from which on more is read than was asked for. */
const ROW = 3;
/** Reads of this many bytes or more are no small ones: a call of their own takes less than copying them twice. */
const LARGE = 16 << 10;

/**
 * Small reads of a device that answers at once: where one follows the other, as those of small files do whose contents lie
 * side by side, many are had by one call.
 */
export class ReadWindow {
  readonly #device: BlockDevice;
  #memory: Uint8Array | undefined;
  /** What of the device is in memory: bytes `#start` to `#end`. */
  #start = 0;
  #end = 0;
  /** Where the last read ended. */
  #next = 0;
  #row = 0;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** As `BlockDevice.readNow`. */
  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    if (!Number.isInteger(offset) || into.length !== length || length >= LARGE)
      return this.#device.readNow?.(offset, length, into);
    const isNext = offset >= this.#next && offset - this.#next <= GAP;
    this.#next = offset + length;
    this.#row = isNext ? this.#row + 1 : 1;
    const memory = this.#held(offset, length) ?? this.#fill(offset, length);
    if (memory === undefined) return this.#device.readNow?.(offset, length, into);
    into.set(new Uint8Array(memory.buffer, offset - this.#start, length));
    return into;
  }

  /** Drops what is in memory. */
  clear(): void {
    this.#memory = undefined;
  }

  #held(offset: number, length: number): Uint8Array | undefined {
    return offset >= this.#start && offset + length <= this.#end ? this.#memory : undefined;
  }

  /** Reads on from `offset`, if that is worth it. What lies past the bytes asked for must not fail them. */
  #fill(offset: number, length: number): Uint8Array | undefined {
    const size = Math.min(WINDOW, this.#device.size - offset);
    if (this.#row < ROW || size < length) return undefined;
    this.#memory ??= new Uint8Array(WINDOW);
    this.#start = offset;
    this.#end = offset;
    let got: Uint8Array | undefined;
    try {
      got = this.#device.readNow?.(offset, size, new Uint8Array(this.#memory.buffer, 0, size));
    } catch {}
    // A device that has the bytes in memory of its own needs no window.
    if (got?.length !== size || got.buffer !== this.#memory.buffer) {
      // Not tried again with each read of a stretch that cannot be read.
      this.#row = 0;
      return undefined;
    }
    this.#end = offset + size;
    return this.#memory;
  }
}

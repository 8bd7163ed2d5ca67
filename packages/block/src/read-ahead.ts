import { throwIfAborted } from "./abort.js";
import type { BlockDevice } from "./device.js";

/** Least and most bytes of one read. */
const LEAST = 16 << 10;
const MOST = 256 << 10;

/**
 * Pieces of metadata that lie one behind the other, of a device that answers at once: where one is asked for after the other,
 * many are had by one call. Each comes as a copy that keeps nothing else in memory. What is read into is used again, as new
 * memory takes the system several times as long as reading.
 */
export class ReadAhead {
  readonly #device: BlockDevice;
  #memory: Uint8Array | undefined;
  /** What of the device is in memory: bytes `#start` to `#end`. */
  #start = 0;
  #end = 0;
  /** Bytes of the last read. */
  #length = 0;

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** Undefined where the device does not answer at once, or fails: then `read` is to be asked, and to tell. */
  copy(at: number, length: number): Uint8Array | undefined {
    if (this.#device.readNow === undefined || length > MOST) return undefined;
    if (at < this.#start || at + length > this.#end) {
      const wanted = Math.max(LEAST, length, at === this.#end ? Math.min(MOST, 2 * this.#length) : 0);
      const ahead = Math.min(wanted, this.#device.size - at);
      if (!(ahead > length && this.#fill(at, ahead)) && !this.#fill(at, length)) return undefined;
    }
    // Not by `slice`, which clears the new memory before it copies.
    return new Uint8Array(new Uint8Array(this.#memory!.buffer, at - this.#start, length));
  }

  /**
   * As the device's own `read`, of what nobody comes back for soon: from its memory, or as `copy`, where either can be had.
   *
   * @throws ImageError what `BlockDevice.read` rejects with.
   */
  async read(at: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    throwIfAborted(signal);
    return this.#device.peek?.(at, length) ?? this.copy(at, length) ?? this.#device.read(at, length, signal);
  }

  #fill(at: number, length: number): boolean {
    this.#memory ??= new Uint8Array(MOST);
    this.#start = at;
    this.#end = at;
    this.#length = length;
    try {
      const data = this.#device.readNow?.(at, length, new Uint8Array(this.#memory.buffer, 0, length));
      if (data === undefined) return false;
      if (data.buffer !== this.#memory.buffer) this.#memory.set(data);
    } catch {
      return false;
    }
    this.#end = at + length;
    return true;
  }
}

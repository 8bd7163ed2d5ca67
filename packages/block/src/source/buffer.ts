import { throwIfAborted, turnFor } from "../abort.js";
import { type BlockDevice, checkRange } from "../device.js";

/** A device over bytes in memory. Reads share memory with `source`. */
export function bufferDevice(source: Uint8Array, options: { readonly sectorSize?: number } = {}): BlockDevice {
  // A Node Buffer's `slice` shares memory where Uint8Array's copies: readers must not meet one.
  const data = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return {
    size: data.length,
    sectorSize: options.sectorSize,
    async read(offset, length, signal) {
      checkRange(data.length, offset, length);
      const turn = turnFor(signal);
      if (turn !== undefined) await turn;
      throwIfAborted(signal);
      return data.subarray(offset, offset + length);
    },
    readNow(offset, length) {
      checkRange(data.length, offset, length);
      return data.subarray(offset, offset + length);
    },
    peek(offset, length) {
      return offset >= 0 && length >= 0 && offset + length <= data.length
        ? data.subarray(offset, offset + length)
        : undefined;
    },
  };
}

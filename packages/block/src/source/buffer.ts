import { type BlockDevice, checkRange } from "../device.js";
import { throwIfAborted } from "../errors.js";

/** A device over bytes in memory. Reads share memory with `data`. */
export function bufferDevice(data: Uint8Array, options: { readonly sectorSize?: number } = {}): BlockDevice {
  return {
    size: data.length,
    sectorSize: options.sectorSize,
    async read(offset, length, signal) {
      checkRange(data.length, offset, length);
      throwIfAborted(signal);
      return data.subarray(offset, offset + length);
    },
    peek(offset, length) {
      return offset >= 0 && length >= 0 && offset + length <= data.length
        ? data.subarray(offset, offset + length)
        : undefined;
    },
  };
}

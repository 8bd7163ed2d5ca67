import { throwIfAborted } from "../abort.js";
import { type BlockDevice, checkRange } from "../device.js";
import { ImageError } from "../errors.js";

/** A device over a Blob, and so over a File that a user chose in a browser. */
export function blobDevice(blob: Blob): BlockDevice {
  return {
    size: blob.size,
    async read(offset, length, signal) {
      checkRange(blob.size, offset, length);
      throwIfAborted(signal);
      let buffer: ArrayBuffer;
      try {
        buffer = await blob.slice(offset, offset + length).arrayBuffer();
      } catch (cause) {
        throw new ImageError("io", `the browser could not read the file: ${String(cause)}`, { offset, cause });
      }
      throwIfAborted(signal);
      // A File whose content changed on disk after it was chosen comes back shorter.
      if (buffer.byteLength !== length) {
        throw new ImageError("io", `${buffer.byteLength} bytes came back where ${length} were asked for`, { offset });
      }
      return new Uint8Array(buffer);
    },
  };
}

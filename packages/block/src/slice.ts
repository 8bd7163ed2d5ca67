import { type BlockDevice, checkRange } from "./device.js";

/**
 * `length` bytes of `parent` from `offset` on, as a device of its own: a partition, for one.
 *
 * @throws ImageError `past-end` when the slice does not lie within the parent.
 */
export function sliceDevice(parent: BlockDevice, offset: number, length: number): BlockDevice {
  checkRange(parent.size, offset, length);
  if (offset === 0 && length === parent.size) return parent;
  // Not async: the inner promise is handed on, so that a slice costs no extra turn of the event loop.
  const slice: BlockDevice = {
    size: length,
    sectorSize: parent.sectorSize,
    read(at, count, signal, into) {
      try {
        checkRange(length, at, count);
      } catch (error) {
        return Promise.reject(error);
      }
      return parent.read(offset + at, count, signal, into);
    },
  };
  if (parent.readNow !== undefined) {
    slice.readNow = (at, count, into) => {
      checkRange(length, at, count);
      return parent.readNow?.(offset + at, count, into);
    };
  }
  if (parent.peek !== undefined) {
    slice.peek = (at, count) =>
      at >= 0 && count >= 0 && at + count <= length ? parent.peek?.(offset + at, count) : undefined;
  }
  if (parent.map !== undefined) {
    slice.map = async (at, count, signal) => {
      checkRange(length, at, count);
      const runs = (await parent.map?.(offset + at, count, signal)) ?? [];
      return runs.map((run) => ({ ...run, offset: run.offset - offset }));
    };
  }
  return slice;
}

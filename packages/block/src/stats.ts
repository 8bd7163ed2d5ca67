import type { BlockDevice } from "./device.js";

/** How much was read through a counting device. */
export interface ReadStats {
  /** Calls of `read` and its kin that reached the device. */
  reads: number;
  /** Bytes that these calls asked for. */
  bytes: number;
}

/** The same device, with each read counted in `stats`. Put it below the cache to count what really is read. */
export function countReads(device: BlockDevice, stats: ReadStats = { reads: 0, bytes: 0 }): CountedDevice {
  const counted: CountedDevice = {
    size: device.size,
    sectorSize: device.sectorSize,
    stats,
    read(offset, length, signal, into) {
      stats.reads += 1;
      stats.bytes += length;
      return device.read(offset, length, signal, into);
    },
  };
  if (device.readNow !== undefined) {
    counted.readNow = (offset, length, into) => {
      stats.reads += 1;
      stats.bytes += length;
      const data = device.readNow?.(offset, length, into);
      if (data !== undefined) return data;
      // Then `read` is asked, and counted.
      stats.reads -= 1;
      stats.bytes -= length;
      return undefined;
    };
  }
  const readParts = device.readParts?.bind(device);
  if (readParts !== undefined) {
    counted.readParts = (offset, length, size, signal) => {
      stats.reads += 1;
      stats.bytes += length;
      return readParts(offset, length, size, signal);
    };
  }
  if (device.peek !== undefined) counted.peek = (offset, length) => device.peek?.(offset, length);
  if (device.map !== undefined) {
    counted.map = (offset, length, signal) => device.map?.(offset, length, signal) ?? Promise.resolve([]);
  }
  return counted;
}

export interface CountedDevice extends BlockDevice {
  readonly stats: ReadStats;
}

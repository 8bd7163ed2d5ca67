import { type BlockDevice, checkRange, ImageError } from "@guestprobe/block";

export interface Call {
  readonly offset: number;
  readonly length: number;
}

export interface FakeDevice extends BlockDevice {
  /** What was asked for, in order. */
  readonly calls: Call[];
  /** Reads that touch one of these bytes reject with `io`. */
  readonly bad: Set<number>;
}

/** Bytes that answer a turn later, note each read, and have bad spots: a device below the one under test. */
export function fakeDevice(data: Uint8Array): FakeDevice {
  const calls: Call[] = [];
  const bad = new Set<number>();
  return {
    size: data.length,
    calls,
    bad,
    async read(offset, length, signal) {
      checkRange(data.length, offset, length);
      calls.push({ offset, length });
      await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted) throw new ImageError("aborted", "stopped");
      for (const at of bad) {
        if (at >= offset && at < offset + length) throw new ImageError("io", "bad sector", { offset: at });
      }
      return data.slice(offset, offset + length);
    },
  };
}

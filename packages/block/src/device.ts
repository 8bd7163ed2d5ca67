import { ImageError } from "./errors.js";

/** A run of bytes of a device. */
export interface ByteRange {
  /** Bytes from the start of the device. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** A run of a device, and whether anything is stored there. */
export interface MappedRange extends ByteRange {
  /** `hole` reads as zeros and costs no read below. */
  readonly kind: "data" | "hole";
}

/**
 * Random access to bytes, read-only: a file, a partition of it, a container's virtual disk, a logical volume. There is
 * no method that writes, on purpose.
 */
export interface BlockDevice {
  /** Bytes. */
  readonly size: number;
  /** Bytes in a logical sector, where the source knows it; 512 is assumed otherwise. */
  readonly sectorSize?: number | undefined;
  /**
   * Exactly `length` bytes from `offset`. The result may share memory with a cache: do not write to it.
   *
   * @param into Memory of `length` bytes that the caller has to spare. A device may put the bytes there and answer it;
   *   where it has them elsewhere already, or knows nothing of this, it answers other memory. After an error the bytes may
   *   still be on their way there.
   * @throws ImageError `past-end` when the range does not lie within the device, `io`, `aborted`.
   */
  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
  /** The same bytes if they are in memory now; never does I/O, never throws. */
  peek?(offset: number, length: number): Uint8Array | undefined;
  /**
   * As `read`, by a device that would block and not wait: a local file. What a small file takes is then one system call,
   * and not a dozen promises. Undefined is no answer: ask `read`. Throws what `read` rejects with.
   */
  readNow?(offset: number, length: number, into: Uint8Array): Uint8Array | undefined;
  /**
   * `length` bytes from `offset` in arrays of `size` bytes, the last of what is left, each with memory of its own: by one
   * read, and without a copy for what is to be kept in pieces. Throws what `read` does.
   */
  readParts?(offset: number, length: number, size: number, signal?: AbortSignal): Promise<readonly Uint8Array[]>;
  /**
   * What is stored from `offset` on, in order, without a gap, clipped to the range. A device that does not know has no
   * such method: all of it is data.
   */
  map?(offset: number, length: number, signal?: AbortSignal): Promise<readonly MappedRange[]>;
}

/**
 * Checks that a range lies within `size` bytes. Devices call it before they read.
 *
 * @throws ImageError `past-end`, or `invalid-argument` for a negative or fractional range.
 */
export function checkRange(size: number, offset: number, length: number): void {
  // Whole numbers above 2^53 are pointers that lie, not mistakes of the caller: they pass the end of any device.
  if (!Number.isInteger(offset) || !Number.isInteger(length) || offset < 0 || length < 0) {
    throw new ImageError("invalid-argument", `${length} bytes from byte ${offset} is not a range`);
  }
  if (offset + length > size) {
    throw new ImageError("past-end", `${length} bytes from byte ${offset} pass the end of a device of ${size} bytes`, {
      offset,
    });
  }
}

/**
 * Zeroed memory for `length` bytes.
 *
 * @throws ImageError `limit` where the platform has no such array, instead of its RangeError.
 */
export function allocate(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new ImageError("limit", `no memory for ${length} bytes at once`, { cause });
  }
}

/** The bytes of a range as far as the device goes: fewer than asked for at its end, none past it. */
export function readUpTo(
  device: BlockDevice,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const available = Math.max(0, Math.min(length, device.size - offset));
  return available === 0 ? Promise.resolve(new Uint8Array(0)) : device.read(offset, available, signal);
}

import { ImageError, type ImageErrorOptions } from "@guestprobe/block";
import type { OutputBound } from "./types.js";

/** No decoder here makes more than this in one piece: a larger claim is refused before anything is allocated. */
export const MAX_OUTPUT = 0x4000_0000;

/** The largest output that `bound` allows, in bytes. Throws `invalid-argument` unless it is a size up to 1 GiB. */
export function capacityOf(bound: OutputBound, format: string): number {
  const capacity = "exact" in bound ? bound.exact : bound.max;
  if (!Number.isInteger(capacity) || capacity < 0 || capacity > MAX_OUTPUT) {
    throw new ImageError("invalid-argument", `output bound ${capacity} is not a size from 0 to ${MAX_OUTPUT}`, {
      format,
    });
  }
  return capacity;
}

/**
 * Bytes to allocate before decoding: all of an exact bound, but of a maximum only what `src` can expand to, so that a
 * generous limit costs nothing on a small stream.
 */
export function allocationFor(bound: OutputBound, capacity: number, possible: number): number {
  return "exact" in bound ? capacity : Math.min(capacity, possible);
}

/** The error for a stream that goes on past the bound. */
export function tooLong(bound: OutputBound, format: string, offset?: number): ImageError {
  return "exact" in bound
    ? new ImageError("corrupt", `stream holds more than the ${bound.exact} bytes expected`, { format, offset })
    : new ImageError("limit", `stream holds more than the limit of ${bound.max} bytes`, { format, offset });
}

let meter: ((bytes: number) => void) | undefined;

/**
 * Tells `listener` of every output, bytes, before it is handed over; what it throws takes the output's place. One for
 * the whole program, which bounds by it what all its decoders make together.
 */
export function meterDecoders(listener: ((bytes: number) => void) | undefined): void {
  meter = listener;
}

/** Counts an output of so many bytes that another thread made, where outputs are counted. */
export function meterOutput(length: number): void {
  meter?.(length);
}

/** Refuses an output of `length` bytes that `bound` does not allow. */
export function checkLength(length: number, bound: OutputBound, format: string, offset?: number): void {
  if ("exact" in bound ? length > bound.exact : length > bound.max) throw tooLong(bound, format, offset);
  if ("exact" in bound && length < bound.exact) {
    const reason = `stream ends after ${length} bytes, expected ${bound.exact}`;
    throw new ImageError("corrupt", reason, { format, offset });
  }
  meter?.(length);
}

/** The first `length` bytes of `out` as the caller's own array, without keeping a much larger one alive. */
export function trimTo(out: Uint8Array, length: number): Uint8Array {
  return length === out.length ? out : out.slice(0, length);
}

interface NativeCopy {
  from(buffer: ArrayBufferLike, offset: number, length: number): { fill(bytes: Uint8Array): unknown };
}

const native = (globalThis as { Buffer?: NativeCopy }).Buffer;

/** Browsers have no such memory for pages that are not isolated. */
const isShared = ({ buffer }: Uint8Array): boolean =>
  typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer;

/**
 * Copies `bytes` to the start of `target`. Where either lies in memory that threads share, `set` goes word by word, so that
 * none is seen half written, at a third of the speed of Node's `fill`, which is a plain copy.
 */
export function copyTo(target: Uint8Array, bytes: Uint8Array): void {
  if (native === undefined || bytes.length === 0 || !(isShared(target) || isShared(bytes))) target.set(bytes);
  else native.from(target.buffer, target.byteOffset, bytes.length).fill(bytes);
}

/** Takes an output that lies where the next one will: a copy, in the memory that the caller has to spare if it is enough. */
export function handOver(out: Uint8Array, into: Uint8Array | undefined): Uint8Array {
  if (into === undefined || into.length < out.length) return out.slice();
  copyTo(into, out);
  return into.subarray(0, out.length);
}

/** `corrupt`, with the byte of the stream where it was noticed. */
export function corrupt(format: string, reason: string, offset: number, options: ImageErrorOptions = {}): ImageError {
  return new ImageError("corrupt", reason, { ...options, format, offset });
}

/** Refuses bytes after the end of a stream, under the default policy. */
export function trailingBytes(format: string, end: number, total: number): ImageError {
  return corrupt(format, `${total - end} bytes follow the end of the stream`, end);
}

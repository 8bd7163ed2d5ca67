import { Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2 } from "pako";
import { corrupt } from "./bound.js";

/** DEFLATE data, decoded. */
export interface Inflated {
  readonly out: Uint8Array;
  /** Byte of the input after the stream, and after its trailer once that was looked at. */
  readonly end: number;
}

/** Output to make room for at first where its size is not known. */
const FIRST_ROOM = 256 * 1024;
/** No header, window of 32 KiB: zlib.h, inflateInit2. */
const RAW = -15;

/**
 * Inflates the raw DEFLATE data at byte `at` (RFC 1951) by pako's port of zlib, through the interface of zlib itself: the
 * short one keeps to itself where the stream ended, and has no bound on what it makes.
 *
 * @param isExact Whether `capacity` bytes are what is expected, and not only the most there may be.
 * @returns undefined when the stream holds more than `capacity` bytes.
 */
export function inflateRaw(
  format: string,
  src: Uint8Array,
  at: number,
  capacity: number,
  isExact: boolean,
): Inflated | undefined {
  const stream = new ZStream();
  zlibInflateInit2(stream, RAW);
  stream.input = src;
  stream.next_in = at;
  stream.avail_in = src.length - at;
  // One byte of room too many tells a stream that is too long from one that just fits.
  stream.output = new Uint8Array(Math.min(capacity, isExact ? capacity : FIRST_ROOM) + 1);
  stream.avail_out = stream.output.length;
  for (;;) {
    const status = zlibInflate(stream, Z_NO_FLUSH);
    if (stream.next_out > capacity) return undefined;
    if (status === Z_STREAM_END) break;
    if (status !== Z_OK && status !== Z_BUF_ERROR) {
      throw corrupt(format, `DEFLATE data is damaged: ${stream.msg}`, stream.next_in);
    }
    if (stream.avail_out > 0) throw corrupt(format, "input ends inside DEFLATE data", src.length);
    grow(stream, capacity);
  }
  const { output, next_out: length } = stream;
  // A large result that leaves little room over is not worth a copy.
  const out = output.subarray(0, length);
  return { out: output.length > length + 1024 ? out.slice() : out, end: stream.next_in };
}

/** Makes room as data really decodes, up to one byte more than `capacity`. */
function grow(stream: ZStream, capacity: number): void {
  const larger = new Uint8Array(Math.min(capacity + 1, stream.output.length * 2));
  larger.set(stream.output);
  stream.output = larger;
  stream.avail_out = larger.length - stream.next_out;
}

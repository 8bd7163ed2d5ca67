import { ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, handOver, tooLong, trailingBytes } from "./bound.js";
import type { DecodeOptions, OutputBound } from "./types.js";
import { type LzmaDecoder, lzmaProperties, withLzmaDecoder } from "./xz/lzma-decoder.js";

const FORMAT = "lzma";
const HEADER = 13;
/** The longest match: with this much room left, a symbol always fits. */
const SYMBOL_MAX = 273;
/** Output to make room for at first. */
const FIRST_ROOM = 1024 * 1024;

/**
 * An LZMA-alone file (.lzma, as squashfs and older kernels use it): properties, dictionary size, size, LZMA data. The
 * size may be unknown (all ones) and an end marker then ends the data; a marker after a known size is allowed.
 * Source: LZMA specification, "lzma file format"; the limits on properties are those of xz.
 */
export function decodeLzmaAlone(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  if (src.length < HEADER) throw corrupt(FORMAT, `input of ${src.length} bytes is shorter than the header`, 0);
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength);
  const properties = lzmaProperties(src[0]!);
  if (properties === undefined) throw corrupt(FORMAT, `properties byte ${src[0]} is not valid`, 0);
  const lo = view.getUint32(5, true);
  const hi = view.getUint32(9, true);
  const size = lo === 0xffff_ffff && hi === 0xffff_ffff ? undefined : hi * 0x1_0000_0000 + lo;
  if (size !== undefined) checkLength(size, bound, FORMAT, 5);

  const from = HEADER;
  const end = src.length;
  const pastSize = (ip: number): ImageError =>
    size === undefined ? tooLong(bound, FORMAT, ip) : corrupt(FORMAT, "LZMA data goes on past its size", ip);
  const dictionary = view.getUint32(1, true);
  const { signal } = options;
  return withLzmaDecoder({ format: FORMAT, src, from, end, dictionary, pastSize, signal }, (decoder) => {
    decoder.setProperties(properties);
    decoder.resetState();
    decoder.startRange(from, end);
    decodeAll(decoder, size, capacity, end);
    if (!decoder.isFinished) {
      throw new ImageError("corrupt", "LZMA data does not end cleanly", { format: FORMAT, offset: decoder.ip });
    }
    checkLength(decoder.op, bound, FORMAT, decoder.ip);
    if (options.trailing !== "ignore" && decoder.ip < end) throw trailingBytes(FORMAT, decoder.ip, end);
    return handOver(decoder.output, options.into);
  });
}

/** Decodes to the size, or to the end marker: what room is made for doubles as data really arrives. */
function decodeAll(decoder: LzmaDecoder, size: number | undefined, capacity: number, end: number): void {
  const limit = size ?? capacity;
  for (let room = Math.min(limit, FIRST_ROOM); ; room = Math.min(limit, room * 2)) {
    decoder.reserve(room);
    const soft = room === limit ? limit : room - SYMBOL_MAX;
    if (decoder.run(soft, room, end, size === undefined)) return;
    if (room === limit && size !== undefined) break;
  }
  if (!decoder.isFinished) decoder.run(limit, limit, end, true);
}

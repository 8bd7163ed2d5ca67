import { ImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, tooLong, trailingBytes, trimTo } from "./bound.js";
import type { DecodeOptions, OutputBound } from "./types.js";
import { LzmaDecoder, lzmaProperties } from "./xz/lzma-decoder.js";

const FORMAT = "lzma";
const HEADER = 13;
/** The longest match: with this much room left, a symbol always fits. */
const SYMBOL_MAX = 273;

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

  const limit = size ?? capacity;
  // A first guess at the output; it doubles as data really arrives, and never passes the limit.
  const out = new Uint8Array(Math.min(limit, Math.max(0x1_0000, src.length * 8)));
  const decoder = new LzmaDecoder(FORMAT, src, out, 0, view.getUint32(1, true), (ip) =>
    size === undefined ? tooLong(bound, FORMAT, ip) : corrupt(FORMAT, "LZMA data goes on past its size", ip),
  );
  decoder.setProperties(properties);
  decoder.resetState();
  decoder.startRange(HEADER, src.length);
  for (;;) {
    const room = decoder.out.length;
    const soft = room === limit ? limit : room - SYMBOL_MAX;
    const ended = decoder.run(soft, room, src.length, size === undefined);
    if (ended || (room === limit && size !== undefined)) break;
    if (room === limit) continue;
    const larger = new Uint8Array(Math.min(limit, room * 2));
    larger.set(decoder.out.subarray(0, decoder.op));
    decoder.out = larger;
  }
  if (size !== undefined && !decoder.isFinished) decoder.run(size, size, src.length, true);
  if (!decoder.isFinished) {
    throw new ImageError("corrupt", "LZMA data does not end cleanly", { format: FORMAT, offset: decoder.ip });
  }
  checkLength(decoder.op, bound, FORMAT, decoder.ip);
  if (options.trailing !== "ignore" && decoder.ip < src.length) throw trailingBytes(FORMAT, decoder.ip, src.length);
  return trimTo(decoder.out, decoder.op);
}

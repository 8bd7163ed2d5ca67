import type { ImageError } from "@guestprobe/block";
import { corrupt } from "../bound.js";
import { type LzmaDecoder, lzmaProperties, withLzmaDecoder } from "./lzma-decoder.js";

/** What the chunk headers of LZMA2 data say, without decoding it. */
export interface Lzma2Extent {
  /** Byte of the input after the data. */
  readonly end: number;
  /** Bytes it decodes to. */
  readonly size: number;
}

interface Chunk {
  readonly control: number;
  /** Where the chunk's own bytes are: LZMA data, or the output itself. */
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** Reads the chunk header at `at`; undefined at the end marker. LZMA2 chunk headers: see the xz file format, 5.3.1. */
function readChunk(format: string, src: Uint8Array, at: number): Chunk | undefined {
  if (at >= src.length) throw corrupt(format, "input ends between LZMA2 chunks", at);
  const control = src[at]!;
  if (control === 0) return undefined;
  if (control > 2 && control < 0x80) throw corrupt(format, `LZMA2 control byte 0x${control.toString(16)}`, at);
  const header = control < 0x80 ? 3 : control >= 0xc0 ? 6 : 5;
  if (header > src.length - at) throw corrupt(format, "input ends inside an LZMA2 chunk header", at);
  const low = (src[at + 1]! << 8) | src[at + 2]!;
  const size = control < 0x80 ? low + 1 : ((control & 0x1f) << 16) + low + 1;
  const stored = control < 0x80 ? size : ((src[at + 3]! << 8) | src[at + 4]!) + 1;
  const from = at + header;
  if (stored > src.length - from) throw corrupt(format, "input ends inside an LZMA2 chunk", at);
  return { control, from, to: from + stored, size };
}

/** Walks the chunk headers from `at` to the end marker. */
export function measureLzma2(format: string, src: Uint8Array, at: number): Lzma2Extent {
  let size = 0;
  let p = at;
  for (;;) {
    const chunk = readChunk(format, src, p);
    if (chunk === undefined) return { end: p + 1, size };
    size += chunk.size;
    p = chunk.to;
  }
}

/**
 * Decodes the LZMA2 data from `from` to `end` into `out`, to its end or to the end of the chunk that reaches `enough`
 * bytes, for which there must be room. Answers how many bytes that made.
 */
export function decodeLzma2(
  format: string,
  src: Uint8Array,
  from: number,
  end: number,
  out: Uint8Array,
  dictionary: number,
  enough: number,
  signal: AbortSignal | undefined,
): number {
  const pastSize = (ip: number): ImageError => corrupt(format, "an LZMA2 chunk goes on past its size", ip);
  return withLzmaDecoder({ format, src, from, end, dictionary, pastSize, signal }, (decoder) => {
    decoder.reserve(out.length);
    decodeChunks(format, src, from, decoder, enough);
    out.set(decoder.output);
    return decoder.op;
  });
}

function decodeChunks(format: string, src: Uint8Array, from: number, decoder: LzmaDecoder, enough: number): void {
  let needDictionary = true;
  let needProperties = true;
  let p = from;
  for (;;) {
    const chunk = readChunk(format, src, p);
    if (chunk === undefined || decoder.op >= enough) return;
    const { control, from, to, size } = chunk;
    if (control === 1 || control >= 0xe0) {
      needDictionary = false;
      needProperties = true;
      decoder.resetDictionary();
    } else if (needDictionary) {
      throw corrupt(format, "the first LZMA2 chunk does not reset the dictionary", p);
    }
    if (control < 0x80) {
      decoder.copy(from, to);
    } else {
      if (control >= 0xc0) {
        const properties = lzmaProperties(src[from - 1]!);
        if (properties === undefined) throw corrupt(format, `LZMA properties byte ${src[from - 1]}`, from - 1);
        decoder.setProperties(properties);
        needProperties = false;
      } else if (needProperties) {
        throw corrupt(format, "an LZMA2 chunk uses properties that were not set", p);
      }
      if (control >= 0xa0) decoder.resetState();
      decoder.startRange(from, to);
      const end = decoder.op + size;
      decoder.run(end, end, to, false);
      if (decoder.ip !== to || !decoder.isFinished) throw corrupt(format, "an LZMA2 chunk does not end cleanly", to);
    }
    p = to;
  }
}

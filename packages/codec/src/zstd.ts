import { ImageError, isImageError } from "@guestprobe/block";
import { capacityOf, checkLength, corrupt, tooLong } from "./bound.js";
import type { Decode, DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "zstd";
const MAGIC = 0xfd2f_b528;
/** The largest block, compressed or not (RFC 8878, section 3.1.1.2.4). */
const BLOCK_MAX = 128 * 1024;

/** What the headers of one frame say, without decoding it. */
interface Frame {
  /** Byte after the frame, from the start of the input. */
  readonly end: number;
  /** The most the frame can decode to, in bytes; the whole truth where `stated`. */
  readonly most: number;
  readonly stated: boolean;
}

/**
 * Finds where the frame at `at` ends, by its header and the headers of its blocks (RFC 8878, section 3.1.1). The
 * decoder is handed exactly that: it refuses sector padding, and does not say how much input it used.
 */
function walkFrame(src: Uint8Array, at: number): Frame {
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength);
  const need = (from: number, count: number, what: string): number => {
    if (count > src.length - from) throw corrupt(FORMAT, `input ends inside the ${what}`, from);
    return from + count;
  };
  need(at, 5, "frame header");
  const magic = view.getUint32(at, true);
  if (magic >>> 4 === 0x184d_2a5) {
    need(at, 8, "skippable frame");
    return { end: need(at + 8, view.getUint32(at + 4, true), "skippable frame"), most: 0, stated: true };
  }
  if (magic !== MAGIC) throw corrupt(FORMAT, `magic is 0x${magic.toString(16)}, expected 0xfd2fb528`, at);

  const descriptor = src[at + 4]!;
  const single = (descriptor & 0x20) !== 0;
  const idSize = [0, 1, 2, 4][descriptor & 3]!;
  const contentSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  if (descriptor & 8) throw corrupt(FORMAT, "a reserved bit of the frame header is set", at + 4);
  let p = need(at + 5, (single ? 0 : 1) + idSize + contentSize, "frame header") - contentSize;
  for (let i = p - idSize; i < p; i++) {
    if (src[i] !== 0)
      throw new ImageError("unsupported", "zstd frame needs a dictionary", { format: FORMAT, offset: i });
  }
  let content: number | undefined;
  if (contentSize === 1) content = src[p]!;
  else if (contentSize === 2) content = view.getUint16(p, true) + 256;
  else if (contentSize === 4) content = view.getUint32(p, true);
  else if (contentSize === 8) content = view.getUint32(p + 4, true) * 0x1_0000_0000 + view.getUint32(p, true);
  p += contentSize;

  let most = 0;
  for (let last = false; !last; ) {
    const header = p;
    p = need(p, 3, "block header");
    const word = src[header]! | (src[header + 1]! << 8) | (src[header + 2]! << 16);
    const size = word >> 3;
    const type = (word >> 1) & 3;
    last = (word & 1) === 1;
    if (type === 3) throw corrupt(FORMAT, "block type 3 is reserved", header);
    if (size > BLOCK_MAX) throw corrupt(FORMAT, `block of ${size} bytes, at most ${BLOCK_MAX} are allowed`, header);
    p = need(p, type === 1 ? 1 : size, "block");
    most += type === 2 ? BLOCK_MAX : size;
  }
  if (descriptor & 4) p = need(p, 4, "content checksum");
  if (content === undefined) return { end: p, most, stated: false };
  if (content > most) throw corrupt(FORMAT, `frame states ${content} bytes, its blocks hold ${most} at most`, at);
  return { end: p, most: content, stated: true };
}

function decodeWith(
  decompress: (src: Uint8Array, capacity: number) => Uint8Array,
  src: Uint8Array,
  bound: OutputBound,
  options: DecodeOptions,
): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  let end = 0;
  let most = 0;
  let stated = true;
  do {
    const frame = walkFrame(src, end);
    end = frame.end;
    most += frame.most;
    stated &&= frame.stated;
  } while (options.trailing !== "ignore" && end < src.length);
  // What the headers say is enough to refuse most lies before any output is allocated.
  if (stated || most < capacity) {
    if (stated && most > capacity) throw tooLong(bound, FORMAT, 0);
    if ("exact" in bound && most < bound.exact) checkLength(most, bound, FORMAT, 0);
  }
  if (most === 0) {
    checkLength(0, bound, FORMAT, 0);
    return new Uint8Array(0);
  }
  const out = decompress(src.subarray(0, end), Math.min(capacity, most));
  // The decoder reports every error, and an output past the capacity, as an empty array.
  if (out.length === 0) {
    if (!stated && most > capacity) throw corrupt(FORMAT, `stream is damaged, or holds more than ${capacity} bytes`, 0);
    throw corrupt(FORMAT, "stream is damaged", 0);
  }
  checkLength(out.length, bound, FORMAT, 0);
  return out;
}

let loading: Promise<Decode> | undefined;

/**
 * Loads the zstd decoder (WebAssembly, once per process) and resolves to it. Zstandard frames as in RFC 8878, without
 * dictionaries; a content checksum is verified where the frame has one.
 *
 * @throws ImageError `unsupported` where WebAssembly may not be compiled (a content policy that forbids it).
 */
export function loadZstd(): Promise<Decode> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Decode> {
  try {
    const { ZSTDDecoder } = await import("zstddec");
    const decoder = new ZSTDDecoder();
    await decoder.init();
    const decompress = (src: Uint8Array, capacity: number): Uint8Array => decoder.decode(src, capacity);
    return (src, bound, options = {}) => {
      try {
        return decodeWith(decompress, src, bound, options);
      } catch (cause) {
        if (isImageError(cause)) throw cause;
        throw new ImageError("limit", "zstd decoder ran out of memory", { format: FORMAT, cause });
      }
    };
  } catch (cause) {
    loading = undefined;
    throw new ImageError("unsupported", "zstd needs WebAssembly, which cannot be loaded here", {
      format: FORMAT,
      cause,
    });
  }
}

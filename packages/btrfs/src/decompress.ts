import { ImageError, isImageError } from "@guestprobe/block";
import { type Decode, type Decompressor, loadDecoder } from "@guestprobe/codec";
import type { Compression } from "./file-extent.js";
import { corrupt } from "./place.js";

/**
 * Decodes one compressed extent to exactly `size` bytes; what the stream leaves out is zeros. `into`: memory of so many
 * bytes to spare; what is answered need not be there.
 */
export type Decompress = (data: Uint8Array, size: number, into?: Uint8Array) => Promise<Uint8Array>;

/** Loads what decodes `compression`: zlib and zstd wherever `decompressor` does, LZO's small segments right here. */
export async function loadDecompressor(
  compression: Compression,
  sectorsize: number,
  decompressor: Decompressor,
): Promise<Decompress> {
  if (compression === "lzo") {
    const decode = await loadDecoder("lzo1x");
    return (data, size) => bounded(async () => decodeLzo(decode, data, size, sectorsize), "lzo", size, sectorsize);
  }
  // The extent is padded to a sector; and the stream ends at the end of the file, which need not fill its last sector.
  return (data, size, into) =>
    bounded(
      () => decompressor.decode(compression, data, { max: size }, { trailing: "ignore", into }),
      compression,
      size,
      sectorsize,
    );
}

/** Pads to `size`; and says what the decoder met in terms of the extent. */
async function bounded(
  decode: () => Promise<Uint8Array>,
  compression: Compression,
  size: number,
  sectorsize: number,
): Promise<Uint8Array> {
  const wrong = (reason: string, cause?: unknown) =>
    new ImageError("corrupt", `${compression} data of an extent: ${reason}`, {
      format: "btrfs",
      structure: "btrfs_file_extent_item",
      cause,
    });
  let decoded: Uint8Array;
  try {
    decoded = await decode();
  } catch (error) {
    if (!isImageError(error) || error.code === "unsupported") throw error;
    throw wrong(error.reason, error);
  }
  if (decoded.length === size) return decoded;
  if (decoded.length + sectorsize <= size) throw wrong(`it holds ${decoded.length} bytes, the extent says ${size}`);
  const padded = new Uint8Array(size);
  padded.set(decoded);
  return padded;
}

const LENGTH = 4;

/**
 * LZO as btrfs frames it: the length of everything, this word included; then segments, each its length and an LZO1X
 * block that decodes to at most a sector. The length of a segment never crosses the border of a sector: where fewer
 * than four bytes are left of one, they are padding.
 */
export function decodeLzo(decode: Decode, data: Uint8Array, size: number, sectorsize: number): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < LENGTH) throw corrupt(`${data.length} bytes hold no length`);
  const total = view.getUint32(0, true);
  if (total < LENGTH || total > data.length) throw corrupt(`it says it has ${total} bytes, and has ${data.length}`);
  const segments = new Uint8Array(size);
  let produced = 0;
  let at = LENGTH;
  while (at < total) {
    const left = sectorsize - (at % sectorsize);
    if (left < LENGTH) {
      at += left;
      continue;
    }
    if (at + LENGTH > total) throw corrupt(`it ends inside the length of a segment, at byte ${at}`);
    const length = view.getUint32(at, true);
    at += LENGTH;
    if (length === 0 || length > total - at) throw corrupt(`a segment of ${length} bytes at byte ${at}`);
    const segment = decode(data.subarray(at, at + length), { max: Math.min(sectorsize, size - produced) });
    segments.set(segment, produced);
    produced += segment.length;
    at += length;
    // Every segment but the last is a full sector, or what follows would move.
    if (segment.length < sectorsize && at < total)
      throw corrupt(`a segment of ${segment.length} bytes within the data`);
  }
  return segments.subarray(0, produced);
}

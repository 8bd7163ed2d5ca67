import { allocate, type BlockDevice, checkRange, ImageError, throwIfAborted, turnFor } from "@guestprobe/block";
import type { Extent, Inode } from "./types.js";

/** Bytes of one read when a file is read whole or as a stream: what stays in a processor's second cache while it is used. */
const PIECE = 1 << 19;

/**
 * How many bytes a read of `length` from `offset` yields in a file of `size` bytes.
 *
 * @throws ImageError `invalid-argument` for a negative or fractional range.
 */
export function clampRead(size: number, offset: number, length: number): number {
  checkRange(Number.MAX_SAFE_INTEGER, offset, Math.min(length, Number.MAX_SAFE_INTEGER - offset));
  return Math.max(0, Math.min(length, size - offset));
}

/**
 * Reads a range of a file through the extents that overlap it; what no extent covers, and what is a hole or
 * unwritten, is zeros. Extents of kind `inline` and `encoded` are their format's business and are refused here.
 *
 * @param extents In file order, as decoded from the disk; they may begin before and end after the range.
 * @param into Memory of `length` bytes to spare; what is answered need not be there.
 * @throws ImageError `past-end` for an extent that points past the device, `limit` for a range larger than memory,
 * `io`, `aborted`.
 */
export async function readThroughExtents(
  device: BlockDevice,
  extents: readonly Extent[],
  offset: number,
  length: number,
  signal?: AbortSignal,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const spare = into?.subarray(0, length);
  const pieces: Piece[] = [];
  for (const extent of extents) {
    const from = Math.max(offset, extent.logical);
    const to = Math.min(offset + length, extent.logical + extent.length);
    if (from >= to || extent.kind === "hole" || extent.kind === "unwritten") continue;
    if (extent.kind !== "data" || extent.physical === undefined) {
      throw new ImageError("invalid-argument", `an extent of kind ${extent.kind} cannot be read from the device`);
    }
    const at = from - offset;
    const data = device.read(
      extent.physical + from - extent.logical,
      to - from,
      signal,
      spare?.subarray(at, to - offset),
    );
    if (from === offset && to === offset + length) return data;
    // All pieces are asked for before the first is awaited; a failure of one must not leave another unhandled.
    data.catch(() => {});
    pieces.push({ at, data });
  }
  return gatherPieces(pieces, length, spare);
}

/** A part of a range whose bytes are on their way, and where it begins in the range: bytes. */
export interface Piece {
  readonly at: number;
  readonly data: Promise<Uint8Array>;
}

/**
 * The bytes of a range from its pieces, in the order in which they were asked for; what lies between them is zeros.
 *
 * @param spare Memory of `length` bytes, whatever it holds; pieces may have been read to their places in it.
 * @throws ImageError what a piece rejects with.
 */
export async function gatherPieces(
  pieces: readonly Piece[],
  length: number,
  spare: Uint8Array | undefined,
): Promise<Uint8Array> {
  const result = spare ?? allocate(length);
  let filled = 0;
  for (const { at, data } of pieces) {
    const bytes = await data;
    placeAt(result, at, bytes);
    if (at > filled) spare?.fill(0, filled, at);
    filled = Math.max(filled, at + bytes.length);
  }
  spare?.fill(0, filled);
  return result;
}

/** Puts bytes into `target` at byte `at`, unless they were read to that place. */
export function placeAt(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (bytes.buffer !== target.buffer || bytes.byteOffset !== target.byteOffset + at) target.set(bytes, at);
}

export interface ReadFileOptions {
  /** Most bytes; a larger file is refused. Default 64 MiB. */
  readonly max?: number;
  readonly signal?: AbortSignal;
}

/**
 * The whole content.
 *
 * @throws ImageError `limit` when the file is larger than `max`, and what `Inode.read` throws.
 */
export async function readFile(inode: Inode, options: ReadFileOptions = {}): Promise<Uint8Array> {
  const { max = 64 << 20, signal } = options;
  const { size } = inode.stat;
  if (size > max) {
    throw new ImageError("limit", `the file has ${size} bytes, more than the ${max} allowed`, { offset: inode.offset });
  }
  if (size <= PIECE) return inode.read(0, size, signal);
  const content = allocate(size);
  for (let at = 0; at < size; at += PIECE) {
    const place = content.subarray(at, at + PIECE);
    placeAt(content, at, await inode.read(at, place.length, signal, place));
  }
  return content;
}

export interface ReadStreamOptions {
  /** Bytes from the start of the file. Default 0. */
  readonly start?: number;
  /** Where to stop: bytes from the start of the file. Default its size. */
  readonly end?: number;
  /**
   * Each piece may lie in the memory of the one before, which saves new memory for each: half of the time that a large
   * file takes. Only for a caller that is done with a piece when it asks for the next.
   */
  readonly reuse?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The content in pieces, each read only when it is asked for.
 *
 * @throws ImageError what `Inode.read` throws; `corrupt` when it ends before the size of the file.
 */
export async function* filePieces(inode: Inode, options: ReadStreamOptions = {}): AsyncGenerator<Uint8Array> {
  const { start = 0, signal } = options;
  const end = Math.min(options.end ?? inode.stat.size, inode.stat.size);
  const spare = options.reuse === true && end - start > PIECE ? allocate(PIECE) : undefined;
  // Asked even when there is nothing to yield: an empty directory is to be refused as a full one is.
  if (start >= end) await inode.read(start, 0, signal);
  for (let at = start; at < end; ) {
    const turn = turnFor(signal);
    if (turn !== undefined) await turn;
    throwIfAborted(signal);
    const length = Math.min(PIECE, end - at);
    const piece = await inode.read(at, length, signal, spare?.subarray(0, length));
    if (piece.length === 0) {
      throw new ImageError("corrupt", `the content ends at byte ${at} of ${end}`, { offset: inode.offset });
    }
    yield piece;
    at += piece.length;
  }
}

/** The content as a web stream, which `Readable.fromWeb`, `Response` and `pipeTo` take. */
export function readStream(inode: Inode, options: ReadStreamOptions = {}): ReadableStream<Uint8Array> {
  // Whoever reads the stream may keep its chunks.
  const pieces = filePieces(inode, { ...options, reuse: false });
  const source: UnderlyingDefaultSource<Uint8Array> = {
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  };
  // Nothing is read before somebody asks.
  return new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
}

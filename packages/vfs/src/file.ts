import { allocate, type BlockDevice, checkRange, ImageError, throwIfAborted, turnFor } from "@guestprobe/block";
import type { Extent, Inode } from "./types.js";

/** Bytes of one read when a file is read whole or as a stream. */
const PIECE = 1 << 20;

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
 * @throws ImageError `past-end` for an extent that points past the device, `limit` for a range larger than memory,
 * `io`, `aborted`.
 */
export async function readThroughExtents(
  device: BlockDevice,
  extents: readonly Extent[],
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const pieces: { at: number; data: Promise<Uint8Array> }[] = [];
  for (const extent of extents) {
    const from = Math.max(offset, extent.logical);
    const to = Math.min(offset + length, extent.logical + extent.length);
    if (from >= to || extent.kind === "hole" || extent.kind === "unwritten") continue;
    if (extent.kind !== "data" || extent.physical === undefined) {
      throw new ImageError("invalid-argument", `an extent of kind ${extent.kind} cannot be read from the device`);
    }
    const data = device.read(extent.physical + from - extent.logical, to - from, signal);
    if (from === offset && to === offset + length) return data;
    // All pieces are asked for before the first is awaited; a failure of one must not leave another unhandled.
    data.catch(() => {});
    pieces.push({ at: from - offset, data });
  }
  const result = allocate(length);
  for (const piece of pieces) result.set(await piece.data, piece.at);
  return result;
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
  for (let at = 0; at < size; at += PIECE) content.set(await inode.read(at, Math.min(PIECE, size - at), signal), at);
  return content;
}

export interface ReadStreamOptions {
  /** Bytes from the start of the file. Default 0. */
  readonly start?: number;
  /** Where to stop: bytes from the start of the file. Default its size. */
  readonly end?: number;
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
  // Asked even when there is nothing to yield: an empty directory is to be refused as a full one is.
  if (start >= end) await inode.read(start, 0, signal);
  for (let at = start; at < end; ) {
    const turn = turnFor(signal);
    if (turn !== undefined) await turn;
    throwIfAborted(signal);
    const piece = await inode.read(at, Math.min(PIECE, end - at), signal);
    if (piece.length === 0) {
      throw new ImageError("corrupt", `the content ends at byte ${at} of ${end}`, { offset: inode.offset });
    }
    yield piece;
    at += piece.length;
  }
}

/** The content as a web stream, which `Readable.fromWeb`, `Response` and `pipeTo` take. */
export function readStream(inode: Inode, options: ReadStreamOptions = {}): ReadableStream<Uint8Array> {
  const pieces = filePieces(inode, options);
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

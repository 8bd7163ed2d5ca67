import { allocate, type BlockDevice, checkRange, ImageError, throwIfAborted, turnFor } from "@guestprobe/block";
import type { Extent, Inode, Stat } from "./types.js";

/**
 * Bytes of one read when a file is read whole or as a stream: enough for a device to read it by two processors at once,
 * and still what stays in a processor's second cache while it is used.
 */
const PIECE = 1 << 20;

/**
 * Pieces that are read while one is used, where there is memory for them. So many that threads which decode them have the
 * next one before they are done, also where every other is stored as it is.
 */
const AHEAD = 3;

/**
 * How many bytes a read of `length` from `offset` yields in a file of `size` bytes.
 *
 * @throws ImageError `invalid-argument` for a negative or fractional range.
 */
export function clampRead(size: number, offset: number, length: number): number {
  checkRange(Number.MAX_SAFE_INTEGER, offset, Math.min(length, Number.MAX_SAFE_INTEGER - offset));
  return Math.max(0, Math.min(length, size - offset));
}

/** Whether a range of whole bytes, of one at least, lies within a regular file: what `readNow` may answer. */
export function isContentRange({ type, size }: Stat, offset: number, length: number): boolean {
  const isRange = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length > 0;
  return type === "file" && isRange && offset + length <= size;
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

/**
 * The same where nothing has to be waited for: undefined where the device cannot say so, or the range is not all of one plain extent.
 *
 * @param into Memory of `length` bytes to spare.
 * @throws ImageError as `readThroughExtents`.
 */
export function readThroughExtentsNow(
  device: BlockDevice,
  extents: readonly Extent[],
  offset: number,
  length: number,
  into: Uint8Array,
): Uint8Array | undefined {
  if (into.length !== length) return undefined;
  for (const { kind, logical, physical, length: size } of extents) {
    if (logical > offset || logical + size < offset + length) continue;
    if (kind !== "data" || physical === undefined) return undefined;
    return device.readNow?.(physical + offset - logical, length, into);
  }
  return undefined;
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
  const place = (at: number, length: number): Uint8Array => content.subarray(at, at + length);
  const next = pieceReader(inode, 0, size, AHEAD, place, signal);
  for (let piece = await next(); piece !== undefined; piece = await next()) placeAt(content, piece.at, piece.bytes);
  return content;
}

interface PlacedPiece {
  /** Bytes from the start of the file. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * Answers bytes `start` to `end` of a file piece by piece, in order, while the reads of the `ahead` pieces after it are
 * under way; undefined after the last. Where content is only copied it reads nothing ahead. An error comes at the piece it
 * belongs to. Who stops early leaves reads behind that nobody waits for. Not a generator, of which one around another would
 * cost small files much.
 *
 * @param place Memory to spare for a piece, which nothing else uses until the piece after it is asked for.
 */
function pieceReader(
  inode: Inode,
  start: number,
  end: number,
  ahead: number,
  place: (at: number, length: number) => Uint8Array | undefined,
  signal: AbortSignal | undefined,
): () => Promise<PlacedPiece | undefined> {
  // Not all that answers a promise waits with its errors for it.
  const read = async (at: number, length: number, into: Uint8Array | undefined) => inode.read(at, length, signal, into);
  const underWay: { readonly at: number; readonly length: number; readonly data: Promise<Uint8Array> }[] = [];
  let next = start;
  /** Asks for the next piece. Answers it where its content is only copied, which a promise would take a tenth longer. */
  const ask = (): PlacedPiece | undefined => {
    const at = next;
    const length = Math.min(PIECE, end - at);
    next += length;
    const into = place(at, length);
    const bytes = inode.isCopied === true ? into && inode.readNow?.(at, length, into) : undefined;
    if (bytes !== undefined) return { at, bytes };
    const data = read(at, length, into);
    data.catch(() => {});
    underWay.push({ at, length, data });
    return undefined;
  };
  return async () => {
    if (underWay.length === 0 && next >= end) return undefined;
    const turn = turnFor(signal);
    if (turn !== undefined) await turn;
    throwIfAborted(signal);
    const copied = underWay.length === 0 ? ask() : undefined;
    if (copied !== undefined) return copied;
    const { at, length, data } = underWay.shift()!;
    const bytes = await data;
    if (bytes.length < length) {
      const reason = `the content ends at byte ${at + bytes.length} of ${end}`;
      throw new ImageError("corrupt", reason, { offset: inode.offset });
    }
    while (underWay.length < ahead && next < end && inode.isCopied !== true) ask();
    return { at, bytes };
  };
}

export interface ReadStreamOptions {
  /** Bytes from the start of the file. Default 0. */
  readonly start?: number;
  /** Where to stop: bytes from the start of the file. Default its size. */
  readonly end?: number;
  /**
   * Pieces lie in memory that is used again, which saves new memory for each, half of the time that a large file takes;
   * and the next pieces are read while one is used, where that takes more than a copy. Only for a caller that is done with a piece when it asks for the next.
   */
  readonly reuse?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The content in pieces, each read only when it is asked for, or with `reuse` some pieces ahead.
 *
 * @throws ImageError what `Inode.read` throws; `corrupt` when it ends before the size of the file.
 */
export async function* filePieces(inode: Inode, options: ReadStreamOptions = {}): AsyncGenerator<Uint8Array> {
  const { start = 0, signal } = options;
  const end = Math.min(options.end ?? inode.stat.size, inode.stat.size);
  // Asked even when there is nothing to yield: an empty directory is to be refused as a full one is.
  if (start >= end) await inode.read(start, 0, signal);
  const ahead = options.reuse === true && end - start > PIECE ? AHEAD : 0;
  // What was given back last is taken first: the processor still holds it.
  const free = ahead > 0 ? takeMemory() : undefined;
  /** Of each piece that was asked for and not yet given back, in order. */
  const taken: (Uint8Array | undefined)[] = [];
  const place = (at: number, length: number): Uint8Array | undefined => {
    if (free === undefined) return undefined;
    // None is made for a first piece: of files that cannot be read at all there may be thousands.
    const memory = free.pop() ?? (at === start ? undefined : allocate(PIECE));
    taken.push(memory);
    return memory?.subarray(0, length);
  };
  const next = pieceReader(inode, start, end, ahead, place, signal);
  for (let piece = await next(); piece !== undefined; piece = await next()) {
    yield piece.bytes;
    const done = taken.shift();
    if (done !== undefined) free?.push(done);
  }
  // Not after an error or where the caller stopped: something may still be read into it then.
  if (free !== undefined) keepMemory(free);
}

/**
 * What the last file was read through: new memory is cleared by the system page by page, a tenth of what a file takes. One piece is
 * kept for good, the others until V8 looks for what passed by.
 */
let keptPiece: Uint8Array | undefined;
let keptMore: WeakRef<Uint8Array[]> | undefined;

/** Pieces of memory that nobody uses. */
function takeMemory(): Uint8Array[] {
  const memory = keptMore?.deref() ?? [];
  if (keptPiece !== undefined) memory.push(keptPiece);
  keptMore = undefined;
  keptPiece = undefined;
  return memory;
}

function keepMemory(free: Uint8Array[]): void {
  // Of two files that were read at once, the later one's.
  keptPiece = free.pop();
  keptMore = free.length > 0 ? new WeakRef(free) : undefined;
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

import { alignDown, alignUp, finding, type ImageError } from "@guestprobe/block";
import { inlineDecompressor } from "@guestprobe/codec";
import { type Extent, gatherPieces, type Piece } from "@guestprobe/vfs";
import type { Context } from "./context.js";
import { type Decompress, loadDecompressor } from "./decompress.js";
import {
  type Compression,
  decodeFileExtent,
  type EncodedExtent,
  type FileExtent,
  type InlineExtent,
  type PlainExtent,
} from "./file-extent.js";
import { BTRFS_BAD_COPY } from "./findings.js";
import { compareKeys, makeKey } from "./key.js";
import { EXTENT_DATA_KEY } from "./layout.js";
import { floorItem, leafItem, type Node } from "./node.js";
import { corrupt } from "./place.js";
import { placeOf } from "./super-copies.js";
import type { TreeRoot } from "./superblock.js";
import { readVerified } from "./verify.js";
import type { Location, Volume } from "./volume.js";

/** Files of this many bytes are decoded wherever the caller said; to start threads for less costs more than it saves. */
const LARGE = 1 << 20;

/** The content of one inode, for one read of it. */
export interface FileContent {
  readonly root: TreeRoot;
  readonly ino: number;
  /** Bytes. */
  readonly size: number;
  readonly noDataSum: boolean;
  /** Set by a read that comes to an extent which is compressed. */
  isEncoded: boolean;
}

/**
 * The extents that overlap bytes `from` to `to` of a file, whole, a leaf's worth at a time, with what no item covers as
 * holes: in file order, without a gap from `from` to `to`.
 */
export async function* fileExtents(
  context: Context,
  { root, ino }: FileContent,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly FileExtent[]> {
  const { trees, superblock } = context;
  const lowest = makeKey(ino, EXTENT_DATA_KEY, 0);
  const before = await trees.floor(root, makeKey(ino, EXTENT_DATA_KEY, from), signal);
  const start = before !== undefined && compareKeys(before.key, lowest) >= 0 ? before.key : lowest;
  let end: number | undefined;
  for await (const { leaf, first, end: last } of trees.range(
    root,
    start,
    makeKey(ino, EXTENT_DATA_KEY, to - 1),
    signal,
  )) {
    const batch: FileExtent[] = [];
    for (let slot = first; slot < last; slot += 1) {
      const item = leafItem(leaf, slot);
      const extent = decodeFileExtent(item, superblock.sectorsize);
      // The extent before the range may end before it.
      const covered = end ?? from;
      if (extent.logical > covered) batch.push({ kind: "hole", logical: covered, length: extent.logical - covered });
      if (end !== undefined && extent.logical < end) {
        throw corrupt(`inode ${ino}: the extent at byte ${extent.logical} overlaps the one before, up to ${end}`, {
          structure: "btrfs_file_extent_item",
          field: "num_bytes",
          offset: item.offset,
        });
      }
      end = Math.max(covered, extent.logical + extent.length);
      if (extent.logical + extent.length > from) batch.push(extent);
    }
    if (batch.length > 0) yield batch;
  }
  const covered = end ?? from;
  if (covered < to) yield [{ kind: "hole", logical: covered, length: to - covered }];
}

/** `length` bytes from byte `offset`; the range lies within the file. */
export async function readContent(
  context: Context,
  file: FileContent,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const spare = into?.subarray(0, length);
  const parts: Piece[] = [];
  for await (const batch of fileExtents(context, file, offset, offset + length, signal)) {
    for (const extent of batch) {
      const from = Math.max(offset, extent.logical);
      const to = Math.min(offset + length, extent.logical + extent.length);
      if (from >= to || extent.kind === "hole" || extent.kind === "unwritten") continue;
      const place = spare?.subarray(from - offset, to - offset);
      const data = readExtent(context, file, extent, from - extent.logical, to - from, signal, place);
      if (to - from === length) return data;
      // All are asked for before the first is awaited; a failure of one must not leave another unhandled.
      data.catch(() => {});
      parts.push({ at: from - offset, data });
    }
  }
  return gatherPieces(parts, length, spare);
}

/**
 * As `readContent` into this memory, of a file with one extent that is neither compressed nor verified; undefined otherwise,
 * and where something has to be waited for.
 *
 * @param leaf Where its inode is: the extent mostly lies there, too.
 */
export function readContentNow(
  context: Context,
  root: TreeRoot,
  leaf: Node,
  ino: number,
  offset: number,
  length: number,
  into: Uint8Array,
): Uint8Array | undefined {
  if (context.verify) return undefined;
  const key = makeKey(ino, EXTENT_DATA_KEY, offset + length - 1);
  const item = floorItem(leaf, key) ?? context.trees.floorNow(root, key);
  if (item === undefined || compareKeys(item.key, makeKey(ino, EXTENT_DATA_KEY, 0)) !== 0) return undefined;
  const extent = decodeFileExtent(item, context.superblock.sectorsize);
  if (extent.length < offset + length) return undefined;
  if (extent.kind === "data") return context.volume.readNow(extent.address + offset, length, into);
  if (extent.kind !== "inline" || extent.compression !== undefined) return undefined;
  return extent.bytes.subarray(offset, offset + length);
}

async function readExtent(
  context: Context,
  file: FileContent,
  extent: PlainExtent | InlineExtent | EncodedExtent,
  from: number,
  length: number,
  signal: AbortSignal | undefined,
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  if (extent.kind === "inline") {
    if (extent.compression === undefined) return extent.bytes.subarray(from, from + length);
    const decompress = await decompressor(context, extent.compression, false);
    return (await decompress(extent.bytes, extent.length)).subarray(from, from + length);
  }
  if (extent.kind === "data") return readStored(context, file, extent.address + from, length, signal, into);
  file.isEncoded = true;
  // Of an extent that is not wanted as a whole, the rest is likely to be asked for next.
  const isWhole = extent.offset + from === 0 && length === extent.ramBytes;
  const decoded = await decodedExtent(context, file, extent, signal, isWhole ? into : undefined);
  return decoded.subarray(extent.offset + from, extent.offset + from + length);
}

/** The extent decoded: to `into`, where that is given and nobody has it yet, and then not kept. */
async function decodedExtent(
  context: Context,
  file: FileContent,
  extent: EncodedExtent,
  signal: AbortSignal | undefined,
  into: Uint8Array | undefined,
): Promise<Uint8Array> {
  const { address, diskLength, ramBytes, compression } = extent;
  const key = `${address}:${diskLength}:${ramBytes}:${compression}`;
  const known = context.decoded.get(key) ?? (await context.decoding.get(key)?.catch(() => undefined));
  if (known !== undefined) return known;
  const run = async (): Promise<Uint8Array> => {
    const stored = await readStored(context, file, address, diskLength, signal);
    const decompress = await decompressor(context, compression, file.size >= LARGE);
    return decompress(stored, ramBytes, into);
  };
  if (into !== undefined) return run();
  const decoding = run();
  context.decoding.set(key, decoding);
  try {
    const decoded = await decoding;
    context.decoded.set(key, decoded, decoded.length);
    return decoded;
  } finally {
    if (context.decoding.get(key) === decoding) context.decoding.delete(key);
  }
}

async function decompressor(context: Context, compression: Compression, isLarge: boolean): Promise<Decompress> {
  const key = `${compression}:${isLarge}`;
  let decompress = context.decompressors.get(key);
  if (decompress === undefined) {
    const where = isLarge ? context.decompressor : inlineDecompressor;
    decompress = await loadDecompressor(compression, context.superblock.sectorsize, where);
    context.decompressors.set(key, decompress);
  }
  return decompress;
}

/** Bytes as they are stored, verified if the volume was opened so. */
async function readStored(
  context: Context,
  file: FileContent,
  address: number,
  length: number,
  signal: AbortSignal | undefined,
  into?: Uint8Array,
): Promise<Uint8Array> {
  if (context.verify && !file.noDataSum) {
    const { sectorsize } = context.superblock;
    const start = alignDown(address, sectorsize);
    const data = await readVerified(context, file.ino, start, alignUp(address + length, sectorsize) - start, signal);
    return data.subarray(address - start, address - start + length);
  }
  const onBad = (piece: { readonly logical: number }, error: ImageError): void => {
    context.report?.(
      finding(BTRFS_BAD_COPY, `data at logical address ${piece.logical}: ${error.reason}`, placeOf(error)),
    );
  };
  return context.volume.read(address, length, onBad, signal, into);
}

/** An extent in terms of devices: split where the profile splits it, and cut at the size of the file. */
export function* deviceExtents(volume: Volume, extent: FileExtent, size: number): Generator<Extent> {
  const { logical, kind } = extent;
  const length = Math.min(extent.length, size - logical);
  if (length <= 0) return;
  if (kind === "hole") {
    yield { kind, logical, length, physical: undefined };
  } else if (kind === "data" || kind === "unwritten") {
    for (const piece of volume.pieces(extent.address, length)) {
      const place = placeOnDevice(volume.locate(piece.logical, piece.length));
      yield { kind, logical: logical + piece.logical - extent.address, length: piece.length, ...place };
    }
  } else {
    const stored = kind === "inline" ? extent.bytes.length : extent.diskLength;
    const encoding = extent.compression;
    const place = { logical, length, ...placeOnDevice(volume.locate(extent.address, stored)) };
    if (encoding === undefined) yield { kind: "inline", ...place };
    else yield { kind: "encoded", ...place, physicalLength: stored, encoding };
  }
}

/** Where only parity tells what was stored, no place is named. */
function placeOnDevice(found: Location | undefined): Pick<Extent, "physical" | "device"> {
  return found === undefined ? { physical: undefined } : { physical: found.physical, device: found.device };
}

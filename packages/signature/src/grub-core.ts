import { type BlockDevice, decodeText, findingFromError, isImageError, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { decodeLzmaAlone } from "@guestprobe/codec";
import {
  GRUB_FIRST_BLOCKLIST,
  grub_blocklist,
  grub_decompressor,
  grub_module_header,
  grub_module_info32,
} from "./layout/boot.js";
import type { IdentifyOptions } from "./types.js";

const SECTOR = 512;
/** Pieces of a core image, and bytes of it: real ones have some hundred KiB in a piece or two. */
const MAX_PIECES = 40;
const MAX_CORE = 2 << 20;
const MAX_KERNEL = 8 << 20;
/** Bytes that the starts of a stream which are tried unpack to, in all: the first few are it in what GRUB makes. */
const MAX_TRIED = 16 << 20;
/** Objects that are looked at behind all that looks like the magic; GRUB has as many as it has modules. */
const MAX_OBJECTS = 10_000;
/** The decompressor's size is stored nowhere: it ends at such a boundary, and within two sectors of what the list leaves. */
const ALIGN = 16;

/**
 * The prefix that a GRUB 2 core image was made with. It lies in the compressed part, behind the modules; undefined where the
 * image is damaged, overwritten or of another make.
 *
 * @param at The core image's first sector: bytes from the start of the disk.
 */
export async function readCorePrefix(
  disk: BlockDevice,
  at: number,
  { report, signal }: IdentifyOptions,
): Promise<string | undefined> {
  try {
    const core = await readPieces(disk, at, signal);
    return core && prefixOf(core);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    report?.(findingFromError(error));
    return undefined;
  }
}

/** Everything behind the first sector, put together as that sector's list says. */
async function readPieces(
  disk: BlockDevice,
  at: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  if (at === 0 || at + SECTOR > disk.size) return undefined;
  const list = viewOf(await disk.read(at, SECTOR, signal));
  const pieces: { offset: number; length: number }[] = [];
  let total = 0;
  for (let entry = GRUB_FIRST_BLOCKLIST; pieces.length < MAX_PIECES && entry > 0; entry -= grub_blocklist.$size) {
    const length = grub_blocklist.len(list, entry) * SECTOR;
    if (length === 0) break;
    const offset = Number(grub_blocklist.start(list, entry)) * SECTOR;
    total += length;
    if (total > MAX_CORE || offset + length > disk.size) return undefined;
    pieces.push({ offset, length });
  }
  if (pieces.length === 0) return undefined;
  const core = new Uint8Array(total);
  let end = 0;
  for (const { offset, length } of pieces) {
    core.set(await disk.read(offset, length, signal), end);
    end += length;
  }
  return core;
}

function prefixOf(core: Uint8Array): string | undefined {
  const view = viewOf(core);
  const packed = grub_decompressor.compressed_size(view, 0);
  const unpacked = grub_decompressor.uncompressed_size(view, 0);
  const redundancy = grub_decompressor.reed_solomon_redundancy(view, 0);
  const room = core.length - packed - redundancy;
  if (room < grub_decompressor.$size || unpacked > MAX_KERNEL || unpacked < grub_module_info32.$size) return undefined;
  const last = room - (room % ALIGN);
  let left = MAX_TRIED;
  for (let start = last; start > Math.max(last - 2 * SECTOR, grub_decompressor.$size); start -= ALIGN) {
    // Every stream of LZMA begins with a byte of zero.
    if (core[start] !== 0) continue;
    left -= unpacked;
    if (left < 0) return undefined;
    const kernel = unpack(core.subarray(start, start + packed), unpacked);
    const prefix = kernel && prefixInKernel(kernel);
    if (prefix !== undefined) return prefix;
  }
  return undefined;
}

/** GRUB leaves out LZMA's header: its properties are always the usual ones (lc 3, lp 0, pb 2). */
function unpack(stream: Uint8Array, size: number): Uint8Array | undefined {
  const file = new Uint8Array(13 + stream.length);
  const view = viewOf(file);
  view.setUint8(0, 0x5d);
  view.setUint32(1, 1 << 23, true);
  view.setUint32(5, size, true);
  file.set(stream, 13);
  try {
    return decodeLzmaAlone(file, { exact: size });
  } catch (error) {
    if (!isImageError(error)) throw error;
    return undefined;
  }
}

const MODULE_MAGIC = 0x676d_696d;
const OBJ_TYPE_PREFIX = 3;

/** The magic also occurs in the kernel's code, so what follows it must make a list of objects. */
function prefixInKernel(kernel: Uint8Array): string | undefined {
  const view = viewOf(kernel);
  let left = MAX_OBJECTS;
  for (let at = 0; at + grub_module_info32.$size <= kernel.length; at += 4) {
    if (grub_module_info32.magic(view, at) !== MODULE_MAGIC) continue;
    const end = at + grub_module_info32.size(view, at);
    let object = at + grub_module_info32.offset(view, at);
    if (end > kernel.length) continue;
    while (object + grub_module_header.$size <= end) {
      left -= 1;
      if (left < 0) return undefined;
      const size = grub_module_header.size(view, object);
      if (size < grub_module_header.$size || object + size > end) break;
      if (grub_module_header.type(view, object) === OBJ_TYPE_PREFIX) {
        return decodeText(untilNul(kernel.subarray(object + grub_module_header.$size, object + size)));
      }
      object += size;
    }
  }
  return undefined;
}

import { crc32cRaw, finding, type ImageError, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { compareChecksums } from "./checksum.js";
import type { NameQuery } from "./dir-names.js";
import { type DirBlock, type DirentForm, decodeDirBlock, type RawDirent, recordLength } from "./directory.js";
import { INCOMPAT } from "./features.js";
import { allRuns, type FileMap } from "./file-map.js";
import { DIRECTORY_HOLE } from "./findings.js";
import type { DecodedInode } from "./inode.js";
import {
  ext4_dir_entry_2 as dirent,
  EXT4_CASEFOLD_FL,
  EXT4_ENCRYPT_FL,
  EXT4_FT_DIR_CSUM,
  EXT4_INDEX_FL,
  ext4_dir_entry_tail as tail,
} from "./layout.js";
import { failure, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** Bytes of a directory read at once: little at first, since most lookups end early, more as it goes on. */
const FIRST_READ = 16 << 10;
const MOST_READ = 256 << 10;

/** A directory whose entries lie in blocks. */
export interface DirContext {
  readonly volume: Volume;
  readonly inode: DecodedInode;
  readonly map: FileMap;
}

export function direntForm(volume: Volume, inode: DecodedInode): DirentForm {
  const both = EXT4_CASEFOLD_FL | EXT4_ENCRYPT_FL;
  return {
    hasType: (volume.sb.incompat & INCOMPAT.filetype) !== 0,
    hasHash: (inode.flags & both) === both,
    blockSize: volume.sb.blockSize,
  };
}

/** How blocks are read: from byte `offset` of the device. */
export type Read = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * The entries of each block, and what was wrong with it. The walk goes on after a damaged block, as the kernel's
 * does.
 */
export async function* linearBlocks(
  dir: DirContext,
  read: Read,
  signal: AbortSignal | undefined,
): AsyncGenerator<DirBlock> {
  const { volume, inode, map } = dir;
  const { blockSize } = volume.sb;
  const end = Math.ceil(inode.size / blockSize);
  const form = direntForm(volume, inode);
  let most = FIRST_READ;
  let blocksRead = 0;
  const mostBlocks = Math.ceil(volume.device.size / blockSize);
  for await (const runs of allRuns(volume, inode, map, end, signal)) {
    for (const run of runs) {
      if (run.physical === undefined || run.unwritten) {
        const place = { format: "ext", structure: "directory", offset: inode.offset };
        volume.report?.(finding(DIRECTORY_HOLE, `directory ${inode.ino} has a hole at block ${run.first}`, place));
        continue;
      }
      for (let done = 0; done < run.count; ) {
        const count = Math.min(run.count - done, Math.max(1, most / blockSize));
        most = Math.min(MOST_READ, most * 2);
        blocksRead += count;
        if (blocksRead > mostBlocks) {
          throw failure("corrupt", `directory ${inode.ino} has more blocks than the device`, inode.offset);
        }
        yield* readDirBlocks(dir, form, run.first + done, run.physical + done, count, read);
        done += count;
      }
    }
  }
}

async function* readDirBlocks(
  dir: DirContext,
  form: DirentForm,
  first: number,
  physical: number,
  count: number,
  read: Read,
): AsyncGenerator<DirBlock> {
  const { volume } = dir;
  const { blockSize } = volume.sb;
  let data: Uint8Array;
  try {
    data = await read(physical * blockSize, count * blockSize);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    if (count === 1) {
      yield { entries: [], error };
      return;
    }
    // One bad block must not hide its neighbours.
    for (let n = 0; n < count; n += 1) yield* readDirBlocks(dir, form, first + n, physical + n, 1, read);
    return;
  }
  for (let n = 0; n < count; n += 1) {
    const block = data.subarray(n * blockSize, (n + 1) * blockSize);
    const at = (physical + n) * blockSize;
    verifyLeaf(dir, first + n, block, at);
    yield decodeDirBlock(block, at, form);
  }
}

/** Checks the checksum in the last entry of a block that is no part of an index. */
export function verifyLeaf(dir: DirContext, fileBlock: number, data: Uint8Array, at: number): boolean {
  const { volume, inode } = dir;
  if (inode.seed === undefined || volume.checksums === "ignore") return true;
  if ((inode.flags & EXT4_INDEX_FL) !== 0 && (fileBlock === 0 || isIndexNode(data))) return true;
  const base = data.length - tail.$size;
  const view = viewOf(data);
  const what = `block ${fileBlock} of directory ${inode.ino}`;
  const hasTail =
    tail.det_reserved_zero1(view, base) === 0 &&
    tail.det_rec_len(view, base) === tail.$size &&
    tail.det_reserved_zero2(view, base) === 0 &&
    tail.det_reserved_ft(view, base) === EXT4_FT_DIR_CSUM;
  // Without a tail there is no checksum at all; what lies in its place is compared, and cannot match but by chance.
  const computed = crc32cRaw(data.subarray(0, base), inode.seed);
  const stored = tail.det_checksum(view, base);
  const place = placeOf(tail, hasTail ? "det_checksum" : "det_reserved_ft", at + base);
  return compareChecksums(volume, hasTail ? stored : ~computed >>> 0, computed, what, place);
}

/** Whether a block is an inner node of an index: one unused entry spans it. */
function isIndexNode(data: Uint8Array): boolean {
  const view = viewOf(data);
  const length = recordLength(dirent.rec_len(view, 0), data.length);
  return dirent.inode(view, 0) === 0 && dirent.name_len(view, 0) === 0 && length === data.length;
}

/** The entry that a query asks for, block after block. */
export async function linearLookup(
  blocks: AsyncIterable<DirBlock> | Iterable<DirBlock>,
  query: NameQuery,
): Promise<RawDirent | undefined> {
  let damage: ImageError | undefined;
  for await (const { entries, error } of blocks) {
    const found = findEntry(entries, query);
    if (found !== undefined) return found;
    damage ??= error;
  }
  // A name that was not found where part of the directory cannot be read is not known to be absent.
  if (damage !== undefined) throw damage;
  return undefined;
}

export function findEntry(entries: readonly RawDirent[], query: NameQuery): RawDirent | undefined {
  return entries.find((entry) => !entry.isDots && query.matches(entry));
}

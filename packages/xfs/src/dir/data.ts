import { alignUp, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { StoredDirent } from "@guestprobe/vfs";
import type { ForkBlock } from "../fork.js";
import {
  XFS_DIR2_BLOCK_MAGIC,
  XFS_DIR2_DATA_FREE_TAG,
  XFS_DIR2_DATA_HDR_LEN,
  XFS_DIR2_DATA_MAGIC,
  XFS_DIR3_BLOCK_MAGIC,
  XFS_DIR3_DATA_HDR_LEN,
  XFS_DIR3_DATA_MAGIC,
  xfs_dir2_block_tail,
  xfs_dir2_data_entry,
  xfs_dir2_data_unused,
  xfs_dir2_leaf_entry,
} from "../layout/dir.js";
import { type DecodedEntries, type DirectoryEntry, entryType } from "./entry.js";

/** What decoding a directory's blocks depends on. */
export interface DirectoryLayout {
  /** The volume is of version 5. */
  readonly crc: boolean;
  readonly hasFtype: boolean;
}

/** A block of entries whose header was checked. */
export interface DataBlock {
  readonly block: ForkBlock;
  readonly view: DataView;
  /** Where entries begin and end: bytes of the block. */
  readonly start: number;
  readonly end: number;
  /** In the block form: where the hash index begins, and how many entries it has. */
  readonly index: { readonly start: number; readonly count: number } | undefined;
}

/**
 * Checks the header of a data block, or of the single block of a directory. "Block Directories" and "Leaf
 * Directories", XFS Algorithms & Data Structures, 3rd ed.
 *
 * @throws ImageError `corrupt`.
 */
export function openDataBlock(block: ForkBlock, layout: DirectoryLayout): DataBlock {
  const view = viewOf(block.data);
  const magic = view.getUint32(0);
  const isBlock = magic === (layout.crc ? XFS_DIR3_BLOCK_MAGIC : XFS_DIR2_BLOCK_MAGIC);
  if (!isBlock && magic !== (layout.crc ? XFS_DIR3_DATA_MAGIC : XFS_DIR2_DATA_MAGIC)) {
    const text = `magic is 0x${magic.toString(16)}, not that of a directory block`;
    throw new ImageError("corrupt", text, { format: "xfs", structure: "xfs_dir2_data_hdr", offset: block.at });
  }
  const start = layout.crc ? XFS_DIR3_DATA_HDR_LEN : XFS_DIR2_DATA_HDR_LEN;
  const size = block.data.length;
  if (!isBlock) return { block, view, start, end: size, index: undefined };
  const tail = size - xfs_dir2_block_tail.$size;
  const count = xfs_dir2_block_tail.count(view, tail);
  const indexStart = tail - count * xfs_dir2_leaf_entry.$size;
  if (indexStart < start) {
    throw new ImageError("corrupt", `${count} index entries in a directory block of ${size} bytes`, {
      format: "xfs",
      structure: "xfs_dir2_block_tail",
      field: "count",
      offset: block.byteAt(tail),
    });
  }
  return { block, view, start, end: indexStart, index: { start: indexStart, count } };
}

/** All entries of a block. An unsound entry whose length is sound hides only itself. */
export function decodeDataBlock(data: DataBlock, layout: DirectoryLayout): DecodedEntries {
  const { view, end } = data;
  const entries: DirectoryEntry[] = [];
  let problem: ImageError | undefined;
  for (let offset = data.start; offset < end; ) {
    if (offset + xfs_dir2_data_unused.$size > end) {
      return { entries, problem: problem ?? broken(data, offset, "bytes left over after the last entry") };
    }
    if (xfs_dir2_data_unused.freetag(view, offset) === XFS_DIR2_DATA_FREE_TAG) {
      const length = xfs_dir2_data_unused.length(view, offset);
      if (length < 8 || length % 8 !== 0 || offset + length > end) {
        return { entries, problem: problem ?? broken(data, offset, `an unused run of ${length} bytes`) };
      }
      offset += length;
      continue;
    }
    const decoded = decodeEntry(data, offset, layout);
    if (decoded.entry !== undefined) entries.push(decoded.entry);
    problem ??= decoded.problem;
    if (decoded.length === undefined) return { entries, problem };
    offset += decoded.length;
  }
  return { entries, problem };
}

/** An entry with its length in bytes; no length when it cannot be told where the next one begins. */
export interface DecodedEntry {
  readonly entry?: DirectoryEntry;
  readonly problem?: ImageError;
  readonly length?: number;
}

/** The entry at byte `offset` of a block. */
export function decodeEntry(data: DataBlock, offset: number, layout: DirectoryLayout): DecodedEntry {
  const { view, end, block } = data;
  const nameAt = offset + xfs_dir2_data_entry.$size;
  const nameLength = nameAt <= end ? xfs_dir2_data_entry.namelen(view, offset) : 0;
  const nameEnd = nameAt + nameLength;
  // Name, type, tag; padded so that the tag ends at a multiple of eight.
  const length = alignUp(nameEnd + (layout.hasFtype ? 1 : 0) + 2 - offset, 8);
  if (nameLength === 0 || offset + length > end) {
    return { problem: broken(data, offset, `an entry with a name of ${nameLength} bytes`) };
  }
  const tag = view.getUint16(offset + length - 2);
  if (tag !== offset) return { length, problem: broken(data, offset, `an entry whose tag says byte ${tag}`) };
  const hi = view.getUint32(offset);
  const ino = hi * 2 ** 32 + view.getUint32(offset + 4);
  const type = entryType(layout.hasFtype ? block.data[nameEnd] : undefined);
  return { length, entry: new StoredDirent(block.data, nameAt, nameLength, ino, type, offset) };
}

function broken(data: DataBlock, offset: number, found: string): ImageError {
  return new ImageError("corrupt", `a directory block holds ${found}`, {
    format: "xfs",
    structure: "xfs_dir2_data_entry",
    offset: data.block.byteAt(offset),
  });
}

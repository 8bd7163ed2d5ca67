import type { Extent } from "@guestprobe/vfs";
import type { DirBlock, DirentForm } from "./directory.js";
import { decodeDirBlock } from "./directory.js";
import type { DecodedInode } from "./inode.js";
import { ext4_inode } from "./layout.js";
import { XATTR_INDEX_SYSTEM } from "./xattr.js";
import { inodeXattrs } from "./xattr-walk.js";

/** A piece of content inside an inode. */
export interface InlinePart {
  readonly data: Uint8Array;
  /** Where it lies: bytes from the start of the device. */
  readonly offset: number;
}

/** Content of an inode with inline data: `i_block`, then the value of the attribute system.data in the inode. */
export function inlineParts(inode: DecodedInode): InlinePart[] {
  const parts = [{ data: inode.block, offset: inode.offset + ext4_inode.$fields.i_block.offset }];
  const tail = inodeXattrs(inode).find(
    ({ nameIndex, name }) => nameIndex === XATTR_INDEX_SYSTEM && String.fromCharCode(...name) === "data",
  );
  if (tail?.value !== undefined && tail.valueOffset !== undefined && tail.value.length > 0) {
    parts.push({ data: tail.value, offset: tail.valueOffset });
  }
  return parts;
}

/** Where inline content lies, up to `size` bytes; what is not stored is a hole. */
export function inlineExtents(parts: readonly InlinePart[], size: number): Extent[] {
  const extents: Extent[] = [];
  let at = 0;
  for (const { data, offset } of parts) {
    const length = Math.min(data.length, size - at);
    if (length <= 0) break;
    extents.push({ kind: "inline", logical: at, length, physical: offset });
    at += length;
  }
  if (at < size) extents.push({ kind: "hole", logical: at, length: size - at, physical: undefined });
  return extents;
}

/** A range of inline content. */
export function readInline(parts: readonly InlinePart[], offset: number, length: number): Uint8Array {
  const result = new Uint8Array(length);
  let at = 0;
  for (const { data } of parts) {
    const from = Math.max(offset, at);
    const to = Math.min(offset + length, at + data.length);
    if (from < to) result.set(data.subarray(from - at, to - at), from - offset);
    at += data.length;
  }
  return result;
}

/** The entries of a directory inside an inode. The first word is the inode of ".."; "." is not stored. */
export function* inlineDirBlocks(parts: readonly InlinePart[], form: DirentForm): Generator<DirBlock> {
  for (const [n, { data, offset }] of parts.entries()) {
    const skipped = n === 0 ? 4 : 0;
    yield decodeDirBlock(data.subarray(skipped), offset + skipped, form);
  }
}

import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  type BmapLeaf,
  type BmapNode,
  type BmapRecord,
  decodeBmapBlock,
  decodeBmapRoot,
  decodeExtents,
} from "./bmap.js";
import { checkSelf, readBytes, type XfsContext } from "./context.js";
import type { Fork } from "./dinode.js";
import { fsBlockToByte } from "./geometry.js";
import { XFS_DINODE_FMT_BTREE, XFS_DINODE_FMT_EXTENTS } from "./layout/inode.js";

/**
 * The extents of a fork that overlap blocks `from` to `to` of the file, in file order: those of one B+tree leaf at a
 * time. Holes are absent, unwritten extents are marked.
 *
 * @throws ImageError `corrupt`, after the extents before the damage were given; `past-end`, `bad-checksum`.
 */
export async function* forkRecords(
  ctx: XfsContext,
  fork: Fork,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly BmapRecord[], void, undefined> {
  const wanted = (record: BmapRecord): boolean => record.startOff < to && record.startOff + record.count > from;
  if (fork.format === XFS_DINODE_FMT_EXTENTS) {
    yield forkList(fork).filter(wanted);
    return;
  }
  if (fork.format !== XFS_DINODE_FMT_BTREE) {
    throw new ImageError("corrupt", `inode ${fork.ino}: the ${fork.kind} fork has format ${fork.format}`, {
      format: "xfs",
      structure: "xfs_dinode",
      field: fork.kind === "data" ? "di_format" : "di_aformat",
      offset: fork.at,
    });
  }
  const root = decodeBmapRoot(fork.bytes, fork.at);
  const path = [{ node: root, next: childOf(root, from), end: Number.MAX_SAFE_INTEGER }];
  while (path.length > 0) {
    const top = path[path.length - 1]!;
    const index = top.next;
    const low = top.node.keys[index];
    if (low === undefined) {
      path.pop();
      continue;
    }
    if (low >= to) return;
    top.next += 1;
    const end = top.node.keys[index + 1] ?? top.end;
    const child = await readChild(ctx, fork, top.node, index, end, signal);
    if (child.level === 0) yield (child as BmapLeaf).records.filter(wanted);
    else path.push({ node: child as BmapNode, next: childOf(child as BmapNode, from), end });
  }
}

/** All extents of a fork that has them in the inode. @throws ImageError `corrupt`. */
export function forkList(fork: Fork): BmapRecord[] {
  if (fork.extents > Math.floor(fork.bytes.length / 16)) {
    const text = `inode ${fork.ino}: ${fork.extents} extents in a ${fork.kind} fork of ${fork.bytes.length} bytes`;
    throw new ImageError("corrupt", text, {
      format: "xfs",
      structure: "xfs_dinode",
      field: fork.kind === "data" ? "di_nextents" : "di_anextents",
      offset: fork.at,
    });
  }
  return decodeExtents(viewOf(fork.bytes), 0, fork.extents, fork.at);
}

/** Which child holds block `from`: the last whose key is not greater, or the first. */
function childOf(node: BmapNode, from: number): number {
  let low = 0;
  let high = node.keys.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (node.keys[middle]! <= from) low = middle;
    else high = middle;
  }
  return low;
}

async function readChild(
  ctx: XfsContext,
  fork: Fork,
  node: BmapNode,
  index: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<BmapNode | BmapLeaf> {
  const pointer = node.pointers[index]!;
  const structure = "xfs_btree_lblock";
  const at = fsBlockToByte(ctx.sb, pointer);
  if (at === undefined) {
    const text = `inode ${fork.ino}: its extent tree leads to block ${pointer}, which the volume does not have`;
    throw new ImageError("corrupt", text, { format: "xfs", structure, offset: fork.at });
  }
  const child = await decodeChild(ctx, fork, at, node.level - 1, signal);
  // Within its parent's range, or two parents could share a child and a small tree describe an endless file.
  const first = child.level === 0 ? (child as BmapLeaf).records[0]!.startOff : (child as BmapNode).keys[0]!;
  const last = child.level === 0 ? (child as BmapLeaf).records.at(-1)! : undefined;
  if (first < node.keys[index]! || first >= end || (last !== undefined && last.startOff + last.count > end)) {
    const text = `inode ${fork.ino}: a block of its extent tree lies outside its parent's range`;
    throw new ImageError("corrupt", text, { format: "xfs", structure, offset: at });
  }
  return child;
}

async function decodeChild(
  ctx: XfsContext,
  fork: Fork,
  at: number,
  level: number,
  signal: AbortSignal | undefined,
): Promise<BmapNode | BmapLeaf> {
  const { last } = ctx.extentLeaf;
  if (level === 0 && last?.at === at && last.ino === fork.ino) return last.leaf;
  const data = await readBytes(ctx, at, ctx.sb.blockSize, signal);
  checkSelf(ctx, data, at, { structure: "xfs_btree_lblock", crc: 64, uuid: 40, blkno: 24, owner: 56 }, fork.ino);
  const child = decodeBmapBlock(data, at, ctx.sb.version === 5, level);
  if (child.level === 0) ctx.extentLeaf.last = { at, ino: fork.ino, leaf: child as BmapLeaf };
  return child;
}

/** One or more blocks of a fork, read as one: metadata that describes itself at its start. */
export interface ForkBlock {
  readonly data: Uint8Array;
  /** Where its first block lies: bytes from the start of the device. */
  readonly at: number;
  /** Where byte `offset` of it lies: its blocks need not be side by side. */
  byteAt(offset: number): number;
}

/**
 * `count` blocks from block `first` of a fork; undefined where there is a hole.
 *
 * @param read How the device is read.
 * @throws ImageError `corrupt` for an extent outside the volume; what `forkRecords` throws.
 */
export async function readForkBlock(
  ctx: XfsContext,
  fork: Fork,
  first: number,
  count: number,
  signal: AbortSignal | undefined,
  read = readBytes,
): Promise<ForkBlock | undefined> {
  const { blockSize } = ctx.sb;
  const pieces: { from: number; at: number; length: number }[] = [];
  let next = first;
  for await (const records of forkRecords(ctx, fork, first, first + count, signal)) {
    for (const record of records) {
      if (record.unwritten || record.startOff > next) return undefined;
      const skip = next - record.startOff;
      const take = Math.min(record.count - skip, first + count - next);
      const at = fsBlockToByte(ctx.sb, record.startBlock + skip, take);
      if (at === undefined) throw outside(fork, record);
      pieces.push({ from: (next - first) * blockSize, at, length: take * blockSize });
      next += take;
    }
  }
  const piece = pieces[0];
  if (piece === undefined || next < first + count) return undefined;
  if (pieces.length === 1) {
    const data = await read(ctx, piece.at, piece.length, signal);
    return { data, at: piece.at, byteAt: (offset) => piece.at + offset };
  }
  const data = new Uint8Array(count * blockSize);
  for (const part of pieces) data.set(await read(ctx, part.at, part.length, signal), part.from);
  const byteAt = (offset: number): number => {
    const part = pieces.findLast((candidate) => candidate.from <= offset) ?? piece;
    return part.at + offset - part.from;
  };
  return { data, at: piece.at, byteAt };
}

/** The error for an extent that no group of the volume holds. */
export function outside(fork: Fork, record: BmapRecord): ImageError {
  const text = `inode ${fork.ino}: ${record.count} blocks from block ${record.startBlock} pass the end of their group`;
  return new ImageError("corrupt", text, { format: "xfs", structure: "xfs_bmbt_rec", offset: fork.at });
}

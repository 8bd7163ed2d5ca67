import { finding, ImageError, isImageError } from "@guestprobe/block";
import { isUsableName } from "@guestprobe/vfs";
import { checkSelf, DA3_BLKINFO, type XfsContext } from "../context.js";
import type { Dinode } from "../dinode.js";
import { XFS_DIRECTORY_INDEX } from "../findings.js";
import { type ForkBlock, readForkBlock } from "../fork.js";
import { decodeLeaf, decodeNode, forwardOf, indexKind, lowerBound } from "../hash-index.js";
import { XFS_DIR2_LEAF_OFFSET } from "../layout/dir.js";
import { type DataBlock, decodeEntry } from "./data.js";
import { isShortForm, layoutOf, listDirectory, readDataBlock, shortFormOf } from "./directory.js";
import type { DirectoryEntry } from "./entry.js";
import { compareNames, hashName } from "./name.js";

/**
 * The entry of one name, as the kernel would match it: through the hash index, or from end to end when that is
 * damaged, which is reported.
 *
 * @throws ImageError `corrupt`, `past-end`, ... when it cannot be told whether the name is there.
 */
export async function lookupName(
  ctx: XfsContext,
  dir: Dinode,
  name: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<DirectoryEntry | undefined> {
  if (!isUsableName(name) || name.length > 255) return undefined;
  const best = new BestMatch(name, ctx.sb.ignoresCase);
  if (isShortForm(dir)) {
    const { entries, problem } = shortFormOf(ctx, dir);
    for (const entry of entries) best.offer(entry);
    if (best.found === undefined && problem !== undefined) throw problem;
    return best.found;
  }
  try {
    await searchIndex(ctx, dir, best, signal);
    return best.found;
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "io") throw error;
    const { structure, field, offset } = error;
    const text = `directory ${dir.ino}: ${error.reason}; read from end to end instead`;
    ctx.report(finding(XFS_DIRECTORY_INDEX, text, { format: "xfs", structure, field, offset }));
  }
  try {
    for await (const entries of listDirectory(ctx, dir, signal)) {
      for (const entry of entries) if (best.offer(entry)) return entry;
    }
  } catch (error) {
    if (best.found === undefined || !isImageError(error) || error.code === "aborted") throw error;
  }
  return best.found;
}

/** The entry wanted: the one whose name is the same, else the first that differs in case alone, where that is ignored. */
class BestMatch {
  found: DirectoryEntry | undefined;
  readonly hash: number;
  readonly #name: Uint8Array;
  readonly #ignoreCase: boolean;

  constructor(name: Uint8Array, ignoreCase: boolean) {
    this.#name = name;
    this.#ignoreCase = ignoreCase;
    this.hash = hashName(name, ignoreCase);
  }

  /** Whether the search is over: no better match than this can come. */
  offer(entry: DirectoryEntry): boolean {
    const match = compareNames(entry.name, this.#name, this.#ignoreCase);
    if (match === "exact") this.found = entry;
    else if (match === "case") this.found ??= entry;
    return match === "exact";
  }
}

/** Looks through the index. @throws ImageError for whatever is wrong with it. */
async function searchIndex(
  ctx: XfsContext,
  dir: Dinode,
  best: BestMatch,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (dir.size === ctx.sb.dirBlockSize) {
    const only = await readDataBlock(ctx, dir, 0, signal);
    if (only?.index !== undefined) {
      const leaf = decodeLeaf(only.block, ctx.sb.version === 5, only.index);
      for (let at = lowerBound(leaf, best.hash); at < leaf.count && leaf.hash(at) === best.hash; at += 1) {
        if (leaf.target(at) !== 0 && offerAt(ctx, dir, only, leaf.target(at) * 8, best)) return;
      }
      return;
    }
  }
  let block: ForkBlock | undefined = await descend(ctx, dir, best.hash, signal);
  // Equal hashes may go on in the next leaf. Each is visited once.
  const visited = new Set<number>();
  while (block !== undefined && !visited.has(block.at)) {
    visited.add(block.at);
    const leaf = decodeLeaf(block, ctx.sb.version === 5, undefined, ctx.ordered.has(block.at, dir.ino));
    ctx.ordered.add(block.at, dir.ino);
    let at = lowerBound(leaf, best.hash);
    for (; at < leaf.count && leaf.hash(at) === best.hash; at += 1) {
      const address = leaf.target(at) * 8;
      if (address === 0) continue;
      const data = await readDataBlock(ctx, dir, Math.floor(address / ctx.sb.dirBlockSize), signal);
      if (data === undefined) throw broken(dir, "the hash index leads into a hole", block.at);
      if (offerAt(ctx, dir, data, address % ctx.sb.dirBlockSize, best)) return;
    }
    const forward = at < leaf.count ? 0 : forwardOf(block);
    if (forward === 0 || indexKind(block, ctx.sb.version === 5) === "leaf1") return;
    block = await readIndexBlock(ctx, dir, forward, signal);
    if (indexKind(block, ctx.sb.version === 5) !== "leaf") throw broken(dir, "a leaf leads to no leaf", block.at);
  }
}

/** Offers the entry at a byte of a data block. @throws ImageError `corrupt` when there is none: the index lies. */
function offerAt(ctx: XfsContext, dir: Dinode, data: DataBlock, offset: number, best: BestMatch): boolean {
  const { entry, problem } = offset < data.start ? {} : decodeEntry(data, offset, layoutOf(ctx));
  if (entry === undefined) throw problem ?? broken(dir, "the hash index leads to no entry", data.block.at);
  return best.offer(entry);
}

/** The leaf in which `hash` would stand; undefined when it is greater than all. */
async function descend(
  ctx: XfsContext,
  dir: Dinode,
  hash: number,
  signal: AbortSignal | undefined,
): Promise<ForkBlock | undefined> {
  const crc = ctx.sb.version === 5;
  let block = await readIndexBlock(ctx, dir, XFS_DIR2_LEAF_OFFSET / ctx.sb.blockSize, signal);
  let level: number | undefined;
  for (;;) {
    const kind = indexKind(block, crc);
    if (kind === "leaf1" && level === undefined) return block;
    if (kind === "leaf" && (level === undefined || level === 1)) return block;
    if (kind !== "node") throw broken(dir, `a block of kind ${kind} at level ${level ?? "0"} of the index`, block.at);
    const node = decodeNode(block, crc, ctx.ordered.has(block.at, dir.ino));
    ctx.ordered.add(block.at, dir.ino);
    // Levels fall one by one, so a tree that leads back into itself ends.
    if (level !== undefined && node.level !== level - 1) throw broken(dir, `a node of level ${node.level}`, block.at);
    level = node.level;
    const child = lowerBound(node, hash);
    if (child === node.count) return undefined;
    block = await readIndexBlock(ctx, dir, node.target(child), signal);
  }
}

/** A leaf or node block, from block `first` of the directory on. */
async function readIndexBlock(
  ctx: XfsContext,
  dir: Dinode,
  first: number,
  signal: AbortSignal | undefined,
): Promise<ForkBlock> {
  const blocks = ctx.sb.dirBlockSize / ctx.sb.blockSize;
  const block = await readForkBlock(ctx, dir.data, first, blocks, signal);
  if (block === undefined) throw broken(dir, `its index has no block ${first}`, dir.data.at);
  checkSelf(ctx, block.data, block.at, DA3_BLKINFO, dir.ino);
  return block;
}

function broken(dir: Dinode, reason: string, offset: number): ImageError {
  return new ImageError("corrupt", `directory ${dir.ino}: ${reason}`, {
    format: "xfs",
    structure: "xfs_da_blkinfo",
    offset,
  });
}

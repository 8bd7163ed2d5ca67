import { crc32cRaw, finding, type ImageError, isImageError } from "@guestprobe/block";
import { compareChecksums, crcWithGap } from "./checksum.js";
import type { NameQuery } from "./dir-names.js";
import { type DirContext, direntForm, findEntry, verifyLeaf } from "./dir-walk.js";
import { decodeDirBlock, type RawDirent } from "./directory.js";
import { HTREE_DAMAGED } from "./findings.js";
import { type DxNode, decodeDxNode, decodeDxRoot, dxBlock, dxFind, dxHash, isOrderly } from "./htree.js";
import { dx_entry, dx_tail } from "./layout.js";
import { corrupt, failure, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** A node on the way down, and which of its entries was taken. */
interface Step {
  readonly node: DxNode;
  at: number;
}

/** What an index says: the entry, or that there is none, and whether that can be relied on. */
export interface IndexAnswer {
  readonly entry: RawDirent | undefined;
  readonly isCertain: boolean;
}

/**
 * Looks a name up through the index of its directory: one block for each level and one leaf. A damaged index is
 * reported and gives an uncertain answer, so that the caller searches the directory from end to end.
 *
 * @throws ImageError `bad-checksum` under the policy `require`, `io`, `aborted`.
 */
export async function indexLookup(
  dir: DirContext,
  query: NameQuery,
  signal: AbortSignal | undefined,
): Promise<IndexAnswer> {
  try {
    return await descend(dir, query, signal);
  } catch (error) {
    if (!isImageError(error) || (error.code !== "corrupt" && error.code !== "past-end")) throw error;
    reportDamage(dir.volume, dir.inode.ino, error);
    return { entry: undefined, isCertain: false };
  }
}

async function descend(dir: DirContext, query: NameQuery, signal: AbortSignal | undefined): Promise<IndexAnswer> {
  const { sb } = dir.volume;
  const top = await readDirBlock(dir, 0, signal);
  const root = decodeDxRoot(sb, top.data, top.at);
  let isSound = verifyNode(dir, root, 0, top);
  const wanted = query.hash(root.hashVersion);
  if (wanted === undefined) return { entry: undefined, isCertain: false };
  const steps: Step[] = [{ node: root, at: dxFind(root, wanted.hash) }];
  const visited = new Set<number>();
  for (;;) {
    while (steps.length <= root.levels) {
      const number = blockBelow(steps, top.at);
      const block = await readDirBlock(dir, number, signal);
      const below = decodeDxNode(sb, block.data, block.at);
      isSound = verifyNode(dir, below, number, block) && isSound;
      // After a step to the right the search goes on at the first entry, whose hash is not stored.
      steps.push({ node: below, at: visited.size === 0 ? dxFind(below, wanted.hash) : 0 });
    }
    const number = blockBelow(steps, top.at);
    const leaf = await readDirBlock(dir, number, signal);
    if (visited.has(number)) {
      throw corrupt(dx_entry, "block", leaf.at, `directory index: block ${number} is named twice`);
    }
    visited.add(number);
    isSound = verifyLeaf(dir, number, leaf.data, leaf.at) && isSound;
    const { entries, error } = decodeDirBlock(leaf.data, leaf.at, direntForm(dir.volume, dir.inode));
    const entry = findEntry(entries, query);
    if (entry !== undefined) return { entry, isCertain: true };
    if (error !== undefined) throw error;
    const nodes = steps.map((step) => step.node);
    if (stepRight(steps, wanted.hash)) continue;
    if (!nodes.every(isOrderly)) {
      throw corrupt(dx_entry, "hash", top.at + root.entriesAt, "directory index: its entries are in no order");
    }
    return { entry: undefined, isCertain: isSound && query.trustsIndex };
  }
}

/** The block of the directory that the last step leads to: never the root again. */
function blockBelow(steps: readonly Step[], rootAt: number): number {
  const { node, at } = steps[steps.length - 1]!;
  const number = dxBlock(node, at);
  if (number === 0) throw corrupt(dx_entry, "block", rootAt + node.entriesAt, "directory index: it leads to its root");
  return number;
}

/** Goes on to the next leaf if it continues names of the same hash, which its hash then tells by the lowest bit. */
function stepRight(steps: Step[], hash: number): boolean {
  while (steps.length > 0) {
    const step = steps[steps.length - 1]!;
    step.at += 1;
    if (step.at < step.node.count) break;
    steps.pop();
  }
  const step = steps[steps.length - 1];
  return step !== undefined && dxHash(step.node, step.at) === hash + 1;
}

interface PlacedBlock {
  readonly data: Uint8Array;
  /** Bytes from the start of the device. */
  readonly at: number;
}

async function readDirBlock(dir: DirContext, block: number, signal: AbortSignal | undefined): Promise<PlacedBlock> {
  const { volume, inode, map } = dir;
  const { blockSize } = volume.sb;
  const { ino, size } = inode;
  if (block * blockSize >= size) {
    throw failure("corrupt", `directory ${ino}: its index leads to block ${block}, past its end`, inode.offset);
  }
  const run = (await map.runs(block, block + 1, signal))[0];
  if (run?.physical === undefined || run.unwritten) {
    throw failure("corrupt", `directory ${ino}: its index leads to block ${block}, a hole`, inode.offset);
  }
  return { data: await volume.readBlock(run.physical, signal), at: run.physical * blockSize };
}

/** Checks the checksum of a node: of the entries in use, and of the tail after the last possible one. */
function verifyNode(dir: DirContext, node: DxNode, number: number, { data, at }: PlacedBlock): boolean {
  const { volume, inode } = dir;
  if (inode.seed === undefined || volume.checksums === "ignore") return true;
  const used = node.entriesAt + node.count * dx_entry.$size;
  const base = node.entriesAt + node.limit * dx_entry.$size;
  const sum = crc32cRaw(data.subarray(0, used), inode.seed);
  const computed = crcWithGap(sum, data.subarray(base, base + dx_tail.$size), dx_tail.$fields.dt_checksum.offset, 4);
  const stored = dx_tail.dt_checksum(node.view, base);
  const what = `index block ${number} of directory ${inode.ino}`;
  return compareChecksums(volume, stored, computed, what, placeOf(dx_tail, "dt_checksum", at + base));
}

function reportDamage(volume: Volume, ino: number, error: ImageError): void {
  const { format, structure, field, offset } = error;
  const message = `directory ${ino} is searched block after block: ${error.reason}`;
  volume.report?.(finding(HTREE_DAMAGED, message, { format, structure, field, offset }));
}

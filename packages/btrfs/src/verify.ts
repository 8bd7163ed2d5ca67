import { equalBytes, finding, ImageError, isImageError } from "@guestprobe/block";
import type { Piece } from "./chunk.js";
import type { Context } from "./context.js";
import { BTRFS_BAD_COPY, BTRFS_BAD_DATA } from "./findings.js";
import { compareKeys, makeKey, offsetOf } from "./key.js";
import { CSUM_TREE_OBJECTID, EXTENT_CSUM_KEY, EXTENT_CSUM_OBJECTID } from "./layout.js";
import { leafItem } from "./node.js";
import { placeOf } from "./super-copies.js";

/**
 * Sectors of file data, each held against its checksum; of a bad one the other copies are tried.
 *
 * @param address Logical address and length, both multiples of the sector size.
 * @throws ImageError `bad-checksum` under the policy `require`, `io` when no copy can be read.
 */
export async function readVerified(
  context: Context,
  ino: number,
  address: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const sums = await dataChecksums(context, address, length, signal);
  const pieces = [...context.volume.pieces(address, length)];
  const parts = await Promise.all(pieces.map((piece) => readPiece(context, ino, piece, sums, signal)));
  if (parts.length === 1) return parts[0]!;
  const result = new Uint8Array(length);
  for (const [index, part] of parts.entries()) result.set(part, pieces[index]!.logical - address);
  return result;
}

/** The stored checksums of the sectors of a range, by logical address; sectors without one are left out. */
async function dataChecksums(
  { trees, subvolumes, checksum, superblock }: Context,
  address: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const { sectorsize } = superblock;
  const { root } = await subvolumes.tree(CSUM_TREE_OBJECTID, signal);
  const lowest = makeKey(EXTENT_CSUM_OBJECTID, EXTENT_CSUM_KEY, 0);
  const before = await trees.floor(root, makeKey(EXTENT_CSUM_OBJECTID, EXTENT_CSUM_KEY, address), signal);
  const from = before !== undefined && compareKeys(before.key, lowest) >= 0 ? before.key : lowest;
  const to = makeKey(EXTENT_CSUM_OBJECTID, EXTENT_CSUM_KEY, address + length - 1);
  const sums = new Map<number, Uint8Array>();
  for await (const { leaf, first, end } of trees.range(root, from, to, signal)) {
    for (let slot = first; slot < end; slot += 1) {
      const { key, data } = leafItem(leaf, slot);
      const start = offsetOf(key);
      const stop = Math.min(address + length, start + Math.floor(data.length / checksum.size) * sectorsize);
      const skipped = Math.max(0, Math.ceil((address - start) / sectorsize));
      for (let sector = start + skipped * sectorsize; sector < stop; sector += sectorsize) {
        const at = ((sector - start) / sectorsize) * checksum.size;
        sums.set(sector, data.subarray(at, at + checksum.size));
      }
    }
  }
  return sums;
}

async function readPiece(
  context: Context,
  ino: number,
  piece: Piece,
  sums: ReadonlyMap<number, Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { volume, checksum, superblock, report, policy } = context;
  const { sectorsize } = superblock;
  let result: Uint8Array | undefined;
  let firstError: ImageError | undefined;
  /** Sectors still without sound content, by their place in the piece. */
  let bad: number[] = [];
  for (let at = 0; at < piece.length; at += sectorsize) bad.push(at);
  const ways = Math.max(1, volume.ways(piece));
  for (let way = 0; way < ways && bad.length > 0; way += 1) {
    let data: Uint8Array;
    let offset: number | undefined;
    try {
      const got = await volume.readPiece(piece, way, signal);
      data = got.data;
      offset = got.from?.device === 0 ? got.from.physical : undefined;
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      firstError ??= error;
      continue;
    }
    const good: number[] = [];
    const stillBad: number[] = [];
    for (const at of bad) {
      const stored = sums.get(piece.logical + at);
      const isGood = stored !== undefined && equalBytes(stored, checksum.of(data.subarray(at, at + sectorsize)));
      (isGood ? good : stillBad).push(at);
    }
    bad = stillBad;
    if (result === undefined) result = bad.length === 0 && firstError === undefined ? data : data.slice();
    else for (const at of good) result.set(data.subarray(at, at + sectorsize), at);
    if (bad.length > 0) {
      firstError ??= new ImageError(
        "bad-checksum",
        `inode ${ino}: data at logical address ${piece.logical + bad[0]!} fails its checksum or has none`,
        { format: "btrfs", structure: "btrfs_csum_item", offset: offset === undefined ? undefined : offset + bad[0]! },
      );
    }
  }
  if (result === undefined) throw firstError!;
  if (bad.length > 0 && policy === "require") throw firstError!;
  if (firstError !== undefined) {
    report?.(finding(bad.length > 0 ? BTRFS_BAD_DATA : BTRFS_BAD_COPY, firstError.reason, placeOf(firstError)));
  }
  return result;
}

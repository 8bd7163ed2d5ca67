import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ForkBlock } from "../fork.js";
import {
  XFS_ATTR_LEAF_MAGIC,
  XFS_ATTR3_LEAF_MAGIC,
  XFS_DA_BLKINFO_LEN,
  XFS_DA_NODE_MAGIC,
  XFS_DA3_BLKINFO_LEN,
  XFS_DA3_NODE_MAGIC,
  XFS_DIR2_LEAF_HDR_LEN,
  XFS_DIR2_LEAF1_MAGIC,
  XFS_DIR2_LEAFN_MAGIC,
  XFS_DIR3_LEAF_HDR_LEN,
  XFS_DIR3_LEAF1_MAGIC,
  XFS_DIR3_LEAFN_MAGIC,
  xfs_da_blkinfo,
  xfs_da_counts,
  xfs_da_node_entry,
} from "../layout/da.js";
import { xfs_dir2_leaf_entry } from "../layout/dir.js";

/** What a block of the hash index of a directory or of attributes is. */
export type IndexKind = "node" | "leaf" | "leaf1" | "attr";

const KINDS: Readonly<Record<"v4" | "v5", Readonly<Record<number, IndexKind>>>> = {
  v4: {
    [XFS_DA_NODE_MAGIC]: "node",
    [XFS_DIR2_LEAFN_MAGIC]: "leaf",
    [XFS_DIR2_LEAF1_MAGIC]: "leaf1",
    [XFS_ATTR_LEAF_MAGIC]: "attr",
  },
  v5: {
    [XFS_DA3_NODE_MAGIC]: "node",
    [XFS_DIR3_LEAFN_MAGIC]: "leaf",
    [XFS_DIR3_LEAF1_MAGIC]: "leaf1",
    [XFS_ATTR3_LEAF_MAGIC]: "attr",
  },
};

/** @throws ImageError `corrupt` for another magic. */
export function indexKind(block: ForkBlock, crc: boolean): IndexKind {
  const magic = xfs_da_blkinfo.magic(viewOf(block.data), 0);
  const kind = KINDS[crc ? "v5" : "v4"][magic];
  if (kind === undefined) {
    throw new ImageError("corrupt", `magic is 0x${magic.toString(16)}, not that of a leaf or node`, {
      format: "xfs",
      structure: "xfs_da_blkinfo",
      field: "magic",
      offset: block.at + 8,
    });
  }
  return kind;
}

/** The next block of the same level, as a block of the file; 0: none. */
export function forwardOf(block: ForkBlock): number {
  return xfs_da_blkinfo.forw(viewOf(block.data), 0);
}

export interface DaNode {
  readonly level: number;
  /** Greatest hash below each child, in order. */
  readonly hashes: readonly number[];
  /** Blocks of the file. */
  readonly children: readonly number[];
}

/** @throws ImageError `corrupt`. The caller has checked the kind. */
export function decodeNode(block: ForkBlock, crc: boolean): DaNode {
  const view = viewOf(block.data);
  const info = crc ? XFS_DA3_BLKINFO_LEN : XFS_DA_BLKINFO_LEN;
  const start = crc ? XFS_DIR3_LEAF_HDR_LEN : XFS_DIR2_LEAF_HDR_LEN;
  const count = xfs_da_counts.count(view, info);
  const level = xfs_da_counts.stale_or_level(view, info);
  const capacity = Math.floor((block.data.length - start) / xfs_da_node_entry.$size);
  const hashes: number[] = [];
  const children: number[] = [];
  for (let index = 0; index < count && count <= capacity; index += 1) {
    const at = start + index * xfs_da_node_entry.$size;
    hashes.push(xfs_da_node_entry.hashval(view, at));
    children.push(xfs_da_node_entry.before(view, at));
  }
  if (count === 0 || count > capacity || level === 0 || !isSorted(hashes)) {
    throw new ImageError("corrupt", `a node of level ${level} with ${count} entries, or out of order`, {
      format: "xfs",
      structure: "xfs_da_node_hdr",
      offset: block.byteAt(info),
    });
  }
  return { level, hashes, children };
}

/** Hashes of a directory leaf, in order, and where each leads: bytes of the directory's data; 0 where stale. */
export interface DirectoryLeaf {
  readonly hashes: readonly number[];
  readonly addresses: readonly number[];
}

/**
 * Decodes a leaf, or with `index` the one at the end of a block directory. The whole is checked at each use: a search
 * by halves in a list that is not sorted would miss names and not know it.
 *
 * @throws ImageError `corrupt`.
 */
export function decodeLeaf(
  block: ForkBlock,
  crc: boolean,
  index?: { readonly start: number; readonly count: number },
): DirectoryLeaf {
  const view = viewOf(block.data);
  const info = crc ? XFS_DA3_BLKINFO_LEN : XFS_DA_BLKINFO_LEN;
  const start = index?.start ?? (crc ? XFS_DIR3_LEAF_HDR_LEN : XFS_DIR2_LEAF_HDR_LEN);
  const count = index?.count ?? xfs_da_counts.count(view, info);
  const capacity = Math.floor((block.data.length - start) / xfs_dir2_leaf_entry.$size);
  const hashes: number[] = [];
  const addresses: number[] = [];
  for (let entry = 0; entry < count && count <= capacity; entry += 1) {
    const at = start + entry * xfs_dir2_leaf_entry.$size;
    hashes.push(xfs_dir2_leaf_entry.hashval(view, at));
    addresses.push(xfs_dir2_leaf_entry.address(view, at) * 8);
  }
  if (count > capacity || !isSorted(hashes)) {
    throw new ImageError("corrupt", `${count} index entries in room for ${capacity}, or out of order`, {
      format: "xfs",
      structure: "xfs_dir2_leaf_hdr",
      offset: block.byteAt(index === undefined ? info : start),
    });
  }
  return { hashes, addresses };
}

/** Where the first hash that is at least `hash` stands; the length when there is none. */
export function lowerBound(hashes: readonly number[], hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isSorted(hashes: readonly number[]): boolean {
  return hashes.every((hash, index) => index === 0 || hash >= hashes[index - 1]!);
}

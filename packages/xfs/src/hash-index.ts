import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ForkBlock } from "./fork.js";
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
} from "./layout/da.js";
import { xfs_dir2_leaf_entry } from "./layout/dir.js";

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

/** A list of hashes in order, each with where it leads. Read in place: a block may hold thousands. */
export interface HashList {
  readonly count: number;
  hash(index: number): number;
  /** Of a node a block of the file; of a directory leaf a byte of the directory divided by 8, 0 where stale. */
  target(index: number): number;
}

/** Of an entry of a node and of a directory leaf alike: the hash, then where it leads. */
const ENTRY = xfs_dir2_leaf_entry;

function hashList(view: DataView, start: number, count: number): HashList {
  return {
    count,
    hash: (index) => ENTRY.hashval(view, start + index * ENTRY.$size),
    target: (index) => ENTRY.address(view, start + index * ENTRY.$size),
  };
}

/** A node of the index: the greatest hash below each child, and the child. */
export interface DaNode extends HashList {
  readonly level: number;
}

/**
 * @param ordered That the order was checked before.
 * @throws ImageError `corrupt`. The caller has checked the kind.
 */
export function decodeNode(block: ForkBlock, crc: boolean, ordered = false): DaNode {
  const view = viewOf(block.data);
  const info = crc ? XFS_DA3_BLKINFO_LEN : XFS_DA_BLKINFO_LEN;
  const start = crc ? XFS_DIR3_LEAF_HDR_LEN : XFS_DIR2_LEAF_HDR_LEN;
  const count = xfs_da_counts.count(view, info);
  const level = xfs_da_counts.stale_or_level(view, info);
  const capacity = Math.floor((block.data.length - start) / ENTRY.$size);
  const list = hashList(view, start, count);
  if (count === 0 || count > capacity || level === 0 || !(ordered || isSorted(list))) {
    throw new ImageError("corrupt", `a node of level ${level} with ${count} entries, or out of order`, {
      format: "xfs",
      structure: "xfs_da_node_hdr",
      offset: block.byteAt(info),
    });
  }
  return { ...list, level };
}

/**
 * Decodes a leaf, or with `index` the one at the end of a block directory. The order of all its entries is checked: a
 * search by halves in a list that is not sorted would miss names and not know it.
 *
 * @param ordered That the order was checked before.
 * @throws ImageError `corrupt`.
 */
export function decodeLeaf(
  block: ForkBlock,
  crc: boolean,
  index?: { readonly start: number; readonly count: number },
  ordered = false,
): HashList {
  const view = viewOf(block.data);
  const info = crc ? XFS_DA3_BLKINFO_LEN : XFS_DA_BLKINFO_LEN;
  const start = index?.start ?? (crc ? XFS_DIR3_LEAF_HDR_LEN : XFS_DIR2_LEAF_HDR_LEN);
  const count = index?.count ?? xfs_da_counts.count(view, info);
  const capacity = Math.floor((block.data.length - start) / ENTRY.$size);
  const list = hashList(view, start, count);
  if (count > capacity || !(ordered || isSorted(list))) {
    throw new ImageError("corrupt", `${count} index entries in room for ${capacity}, or out of order`, {
      format: "xfs",
      structure: "xfs_dir2_leaf_hdr",
      offset: block.byteAt(index === undefined ? info : start),
    });
  }
  return list;
}

/** Where the first hash that is at least `hash` stands; the count when there is none. */
export function lowerBound(list: HashList, hash: number): number {
  let low = 0;
  let high = list.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list.hash(middle) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isSorted(list: HashList): boolean {
  for (let index = 1; index < list.count; index += 1) if (list.hash(index) < list.hash(index - 1)) return false;
  return true;
}

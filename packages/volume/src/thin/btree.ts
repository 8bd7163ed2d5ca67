import { type BlockDevice, crc32cRaw, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { BTREE_CSUM_XOR, INTERNAL_NODE, LEAF_NODE, node_header, THIN_METADATA_BLOCK_SIZE } from "./layout.js";

/** One key of a leaf. Values are 8 bytes in the trees that matter here. */
export interface LeafEntry {
  readonly key: number;
  /** Little-endian words: 2^53 and above happens, in the mappings. */
  readonly low: number;
  readonly high: number;
}

/** A node, checked by itself. */
export interface Node {
  readonly isLeaf: boolean;
  /** Ascending. */
  readonly entries: readonly LeafEntry[];
}

/** 2^64 keys with at least two entries a node would be 64 levels; a node holds 252, so a real tree has eight at most. */
const MAX_DEPTH = 16;
const VALUE_SIZE = 8;
const TWO_32 = 0x1_0000_0000;

const FORMAT = "thin";

/**
 * A node of a tree with values of 8 bytes.
 *
 * @param block Its number, which it must have in its header.
 * @throws ImageError `corrupt`, `bad-checksum`.
 */
export function decodeNode(data: Uint8Array, block: number): Node {
  const view = viewOf(data);
  const base = block * THIN_METADATA_BLOCK_SIZE;
  const place = (field: keyof typeof node_header.$fields) => ({
    format: FORMAT,
    structure: "node_header",
    field,
    offset: base + node_header.$fields[field].offset,
  });
  const corrupt = (field: keyof typeof node_header.$fields, reason: string): ImageError =>
    new ImageError("corrupt", `node in block ${block}: ${reason}`, place(field));
  const stored = node_header.csum(view, 0);
  const computed = (crc32cRaw(data.subarray(4), 0xffff_ffff) ^ BTREE_CSUM_XOR) >>> 0;
  // The kernel refuses such a block too: there is no copy of it, and nothing to say which of its bytes are right.
  if (stored !== computed) {
    const reason = `node in block ${block}: its checksum is 0x${stored.toString(16)}, its bytes give 0x${computed.toString(16)}`;
    throw new ImageError("bad-checksum", reason, place("csum"));
  }
  const flags = node_header.flags(view, 0);
  if (flags !== INTERNAL_NODE && flags !== LEAF_NODE) throw corrupt("flags", `flags ${flags}`);
  if (view.getBigUint64(node_header.$fields.blocknr.offset, true) !== BigInt(block)) {
    throw corrupt("blocknr", "it says that it is another one");
  }
  const valueSize = node_header.value_size(view, 0);
  if (valueSize !== VALUE_SIZE) throw corrupt("value_size", `values of ${valueSize} bytes, expected ${VALUE_SIZE}`);
  const most = node_header.max_entries(view, 0);
  if (node_header.$size + most * (8 + VALUE_SIZE) > THIN_METADATA_BLOCK_SIZE) {
    throw corrupt("max_entries", `room for ${most} entries`);
  }
  const count = node_header.nr_entries(view, 0);
  if (count > most) throw corrupt("nr_entries", `${count} entries where there is room for ${most}`);
  const entries: LeafEntry[] = [];
  const valuesAt = node_header.$size + most * 8;
  for (let index = 0; index < count; index += 1) {
    const at = node_header.$size + index * 8;
    const keyHigh = view.getUint32(at + 4, true);
    // Numbers of blocks and devices: 2^53 of either are no pool.
    if (keyHigh >= 0x20_0000) throw corrupt("nr_entries", `key ${index} is 2^53 or more`);
    const key = keyHigh * TWO_32 + view.getUint32(at, true);
    const before = entries.at(-1);
    if (before !== undefined && before.key >= key)
      throw corrupt("nr_entries", `key ${index} is not above the one before`);
    const valueAt = valuesAt + index * VALUE_SIZE;
    entries.push({ key, low: view.getUint32(valueAt, true), high: view.getUint32(valueAt + 4, true) });
  }
  return { isLeaf: flags === LEAF_NODE, entries };
}

/** Nodes by their block, read once while they are kept. */
export interface NodeReader {
  node(block: number, signal?: AbortSignal): Promise<Node>;
}

/** Decoded nodes of one pool that are kept: 252 entries each. */
const MAX_NODES = 512;

/** @param device The pool's metadata. */
export function nodeReader(device: BlockDevice): NodeReader {
  const kept = new Map<number, Node>();
  return {
    async node(block, signal) {
      const known = kept.get(block);
      if (known !== undefined) {
        kept.delete(block);
        kept.set(block, known);
        return known;
      }
      const offset = block * THIN_METADATA_BLOCK_SIZE;
      if (offset + THIN_METADATA_BLOCK_SIZE > device.size) {
        const reason = `block ${block} lies past the end of the metadata`;
        throw new ImageError("past-end", reason, { format: FORMAT, structure: "node_header", offset });
      }
      const node = decodeNode(await device.read(offset, THIN_METADATA_BLOCK_SIZE, signal), block);
      kept.set(block, node);
      if (kept.size > MAX_NODES) kept.delete(kept.keys().next().value!);
      return node;
    },
  };
}

/** A leaf on the way to a key. */
export interface LeafRange {
  readonly entries: readonly LeafEntry[];
  /** The first key that is not this leaf's: what is not in `entries` up to there is in no other. */
  readonly end: number;
}

/**
 * The leaf that holds `key`, or would hold it.
 *
 * @throws ImageError `corrupt`, `bad-checksum`, `past-end`, `io`.
 */
export async function findLeaf(
  reader: NodeReader,
  root: number,
  key: number,
  signal?: AbortSignal,
): Promise<LeafRange> {
  let block = root;
  let end = Number.POSITIVE_INFINITY;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const node = await reader.node(block, signal);
    if (node.isLeaf) return { entries: node.entries, end };
    // The child to take is the last whose key is not above; keys before the first belong to no child.
    const index = node.entries.findLastIndex((entry) => entry.key <= key);
    if (index < 0) {
      const first = node.entries[0];
      if (first === undefined) throw corruptNode(block, "an inner node without entries");
      return { entries: [], end: Math.min(end, first.key) };
    }
    const next = node.entries[index + 1];
    if (next !== undefined) end = Math.min(end, next.key);
    const child = node.entries[index]!;
    if (child.high >= 0x20_0000) throw corruptNode(block, "a child's block is 2^53 or more");
    block = child.high * TWO_32 + child.low;
  }
  throw corruptNode(block, `more than ${MAX_DEPTH} levels`);
}

function corruptNode(block: number, reason: string): ImageError {
  const offset = block * THIN_METADATA_BLOCK_SIZE;
  return new ImageError("corrupt", `node in block ${block}: ${reason}`, {
    format: FORMAT,
    structure: "node_header",
    offset,
  });
}

import { equalBytes, formatUuid, isZero } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { hfs_mdb, hfsplus_header_node, hfsplus_leaf_node, hfsplus_vh } from "./layout/interchange.js";
import { bytesOf, type Found, labelOf, labelOfUtf16, type ReadMore, type SignatureRow } from "./row.js";
import type { Window } from "./window.js";

const HEADER_AT = 0x400;
/** TN1150, "Allocation Blocks". */
const MIN_BLOCK = 512;
const MAX_NODE_BYTES = 0x8000;
const LEAF = 0xff;
const ROOT_PARENT = 1;

/** Apple makes a volume's UUID from eight bytes and this name space: MD5, as RFC 9562's version 3. */
const NAME_SPACE = bytesOf("\xb3\xe2\x0f\x39\xf2\x92\x11\xd6\x97\xa4\x00\x30\x65\x43\xec\xac");

async function uuidOfFinderInfo(id: Uint8Array): Promise<string | undefined> {
  if (isZero(id)) return undefined;
  const { createMD5 } = await import("./md5.js");
  const hash = (await createMD5()).update(NAME_SPACE).update(id).digest("binary");
  hash[6] = 0x30 | (hash[6]! & 0x0f);
  hash[8] = 0x80 | (hash[8]! & 0x3f);
  return formatUuid(hash);
}

const isHfsPlus = (signature: Uint8Array): boolean =>
  equalBytes(signature, bytesOf("H+")) || equalBytes(signature, bytesOf("HX"));

/** Bytes from the start of the device to the HFS+ volume: more than none where it lies inside of an HFS one. */
function wrapperOffset(window: Window): number | undefined {
  const mdb = window.view(HEADER_AT, hfs_mdb.$size);
  if (mdb === undefined) return undefined;
  if (!equalBytes(hfs_mdb.drSigWord(mdb, 0), bytesOf("BD"))) return 0;
  if (!isHfsPlus(hfs_mdb.drEmbedSigWord(mdb, 0))) return undefined;
  return hfs_mdb.drAlBlSt(mdb, 0) * 512 + hfs_mdb.drEmbedExtent_start(mdb, 0) * hfs_mdb.drAlBlkSiz(mdb, 0);
}

function decodeHfsPlus(window: Window): Found | undefined {
  const inner = wrapperOffset(window);
  if (inner === undefined) return undefined;
  const header = window.bytes(inner + HEADER_AT, 2);
  // One that lies deeper inside than what is in memory is looked at afterwards.
  return header === undefined || isHfsPlus(header) ? { offset: HEADER_AT } : undefined;
}

async function finishHfsPlus(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const inner = wrapperOffset(window)!;
  const at = inner + HEADER_AT;
  const header = window.bytes(at, hfsplus_vh.$size) ?? (await read(at, hfsplus_vh.$size));
  if (header === undefined || !isHfsPlus(header.subarray(0, 2))) {
    return { ...found, problem: `no volume header at byte ${at}` };
  }
  const view = viewOf(header);
  const uuid = await uuidOfFinderInfo(hfsplus_vh.finderInfo_id(view, 0));
  const blockSize = hfsplus_vh.blockSize(view, 0);
  if (blockSize < MIN_BLOCK) return { ...found, uuid, problem: `allocation blocks of ${blockSize} bytes` };
  const label = await catalogName(inner, view, read);
  return { ...found, uuid, ...(label && { label }) };
}

/** The name of the root folder: its thread comes first in the catalog, under the parent of the root. */
async function catalogName(inner: number, header: DataView, read: ReadMore): Promise<Uint8Array | undefined> {
  const blockSize = hfsplus_vh.blockSize(header, 0);
  const extents = viewOf(hfsplus_vh.catalogFile_extents(header, 0));
  const first = await read(inner + extents.getUint32(0) * blockSize, hfsplus_header_node.$size);
  if (first === undefined) return undefined;
  const tree = viewOf(first);
  const nodeSize = hfsplus_header_node.nodeSize(tree, 0);
  if (hfsplus_header_node.leafRecords(tree, 0) === 0 || nodeSize < 512 || nodeSize > MAX_NODE_BYTES) return undefined;
  const byte = hfsplus_header_node.firstLeafNode(tree, 0) * nodeSize;
  let block = Math.floor(byte / blockSize);
  for (let index = 0; index < 8; index += 1) {
    const count = extents.getUint32(index * 8 + 4);
    if (block >= count) {
      block -= count;
      continue;
    }
    const start = (extents.getUint32(index * 8) + block) * blockSize + (byte % blockSize);
    const node = await read(inner + start, nodeSize);
    return node && nameInLeaf(node);
  }
  return undefined;
}

function nameInLeaf(node: Uint8Array): Uint8Array | undefined {
  const view = viewOf(node);
  if (hfsplus_leaf_node.kind(view, 0) !== LEAF || hfsplus_leaf_node.numRecords(view, 0) === 0) return undefined;
  const length = hfsplus_leaf_node.nodeName_length(view, 0);
  if (hfsplus_leaf_node.parentID(view, 0) !== ROOT_PARENT || length > 255) return undefined;
  return labelOfUtf16(node.subarray(hfsplus_leaf_node.$size, hfsplus_leaf_node.$size + length * 2), "utf-16be");
}

export const HFS_ROWS: readonly SignatureRow[] = [
  {
    kind: "hfsplus",
    title: "HFS+ file system",
    usage: "filesystem",
    source: "Apple, Technical Note TN1150",
    magics: ["BD", "H+", "HX"].map((is) => ({ at: HEADER_AT, is })),
    decode: decodeHfsPlus,
    more: finishHfsPlus,
  },
  {
    kind: "hfs",
    title: "HFS file system",
    usage: "filesystem",
    source: "Apple, Inside Macintosh: Files, 2-60",
    magics: [{ at: HEADER_AT, is: "BD" }],
    decode(window, at) {
      const view = window.view(at, hfs_mdb.$size);
      if (view === undefined || isHfsPlus(hfs_mdb.drEmbedSigWord(view, 0))) return undefined;
      const name = hfs_mdb.drVN(view, 0);
      return { offset: at, label: labelOf(name.subarray(1, 1 + Math.min(name[0]!, 27))) };
    },
    async more(window, found) {
      return {
        ...found,
        uuid: await uuidOfFinderInfo(hfs_mdb.drFndrInfo_id(window.view(HEADER_AT, hfs_mdb.$size)!, 0)),
      };
    },
  },
];

/** Any bytes in: a value or an ImageError out of every decoder. */
import { isImageError } from "@guestprobe/block";
import { decodeLzo1x } from "@guestprobe/codec";
import fc from "fast-check";
import { describe, it } from "vitest";
import { decodeChunk, decodeSysChunkArray } from "../src/chunk.js";
import { decodeLzo } from "../src/decompress.js";
import { decodeDirItems, pushDirents } from "../src/dir-item.js";
import { decodeFileExtent } from "../src/file-extent.js";
import { decodeInodeItem } from "../src/inode-item.js";
import { makeKey } from "../src/key.js";
import { SUPER_MAGIC, SUPER_SIZE } from "../src/layout.js";
import { decodeNode, leafItem } from "../src/node.js";
import { decodeRootItem, decodeRootRef } from "../src/root-item.js";
import { decodeSuperblock } from "../src/superblock.js";
import { itemBytes } from "./lib/item.js";

const key = makeKey(256, 228, 0x10_0000);
const nothing = new Uint8Array(16);

function superblockOf(data: Uint8Array): void {
  const whole = new Uint8Array(SUPER_SIZE);
  whole.set(data);
  whole.set(SUPER_MAGIC, 0x40);
  decodeSuperblock(whole, 0x1_0000);
}

/** Bytes with the header that a parent expects, so that what follows it is looked at. */
function nodeOf(data: Uint8Array, level: number): void {
  const whole = new Uint8Array(4096);
  whole.set(data, 101);
  whole.set([1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, data.length % 7, 0, 0, 0, level], 80);
  whole.set([0, 0x10], 48);
  const expected = {
    logical: 4096,
    level,
    generation: 1,
    owner: "subvolume",
    firstKey: undefined,
    endKey: undefined,
  } as const;
  const node = decodeNode(whole, expected, [nothing], 4096, undefined);
  for (let slot = 0; slot < node.count && level === 0; slot += 1) leafItem(node, slot);
}

const decoders: Readonly<Record<string, (data: Uint8Array) => unknown>> = {
  superblock: superblockOf,
  chunk: (data) => decodeChunk(key, data, 4096, 0),
  sysChunkArray: (data) => decodeSysChunkArray(data, 4096, 0),
  leaf: (data) => nodeOf(data, 0),
  innerNode: (data) => nodeOf(data, 1),
  inode: (data) => decodeInodeItem(itemBytes(data, 0), 256),
  names: (data) => decodeDirItems(itemBytes(data, 0), "name"),
  dirents: (data) => pushDirents(itemBytes(data, 0), []),
  attributes: (data) => decodeDirItems(itemBytes(data, 0), "xattr"),
  extent: (data) => decodeFileExtent({ ...itemBytes(data, 0), key, data, logical: 0 }, 4096),
  root: (data) => decodeRootItem(data, 5, 4096, 0),
  rootRef: (data) => decodeRootRef(data, 0),
  lzo: (data) => decodeLzo(decodeLzo1x, data, 65536, 4096),
};

/** Mostly zeros with some bytes that are not, as structures are, and any bytes at all. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 700 }),
  fc.tuple(fc.nat(600), fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 40 })).map(([length, changes]) => {
    const data = new Uint8Array(length);
    for (const [at, value] of changes) if (at < length) data[at] = value;
    return data;
  }),
);

describe("a value or an ImageError", () => {
  for (const [name, decode] of Object.entries(decoders)) {
    it(name, () => {
      fc.assert(
        fc.property(bytes, (data) => {
          try {
            decode(data);
          } catch (error) {
            if (!isImageError(error)) throw error;
          }
        }),
        { numRuns: 1000, seed: 1_234_567 },
      );
    });
  }
});

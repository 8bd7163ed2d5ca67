import { bufferDevice, isImageError } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { decodeNode, findLeaf, nodeReader } from "../../src/thin/btree.js";
import { decodeThinSuperblock, openThinPool, thinDevice } from "../../src/thin/device.js";
import { INTERNAL_NODE, LEAF_NODE } from "../../src/thin/layout.js";
import { CHUNK, metadata, node, superblock, to } from "./build.js";

/** Four data blocks, of 1s, 2s, 3s and 4s. */
const data = bufferDevice(Uint8Array.from({ length: 4 * CHUNK }, (_, at) => Math.floor(at / CHUNK) + 1));

describe("superblock", () => {
  test("as the kernel writes it", () => {
    expect(decodeThinSuperblock(superblock())).toEqual({ dataMappingRoot: 1, dataBlockSize: CHUNK });
  });
  test.each([
    ["magic", (view: DataView) => view.setUint8(32, 0), "corrupt"],
    ["version 0", (view: DataView) => view.setUint32(40, 0, true), "unsupported"],
    ["version 3", (view: DataView) => view.setUint32(40, 3, true), "unsupported"],
    ["a feature", (view: DataView) => view.setUint32(360, 1, true), "unsupported"],
    ["metadata blocks of 8 KiB", (view: DataView) => view.setUint32(340, 16, true), "corrupt"],
    ["data blocks of 0", (view: DataView) => view.setUint32(336, 0, true), "corrupt"],
    ["data blocks of 64.5 KiB", (view: DataView) => view.setUint32(336, 129, true), "corrupt"],
    ["data blocks of 2 TiB", (view: DataView) => view.setUint32(336, 0xffff_ff80, true), "corrupt"],
  ])("%s", (_, edit, code) => {
    expect(() => decodeThinSuperblock(superblock(edit))).toThrow(expect.objectContaining({ code }));
  });
  test("a changed byte", () => {
    const changed = superblock();
    changed[100] = 1;
    expect(() => decodeThinSuperblock(changed)).toThrow(expect.objectContaining({ code: "bad-checksum" }));
  });
});

describe("node", () => {
  test.each([
    ["flags", (view: DataView) => view.setUint32(4, 3, true)],
    ["blocknr", (view: DataView) => view.setUint32(8, 9, true)],
    ["value_size", (view: DataView) => view.setUint32(24, 16, true)],
    ["max_entries", (view: DataView) => view.setUint32(20, 255, true)],
    ["max_entries", (view: DataView) => view.setUint32(20, 0xffff_ffff, true)],
    ["nr_entries", (view: DataView) => view.setUint32(16, 253, true)],
    ["nr_entries", (view: DataView) => view.setUint32(16, 3, true)],
  ])("%s", (field, edit) => {
    const bad = node(
      5,
      LEAF_NODE,
      [
        [1, 1n],
        [2, 1n],
      ],
      edit,
    );
    expect(() => decodeNode(bad, 5)).toThrow(expect.objectContaining({ code: "corrupt", field }));
  });

  test("an inner node that leads to itself ends", async () => {
    const reader = nodeReader(bufferDevice(metadata(superblock(), node(1, INTERNAL_NODE, [[0, 1n]]))));
    await expect(findLeaf(reader, 1, 5)).rejects.toThrow(/more than 16 levels/);
  });

  test("a child past the end", async () => {
    const reader = nodeReader(
      bufferDevice(metadata(superblock(), node(1, INTERNAL_NODE, [[0, 0x1f_ffff_ffff_ffffn]]))),
    );
    await expect(findLeaf(reader, 1, 5)).rejects.toSatisfy((error) => isImageError(error, "past-end"));
  });
});

describe("volume", () => {
  const pool = () =>
    metadata(
      superblock(),
      node(1, LEAF_NODE, [
        [1, 2n],
        [7, 3n],
      ]),
      node(2, INTERNAL_NODE, [
        [0, 4n],
        [5, 5n],
      ]),
      node(3, LEAF_NODE, []),
      node(4, LEAF_NODE, [
        [0, to(2)],
        [1, to(0)],
        [3, to(9)],
      ]),
      node(5, LEAF_NODE, [[6, to(3)]]),
    );
  const open = (id: number, origin?: Uint8Array) => {
    const device = bufferDevice(pool());
    return thinDevice(8 * CHUNK, id, (signal) => openThinPool(device, data, signal), origin && bufferDevice(origin));
  };
  const bytes = async (device: ReturnType<typeof open>, ...chunks: number[]) =>
    Promise.all(chunks.map(async (chunk) => (await device.read(chunk * CHUNK, 1))[0]));

  test("chunks of two leaves, holes as zeros, one read over all that is there", async () => {
    const device = open(1);
    expect(await bytes(device, 0, 1, 2, 4, 5, 6, 7)).toEqual([3, 1, 0, 0, 0, 4, 0]);
    const all = await device.read(4 * CHUNK + 10, 3 * CHUNK);
    expect([all[0], all[2 * CHUNK - 11], all[2 * CHUNK - 10], all.at(-1)]).toEqual([0, 0, 4, 0]);
    expect(await device.map?.(0, 3 * CHUNK)).toEqual([
      { kind: "data", offset: 0, length: 2 * CHUNK },
      { kind: "hole", offset: 2 * CHUNK, length: CHUNK },
    ]);
  });

  test("a chunk past the end of the pool's data costs itself", async () => {
    await expect(open(1).read(3 * CHUNK, 1)).rejects.toThrow(/block 3 is mapped to byte 589824, past the end/);
  });

  test("an external origin shows through, and ends where it ends", async () => {
    const device = open(1, new Uint8Array(2.5 * CHUNK).fill(77));
    expect(await bytes(device, 0, 1, 2, 4)).toEqual([3, 1, 77, 0]);
    expect([...(await device.read(2.5 * CHUNK - 1, 2))]).toEqual([77, 0]);
  });

  test("an empty volume, and one that the pool does not know", async () => {
    expect(await bytes(open(7), 0, 7)).toEqual([0, 0]);
    await expect(open(2).read(0, 1)).rejects.toThrow(/the pool knows no device 2/);
  });
});

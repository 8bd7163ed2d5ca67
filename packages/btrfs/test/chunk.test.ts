import { describe, expect, it } from "vitest";
import { decodeChunk, mapPiece } from "../src/chunk.js";
import { ChunkMap } from "../src/chunk-map.js";
import { makeKey } from "../src/key.js";
import { btrfs_chunk, btrfs_stripe, CHUNK_ITEM_KEY } from "../src/layout.js";

const KIB64 = 65536;
const LOGICAL = 0x100_0000;

/** A chunk item of stripes on devices 1, 2, ... at bytes 1 MiB, 2 MiB, ... of each. */
function chunkItem(type: number, count: number, length: number, sub = 0): Uint8Array {
  const data = new Uint8Array(btrfs_chunk.$size + count * btrfs_stripe.$size);
  const view = new DataView(data.buffer);
  view.setBigUint64(0x00, BigInt(length), true);
  view.setBigUint64(0x08, 2n, true);
  view.setBigUint64(0x10, BigInt(KIB64), true);
  view.setBigUint64(0x18, BigInt(type), true);
  view.setUint16(0x2c, count, true);
  view.setUint16(0x2e, sub, true);
  for (let n = 0; n < count; n += 1) {
    const at = btrfs_chunk.$size + n * btrfs_stripe.$size;
    view.setBigUint64(at, BigInt(n + 1), true);
    view.setBigUint64(at + 8, BigInt((n + 1) << 20), true);
    data.fill(n + 1, at + 16, at + 32);
  }
  return data;
}

const chunk = (type: number, count: number, length: number, sub = 0, logical = LOGICAL) =>
  decodeChunk(makeKey(256, CHUNK_ITEM_KEY, logical), chunkItem(type, count, length, sub), 4096, 0);

/** "device:stripe number" of each copy of the piece at this stripe of the chunk. */
function copies(made: ReturnType<typeof chunk>, stripe: number): string[] {
  return mapPiece(made, LOGICAL + stripe * KIB64 + 4096, KIB64).copies.map(
    ({ stripe: { devid }, physical }) => `${devid}:${(physical - (devid << 20) - 4096) / KIB64}`,
  );
}

describe("where a stripe of a chunk lies", () => {
  it("single: one after the other, in one piece", () => {
    const made = chunk(0x1, 1, 16 * KIB64);
    expect(copies(made, 5)).toEqual(["1:5"]);
    expect(mapPiece(made, LOGICAL, 1e9).length).toBe(16 * KIB64);
  });

  it("dup and raid1: the same on each", () => {
    expect(copies(chunk(0x24, 2, 16 * KIB64), 5)).toEqual(["1:5", "2:5"]);
    expect(copies(chunk(0x204, 3, 16 * KIB64), 5)).toEqual(["1:5", "2:5", "3:5"]);
  });

  it("raid0: round the devices", () => {
    const made = chunk(0x9, 3, 15 * KIB64);
    expect([0, 1, 2, 3, 14].map((n) => copies(made, n)[0])).toEqual(["1:0", "2:0", "3:0", "1:1", "3:4"]);
    expect(mapPiece(made, LOGICAL + 100, KIB64).length).toBe(KIB64 - 100);
  });

  it("raid10: round the pairs", () => {
    const made = chunk(0x41, 4, 16 * KIB64, 2);
    expect([0, 1, 2, 3].map((n) => copies(made, n))).toEqual([
      ["1:0", "2:0"],
      ["3:0", "4:0"],
      ["1:1", "2:1"],
      ["3:1", "4:1"],
    ]);
  });

  it("raid5: two of data and one of parity, moving on by one in each row", () => {
    const made = chunk(0x81, 3, 12 * KIB64);
    expect([0, 1, 2, 3, 4, 5, 6].map((n) => copies(made, n)[0])).toEqual([
      ...["1:0", "2:0"],
      ...["2:1", "3:1"],
      ...["3:2", "1:2"],
      "1:3",
    ]);
    const parity = [0, 2, 4].map((n) => mapPiece(made, LOGICAL + n * KIB64, 1).row!.p.stripe.devid);
    expect(parity).toEqual([3, 1, 2]);
  });

  it("raid6: parity P, then Q, after the data", () => {
    const made = chunk(0x101, 4, 16 * KIB64);
    const rows = [0, 2, 4, 6].map((n) => {
      const row = mapPiece(made, LOGICAL + n * KIB64, 1).row!;
      return [...row.data, row.p, row.q!].map(({ stripe }) => stripe.devid);
    });
    expect(rows).toEqual([
      [1, 2, 3, 4],
      [2, 3, 4, 1],
      [3, 4, 1, 2],
      [4, 1, 2, 3],
    ]);
  });
});

describe("chunk items", () => {
  it("a profile with the wrong number of stripes", () => {
    for (const [type, count] of [
      [0x1, 2],
      [0x11, 3],
      [0x21, 1],
      [0x41, 3],
      [0x81, 1],
      [0x101, 2],
      [0x211, 2],
      [0x411, 3],
    ] as const) {
      expect(() => chunk(type, count, 12 * KIB64, 2), `type ${type}`).toThrow(/stripes|profiles/);
    }
  });

  it("a length that does not fill the stripes", () => {
    expect(() => chunk(0x9, 3, 4096)).toThrow(/do not fill 3 stripes evenly/);
  });

  it("overlap is refused, a gap answers that there is no chunk", () => {
    const map = new ChunkMap();
    const low = chunk(0x1, 1, 2 * KIB64);
    map.set([chunk(0x1, 1, KIB64, 0, LOGICAL + 4 * KIB64), low]);
    expect(map.find(LOGICAL + 2 * KIB64 - 1)).toBe(low);
    for (const logical of [0, LOGICAL - 1, LOGICAL + 2 * KIB64, LOGICAL + 5 * KIB64]) {
      expect(() => map.find(logical)).toThrow(/lies in no chunk/);
    }
    expect(() => map.set([low, chunk(0x1, 1, KIB64, 0, LOGICAL + KIB64)])).toThrow(/overlap/);
  });
});

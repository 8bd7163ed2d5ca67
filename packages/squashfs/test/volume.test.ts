import { deflateSync } from "node:zlib";
import { type BlockDevice, bufferDevice, ImageError } from "@guestprobe/block";
import { decodeZlib } from "@guestprobe/codec";
import { describe, expect, test } from "vitest";
import type { Superblock } from "../src/superblock.js";
import { type PackedBlock, Volume } from "../src/volume.js";

const BLOCK = 4096;

describe("compressed blocks that lie one behind the other", () => {
  const contents = [1, 2, 3, 4].map((seed) => Buffer.alloc(BLOCK, `block ${seed}, `));
  const packed = contents.map((content) => deflateSync(content));
  const disk = Buffer.concat([Buffer.alloc(100), ...packed]);
  const starts = packed.map((_, n) => 100 + packed.slice(0, n).reduce((sum, { length }) => sum + length, 0));
  const length = disk.length - 100;

  const volumeOf = (device: BlockDevice): Volume =>
    new Volume({
      device,
      sb: { blockSize: BLOCK, bytesUsed: disk.length, compressor: { codec: "zlib" } } as Superblock,
      decode: decodeZlib,
      decompressor: undefined,
      cacheBudget: 1 << 20,
      report: undefined,
    });
  const places = (result: Uint8Array): PackedBlock[] =>
    packed.map((stored, n) => ({
      start: starts[n]!,
      word: stored.length,
      place: result.subarray(n * BLOCK, (n + 1) * BLOCK),
    }));

  test("are read by one call, whose memory the next run is read into, and each is put to its place", async () => {
    const reads: [number, number, ArrayBufferLike | undefined][] = [];
    const device = bufferDevice(disk);
    const volume = volumeOf({
      size: disk.length,
      read(offset, count, signal, into) {
        reads.push([offset, count, into?.buffer]);
        return device.read(offset, count, signal, into);
      },
    });
    for (let n = 0; n < 2; n += 1) {
      const result = new Uint8Array(4 * BLOCK);
      await volume.run(places(result), length, false);
      expect(Buffer.compare(result, Buffer.concat(contents))).toBe(0);
    }
    expect(reads.map(([offset, count]) => [offset, count])).toEqual([
      [100, length],
      [100, length],
    ]);
    expect(reads[0]![2]).toBe(reads[1]![2]);
  });

  test("one that is damaged is named, and the others are where they belong", async () => {
    const damaged = Buffer.from(disk);
    damaged[starts[2]! + 5]! ^= 0xff;
    const result = new Uint8Array(4 * BLOCK);
    await expect(volumeOf(bufferDevice(damaged)).run(places(result), length, false)).rejects.toMatchObject({
      code: "corrupt",
      offset: starts[2],
    });
    for (const n of [0, 1, 3]) {
      expect(Buffer.compare(result.subarray(n * BLOCK, (n + 1) * BLOCK), contents[n]!)).toBe(0);
    }
  });

  test("one that cannot be read hides only itself", async () => {
    const bad = starts[1]! + 3;
    const device = bufferDevice(disk);
    const volume = volumeOf({
      size: disk.length,
      async read(offset, count) {
        if (offset <= bad && bad < offset + count) throw new ImageError("io", "bad sector", { offset: bad });
        return device.read(offset, count);
      },
    });
    const result = new Uint8Array(4 * BLOCK);
    await expect(volume.run(places(result), length, false)).rejects.toMatchObject({ code: "io", offset: bad });
    for (const n of [0, 2, 3]) {
      expect(Buffer.compare(result.subarray(n * BLOCK, (n + 1) * BLOCK), contents[n]!)).toBe(0);
    }
  });
});

import { deflateSync } from "node:zlib";
import { type BlockDevice, bufferDevice, ImageError } from "@guestprobe/block";
import { type Decode, decodeZlib } from "@guestprobe/codec";
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

  const volumeOf = (device: BlockDevice, decode: Decode = decodeZlib, cacheBudget = 1 << 20): Volume =>
    new Volume({
      device,
      sb: { blockSize: BLOCK, bytesUsed: disk.length, compressor: { codec: "zlib" } } as Superblock,
      decode,
      decompressor: undefined,
      cacheBudget,
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

  test("by themselves: each is decoded to memory of one that was dropped, and kept ones stay as they are", async () => {
    const memories = new Set<ArrayBufferLike>();
    const decode: Decode = (src, bound, options) => {
      memories.add(options!.into!.buffer);
      return decodeZlib(src, bound, options);
    };
    // Blocks get three quarters of it: room for two, and a third is dropped as it comes.
    const volume = volumeOf(bufferDevice(disk), decode, BLOCK * 3);
    const use = (n: number) =>
      volume.useBlock(starts[n]!, packed[n]!.length, { exact: BLOCK }, false, (data) =>
        Buffer.compare(data, contents[n]!),
      );
    for (let n = 0; n < 40; n += 1) expect(await use(n % 4)).toBe(0);
    expect(memories.size).toBe(3);
    for (let n = 0; n < 40; n += 1)
      expect(await Promise.all([use(n % 4), use((n * 3) % 4), use(3)])).toEqual([0, 0, 0]);
  });

  test("one that decodes to little counts as the memory that it lies in", async () => {
    const small = Array.from({ length: 20 }, (_, n) => deflateSync(Buffer.of(n)));
    const memories = new Set<ArrayBufferLike>();
    const decode: Decode = (src, bound, options) => {
      memories.add(options!.into!.buffer);
      return decodeZlib(src, bound, options);
    };
    const volume = volumeOf(bufferDevice(Buffer.concat(small)), decode, BLOCK * 4);
    for (let n = 0, start = 0; n < 20; start += small[n]!.length, n += 1) {
      const fragment = { start, size: small[n]!.length };
      expect(await volume.useFragment(n, fragment, (data) => [...data])).toEqual([n]);
    }
    // Three in the cache, and one that is decoded to.
    expect(memories.size).toBe(4);
  });

  test("the block of fragments that was used last stays as it is, whatever is decoded since", async () => {
    const volume = volumeOf(bufferDevice(disk), decodeZlib, 1);
    const fragment = (n: number) => ({ start: starts[n]!, size: packed[n]!.length });
    for (const n of [0, 1, 2, 3, 0]) {
      expect(await volume.useFragment(n, fragment(n), (data) => Buffer.compare(data, contents[n]!))).toBe(0);
      for (const other of [1, 2, 3]) {
        await volume.useBlock(starts[other]!, packed[other]!.length, { exact: BLOCK }, false, () => {});
      }
      expect(Buffer.compare(volume.fragmentNow(n)!, contents[n]!)).toBe(0);
      expect(volume.fragmentNow(n + 1)).toBeUndefined();
    }
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

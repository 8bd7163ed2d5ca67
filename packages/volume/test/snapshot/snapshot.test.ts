import { bufferDevice } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { decodeArea, decodeSnapshotHeader, snapshotDevice } from "../../src/snapshot/device.js";
import { CHUNK, store } from "./build.js";

const origin = bufferDevice(new Uint8Array(100 * CHUNK).fill(1));

describe("header", () => {
  test.each([
    ["magic", 0, /does not begin with its magic/],
    ["valid", 4, /its store was full/],
    ["version", 8, /version 0/],
    ["chunk_size", 12, /chunks of 0 bytes/],
  ])("%s", (_, at, message) => {
    const data = store([]);
    data[at] = 0;
    expect(() => decodeSnapshotHeader(data)).toThrow(message);
  });
  test.each([3, 0xffff_ffff])("chunks of %d sectors", (sectors) => {
    const data = store([]);
    viewOf(data).setUint32(12, sectors, true);
    expect(() => decodeSnapshotHeader(data)).toThrow(/chunk_size/);
  });
});

test("a table ends at its first zero; chunk numbers of 2^53 have their place", () => {
  const data = new Uint8Array(64);
  viewOf(data).setBigUint64(8, 5n, true);
  expect(decodeArea(data, 512)).toEqual({ pairs: [[0, 5]], isLast: true });
  data.fill(0xff, 16, 32);
  expect(() => decodeArea(data, 512)).toThrow(/disk_exception.new_chunk at byte 528/);
});

describe("device", () => {
  test("what was copied, and the origin", async () => {
    const pairs = Array.from({ length: 40 }, (_, n) => [n * 2, n < 32 ? 2 + n : 35 + n - 32] as const);
    const device = snapshotDevice(100 * CHUNK, origin, bufferDevice(store(pairs)));
    const all = await device.read(0, 100 * CHUNK);
    for (let chunk = 0; chunk < 100; chunk += 1) {
      expect(all[chunk * CHUNK]).toBe(chunk % 2 === 0 && chunk < 80 ? 100 + chunk : 1);
    }
  });

  test("a copy past the end of the store costs itself", async () => {
    const device = snapshotDevice(100 * CHUNK, origin, bufferDevice(store([[3, 1000]])));
    expect((await device.read(0, 1))[0]).toBe(1);
    await expect(device.read(3 * CHUNK, 1)).rejects.toThrow(/past the end of what holds it/);
  });

  test("a store that is full to its last chunk has no end of its table", async () => {
    const pairs = Array.from({ length: 32 }, (_, n) => [n, 2 + n] as const);
    const device = snapshotDevice(100 * CHUNK, origin, bufferDevice(store(pairs, 34)));
    expect((await device.read(31 * CHUNK, 1))[0]).toBe(131);
  });
});

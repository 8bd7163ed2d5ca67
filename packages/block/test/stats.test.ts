import { type BlockDevice, bufferDevice, countReads } from "@guestprobe/block";
import { expect, test } from "vitest";
import { fakeDevice } from "./lib/fake-device.js";
import { pattern } from "./lib/pattern.js";

const data = pattern(100);

test("counts calls and bytes, failed ones too, and changes nothing", async () => {
  const counted = countReads(bufferDevice(data, { sectorSize: 4096 }));
  expect(await counted.read(10, 20)).toEqual(data.subarray(10, 30));
  await expect(counted.read(90, 20)).rejects.toMatchObject({ code: "past-end" });
  await expect(counted.read(0, 1, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  expect(counted.stats).toEqual({ reads: 3, bytes: 41 });
  expect([counted.size, counted.sectorSize]).toEqual([100, 4096]);
});

test("what is peeked at is not a read", () => {
  const counted = countReads(bufferDevice(data));
  expect(counted.peek?.(0, 4)).toEqual(data.subarray(0, 4));
  expect(counted.stats).toEqual({ reads: 0, bytes: 0 });
});

test("what is read at once is a read, but for what `read` is left to answer", () => {
  const into = new Uint8Array(4);
  const counted = countReads(bufferDevice(data));
  expect(counted.readNow?.(8, 4, into)).toEqual(data.subarray(8, 12));
  expect(() => counted.readNow?.(98, 4, into)).toThrow("pass the end");
  expect(counted.stats).toEqual({ reads: 2, bytes: 8 });
  const waiting = countReads({ ...fakeDevice(data), readNow: () => undefined });
  expect(waiting.readNow?.(0, 4, into)).toBeUndefined();
  expect(waiting.stats).toEqual({ reads: 0, bytes: 0 });
});

test("a read in parts is one read", async () => {
  const counted = countReads({ ...fakeDevice(data), readParts: async (at) => [data.slice(at, at + 3)] });
  expect(await counted.readParts?.(10, 3, 8)).toEqual([data.slice(10, 13)]);
  expect(counted.stats).toEqual({ reads: 1, bytes: 3 });
});

test("several devices may share one count", async () => {
  const stats = { reads: 0, bytes: 0 };
  await countReads(bufferDevice(data), stats).read(0, 3);
  await countReads(bufferDevice(data), stats).read(0, 4);
  expect(stats).toEqual({ reads: 2, bytes: 7 });
});

test("peek and its kin are there just where the device has them", async () => {
  expect(countReads(fakeDevice(data)).peek).toBeUndefined();
  expect(countReads(fakeDevice(data)).readNow).toBeUndefined();
  expect(countReads(fakeDevice(data)).readParts).toBeUndefined();
  expect(countReads(fakeDevice(data)).map).toBeUndefined();
  const mapped: BlockDevice = {
    ...bufferDevice(data),
    map: async (offset, length) => [{ kind: "hole", offset, length }],
  };
  expect(await countReads(mapped).map?.(1, 2)).toEqual([{ kind: "hole", offset: 1, length: 2 }]);
});

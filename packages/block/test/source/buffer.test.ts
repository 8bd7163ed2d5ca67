import { bufferDevice } from "@guestprobe/block";
import { expect, test } from "vitest";
import { pattern } from "../lib/pattern.js";

const data = pattern(64);
const device = bufferDevice(data, { sectorSize: 2048 });

test("size, sector size, and bytes without a copy", async () => {
  expect([device.size, device.sectorSize]).toEqual([64, 2048]);
  const read = await device.read(3, 5);
  expect([read.buffer, read.byteOffset, read.length]).toEqual([data.buffer, 3, 5]);
  expect(device.peek?.(3, 5)).toEqual(read);
});
test("the edges", async () => {
  expect(await device.read(64, 0)).toHaveLength(0);
  expect(device.peek?.(64, 0)).toHaveLength(0);
  await expect(device.read(64, 1)).rejects.toMatchObject({ code: "past-end", offset: 64 });
  await expect(device.read(0, -1)).rejects.toMatchObject({ code: "invalid-argument" });
});
test.each([
  [64, 1],
  [-1, 1],
  [0, -1],
  [Number.NaN, 1],
])("peek at %d + %d answers nothing and does not throw", (offset, length) => {
  expect(device.peek?.(offset, length)).toBeUndefined();
});
test("readers never meet a Node Buffer, whose slice is no copy", async () => {
  const device = bufferDevice(Buffer.from([1, 2, 3]));
  const read = await device.read(0, 3);
  expect([read.constructor, device.peek?.(0, 3)?.constructor]).toEqual([Uint8Array, Uint8Array]);
  read.slice()[0] = 9;
  expect((await device.read(0, 1))[0]).toBe(1);
});
test("an aborted signal", async () => {
  await expect(device.read(0, 1, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
});
test("a view into a larger buffer shows its own bytes only", async () => {
  const view = bufferDevice(data.subarray(10, 20));
  expect(await view.read(0, 10)).toEqual(data.slice(10, 20));
  await expect(view.read(0, 11)).rejects.toMatchObject({ code: "past-end" });
});

import {
  type BlockDevice,
  bufferDevice,
  cachedDevice,
  RecordCache,
  RecordTable,
  type RecordTableOptions,
} from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { fakeDevice } from "./lib/fake-device.js";
import { pattern } from "./lib/pattern.js";

const disk = pattern(64 << 10);
/** A table of records of 256 bytes, all of which are in use. */
const tableOf = (device: BlockDevice, options: Partial<RecordTableOptions> = {}, cache = new RecordCache(device)) =>
  new RecordTable(device, cache, { size: 256, unit: 4096, isUsed: () => true, ...options });
const placeOf = (block: ReturnType<RecordTable["peek"]>) => block && [block.at, block.view.byteLength];

describe("the stretches of a table", () => {
  test("are pages, the same for as long as the device holds them, whatever was asked for in between", async () => {
    const device = cachedDevice(fakeDevice(disk), { pageSize: 16 << 10 });
    const table = tableOf(device);
    expect(table.peek(4096)).toBeUndefined();
    await device.read(0, 32 << 10);
    const block = table.peek(4352)!;
    block.sums = Int32Array.of(1);
    expect(placeOf(block)).toEqual([0, 16 << 10]);
    expect(block.view.getUint8(4101)).toBe(disk[4101]);
    expect(table.peek(20_480)?.sums).toBeUndefined();
    expect(table.peek(16_383)).toBe(block);
    expect(table.peek(20_480)?.at).toBe(16 << 10);
  });

  test("are others once the device has given up their memory", async () => {
    const device = cachedDevice(fakeDevice(disk.slice()), { pageSize: 16 << 10 });
    const table = tableOf(device);
    await device.read(0, 32 << 10);
    const block = table.peek(0);
    device.clear();
    expect(table.peek(20_480)).toBeUndefined();
    await device.read(0, 32 << 10);
    table.peek(20_480);
    expect(table.peek(0)).not.toBe(block);
  });

  test("do not pass the table, whose own records are all that is asked for", async () => {
    const device = bufferDevice(disk);
    const table = tableOf(device, { unit: 1024, start: 3072, end: 20_480 });
    expect(placeOf(table.peek(5000))).toEqual([3072, (16 << 10) - 3072]);
    expect(placeOf(table.peek(18_000))).toEqual([16 << 10, 4096]);
  });

  test("are blocks where the pages of the device are others", async () => {
    const device = cachedDevice(fakeDevice(disk), { pageSize: 4096 });
    const table = tableOf(device, { start: 4096 });
    await device.read(0, 32 << 10);
    expect(placeOf(table.peek(9000))).toEqual([8192, 4096]);
    expect(placeOf(table.peek(12_287))).toEqual([8192, 4096]);
    expect(placeOf(table.peek(12_288))).toEqual([12_288, 4096]);
  });

  test("hold whole blocks only, where the device is cut short, and whole records, however long", async () => {
    const cut = tableOf(bufferDevice(disk.subarray(0, 10_000)));
    expect(placeOf(cut.peek(4096))).toEqual([0, 8192]);
    expect(cut.peek(9000)).toBeUndefined();
    const long = tableOf(bufferDevice(disk), { unit: 32 << 10 });
    expect(placeOf(long.peek(40_000))).toEqual([32 << 10, 32 << 10]);
  });
});

describe("the stretches of a table on a device that answers at once", () => {
  const KIB = 1024;
  const long = pattern(1 << 20);

  /** Tells of each call; answers nothing of what passes byte `end`. */
  function device(end = long.length) {
    const calls: [number, number][] = [];
    const readNow: BlockDevice["readNow"] = (offset, length, into) => {
      calls.push([offset, length]);
      if (offset + length > end) throw new Error("a bad sector");
      into.set(long.subarray(offset, offset + length));
      return into;
    };
    return { calls, device: { ...fakeDevice(long), readNow } };
  }

  test("are read by fewer calls where one is asked for after the other, twice as much each time", () => {
    const { calls, device: disk } = device();
    const table = tableOf(disk);
    for (let at = 0; at < 640 * KIB; at += 256) {
      const block = table.peek(at)!;
      expect(block.view.getUint8(at - block.at)).toBe(long[at]);
    }
    expect(calls).toEqual([
      [0, 32 * KIB],
      [32 * KIB, 64 * KIB],
      [96 * KIB, 128 * KIB],
      [224 * KIB, 256 * KIB],
      [480 * KIB, 256 * KIB],
    ]);
  });

  test("are kept until each record in use was asked for, whichever table of the volume asks", () => {
    const { calls, device: disk } = device();
    const cache = new RecordCache(disk);
    // Each other record is free.
    const isUsed = (view: DataView, base: number): boolean => view.getUint8(base) === long[base] && base % 512 === 0;
    const table = tableOf(disk, { isUsed }, cache);
    const first = table.peek(0)!;
    for (let at = 512; at < 31 * KIB; at += 512) {
      // Far away, so that nothing but what is kept answers.
      expect(table.peek(512 * KIB)!.at).toBe(512 * KIB);
      expect(table.peek(at)).toBe(first);
    }
    const other = tableOf(disk, { isUsed }, cache);
    expect(calls).toHaveLength(2);
    expect(other.peek(31 * KIB)).toBe(first);
    expect(other.peek(31 * KIB + 512)).toBe(first);
    // Its last one was asked for: what comes now is another one, read again.
    table.peek(512 * KIB);
    expect(table.peek(0)).not.toBe(first);
    expect(calls).toHaveLength(3);
  });

  test("are none where it fails, and those before it all the same", () => {
    const { calls, device: disk } = device(80 * KIB);
    const table = tableOf(disk);
    expect(placeOf(table.peek(0))).toEqual([0, 32 * KIB]);
    expect(placeOf(table.peek(32 * KIB))).toEqual([32 * KIB, 32 * KIB]);
    expect(table.peek(64 * KIB)).toBeUndefined();
    expect(calls).toEqual([
      [0, 32 * KIB],
      [32 * KIB, 64 * KIB],
      [32 * KIB, 32 * KIB],
      [64 * KIB, 64 * KIB],
      [64 * KIB, 32 * KIB],
    ]);
  });

  test("come as the device has them in memory of its own", () => {
    const readNow: BlockDevice["readNow"] = (offset, length) => long.slice(offset, offset + length);
    const table = tableOf({ ...fakeDevice(long), readNow });
    for (const at of [70_000, 0, 256, 16_384, 500_000]) {
      const block = table.peek(at)!;
      expect(block.view.getUint8(at - block.at)).toBe(long[at]);
    }
  });

  test("are none past the end, and none of a device that waits", () => {
    const { device: disk } = device();
    expect(tableOf(disk).peek(long.length)).toBeUndefined();
    expect(tableOf(fakeDevice(long)).peek(0)).toBeUndefined();
    expect(tableOf({ ...disk, readNow: () => undefined }).peek(0)).toBeUndefined();
  });
});

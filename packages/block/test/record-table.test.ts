import { bufferDevice, cachedDevice, RecordTable } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { pattern } from "./lib/pattern.js";

const disk = pattern(64 << 10);
const placeOf = (block: ReturnType<RecordTable["peek"]>) => block && [block.at, block.view.byteLength];

describe("the stretches of a table", () => {
  test("are pages, the same for as long as the device holds them, whatever was asked for in between", async () => {
    const device = cachedDevice(bufferDevice(disk), { pageSize: 16 << 10 });
    const table = new RecordTable(device, 4096);
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
    const device = cachedDevice(bufferDevice(disk.slice()), { pageSize: 16 << 10 });
    const table = new RecordTable(device, 4096);
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
    const table = new RecordTable(device, 1024, 3072, 20_480);
    expect(placeOf(table.peek(5000))).toEqual([3072, (16 << 10) - 3072]);
    expect(placeOf(table.peek(18_000))).toEqual([16 << 10, 4096]);
  });

  test("are blocks where the pages of the device are others", async () => {
    const device = cachedDevice(bufferDevice(disk), { pageSize: 4096 });
    const table = new RecordTable(device, 4096, 4096);
    await device.read(0, 32 << 10);
    expect(placeOf(table.peek(9000))).toEqual([8192, 4096]);
    expect(placeOf(table.peek(12_287))).toEqual([8192, 4096]);
    expect(placeOf(table.peek(12_288))).toEqual([12_288, 4096]);
  });

  test("hold whole blocks only, where the device is cut short, and whole records, however long", async () => {
    const cut = new RecordTable(bufferDevice(disk.subarray(0, 10_000)), 4096);
    expect(placeOf(cut.peek(4096))).toEqual([0, 8192]);
    expect(cut.peek(9000)).toBeUndefined();
    const long = new RecordTable(bufferDevice(disk), 32 << 10);
    expect(placeOf(long.peek(40_000))).toEqual([32 << 10, 32 << 10]);
  });
});

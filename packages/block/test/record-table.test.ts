import { bufferDevice, cachedDevice, RecordTable } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { pattern } from "./lib/pattern.js";

describe("the blocks of a table", () => {
  const disk = pattern(64 << 10);

  test("are the same for as long as the device holds them, whatever was asked for in between", async () => {
    const device = cachedDevice(bufferDevice(disk), { pageSize: 16 << 10 });
    const table = new RecordTable(device);
    expect(table.peek(4096, 4096)).toBeUndefined();
    await device.read(0, 32 << 10);
    const block = table.peek(4096, 4096)!;
    block.sums = Int32Array.of(1);
    expect([block.view.byteLength, block.view.getUint8(5)]).toEqual([4096, disk[4101]]);
    expect(table.peek(20_480, 4096)?.sums).toBeUndefined();
    expect(table.peek(8192, 4096)?.sums).toBeUndefined();
    expect(table.peek(4096, 4096)).toBe(block);
  });

  test("are others once the device has given up their memory", async () => {
    const device = cachedDevice(bufferDevice(disk.slice()), { pageSize: 4096 });
    const table = new RecordTable(device);
    await device.read(0, 8192);
    const block = table.peek(0, 4096);
    device.clear();
    expect(table.peek(4096, 4096)).toBeUndefined();
    await device.read(0, 8192);
    table.peek(4096, 4096);
    expect(table.peek(0, 4096)).not.toBe(block);
  });
});

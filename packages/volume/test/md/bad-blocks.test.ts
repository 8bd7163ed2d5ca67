import { type BlockDevice, bufferDevice } from "@guestprobe/block";
import { expect, test } from "vitest";
import { withoutBadBlocks } from "../../src/md/bad-blocks.js";

/** A device with every way to read that there is. */
function member(): BlockDevice {
  const device = bufferDevice(Uint8Array.from({ length: 8192 }, (_, at) => at >> 8));
  return {
    size: device.size,
    sectorSize: 512,
    read: (offset, length) => device.read(offset, length),
    peek: (offset, length) => device.peek?.(offset, length),
    readNow: (offset, length, into) => {
      into.set(device.peek!(offset, length)!);
      return into;
    },
    readParts: async (offset, length) => [await device.read(offset, length)],
    map: async (offset, length) => [{ kind: "data", offset, length }],
  };
}

test("no way leads to the blocks of the list, and every way around them", async () => {
  // One range: two blocks of 512 bytes from block 10 of the member, whose data begin at byte 1024.
  const list = new Uint8Array(16).fill(0xff);
  new DataView(list.buffer).setBigUint64(0, (10n << 10n) | 2n, true);
  const device = withoutBadBlocks(member(), list, 512, 1024);
  expect(device.size).toBe(8192);
  expect(device.sectorSize).toBe(512);
  for (const [offset, length] of [
    [4096, 1],
    [4000, 97],
    [5119, 1],
    [0, 8192],
  ] as const) {
    await expect(device.read(offset, length)).rejects.toMatchObject({ code: "io", structure: "bblog" });
    expect(device.peek?.(offset, length)).toBeUndefined();
    expect(device.readNow?.(offset, length, new Uint8Array(length))).toBeUndefined();
    expect(await device.readParts?.(offset, length, 512)).toBeUndefined();
  }
  expect(await device.read(4090, 6)).toEqual(new Uint8Array(6).fill(15));
  expect(await device.read(5120, 2)).toEqual(new Uint8Array(2).fill(20));
  expect(device.peek?.(5120, 2)).toEqual(new Uint8Array(2).fill(20));
});

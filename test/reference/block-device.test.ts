import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFile } from "@guestprobe/block/node";
import { afterEach, expect, test } from "vitest";

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: "utf8" }).trim();

let cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp.reverse()) step();
  cleanUp = [];
});

/** A read-only loop device over `size` bytes, no two sectors alike. */
function loopDevice(size: number, ...options: string[]): { path: string; data: Uint8Array } {
  const folder = mkdtempSync(join(tmpdir(), "guestprobe-loop-"));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const data = Uint8Array.from({ length: size }, (_, at) => (at % 512 < 4 ? (at >> 9) >> (8 * (at % 512)) : at));
  writeFileSync(join(folder, "image"), data);
  const path = run("losetup", "--find", "--show", "--read-only", ...options, join(folder, "image"));
  cleanUp.push(() => run("losetup", "--detach", path));
  return { path, data };
}

test.each([[512], [1024], [63 * 512], [1 << 20], [(5 << 20) + 3 * 512]])(
  "a block special file of %i bytes: size as blockdev says, bytes as written",
  async (size) => {
    const { path, data } = loopDevice(size);
    await using device = await openFile(path);
    expect(device.size).toBe(Number(run("blockdev", "--getsize64", path)));
    expect(device.size).toBe(size);
    expect(Buffer.compare(await device.read(0, size), data)).toBe(0);
    expect(await device.read(size - 3, 3)).toEqual(data.slice(-3));
    await expect(device.read(size - 3, 4)).rejects.toMatchObject({ code: "past-end" });
  },
);

test("a file that does not end at a sector: the device is what the kernel makes of it", async () => {
  const { path } = loopDevice(1000);
  await using device = await openFile(path);
  expect(device.size).toBe(Number(run("blockdev", "--getsize64", path)));
});

test("sectors of 4096 bytes: any range is read all the same", async () => {
  const { path, data } = loopDevice(64 << 10, "--sector-size", "4096");
  await using device = await openFile(path, { blocking: true });
  expect(device.size).toBe(64 << 10);
  expect(await device.read(4095, 3)).toEqual(data.slice(4095, 4098));
});

test("a loop device without a file has no bytes", async () => {
  const { path } = loopDevice(512);
  cleanUp.pop()?.();
  await using device = await openFile(path);
  expect(device.size).toBe(0);
});

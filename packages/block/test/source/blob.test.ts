import { mkdtempSync, openAsBlob, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobDevice } from "@guestprobe/block";
import { expect, test } from "vitest";
import { pattern } from "../lib/pattern.js";

const data = pattern(5000);

test("reads of a Blob made of several parts", async () => {
  const device = blobDevice(new Blob([data.subarray(0, 100), data.subarray(100)]));
  expect(device.size).toBe(5000);
  expect(await device.read(90, 20)).toEqual(data.slice(90, 110));
  expect(await device.read(5000, 0)).toHaveLength(0);
});
test("ranges are checked, a signal is heeded", async () => {
  const device = blobDevice(new Blob([data]));
  await expect(device.read(4999, 2)).rejects.toMatchObject({ code: "past-end" });
  await expect(device.read(-1, 2)).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(device.read(0, 2, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
});
test("a signal that fires while the Blob is read", async () => {
  const controller = new AbortController();
  const reading = blobDevice(new Blob([data])).read(0, 5000, controller.signal);
  controller.abort();
  await expect(reading).rejects.toMatchObject({ code: "aborted" });
});
test("a file that was cut after it was chosen is an io error with the cause", async () => {
  const folder = mkdtempSync(join(tmpdir(), "guestprobe-blob-"));
  try {
    const path = join(folder, "image");
    writeFileSync(path, data);
    const device = blobDevice(await openAsBlob(path));
    expect(await device.read(4000, 1000)).toEqual(data.slice(4000));
    truncateSync(path, 10);
    await expect(device.read(4000, 1000)).rejects.toMatchObject({ code: "io", offset: 4000, cause: expect.anything() });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
test("a Blob that answers fewer bytes, as a browser may for a changed file", async () => {
  const blob = new Blob([data]);
  blob.slice = () => new Blob([new Uint8Array(3)]);
  await expect(blobDevice(blob).read(0, 10)).rejects.toThrow("3 bytes came back where 10 were asked for (at byte 0)");
});

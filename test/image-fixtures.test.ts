import { createHash } from "node:crypto";
import { type BlockDevice, blobDevice, bufferDevice, FindingLog, type MappedRange } from "@guestprobe/block";
import { openImage, type ResolveFile } from "@guestprobe/image";
import { describe, expect, it } from "vitest";
import { imageFixtures, unpackImage } from "./lib/image-fixtures.js";

const SOURCES: readonly (readonly [string, (data: Uint8Array) => BlockDevice])[] = [
  ["buffer", (data) => bufferDevice(data)],
  ["blob", (data) => blobDevice(new Blob([data as Uint8Array<ArrayBuffer>]))],
];

/** Read in pieces that fit no cluster size. */
async function sha256(device: BlockDevice): Promise<string> {
  const hash = createHash("sha256");
  const piece = 333_333;
  for (let at = 0; at < device.size; at += piece) hash.update(await device.read(at, Math.min(piece, device.size - at)));
  return hash.digest("hex");
}

const dataOf = (ranges: readonly MappedRange[]) =>
  ranges.filter((range) => range.kind === "data").map(({ offset, length }) => [offset, length]);

it("there are fixtures of every container", () => {
  expect(new Set(imageFixtures.map(({ expected }) => expected.format))).toEqual(
    new Set(["qcow2", "vhd", "vhdx", "vmdk", "vdi"]),
  );
});

describe.each(SOURCES)("images as qemu-img wrote them, from a %s", (_, source) => {
  it.each(imageFixtures)("$name", async ({ name, expected }) => {
    const log = new FindingLog();
    const asked: string[] = [];
    const resolve: ResolveFile = async (file) => {
      asked.push(file);
      return expected.files.includes(file) ? source(unpackImage(file)) : undefined;
    };
    const options = { resolve, report: log.report };
    const image = await openImage(source(unpackImage(name)), options);
    expect(log.findings).toEqual([]);
    expect(asked).toEqual(expected.files);
    expect(image).toMatchObject({ format: expected.format, virtualSize: expected.virtualSize });
    if (expected.clusterSize !== null) expect(image.info.clusterSize).toBe(expected.clusterSize);
    const backing = image.info.references.find((reference) => reference.kind === "backing");
    expect(backing?.names[0] ?? null).toBe(expected.backing);
    expect(await sha256(image.device)).toBe(expected.sha256);
    if (expected.data !== null)
      expect(dataOf((await image.device.map?.(0, image.virtualSize)) ?? [])).toEqual(expected.data);
    if (expected.snapshot === null) return;
    const snapshot = await openImage(source(unpackImage(name)), { ...options, snapshot: expected.snapshot.name });
    expect(await sha256(snapshot.device)).toBe(expected.snapshot.sha256);
  });
});

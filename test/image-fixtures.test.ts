import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type BlockDevice, blobDevice, bufferDevice, FindingLog, type MappedRange, openHttp } from "@guestprobe/block";
import { openImage, type ResolveFile } from "@guestprobe/image";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageFixtures, unpackImage } from "./lib/image-fixtures.js";

/** Files by path, served in ranges from this process. */
const served = new Map<string, Uint8Array>();
const server = createServer((request, response) => {
  const data = served.get(request.url ?? "");
  const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
  if (data === undefined || first === undefined) return response.writeHead(400).end();
  const part = data.subarray(Number(first), Number(last) + 1);
  response.writeHead(206, {
    "Content-Range": `bytes ${first}-${Number(first) + part.length - 1}/${data.length}`,
    "Content-Length": part.length,
  });
  return response.end(part);
});
beforeAll(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)));
afterAll(() => new Promise((done) => server.close(done)));

function overHttp(data: Uint8Array): Promise<BlockDevice> {
  const path = `/${served.size}`;
  served.set(path, data);
  return openHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
}

const SOURCES: readonly (readonly [string, (data: Uint8Array) => BlockDevice | Promise<BlockDevice>])[] = [
  ["buffer", (data) => bufferDevice(data)],
  ["blob", (data) => blobDevice(new Blob([data as Uint8Array<ArrayBuffer>]))],
  ["server", overHttp],
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
    const image = await openImage(await source(unpackImage(name)), options);
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
    const snapshot = await openImage(await source(unpackImage(name)), { ...options, snapshot: expected.snapshot.name });
    expect(await sha256(snapshot.device)).toBe(expected.snapshot.sha256);
  });
});

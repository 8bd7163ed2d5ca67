import { deflateRawSync } from "node:zlib";
import { bufferDevice, countReads } from "@guestprobe/block";
import { openImage } from "@guestprobe/image";
import { describe, expect, it } from "vitest";
import { filled } from "../../../test/lib/image-builder/bytes.js";
import { buildQcow2, type Cluster } from "../../../test/lib/image-builder/qcow2.js";
import { decodeHeader } from "../src/qcow2/header.js";
import { disk, expectBytes, failureOf, openBytes, readAll, shelf } from "./lib.js";

const data = (value: number, length = 512): Cluster => ({ kind: "data", data: filled(length, value) });

describe("header", () => {
  it("version 2, byte by byte", () => {
    // Big-endian, at the offsets of docs/interop/qcow2.txt: 1 MiB disk, 64 KiB clusters, one L1 entry at 0x30000.
    const bytes = new Uint8Array(72);
    bytes.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 2], 0);
    bytes.set([0, 0, 0, 16, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, 0, 0], 20);
    bytes.set([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1], 48);
    expect(decodeHeader(bytes)).toMatchObject({
      version: 2,
      clusterSize: 65536,
      virtualSize: 1 << 20,
      l1Entries: 1,
      l1Offset: 0x30000,
      refcountOffset: 0x10000,
      refcountLength: 65536,
      compression: "zlib",
      extendedL2: false,
      features: [],
    });
  });

  it("names and format of the backing file", async () => {
    const { file } = buildQcow2({ size: 1 << 20, backing: "../base.img", backingFormat: "raw" });
    const { image, findings } = await openBytes(file);
    expect(image.info.references).toMatchObject([{ kind: "backing", names: ["../base.img"], format: "raw" }]);
    expect(findings.map((entry) => entry.code)).toEqual(["image-file-missing"]);
  });

  it.each([
    [1, "image-dirty"],
    [2, "image-marked-corrupt"],
  ])("incompatible bit %d is reported as %s, and the image reads", async (incompatible, code) => {
    const { image, findings } = await openBytes(buildQcow2({ size: 1 << 20, incompatible }).file);
    expect(findings.map((entry) => entry.code)).toEqual([code]);
    expect((await readAll(image)).every((byte) => byte === 0)).toBe(true);
  });

  it("an unknown incompatible bit is refused by its number", async () => {
    const error = await failureOf(openBytes(buildQcow2({ size: 1 << 20, incompatible: 0x400 }).file));
    expect(error).toMatchObject({ code: "unsupported", offset: 72 });
    expect(error.message).toContain("0x400");
  });

  it.each([
    [1, "AES"],
    [2, "LUKS"],
  ])("encryption method %d is refused by its name", async (method, name) => {
    const { file } = buildQcow2({ size: 1 << 20 });
    file[35] = method;
    const error = await failureOf(openBytes(file));
    expect(error).toMatchObject({ code: "encrypted", field: "crypt_method", offset: 32 });
    expect(error.message).toContain(name);
  });
});

describe("clusters", () => {
  it("data, zeros and holes, in clusters of 512 bytes that several L2 tables map", async () => {
    // An L2 table has 64 entries, 32 KiB: clusters 3, 64 and 200 lie under three of them.
    const clusters = new Map<number, Cluster>([
      [3, data(1)],
      [4, { kind: "zero" }],
      [64, data(2)],
      [200, data(3)],
    ]);
    const { file } = buildQcow2({ size: 256 * 512, clusterBits: 9, clusters });
    const { image } = await openBytes(file);
    const expected = disk(256 * 512, [
      [3 * 512, filled(512, 1)],
      [64 * 512, filled(512, 2)],
      [200 * 512, filled(512, 3)],
    ]);
    expectBytes(await readAll(image), expected);
    expectBytes(await image.device.read(3 * 512 + 100, 61 * 512), expected.slice(3 * 512 + 100, 64 * 512 + 100));
    expect((await image.device.map?.(0, 256 * 512))?.filter((range) => range.kind === "data")).toEqual([
      { offset: 3 * 512, length: 512, kind: "data" },
      { offset: 64 * 512, length: 512, kind: "data" },
      { offset: 200 * 512, length: 512, kind: "data" },
    ]);
  });

  it("holes cost no read, and a table is read once", async () => {
    const clusters = new Map<number, Cluster>([[0, data(1, 65536)]]);
    const counted = countReads(bufferDevice(buildQcow2({ size: 1 << 30, clusters }).file));
    const image = await openImage(counted);
    await image.device.read(0, 512);
    const before = { ...counted.stats };
    await image.device.read(1 << 20, 1 << 20);
    await image.device.read(600 << 20, 1 << 20);
    expect(counted.stats).toEqual(before);
  });

  it("compressed: decoded once for neighbouring reads, from a stream that ends anywhere in its sector", async () => {
    const plain = Uint8Array.from({ length: 65536 }, (_, n) => (n >> 6) & 0xff);
    const clusters = new Map<number, Cluster>([
      [0, { kind: "compressed", data: deflateRawSync(plain) }],
      [1, { kind: "compressed", data: deflateRawSync(filled(65536, 7)) }],
    ]);
    const counted = countReads(bufferDevice(buildQcow2({ size: 1 << 20, clusters }).file));
    const image = await openImage(counted);
    expectBytes(await image.device.read(0, 65536), plain);
    const before = counted.stats.reads;
    expectBytes(await image.device.read(1000, 2000), plain.slice(1000, 3000));
    expect(counted.stats.reads).toBe(before);
    expectBytes(
      await image.device.read(65000, 1000),
      disk(1000, [
        [0, plain.slice(65000)],
        [536, filled(464, 7)],
      ]),
    );
  });

  it("extended L2: subclusters that are data, zero, or the backing file's", async () => {
    // Clusters of 16 KiB, subclusters of 512 bytes: bit 0 data, bit 1 zero, bit 31 data, the rest from below.
    const base = filled(32768, 0xbb);
    const sub: Cluster = { kind: "sub", allocated: 0x8000_0001, zero: 2, data: filled(16384, 0x11) };
    const options = { size: 32768, clusterBits: 14, extendedL2: true, backing: "base", backingFormat: "raw" };
    const { file } = buildQcow2({ ...options, clusters: new Map([[0, sub]]) });
    const { image } = await openBytes(file, shelf({ base }));
    const expected = base.slice();
    expected
      .fill(0x11, 0, 512)
      .fill(0, 512, 1024)
      .fill(0x11, 31 * 512, 16384);
    expectBytes(await readAll(image), expected);
    expectBytes(await image.device.read(700, 16000), expected.slice(700, 16700));
  });

  it("external data file: its first cluster lies at byte 0, and only the copied bit tells it from none", async () => {
    const built = buildQcow2({ size: 1 << 20, incompatible: 4, clusters: new Map([[0, data(1)]]) });
    const view = new DataView(built.file.buffer);
    view.setBigUint64(built.l2[0]!, 1n << 63n);
    view.setBigUint64(built.l2[0]! + 8, 0n);
    // Header extension at byte 112: type, length, the name.
    built.file.set([0x44, 0x41, 0x54, 0x41, 0, 0, 0, 1, 0x64], 112);
    const { image } = await openBytes(built.file, shelf({ d: filled(131072, 6) }));
    expectBytes(await image.device.read(0, 131072), disk(131072, [[0, filled(65536, 6)]]));
  });

  it("allocation names the image and the byte that each run comes from", async () => {
    const clusters = new Map<number, Cluster>([
      [1, data(1, 65536)],
      [2, { kind: "zero" }],
    ]);
    const base = buildQcow2({ size: 4 << 16, clusters: new Map([[0, data(9, 65536)]]) });
    const top = buildQcow2({ size: 4 << 16, clusters, backing: "base", backingFormat: "qcow2" });
    const { image } = await openBytes(top.file, shelf({ base: base.file }));
    const runs = [];
    for await (const batch of image.allocation(0, 4 << 16)) runs.push(...batch);
    expect(runs).toEqual([
      { offset: 0, length: 65536, kind: "data", depth: 1, physical: base.data },
      { offset: 65536, length: 65536, kind: "data", depth: 0, physical: top.data },
      { offset: 131072, length: 65536, kind: "zero", depth: 0, physical: undefined },
      { offset: 196608, length: 65536, kind: "absent", depth: 1, physical: undefined },
    ]);
  });
});

describe("snapshots", () => {
  const { file } = buildQcow2({
    size: 1 << 20,
    clusters: new Map([[0, data(5)]]),
    snapshots: [
      { id: "1", name: "two" },
      { id: "two", name: "last" },
    ],
  });

  it("are listed with their sizes and times", async () => {
    const { image } = await openBytes(file);
    expect(image.info.snapshots).toEqual([
      { id: "1", name: "two", timeMs: 1_000_000_000, virtualSize: 1 << 20, vmStateSize: 0 },
      { id: "two", name: "last", timeMs: 1_000_000_000, virtualSize: 1 << 20, vmStateSize: 0 },
    ]);
  });

  it("are found by id before name", async () => {
    for (const snapshot of ["1", "two", "last"]) {
      const { image } = await openBytes(file, { snapshot });
      expect((await image.device.read(0, 1))[0]).toBe(5);
    }
    const error = await failureOf(openBytes(file, { snapshot: "none" }));
    expect(error).toMatchObject({ code: "not-found" });
    expect(error.message).toContain('"two", "last"');
  });
});

/** Images that qemu-img cannot write, built from the specifications by hand: it must read them as we do. */
import { copyFileSync, writeFileSync } from "node:fs";
import { openImage, type ResolveFile } from "@guestprobe/image";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { buildQcow2, type Cluster } from "../lib/image-builder/qcow2.js";
import { buildVdi } from "../lib/image-builder/vdi.js";
import { buildVhd } from "../lib/image-builder/vhd.js";
import { buildVhdx, type LogEntryOptions, VHDX_AT } from "../lib/image-builder/vhdx.js";
import { buildCowd, buildSeSparse, buildSparse, descriptorText } from "../lib/image-builder/vmdk.js";
import { Files, hashDevice, hashFile, MiB, noise, qemuImg, workspace } from "./image-disk.js";

const work = workspace("image-built");
const files = new Files();
afterEach(() => files.close());
afterAll(() => work.remove());

async function sameAsQemu(name: string, driver: string, resolve?: ResolveFile): Promise<void> {
  const path = work.path(name);
  const out = work.path(`${name}.raw`);
  qemuImg("convert", "-f", driver, "-O", "raw", path, out);
  const image = await openImage(await files.open(path), { resolve: resolve ?? files.beside(path) });
  expect(image.virtualSize).toBeGreaterThan(0);
  expect(await hashDevice(image.device)).toBe(hashFile(out, image.virtualSize));
}

describe("read by qemu-img as by us", () => {
  it("qcow2 with every kind of cluster, and qemu-img check finds no error in it", async () => {
    const clusters = new Map<number, Cluster>([
      [0, { kind: "data", data: noise(4096, 1) }],
      [3, { kind: "zero" }],
      [9000, { kind: "data", data: noise(4096, 2) }],
    ]);
    writeFileSync(work.path("a.qcow2"), buildQcow2({ size: 64 * MiB, clusterBits: 12, clusters }).file);
    qemuImg("check", "-f", "qcow2", work.path("a.qcow2"));
    await sameAsQemu("a.qcow2", "qcow2");
  });

  it("VHD dynamic", async () => {
    const blocks = new Map([1, 5, 2].map((index) => [index, { data: noise(2 * MiB, index) }]));
    writeFileSync(work.path("a.vhd"), buildVhd({ size: 13 * MiB, blocks }).file);
    await sameAsQemu("a.vhd", "vpc");
  });

  it("VHDX with every state of a block", async () => {
    const blocks = new Map([
      [0, { state: 6, data: noise(MiB, 1) }],
      [1, { state: 2 }],
      [2, { state: 3 }],
      [3, { state: 1 }],
      [5, { state: 6, data: noise(MiB, 2) }],
    ]);
    writeFileSync(work.path("a.vhdx"), buildVhdx({ size: 8 * MiB, blocks }));
    await sameAsQemu("a.vhdx", "vhdx");
  });

  it("VDI with zero blocks", async () => {
    const blocks = new Map<number, Uint8Array | "zero">([
      [2, noise(MiB, 3)],
      [1, "zero"],
      [0, noise(MiB, 4)],
    ]);
    writeFileSync(work.path("a.vdi"), buildVdi({ size: 4 * MiB, blocks }));
    await sameAsQemu("a.vdi", "vdi");
  });

  it("VMDK: ESX sparse, seSparse, hosted, stream optimized and flat extents", async () => {
    writeFileSync(work.path("c.vmdk"), buildCowd(3 * MiB, new Map([1, 4096].map((n) => [n, noise(512, n)]))));
    writeFileSync(work.path("h.vmdk"), buildSparse({ capacity: MiB, grains: new Map([[3, noise(65536, 3)]]) }).file);
    writeFileSync(work.path("f.bin"), noise(MiB, 8));
    const se = new Map<number, Uint8Array | "zero" | "unmapped">([
      [0, "zero"],
      [1, noise(4096, 1)],
      [2, "unmapped"],
      [4100, noise(4096, 2)],
    ]);
    writeFileSync(work.path("s.vmdk"), buildSeSparse(20 * MiB, se));
    // The tool reads extents of ESX only through a descriptor.
    const descriptors = {
      "vmfsSparse.vmdk": { createType: "vmfsSparse", extents: ['RW 6144 VMFSSPARSE "c.vmdk"'] },
      "seSparse.vmdk": { createType: "seSparse", extents: ['RW 40960 SESPARSE "s.vmdk"'] },
      "mixed.vmdk": {
        createType: "twoGbMaxExtentSparse",
        extents: ['RW 2048 SPARSE "h.vmdk"', 'RW 1024 FLAT "f.bin" 7', 'RW 2048 VMFS "f.bin"'],
      },
    };
    for (const [name, options] of Object.entries(descriptors)) {
      writeFileSync(work.path(name), descriptorText(options));
      await sameAsQemu(name, "vmdk");
    }
    const descriptor = descriptorText({ createType: "streamOptimized", extents: ['RW 2048 SPARSE "o.vmdk"'] });
    const grains = new Map([0, 7, 15].map((grain) => [grain, noise(65536, grain + 1)]));
    writeFileSync(work.path("o.vmdk"), buildSparse({ capacity: MiB, compressed: true, grains, descriptor }).file);
    await sameAsQemu("o.vmdk", "vmdk");
  });
});

describe("VHDX log replay", () => {
  const blocks = new Map([0, 1, 2].map((index) => [index, { state: 6, data: noise(MiB, index + 1) }]));
  const at = VHDX_AT.blocks;
  const one: LogEntryOptions = {
    at: 0,
    tail: 0,
    sequence: 11n,
    descriptors: [
      { kind: "data", offset: at + 8192, data: noise(4096, 50) },
      { kind: "zero", offset: at + MiB, length: 65536 },
      { kind: "data", offset: at + MiB + 4096, data: noise(4096, 51) },
    ],
    flushed: 7 * MiB,
    last: 7 * MiB,
  };
  const two: LogEntryOptions = {
    ...one,
    at: 3 * 4096,
    sequence: 12n,
    descriptors: [
      { kind: "zero", offset: at + 8192, length: 4096 },
      { kind: "data", offset: at + 2 * MiB, data: noise(4096, 52) },
    ],
  };

  it.each([
    { name: "one entry", log: [one] },
    { name: "two entries", log: [one, two] },
  ])("$name: the tool replays on a copy, we in memory, to the same bytes", async ({ name, log }) => {
    const path = work.path(`log-${log.length}.vhdx`);
    const replayed = work.path(`log-${log.length}-copy.vhdx`);
    writeFileSync(path, buildVhdx({ size: 3 * MiB, blocks, log }));
    copyFileSync(path, replayed);
    const before = hashFile(path);
    qemuImg("check", "-f", "vhdx", "-r", "all", replayed);
    expect(hashFile(replayed)).not.toBe(before);
    const out = work.path("log.raw");
    qemuImg("convert", "-f", "vhdx", "-O", "raw", replayed, out);
    const image = await openImage(await files.open(path));
    expect([name, await hashDevice(image.device)]).toEqual([name, hashFile(out)]);
    // And it is the replay that makes the difference.
    const plain = buildVhdx({ size: 3 * MiB, blocks });
    writeFileSync(work.path("plain.vhdx"), plain);
    const unchanged = await openImage(await files.open(work.path("plain.vhdx")));
    expect(await hashDevice(unchanged.device)).not.toBe(hashFile(out));
    expect(hashFile(path)).toBe(before);
  });

  it("qemu-img refuses such a file as long as it may not write", () => {
    const path = work.path("refused.vhdx");
    writeFileSync(path, buildVhdx({ size: 3 * MiB, blocks, log: [one] }));
    expect(() => qemuImg("info", "-f", "vhdx", path)).toThrow(/log that needs to be replayed/);
  });
});

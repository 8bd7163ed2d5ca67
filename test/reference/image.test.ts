import { copyFileSync, readdirSync } from "node:fs";
import { FindingLog } from "@guestprobe/block";
import { type ImageFormat, openImage } from "@guestprobe/image";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  buildGuestDisk,
  Files,
  hashDevice,
  hashFile,
  MiB,
  noise,
  ourData,
  qemuData,
  qemuImg,
  qemuInfo,
  qemuMap,
  run,
  workspace,
} from "./image-disk.js";

const work = workspace("image");
const files = new Files();
let raw = "";
let rawHash = "";
beforeAll(() => {
  raw = buildGuestDisk(work);
  rawHash = hashFile(raw);
});
afterEach(() => files.close());
afterAll(() => work.remove());

interface Case {
  readonly name: string;
  readonly format: ImageFormat;
  /** QEMU's word for it. */
  readonly driver: string;
  readonly convert: readonly string[];
  /** Virtual size by a geometry: the disk is followed by zeros. */
  readonly rounded?: boolean;
  /** The tool has no map for it: everything is data to it. */
  readonly unmapped?: boolean;
  /** The tool does not tell a fixed VHD from a raw disk unless told. */
  readonly probes?: string;
}

const qcow2 = (name: string, ...convert: string[]): Case => ({
  name: `qcow2 ${name}`,
  format: "qcow2",
  driver: "qcow2",
  convert,
});

const CASES: readonly Case[] = [
  { name: "raw", format: "raw", driver: "raw", convert: [], unmapped: true },
  qcow2("default"),
  qcow2("version 2", "-o", "compat=0.10"),
  ...[512, 1024, 4096, 16384, 65536, 262144, 1048576, 2097152].map((size) =>
    qcow2(`clusters of ${size}`, "-o", `cluster_size=${size}`),
  ),
  qcow2("zlib compressed", "-c"),
  qcow2("zlib compressed, clusters of 512", "-c", "-o", "cluster_size=512"),
  qcow2("zlib compressed, clusters of 2 MiB", "-c", "-o", "cluster_size=2M"),
  qcow2("zlib compressed, version 2", "-c", "-o", "compat=0.10"),
  qcow2("zstd compressed", "-c", "-o", "compression_type=zstd"),
  qcow2("zstd compressed, clusters of 2 MiB", "-c", "-o", "compression_type=zstd,cluster_size=2M"),
  qcow2("extended L2", "-o", "extended_l2=on"),
  qcow2("extended L2, clusters of 16 KiB", "-o", "extended_l2=on,cluster_size=16k"),
  qcow2("extended L2, clusters of 2 MiB", "-o", "extended_l2=on,cluster_size=2M"),
  qcow2("extended L2, compressed", "-c", "-o", "extended_l2=on"),
  qcow2("lazy refcounts", "-o", "lazy_refcounts=on"),
  qcow2("refcounts of 1 bit", "-o", "refcount_bits=1"),
  qcow2("preallocated metadata", "-o", "preallocation=metadata"),
  { name: "VHD dynamic", format: "vhd", driver: "vpc", convert: ["-o", "force_size=on"] },
  { name: "VHD dynamic by geometry", format: "vhd", driver: "vpc", convert: [], rounded: true },
  {
    name: "VHD fixed",
    format: "vhd",
    driver: "vpc",
    convert: ["-o", "subformat=fixed,force_size=on"],
    unmapped: true,
    probes: "raw",
  },
  { name: "VHDX dynamic", format: "vhdx", driver: "vhdx", convert: [], unmapped: true },
  { name: "VHDX fixed", format: "vhdx", driver: "vhdx", convert: ["-o", "subformat=fixed"], unmapped: true },
  { name: "VHDX blocks of 1 MiB", format: "vhdx", driver: "vhdx", convert: ["-o", "block_size=1M"], unmapped: true },
  { name: "VHDX blocks of 256 MiB", format: "vhdx", driver: "vhdx", convert: ["-o", "block_size=256M"], unmapped: true },
  { name: "VDI dynamic", format: "vdi", driver: "vdi", convert: [] },
  { name: "VDI static", format: "vdi", driver: "vdi", convert: ["-o", "static=on"], unmapped: true },
  ...["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized"].map(
    (subformat): Case => ({
      name: `VMDK ${subformat}`,
      format: "vmdk",
      driver: "vmdk",
      convert: ["-o", `subformat=${subformat}`],
      unmapped: subformat.endsWith("Flat"),
    }),
  ),
  {
    name: "VMDK with zeroed grains",
    format: "vmdk",
    driver: "vmdk",
    convert: ["-o", "subformat=monolithicSparse,zeroed_grain=on"],
  },
];

describe("the same disk in every subformat", () => {
  it.each(CASES)("$name", async ({ name, format, driver, convert, rounded, unmapped, probes }) => {
    const path = work.path(`${name.replace(/\W+/g, "-")}.img`);
    qemuImg("convert", "-f", "raw", "-O", driver, ...convert, raw, path);
    const log = new FindingLog();
    const image = await openImage(await files.open(path), { resolve: files.beside(path), report: log.report });
    const info = qemuInfo(path, driver);

    expect(image.format).toBe(format);
    expect(JSON.parse(qemuImg("info", "--output=json", path)).format).toBe(probes ?? driver);
    expect(image.virtualSize).toBe(info["virtual-size"]);
    expect(image.device.size).toBe(info["virtual-size"]);
    if (info["cluster-size"] !== undefined) expect(image.info.clusterSize).toBe(info["cluster-size"]);
    expect(log.findings).toEqual([]);

    if (rounded) expect(await hashDevice(image.device, 64 * MiB)).toBe(rawHash);
    else expect(image.virtualSize).toBe(64 * MiB);
    expect(await hashDevice(image.device)).toBe(hashFile(raw, image.virtualSize));

    if (!unmapped) expect(await ourData(image)).toEqual(qemuData(qemuMap(path, driver)));
    // Whatever we call a hole is zero in the raw disk, and `map` leaves no gap.
    const source = await files.open(raw);
    let end = 0;
    for (const range of (await image.device.map?.(0, image.virtualSize)) ?? []) {
      expect(range.offset).toBe(end);
      end += range.length;
      const inside = Math.min(range.length, Math.max(0, source.size - range.offset));
      if (range.kind === "hole" && inside > 0) {
        expect((await source.read(range.offset, inside)).every((byte) => byte === 0)).toBe(true);
      }
    }
    if (image.device.map !== undefined) expect(end).toBe(image.virtualSize);
  });
});

import { execFileSync } from "node:child_process";
import { copyFileSync, createReadStream, openAsBlob, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type BlockDevice,
  blobDevice,
  cachedDevice,
  countReads,
  encodeText,
  FindingLog,
  openHttp,
} from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { type ImageFormat, openImage } from "@guestprobe/image";
import { readPartitions } from "@guestprobe/partition";
import { GRUB_WALK, openFileSystem, resolve } from "@guestprobe/vfs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  buildGuestDisk,
  Files,
  feed,
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
  ...Array.from({ length: 13 }, (_, bits) => 512 * 2 ** bits).map((size) =>
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
  qcow2("preallocated in full", "-o", "preallocation=full"),
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
  {
    name: "VHDX blocks of 256 MiB",
    format: "vhdx",
    driver: "vhdx",
    convert: ["-o", "block_size=256M"],
    unmapped: true,
  },
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
  { name: "VMDK version 6", format: "vmdk", driver: "vmdk", convert: ["-o", "compat6=on"] },
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

describe("backing chains", () => {
  /** base <- middle <- top, each with its own megabytes changed; the same writes go to a raw copy. */
  function buildChain(prefix: string, drivers: readonly [string, string, string], ...top: string[]): string {
    const names = ["base", "middle", "top"].map((part) => work.path(`${prefix}-${part}.img`));
    const copy = work.path(`${prefix}-copy.raw`);
    copyFileSync(raw, copy);
    qemuImg("convert", "-f", "raw", "-O", drivers[0], raw, names[0]!);
    const writes = [[], ["5M 1M", "40M 64k"], ["5632k 512k", "63M 1M", "20M 4k"]];
    for (const level of [1, 2]) {
      const options = ["-F", drivers[level - 1]!, "-b", names[level - 1]!.slice(work.folder.length + 1)];
      qemuImg("create", "-q", "-f", drivers[level]!, ...options, ...(level === 2 ? top : []), names[level]!);
      for (const [index, range] of writes[level]!.entries()) {
        const command = `write -P ${0x30 + level * 8 + index} ${range}`;
        run("qemu-io", "-f", drivers[level]!, "-c", command, names[level]!);
        run("qemu-io", "-f", "raw", "-c", command, copy);
      }
    }
    return names[2]!;
  }

  it.each([
    { name: "raw at the bottom", drivers: ["raw", "qcow2", "qcow2"], top: [] },
    {
      name: "raw at the bottom, small clusters on top",
      drivers: ["raw", "qcow2", "qcow2"],
      top: ["-o", "cluster_size=512"],
    },
    { name: "extended L2 on top", drivers: ["qcow2", "qcow2", "qcow2"], top: ["-o", "extended_l2=on"] },
    { name: "VMDK", drivers: ["vmdk", "vmdk", "vmdk"], top: [] },
    { name: "VDI at the bottom", drivers: ["vdi", "qcow2", "qcow2"], top: [] },
  ] as const)("three deep: $name", async ({ name, drivers, top }) => {
    const prefix = `chain-${name.replace(/\W+/g, "-")}`;
    const path = buildChain(prefix, drivers, ...top);
    const log = new FindingLog();
    const image = await openImage(await files.open(path), { resolve: files.beside(path), report: log.report });
    expect(log.findings).toEqual([]);
    const driver = drivers[2];
    expect(image.info.references[0]?.names).toEqual([qemuInfo(path, driver)["backing-filename"]]);
    expect(image.backing?.backing?.backing).toBeUndefined();
    expect(await hashDevice(image.device)).toBe(hashFile(work.path(`${prefix}-copy.raw`)));
    // Raw files at the bottom are all data to us; the tool asks the host for their holes.
    const bottomIsMapped = drivers[0] !== "raw";
    const above = (list: ReturnType<typeof qemuData>) =>
      bottomIsMapped ? list : list.filter((each) => each.depth !== 2);
    expect(above(await ourData(image))).toEqual(above(qemuData(qemuMap(path, driver))));
  });

  it("nothing is opened without a resolver: what the image has itself reads, the rest rejects", async () => {
    const path = buildChain("alone", ["raw", "qcow2", "qcow2"]);
    const log = new FindingLog();
    const image = await openImage(await files.open(path), { report: log.report });
    expect(log.findings.map((entry) => entry.code)).toEqual(["image-file-missing"]);
    expect(log.findings[0]?.message).toContain('"alone-middle.img"');
    expect(log.findings[0]?.next.join()).toContain("--backing");
    expect(image.backing).toBeUndefined();
    expect(await image.device.read(63 * MiB, MiB)).toEqual(new Uint8Array(MiB).fill(0x41));
    await expect(image.device.read(0, 512)).rejects.toMatchObject({ code: "io" });
    await expect(image.device.read(63 * MiB - 1, 2)).rejects.toMatchObject({ code: "io" });
  });

  it("a child larger than its backing file reads zeros past its end", async () => {
    const small = work.path("small.raw");
    const large = work.path("large.qcow2");
    writeFileSync(small, noise(3 * MiB + 512, 3));
    qemuImg("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "small.raw", large, "8M");
    const image = await openImage(await files.open(large), { resolve: files.beside(large) });
    expect(await hashDevice(image.device)).toBe(hashFile(small, 8 * MiB));
  });
});

describe("qcow2 features", () => {
  it("internal snapshots are listed and read by id and by name", async () => {
    const path = work.path("snapshots.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", raw, path);
    qemuImg("snapshot", "-c", "before", path);
    run("qemu-io", "-f", "qcow2", "-c", "write -P 0x55 10M 3M", path);
    qemuImg("snapshot", "-c", "after the write", path);
    qemuImg("resize", "-q", path, "96M");
    run("qemu-io", "-f", "qcow2", "-c", "write -P 0x66 90M 1M", "-c", "write -z 10M 1M", path);
    const expected = qemuInfo(path, "qcow2").snapshots ?? [];
    const current = await openImage(await files.open(path));
    expect(current.info.snapshots.map(({ id, name, timeMs }) => [id, name, Math.floor(timeMs / 1000)])).toEqual(
      expected.map((snapshot) => [snapshot.id, snapshot.name, snapshot["date-sec"]]),
    );
    expect(expected).toHaveLength(2);
    for (const [selector, word] of [
      ["1", "snapshot.id=1"],
      ["before", "snapshot.name=before"],
      ["after the write", "snapshot.name=after the write"],
    ] as const) {
      const out = work.path("snapshot.raw");
      qemuImg("convert", "-f", "qcow2", "-O", "raw", "-l", word, path, out);
      const image = await openImage(await files.open(path), { snapshot: selector });
      // The tool keeps the current size; the snapshot records its own.
      expect(image.virtualSize).toBe(64 * MiB);
      expect(await hashDevice(image.device)).toBe(hashFile(out, 64 * MiB));
    }
    const out = work.path("current.raw");
    qemuImg("convert", "-f", "qcow2", "-O", "raw", path, out);
    expect(await hashDevice(current.device)).toBe(hashFile(out));
    await expect(openImage(await files.open(path), { snapshot: "none" })).rejects.toMatchObject({ code: "not-found" });
  });

  it.each([false, true])("external data file, raw %s", async (plain) => {
    const path = work.path(`external-${plain}.qcow2`);
    const data = `external-${plain}.data`;
    const options = `data_file=${work.path(data)},data_file_raw=${plain ? "on" : "off"}`;
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-o", options, raw, path);
    const log = new FindingLog();
    const image = await openImage(await files.open(path), { resolve: files.beside(path), report: log.report });
    expect(image.info.references).toEqual([{ kind: "data-file", names: [work.path(data)], format: "raw" }]);
    expect(await hashDevice(image.device)).toBe(rawHash);
    expect(await ourData(image)).toEqual(qemuData(qemuMap(path, "qcow2")));
    expect(log.findings).toEqual([]);
    const alone = await openImage(await files.open(path), { report: log.report });
    expect(log.findings.map((entry) => entry.code)).toEqual(["image-file-missing"]);
    await expect(alone.device.read(MiB, 4096)).rejects.toMatchObject({ code: "io" });
  });

  it("zero clusters, written and discarded, over a backing file", async () => {
    const path = work.path("zeros.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", path);
    run("qemu-io", "-f", "qcow2", "-c", "write -z 1M 3M", "-c", "write -P 9 2M 64k", "-c", "write -z -u 2M 64k", path);
    const out = work.path("zeros.raw");
    qemuImg("convert", "-f", "qcow2", "-O", "raw", path, out);
    const image = await openImage(await files.open(path), { resolve: files.beside(path) });
    expect(await hashDevice(image.device)).toBe(hashFile(out));
    expect(await image.device.map?.(MiB, 3 * MiB)).toEqual([{ offset: MiB, length: 3 * MiB, kind: "hole" }]);
  });

  it("bitmaps are named and ignored; the dirty bit is a remark", async () => {
    const path = work.path("bitmaps.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-o", "lazy_refcounts=on", raw, path);
    qemuImg("bitmap", "--add", path, "backup-one");
    qemuImg("bitmap", "--add", path, "backup-two");
    const log = new FindingLog();
    const image = await openImage(await files.open(path), { report: log.report });
    expect(image.info.bitmaps).toEqual(["backup-one", "backup-two"]);
    expect(image.info.features).toEqual(["lazy-refcounts", "bitmaps"]);
    expect(log.findings.map((entry) => entry.code)).toEqual(["image-bitmaps"]);
    expect(await hashDevice(image.device)).toBe(rawHash);
  });

  it("the old encryption is refused by name", async () => {
    const path = work.path("aes.qcow2");
    const options = ["--object", "secret,id=key,data=geheim", "-o", "encrypt.format=aes,encrypt.key-secret=key"];
    qemuImg("create", "-q", "-f", "qcow2", ...options, path, "1M");
    const error = await openImage(await files.open(path)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "encrypted" });
    expect(String(error)).toContain("AES");
  });
});

describe("formats that are recognised and not read", () => {
  it.each(["qcow", "qed", "parallels"])("%s", async (driver) => {
    const path = work.path(`foreign.${driver}`);
    qemuImg("create", "-q", "-f", driver, path, "8M");
    const error = await openImage(await files.open(path)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "unsupported", format: driver });
  });

  it.each(["gzip", "xz", "zstd", "bzip2"])("a raw disk compressed by %s", async (tool) => {
    const path = work.path(`whole.${tool}`);
    writeFileSync(path, execFileSync(tool, ["-c", work.path("tree/text")], { maxBuffer: 64 << 20 }));
    const error = await openImage(await files.open(path)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "unsupported", format: tool });
    expect((await openImage(await files.open(path), { format: "raw" })).format).toBe("raw");
  });
});

describe("a disk of 10 TiB", () => {
  const TiB = 2 ** 40;
  it.each([
    ["qcow2", "qcow2", []],
    ["qcow2", "qcow2", ["-o", "cluster_size=2M"]],
    ["vhdx", "vhdx", []],
    ["vdi", "vdi", []],
  ] as const)("%s costs no more than the tables in use: %s %j", async (format, driver, options) => {
    const path = work.path(`huge-${options.join("")}.${driver}`);
    // The tool writes no VDI of more than 2 TiB less a little.
    const size = format === "vdi" ? 1 * TiB : 10 * TiB;
    qemuImg("create", "-q", "-f", driver, ...options, path, String(size));
    const places = Array.from({ length: 8 }, (_, n) => Math.floor((size / 8) * n) + 12 * MiB);
    for (const [index, at] of places.entries())
      run("qemu-io", "-f", driver, "-c", `write -P ${index + 1} ${at} 64k`, path);
    const counted = countReads(await files.open(path));
    const image = await openImage(counted, { cacheBudget: MiB });
    expect(image.virtualSize).toBe(size);
    for (let round = 0; round < 3; round += 1) {
      for (const [index, at] of places.entries()) {
        const data = await image.device.read(at, 65536);
        expect(data.every((byte) => byte === index + 1)).toBe(true);
        expect((await image.device.read(at + 2 * 1024 * MiB, 4096)).every((byte) => byte === 0)).toBe(true);
      }
    }
    // Three rounds of eight pieces; what remains is headers and pages of tables.
    expect(counted.stats.bytes - 3 * 8 * 65536).toBeLessThan(MiB);
    const mapped = await image.device.map?.(0, size);
    const data = (mapped ?? []).filter((range) => range.kind === "data");
    expect(data).toHaveLength(8);
    rmSync(path);
  });
});

describe("a disk of 20 GiB", () => {
  /** Reads what a search reads first: partition table, superblock, group descriptors, root directory, /boot/grub. */
  async function search(file: BlockDevice): Promise<{ found: boolean; bytes: number }> {
    const counted = countReads(file);
    const image = await openImage(counted);
    expect(image.virtualSize).toBe(20 * 1024 * MiB);
    const { partitions } = await readPartitions(cachedDevice(image.device));
    const fs = await openFileSystem(partitions[0]!.device!, [ext]);
    const config = await resolve(fs!, encodeText("/boot/grub/grub.cfg"), { policy: GRUB_WALK });
    return { found: config !== undefined, bytes: counted.stats.bytes };
  }

  it("a search reads under 2 MiB of the qcow2 file, and as much over HTTP", async () => {
    const disk = work.path("large.raw");
    writeFileSync(disk, "");
    truncateSync(disk, 20 * 1024 * MiB);
    feed("label: gpt\nstart=2048, type=linux\n", "sfdisk", "--quiet", disk);
    const blocks = String((20 * 1024 - 2) * 1024);
    run("mke2fs", "-q", "-t", "ext4", "-d", work.path("tree"), "-E", `offset=${MiB}`, disk, `${blocks}k`);
    const path = work.path("large.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", disk, path);
    rmSync(disk);

    const local = await search(await files.open(path));
    expect(local.found).toBe(true);
    expect(local.bytes).toBeLessThan(2 * MiB);

    const server = createServer((request, response) => {
      const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      const { size } = statSync(path);
      const range = { start: Number(first), end: Math.min(Number(last), size - 1) };
      response.writeHead(206, {
        "Content-Range": `bytes ${range.start}-${range.end}/${size}`,
        "Content-Length": range.end - range.start + 1,
        ETag: '"1"',
      });
      createReadStream(path, range).pipe(response);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    try {
      const { port } = server.address() as AddressInfo;
      const remote = await search(await openHttp(`http://127.0.0.1:${port}/large.qcow2`));
      expect(remote).toEqual(local);
    } finally {
      await new Promise((done) => server.close(done));
    }
    const blob = await search(blobDevice(await openAsBlob(path)));
    expect(blob).toEqual(local);
  });
});

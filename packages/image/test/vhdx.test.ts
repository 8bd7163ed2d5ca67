import { crc32c } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { filled } from "../../../test/lib/image-builder/bytes.js";
import { buildVhdx, type LogEntryOptions, sealVhdx, VHDX_AT } from "../../../test/lib/image-builder/vhdx.js";
import { disk, expectBytes, failureOf, openBytes, readAll, shelf } from "./lib.js";

const MiB = 1 << 20;
const codes = (findings: readonly { code: string }[]): string[] => findings.map((entry) => entry.code);

describe("headers and regions", () => {
  it("CRC-32C as RFC 3720 B.4 gives it for 32 bytes of zeros", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  });

  it.each([
    [9, 8, 65536],
    [8, 9, 131072],
  ])(
    "of two sound headers the one with the higher sequence number counts: %d and %d",
    async (first, second, current) => {
      for (const at of [65536, 131072]) {
        // A version that is not read: it matters in the header in force alone.
        const file = buildVhdx({ size: MiB, sequences: [first, second] });
        file[at + 66] = 2;
        sealVhdx(file, at, 4096);
        const work = openBytes(file);
        if (at === current) expect(await failureOf(work)).toMatchObject({ code: "unsupported", offset: current + 66 });
        else expect((await work).image.virtualSize).toBe(MiB);
      }
    },
  );

  it("one damaged header is reported, two are refused", async () => {
    const file = buildVhdx({ size: MiB });
    file[65536 + 100] = 1;
    expect(codes((await openBytes(file)).findings)).toEqual(["image-checksum"]);
    file[131072 + 100] = 1;
    expect(await failureOf(openBytes(file))).toMatchObject({ code: "bad-checksum", structure: "VHDX_HEADER" });
  });

  it("a damaged first region table is replaced by the second", async () => {
    const file = buildVhdx({ size: MiB });
    file[196608 + 32] = 9;
    expect(codes((await openBytes(file)).findings)).toEqual(["image-checksum"]);
    file[262144 + 32] = 9;
    expect(await failureOf(openBytes(file))).toMatchObject({ code: "bad-checksum" });
  });

  it("an unknown region or item that is required is refused by its identifier", async () => {
    const file = buildVhdx({ size: MiB });
    for (const at of [196608, 262144]) {
      file[at + 8] = 3;
      file.set([0xde, 0xad], at + 80);
      file[at + 80 + 28] = 1;
      sealVhdx(file, at, 65536);
    }
    const error = await failureOf(openBytes(file));
    expect(error).toMatchObject({ code: "unsupported", field: "Guid", offset: 196608 + 80 });
    expect(error.message).toContain("0000ADDE-");
  });
});

describe("blocks", () => {
  it("the states of a dynamic disk, with sectors of 4096 bytes", async () => {
    const blocks = new Map([
      [0, { state: 6, data: filled(MiB, 1) }],
      [1, { state: 0 }],
      [2, { state: 1 }],
      [3, { state: 2 }],
      [4, { state: 3 }],
      [5, { state: 6, data: filled(MiB, 6) }],
    ]);
    const { image, findings } = await openBytes(buildVhdx({ size: 6 * MiB, sectorSize: 4096, blocks }));
    expect(findings).toEqual([]);
    expect(image.device.sectorSize).toBe(4096);
    expect(image.info).toMatchObject({ subformat: "dynamic", clusterSize: MiB });
    const expected = disk(6 * MiB, [
      [0, filled(MiB, 1)],
      [5 * MiB, filled(MiB, 6)],
    ]);
    expectBytes(await readAll(image), expected);
    expect((await image.device.map?.(0, 6 * MiB))?.map((range) => range.kind)).toEqual(["data", "hole", "data"]);
  });

  it("past the first chunk, the entry of its sector bitmap lies between those of the blocks", async () => {
    // Blocks of 256 MiB and sectors of 512: 16 blocks a chunk. Block 16 has the 18th entry.
    const size = 18 * 256 * MiB;
    const file = buildVhdx({ size, blockSize: 256 * MiB, blocks: new Map([[16, { state: 2 }]]) });
    expect(file[VHDX_AT.bat + 17 * 8]).toBe(2);
    const { image } = await openBytes(file);
    const runs = [];
    for await (const batch of image.allocation(0, size)) runs.push(...batch);
    expect(runs.filter((run) => run.kind === "zero")).toEqual([
      { offset: 16 * 256 * MiB, length: 256 * MiB, kind: "zero", depth: 0, physical: undefined },
    ]);
  });

  it.each([4, 5])("the reserved state %d is refused, and hides no other block", async (state) => {
    const blocks = new Map([
      [0, { state: 6, data: filled(MiB, 1) }],
      [1, { state }],
    ]);
    const { image } = await openBytes(buildVhdx({ size: 2 * MiB, blocks }));
    expectBytes(await image.device.read(0, MiB), filled(MiB, 1));
    const error = await failureOf(image.device.read(MiB, 512));
    expect(error).toMatchObject({ code: "corrupt", structure: "BAT", offset: VHDX_AT.bat + 8 });
  });
});

describe("differencing", () => {
  const linkage = "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0";
  const parent = {
    parent_linkage: `{${linkage.toLowerCase()}}`,
    relative_path: ".\\base.vhdx",
    absolute_win32_path: "C:\\disks\\base.vhdx",
  };
  const base = buildVhdx({
    size: 4 * MiB,
    dataWriteGuid: linkage,
    blocks: new Map([0, 1, 2, 3].map((n) => [n, { state: 6, data: filled(MiB, 0xb0 + n) }])),
  });
  // Sector 0 of the disk is bit 0 of byte 0 of the bitmap; block 1 starts at bit 2048.
  const child = (sectorSize: number) =>
    buildVhdx({
      size: 4 * MiB,
      sectorSize,
      parent,
      blocks: new Map([
        [1, { state: 7, data: filled(MiB, 0xcc), present: (sector: number) => sector % 8 === 1 }],
        [2, { state: 6, data: filled(MiB, 0xdd) }],
        [3, { state: 2 }],
      ]),
    });

  it.each([512, 4096])("sector by sector, sectors of %d bytes", async (sectorSize) => {
    const files = shelf({ ".\\base.vhdx": base });
    const { image, findings } = await openBytes(child(sectorSize), files);
    expect(findings).toEqual([]);
    expect(files.asked).toEqual(["0 backing .\\base.vhdx"]);
    const expected = disk(4 * MiB, [
      [0, filled(MiB, 0xb0)],
      [MiB, filled(MiB, 0xb1)],
      [2 * MiB, filled(MiB, 0xdd)],
    ]);
    for (let sector = 1; sector < MiB / sectorSize; sector += 8) {
      expected.fill(0xcc, MiB + sector * sectorSize, MiB + (sector + 1) * sectorSize);
    }
    expectBytes(await readAll(image), expected);
  });

  it("the paths are asked for in turn, and a parent that was written to since is reported", async () => {
    const files = shelf({ "C:\\disks\\base.vhdx": buildVhdx({ size: 4 * MiB }) });
    const { findings } = await openBytes(child(512), files);
    expect(files.asked).toEqual(["0 backing .\\base.vhdx", "0 backing C:\\disks\\base.vhdx"]);
    expect(codes(findings)).toEqual(["image-parent-mismatch"]);
  });

  it("a partially present block without its bitmap is corrupt", async () => {
    const file = child(512);
    // The bitmap's entry comes after those of a chunk of 4096 blocks.
    file[VHDX_AT.bat + 4096 * 8] = 0;
    const { image } = await openBytes(file, shelf({ ".\\base.vhdx": base }));
    expect(await failureOf(image.device.read(MiB, 512))).toMatchObject({ code: "corrupt", structure: "BAT" });
    expect((await image.device.read(0, 1))[0]).toBe(0xb0);
  });
});

describe("log replay", () => {
  const blocks = new Map([
    [0, { state: 6, data: filled(MiB, 1) }],
    [1, { state: 6, data: filled(MiB, 2) }],
  ]);
  const block0 = VHDX_AT.blocks;
  /** 4 KiB whose every byte tells its place. */
  const page = (seed: number): Uint8Array =>
    Uint8Array.from({ length: 4096 }, (_, n) => (n * 7 + (n >> 8) + seed) & 0xff);
  const entry = (at: number, sequence: number, descriptors: LogEntryOptions["descriptors"], tail = at) => ({
    at,
    tail,
    sequence: BigInt(sequence),
    descriptors,
  });
  const put = (offset: number, data: Uint8Array) => ({ kind: "data", offset, data }) as const;
  const zero = (offset: number, length: number) => ({ kind: "zero", offset, length }) as const;
  const open = (log: readonly LogEntryOptions[]) => openBytes(buildVhdx({ size: 2 * MiB, blocks, log }));

  it("data and zeros, in the order of the entries", async () => {
    const { image, findings } = await open([
      entry(0, 5, [put(block0 + 4096, page(1)), put(block0 + 8192, page(2)), zero(block0 + 16384, 8192)]),
      // Head and data sector: 8 KiB. The tail is the first entry.
      entry(12288, 6, [put(block0 + 8192, page(3)), zero(block0 + 4096, 4096), put(block0 + 20480, page(4))], 0),
    ]);
    expect(codes(findings)).toEqual(["image-log-replayed"]);
    expect(findings[0]?.message).toContain("2 log entries with 6 changes");
    const expected = disk(2 * MiB, [
      [0, filled(MiB, 1)],
      [MiB, filled(MiB, 2)],
    ]);
    expected.fill(0, 4096, 8192).set(page(3), 8192);
    expected.fill(0, 16384, 20480).set(page(4), 20480);
    expectBytes(await readAll(image), expected);
  });

  it("entries older than the head's tail are not replayed", async () => {
    const { image } = await open([entry(0, 5, [put(block0, page(1))]), entry(8192, 6, [put(block0 + 4096, page(2))])]);
    expectBytes(await image.device.read(0, 4096), filled(4096, 1));
    expectBytes(await image.device.read(4096, 4096), page(2));
  });

  it("an entry that goes on at the start of the log", async () => {
    const { image } = await open([
      entry(MiB - 8192, 5, [put(block0, page(1)), put(block0 + 4096, page(2)), put(block0 + 8192, page(3))]),
      entry(8192, 6, [put(block0 + 4096, page(4))], MiB - 8192),
    ]);
    expectBytes(
      await image.device.read(0, 12288),
      disk(12288, [
        [0, page(1)],
        [4096, page(4)],
        [8192, page(3)],
      ]),
    );
  });

  it("of two sequences the newer one is replayed", async () => {
    const { image } = await open([entry(0, 50, [put(block0, page(1))]), entry(65536, 7, [put(block0, page(2))])]);
    expectBytes(await image.device.read(0, 4096), page(1));
  });

  it("a torn entry ends the sequence before it", async () => {
    const file = buildVhdx({
      size: 2 * MiB,
      blocks,
      log: [entry(0, 5, [put(block0, page(1))]), entry(8192, 6, [put(block0, page(2))], 0)],
    });
    file[VHDX_AT.log + 8192 + 5000]! ^= 1;
    const { image } = await openBytes(file);
    expectBytes(await image.device.read(0, 4096), page(1));
  });

  it("metadata that only the log has right: the block table", async () => {
    const table = new Uint8Array(4096);
    // Blocks 0 and 1 change places: block 0 lies at 5 MiB, block 1 at 4 MiB, both in state 6.
    new DataView(table.buffer).setBigUint64(0, (5n << 20n) | 6n, true);
    new DataView(table.buffer).setBigUint64(8, (4n << 20n) | 6n, true);
    const { image } = await open([entry(0, 1, [put(VHDX_AT.bat, table)])]);
    expect((await image.device.read(0, 1))[0]).toBe(2);
    expect((await image.device.read(MiB, 1))[0]).toBe(1);
  });

  it("a log that makes the file longer", async () => {
    const table = new Uint8Array(4096);
    new DataView(table.buffer).setBigUint64(0, (6n << 20n) | 6n, true);
    const log = [{ ...entry(0, 1, [put(VHDX_AT.bat, table), put(6 * MiB, page(9))]), last: 7 * MiB }];
    const { image } = await open(log);
    expectBytes(await image.device.read(0, 8192), disk(8192, [[0, page(9)]]));
  });

  it("without a sound entry nothing is replayed, and that is said", async () => {
    const { image, findings } = await open([]);
    expect(codes(findings)).toEqual(["image-log-replayed"]);
    expect((await image.device.read(0, 1))[0]).toBe(1);
  });

  it("a file that was cut since its log was written is refused", async () => {
    const log = [{ ...entry(0, 1, [put(block0, page(1))]), flushed: 99 * MiB }];
    expect(await failureOf(open(log))).toMatchObject({ code: "past-end", field: "FlushedFileOffset", offset: MiB });
  });

  it("a change past what the file has to have is refused", async () => {
    const error = await failureOf(open([entry(0, 1, [zero(2 ** 50, 4096)])]));
    expect(error).toMatchObject({ code: "corrupt", structure: "VHDX_LOG_ENTRY_HEADER" });
  });

  it("entries that overlap each other are refused before they cost much", async () => {
    const file = buildVhdx({ size: MiB, log: [] });
    const view = new DataView(file.buffer, VHDX_AT.log, MiB);
    for (let at = 0; at < MiB; at += 4096) {
      view.setUint32(at, 0x6c6f6765);
      view.setUint32(at + 8, MiB, true);
    }
    expect(await failureOf(openBytes(file))).toMatchObject({ code: "limit" });
  });
});

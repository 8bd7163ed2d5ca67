import { encodeText } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { filled } from "../../../test/lib/image-builder/bytes.js";
import {
  buildCowd,
  buildSeSparse,
  buildSparse,
  type DescriptorOptions,
  descriptorText,
} from "../../../test/lib/image-builder/vmdk.js";
import { parseDescriptor } from "../src/vmdk/descriptor.js";
import { disk, expectBytes, failureOf, openBytes, readAll, shelf } from "./lib.js";

const MiB = 1 << 20;
const KiB64 = 65536;
const codes = (findings: readonly { code: string }[]): string[] => findings.map((entry) => entry.code);
const descriptor = (options: DescriptorOptions): Uint8Array => encodeText(descriptorText(options));
const embedded = (name = "disk.vmdk"): string =>
  descriptorText({ createType: "monolithicSparse", extents: [`RW 8192 SPARSE "${name}"`] });

describe("sparse extents", () => {
  const grains = new Map<number, Uint8Array | "zero">([
    [1, filled(KiB64, 1)],
    [5, "zero"],
    [63, filled(KiB64, 63)],
  ]);
  const expected = disk(4 * MiB, [
    [KiB64, filled(KiB64, 1)],
    [63 * KiB64, filled(KiB64, 63)],
  ]);

  it("hosted, with its descriptor inside; the name of itself is not asked for", async () => {
    const { file, grains: stored } = buildSparse({ capacity: 4 * MiB, grains, descriptor: embedded("/etc/passwd") });
    const files = shelf();
    const { image, findings } = await openBytes(file, files);
    expect(findings).toEqual([]);
    expect(files.asked).toEqual([]);
    expect(image.info).toMatchObject({ subformat: "monolithicSparse", clusterSize: KiB64, references: [] });
    expectBytes(await readAll(image), expected);
    const runs = [];
    for await (const batch of image.allocation(0, 4 * MiB)) runs.push(...batch);
    expect(runs.filter((run) => run.kind === "data").map((run) => run.physical)).toEqual([...stored.values()]);
    expect(runs.filter((run) => run.kind === "zero")).toMatchObject([{ offset: 5 * KiB64, length: KiB64 }]);
  });

  it("stream optimized, the last grain cut with the disk", async () => {
    const { file } = buildSparse({
      capacity: 4 * MiB - 512,
      compressed: true,
      grains: new Map([
        [1, filled(KiB64, 1)],
        [63, filled(KiB64 - 512, 63)],
      ]),
      descriptor: descriptorText({ createType: "streamOptimized", extents: ['RW 8191 SPARSE "a.vmdk"'] }),
    });
    const { image } = await openBytes(file);
    expect(image.info).toMatchObject({ subformat: "streamOptimized", compression: "zlib" });
    expectBytes(await readAll(image), expected.slice(0, -512));
  });

  it("stream optimized: a grain under another grain's number is corrupt", async () => {
    const built = buildSparse({ capacity: 4 * MiB, compressed: true, grains: new Map([[1, filled(KiB64, 1)]]) });
    const at = built.grains.get(1)!;
    built.file[at] = 0;
    const { image } = await openBytes(built.file);
    expect(await failureOf(image.device.read(KiB64, 1))).toMatchObject({ code: "corrupt", field: "lba", offset: at });
    expect((await image.device.read(0, 1))[0]).toBe(0);
  });

  it("ESX sparse, grains of one sector, two tables", async () => {
    const sectors = new Map([
      [3, filled(512, 3)],
      [4095, filled(512, 4)],
      [4096, filled(512, 5)],
    ]);
    const { image, findings } = await openBytes(buildCowd(3 * MiB, sectors));
    expect(codes(findings)).toEqual(["image-extent-alone"]);
    expect(image.info.clusterSize).toBe(512);
    const pieces = [...sectors].map(([sector, data]) => [sector * 512, data] as const);
    expectBytes(await readAll(image), disk(3 * MiB, pieces));
  });

  it("seSparse: data, zeroed and unmapped grains; grain numbers whose parts change places", async () => {
    const data = new Map<number, Uint8Array | "zero" | "unmapped">([
      [0, "zero"],
      [1, "unmapped"],
      [4096, filled(4096, 9)],
    ]);
    for (let grain = 2; grain < 10; grain += 1) data.set(grain, filled(4096, grain));
    const { image } = await openBytes(buildSeSparse(20 * MiB, data));
    expectBytes(
      await image.device.read(0, 16 * 4096),
      disk(
        16 * 4096,
        Array.from({ length: 8 }, (_, n) => [(n + 2) * 4096, filled(4096, n + 2)] as const),
      ),
    );
    expect((await image.device.read(4096 * 4096, 1))[0]).toBe(9);
  });

  it("seSparse: from the 4096th stored grain on, the number's upper part counts", async () => {
    const built = buildSeSparse(MiB, new Map([[0, filled(4096, 1)]]));
    // One directory sector and one table of 64 sectors after two headers: grains start at the next multiple of 8 sectors.
    const grainsAt = 72 * 512;
    const file = disk(grainsAt + 4099 * 4096, [
      [0, built],
      [grainsAt + 4098 * 4096, filled(4096, 7)],
    ]);
    // Grain 4098: 2 in bits 48 to 59, 1 from bit 0 on.
    new DataView(file.buffer).setBigUint64(3 * 512, (3n << 60n) | (2n << 48n) | 1n, true);
    expectBytes(await (await openBytes(file)).image.device.read(0, 4096), filled(4096, 7));
  });

  it("a file that a text-mode transfer changed is told so", async () => {
    const { file } = buildSparse({ capacity: 4 * MiB });
    file[73] = 13;
    const error = await failureOf(openBytes(file));
    expect(error).toMatchObject({ code: "corrupt", field: "lineEnds", offset: 73 });
  });

  it("an extent that was not closed is reported", async () => {
    const { file } = buildSparse({ capacity: 4 * MiB, descriptor: embedded() });
    file[72] = 1;
    expect(codes((await openBytes(file)).findings)).toEqual(["image-dirty"]);
  });
});

describe("descriptors", () => {
  it("extents of all kinds make one disk", async () => {
    const files = shelf({
      "s1.vmdk": buildSparse({ capacity: MiB, grains: new Map([[2, filled(KiB64, 2)]]) }).file,
      "flat.bin": disk(2 * MiB, [[512, filled(1024, 7)]]),
      "delta.vmdk": buildCowd(MiB, new Map([[0, filled(512, 4)]])),
      "se.vmdk": buildSeSparse(MiB, new Map([[1, filled(4096, 5)]])),
    });
    const extents = [
      'RW 2048 SPARSE "s1.vmdk"',
      "RW 16 ZERO",
      'RDONLY 2048 FLAT "flat.bin" 1',
      'RW 2048 VMFSSPARSE "delta.vmdk"',
      'RW 2048 SESPARSE "se.vmdk"',
      'RW 4 VMFS "flat.bin"',
    ];
    const { image, findings } = await openBytes(descriptor({ createType: "custom", extents }), files);
    expect(findings).toEqual([]);
    expect(image.virtualSize).toBe(4 * MiB + 20 * 512);
    const flat = MiB + 8192;
    expectBytes(
      await readAll(image),
      disk(4 * MiB + 20 * 512, [
        [2 * KiB64, filled(KiB64, 2)],
        [flat, filled(1024, 7)],
        [flat + MiB, filled(512, 4)],
        [flat + 2 * MiB + 4096, filled(4096, 5)],
        [flat + 3 * MiB + 512, filled(1024, 7)],
      ]),
    );
    expect(files.asked.map((name) => name.split(" ")[2])).toEqual([
      "s1.vmdk",
      "flat.bin",
      "delta.vmdk",
      "se.vmdk",
      "flat.bin",
    ]);
  });

  it("a missing and a damaged extent hide nothing but themselves", async () => {
    const files = shelf({ "b.vmdk": filled(4096, 0xff), "c.bin": filled(MiB, 3) });
    const extents = ['RW 2048 SPARSE "a.vmdk"', 'RW 2048 SPARSE "b.vmdk"', 'RW 2048 FLAT "c.bin" 0'];
    const { image, findings } = await openBytes(descriptor({ extents }), files);
    expect(codes(findings)).toEqual(["image-file-missing", "image-file-unreadable"]);
    expect(await failureOf(image.device.read(0, 1))).toMatchObject({ code: "io" });
    expect(await failureOf(image.device.read(MiB, 1))).toMatchObject({ code: "io" });
    expectBytes(await image.device.read(2 * MiB, MiB), filled(MiB, 3));
  });

  it("a delta link: grains that it lacks are the parent's, and the content id is compared", async () => {
    const base = disk(MiB, [[0, filled(MiB, 0xbb)]]);
    const parent = descriptor({
      createType: "monolithicFlat",
      cid: "0000abcd",
      extents: ['RW 2048 FLAT "base.bin" 0'],
    });
    const delta = buildSparse({ capacity: MiB, grains: new Map([[0, filled(KiB64, 1)]]) }).file;
    const child = (parentCid: string) =>
      descriptor({ parentCid, parent: "base.vmdk", extents: ['RW 2048 SPARSE "delta.vmdk"'] });
    const files = { "base.vmdk": parent, "base.bin": base, "delta.vmdk": delta };
    const { image, findings } = await openBytes(child("0000abcd"), shelf(files));
    expect(findings).toEqual([]);
    expectBytes(
      await readAll(image),
      disk(MiB, [
        [0, filled(MiB, 0xbb)],
        [0, filled(KiB64, 1)],
      ]),
    );
    expect(codes((await openBytes(child("0000abce"), shelf(files))).findings)).toEqual(["image-parent-mismatch"]);
  });

  it("is read with blanks, other line ends, upper case and remarks, up to a NUL", () => {
    const text =
      '# Disk DescriptorFile\r\n CREATETYPE = "vmfs" \r\nCID=ABCDEF01\r\nparentCID=FFFFFFFF\r\n' +
      ' RW  100   VMFS "a b.vmdk"\r\n# RW 1 ZERO\r\n\0RW 5 ZERO\n';
    expect(parseDescriptor(encodeText(text), 0)).toEqual({
      createType: "vmfs",
      cid: "abcdef01",
      parentCid: undefined,
      parentName: undefined,
      extents: [{ length: 51200, type: "VMFS", name: "a b.vmdk", offset: 0 }],
    });
  });

  it("file names are in the encoding that the descriptor names", () => {
    const name = Uint8Array.of(0xe4, 0x2e, 0x76); // "ä.v" in windows-1252
    const head = encodeText('# Disk DescriptorFile\nencoding="windows-1252"\ncreateType="vmfs"\nRW 1 VMFS "');
    const data = disk(head.length + 5, [
      [0, head],
      [head.length, name],
      [head.length + 3, encodeText('"\n')],
    ]);
    expect(parseDescriptor(data, 0).extents[0]?.name).toBe("ä.v");
  });

  it.each([
    ["no createType", "RW 1 ZERO", "corrupt"],
    ["a flat extent without its offset", 'createType="x"\nRW 1 FLAT "a"', "corrupt"],
    ["an extent of no sectors", 'createType="x"\nRW 0 ZERO', "corrupt"],
    ["an extent of 2^63 sectors", 'createType="x"\nRW 9223372036854775808 ZERO', "corrupt"],
    ["a negative extent", 'createType="x"\nRW -5 ZERO', "corrupt"],
    ["a raw device mapping", 'createType="x"\nRW 1 VMFSRDM "/dev/sda"', "unsupported"],
    ["an extent of no access", 'createType="x"\nNOACCESS 1 ZERO', "unsupported"],
  ])("refuses %s", (_, lines, code) => {
    const work = () => parseDescriptor(encodeText(`# Disk DescriptorFile\n${lines}\n`), 512);
    expect(work).toThrow(expect.objectContaining({ code, offset: 512, structure: "descriptor" }));
  });
});

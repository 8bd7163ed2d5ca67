import { encodeText } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { filled, utf16le } from "../../../test/lib/image-builder/bytes.js";
import { buildVhd, sealVhd } from "../../../test/lib/image-builder/vhd.js";
import { disk, expectBytes, failureOf, openBytes, readAll, shelf } from "./lib.js";

const MiB = 1 << 20;
const codes = (findings: readonly { code: string }[]): string[] => findings.map((entry) => entry.code);

describe("the size of the disk", () => {
  // 615 * 16 * 63 sectors are less than the 310 MiB that the footer states: who wrote it decides.
  const geometry = [615, 16, 63] as const;
  const size = 310 * MiB;
  it.each([
    ["win ", size],
    ["qem2", size],
    ["d2v ", size],
    ["tap\0", size],
    ["CTXS", size],
    ["wa\0\0", size],
    ["vpc ", 615 * 16 * 63 * 512],
    ["vs  ", 615 * 16 * 63 * 512],
    ["qemu", 615 * 16 * 63 * 512],
  ])("creator %j", async (creator, expected) => {
    const { image } = await openBytes(buildVhd({ size, creator, geometry }).file);
    expect(image.virtualSize).toBe(expected);
    expect(image.info.creator).toBe(creator);
  });

  it("the largest geometry says nothing: the footer's size counts", async () => {
    const { file } = buildVhd({ size: 200 * 1024 * MiB, creator: "qemu", geometry: [65535, 16, 255] });
    expect((await openBytes(file)).image.virtualSize).toBe(200 * 1024 * MiB);
  });
});

describe("dynamic", () => {
  it("sectors whose bit is clear were never written, whatever lies in the block", async () => {
    const block = { data: filled(2 * MiB, 0xee), present: (sector: number) => sector === 0 || sector === 9 };
    const { file } = buildVhd({ size: 8 * MiB, blocks: new Map([[2, block]]) });
    const { image, findings } = await openBytes(file);
    expect(findings).toEqual([]);
    expect(image.info).toMatchObject({ subformat: "dynamic", clusterSize: 2 * MiB });
    const expected = disk(8 * MiB, [
      [4 * MiB, filled(512, 0xee)],
      [4 * MiB + 9 * 512, filled(512, 0xee)],
    ]);
    expectBytes(await readAll(image), expected);
    expect(await image.device.map?.(0, 5 * MiB)).toEqual([
      { offset: 0, length: 4 * MiB, kind: "hole" },
      { offset: 4 * MiB, length: 512, kind: "data" },
      { offset: 4 * MiB + 512, length: 8 * 512, kind: "hole" },
      { offset: 4 * MiB + 9 * 512, length: 512, kind: "data" },
      { offset: 4 * MiB + 10 * 512, length: MiB - 10 * 512, kind: "hole" },
    ]);
  });

  it("a file that lost its footer opens by the copy at the front", async () => {
    const { file, footer } = buildVhd({ size: 4 * MiB, blocks: new Map([[0, { data: filled(512, 1) }]]) });
    const { image, findings } = await openBytes(file.slice(0, footer));
    expect(findings).toEqual([]);
    expect((await image.device.read(0, 1))[0]).toBe(1);
  });

  it("of two footers, the one whose checksum holds is used, and the other reported", async () => {
    const built = buildVhd({ size: 4 * MiB });
    built.file[built.footer + 53] = 99;
    const { image, findings } = await openBytes(built.file);
    expect(image.virtualSize).toBe(4 * MiB);
    expect(codes(findings)).toEqual(["image-checksum"]);
    expect(findings[0]).toMatchObject({ structure: "vhd_footer", field: "checksum", offset: built.footer + 64 });
  });

  it("with no sound footer the last one is used, and reported", async () => {
    const built = buildVhd({ size: 4 * MiB });
    built.file[64]! ^= 1;
    built.file[built.footer + 64]! ^= 1;
    const { image, findings } = await openBytes(built.file);
    expect(image.virtualSize).toBe(4 * MiB);
    expect(codes(findings)).toEqual(["image-checksum"]);
  });
});

describe("fixed", () => {
  it("is what lies in front of the footer", async () => {
    const { file } = buildVhd({
      size: MiB,
      kind: "fixed",
      blockSize: 4096,
      blocks: new Map([[3, { data: filled(9, 9) }]]),
    });
    const { image } = await openBytes(file);
    expect(image.format).toBe("vhd");
    expectBytes(await readAll(image), disk(MiB, [[3 * 4096, filled(9, 9)]]));
  });

  it("a footer of 511 bytes, as Virtual PC wrote before 2004", async () => {
    const { file } = buildVhd({ size: MiB, kind: "fixed" });
    expect((await openBytes(file.slice(0, -1))).image.virtualSize).toBe(MiB);
  });

  it("a size beyond the file is refused", async () => {
    const { file, footer } = buildVhd({ size: MiB, kind: "fixed" });
    const cut = file.slice(512);
    expect(await failureOf(openBytes(cut))).toMatchObject({ code: "past-end", offset: footer - 512 + 48 });
  });
});

describe("differencing", () => {
  const parentId = Uint8Array.from({ length: 16 }, (_, n) => 0xa0 + n);
  const base = buildVhd({ size: 4 * MiB, uniqueId: parentId, blocks: new Map([[0, { data: filled(2 * MiB, 0xbb) }]]) });
  const parent = {
    uniqueId: parentId,
    name: "base.vhd",
    locators: [
      { code: "W2ku", data: utf16le("D:\\disks\\base.vhd") },
      { code: "W2ru", data: utf16le(".\\base.vhd") },
      { code: "MacX", data: encodeText("file://./base.vhd") },
    ],
  };
  const block = { data: filled(2 * MiB, 0xcc), present: (sector: number) => sector >= 4094 };
  const child = buildVhd({ size: 4 * MiB, kind: "differencing", parent, blocks: new Map([[0, block]]) });
  const names = [".\\base.vhd", "file://./base.vhd", "D:\\disks\\base.vhd", "base.vhd"];

  it("reads each sector from the image that has it", async () => {
    const files = shelf({ "D:\\disks\\base.vhd": base.file });
    const { image, findings } = await openBytes(child.file, files);
    expect(findings).toEqual([]);
    // Relative names are tried first; asking ends with the first that is supplied.
    expect(files.asked).toEqual(names.slice(0, 3).map((name) => `0 backing ${name}`));
    const expected = disk(4 * MiB, [
      [0, filled(2 * MiB, 0xbb)],
      [4094 * 512, filled(1024, 0xcc)],
    ]);
    expectBytes(await readAll(image), expected);
  });

  it("without its parent, what it has reads and the rest rejects", async () => {
    const files = shelf();
    const { image, findings } = await openBytes(child.file, files);
    expect(codes(findings)).toEqual(["image-file-missing"]);
    expect(image.info.references).toMatchObject([{ kind: "backing", names }]);
    expectBytes(await image.device.read(4094 * 512, 1024), filled(1024, 0xcc));
    expect(await failureOf(image.device.read(0, 512))).toMatchObject({ code: "io" });
  });

  it("a parent with another identifier is used, and reported", async () => {
    const { file } = buildVhd({ size: 4 * MiB });
    const { findings } = await openBytes(child.file, shelf({ "base.vhd": file }));
    expect(codes(findings)).toEqual(["image-parent-mismatch"]);
  });

  it("a wrong checksum of the dynamic header is reported", async () => {
    const damaged = child.file.slice();
    damaged[child.header + 900] = 1;
    expect(codes((await openBytes(damaged)).findings)).toContain("image-checksum");
    sealVhd(damaged, child.header, "header");
    expect(codes((await openBytes(damaged)).findings)).not.toContain("image-checksum");
  });
});

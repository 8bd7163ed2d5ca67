import { bufferDevice, encodeText } from "@guestprobe/block";
import { detectImage } from "@guestprobe/image";
import { describe, expect, it } from "vitest";
import { disk, expectBytes, failureOf, openBytes } from "./lib.js";

const at = (offset: number, ...bytes: number[]): Uint8Array => disk(4096, [[offset, Uint8Array.from(bytes)]]);
const text = (offset: number, value: string): Uint8Array => disk(4096, [[offset, encodeText(value)]]);
const bootable = (data: Uint8Array): Uint8Array => {
  data.set([0x55, 0xaa], 510);
  return data;
};
const detect = (data: Uint8Array) => detectImage(bufferDevice(data));

describe("detection by content", () => {
  it.each([
    ["qcow2", at(0, 0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3)],
    ["qcow", at(0, 0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1)],
    ["vhdx", text(0, "vhdxfile")],
    ["vhd", text(0, "conectix")],
    ["vhd", text(4096 - 512, "conectix")],
    ["vhd", text(4096 - 511, "conectix")],
    ["vmdk", text(0, "KDMV")],
    ["vmdk", text(0, "COWD")],
    ["vmdk", text(0, "# Disk DescriptorFile\n")],
    ["vmdk", at(0, 0xbe, 0xba, 0xfe, 0xca)],
    ["vdi", at(0x40, 0x7f, 0x10, 0xda, 0xbe)],
    ["qed", text(0, "QED\0")],
    ["parallels", text(0, "WithoutFreeSpace")],
    ["parallels", text(0, "WithouFreSpacExt")],
    ["gzip", at(0, 0x1f, 0x8b, 8)],
    ["xz", at(0, 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)],
    ["zstd", at(0, 0x28, 0xb5, 0x2f, 0xfd)],
    ["bzip2", at(0, ...encodeText("BZh9"), 0x31, 0x41, 0x59, 0x26, 0x53, 0x59)],
  ])("%s", async (format, data) => {
    expect(await detect(data)).toEqual({ format, matches: [format] });
  });

  it.each([
    ["nothing", new Uint8Array(0)],
    ["one byte", Uint8Array.of(0x51)],
    ["zeros", new Uint8Array(4096)],
    ["a boot sector", bootable(new Uint8Array(4096))],
    ["three letters of bzip2", text(0, "BZh9 is not a stream")],
    ["a signature one byte off", at(1, 0x51, 0x46, 0x49, 0xfb)],
  ])("raw: %s", async (_, data) => {
    expect(await detect(data)).toEqual({ format: "raw", matches: [] });
  });

  it("the front of the file counts before its end, and both are told", async () => {
    const both = text(0, "KDMV");
    both.set(encodeText("conectix"), 4096 - 512);
    expect(await detect(both)).toEqual({ format: "vmdk", matches: ["vmdk", "vhd"] });
  });

  it("a container header over a boot sector is told; a fixed VHD has one by right", async () => {
    expect((await detect(bootable(text(0, "KDMV")))).matches).toEqual(["vmdk", "mbr"]);
    expect((await detect(bootable(text(4096 - 512, "conectix")))).matches).toEqual(["vhd"]);
  });
});

describe("what opening makes of it", () => {
  it("a raw disk whose first sector was made to look like qcow2 stays raw when told so", async () => {
    const data = bootable(at(0, 0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3));
    const { image, findings } = await openBytes(data, { format: "raw" });
    expect(findings).toEqual([]);
    expectBytes(await image.device.read(0, 4096), data);
    const found: string[] = [];
    await failureOf(openBytes(data, { report: (entry) => found.push(entry.code) }));
    expect(found).toEqual(["image-ambiguous"]);
  });

  it("a file that is compressed as a whole is explained", async () => {
    const error = await failureOf(openBytes(at(0, 0x1f, 0x8b, 8)));
    expect(error).toMatchObject({ code: "unsupported", format: "gzip" });
    expect(error.message).toContain("gzip -dk");
  });

  it.each(["qcow2", "vhd", "vhdx", "vmdk", "vdi"] as const)("zeros are not %s", async (format) => {
    expect(await failureOf(openBytes(new Uint8Array(4096), { format }))).toMatchObject({ code: "not-this-format" });
    expect(await failureOf(openBytes(new Uint8Array(0), { format }))).toMatchObject({ code: "not-this-format" });
  });

  it("only qcow2 has snapshots", async () => {
    expect(await failureOf(openBytes(new Uint8Array(512), { snapshot: "a" }))).toMatchObject({ code: "not-found" });
  });
});

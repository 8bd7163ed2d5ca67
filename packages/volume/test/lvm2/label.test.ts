import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { buildPv, PV_AT, sealPv } from "../../../../test/lib/lvm-builder.js";
import { decodeLabel, decodeMdaHeader, LABEL_BYTES, lvmCrc, ringRuns } from "../../src/lvm2/label.js";

/** The label that pvcreate 2.03.16 wrote to a device of 64 MiB, and the header of its metadata area. */
const LABEL =
  "4c4142454c4f4e450100000000000000d0662e29200000004c564d3220303031355046647139444a4a5a653870357439615455" +
  "7865426c6c6f7369754a425a30000000040000000000001000000000000000000000000000000000000000000000000000000000" +
  "00001000000000000000f00f000000000000000000000000000000000000000000020000000100000000000000000000000000000000000000";
const MDA =
  "a71f8e62204c564d3220785b35412572304e2a3e01000000001000000000000000f00f0000000000000e000000000000a90600000000000006bc0b49";
const AREA = { offset: 4096, size: 0xff000 };

function bytesOf(hex: string, length: number): Uint8Array {
  const data = new Uint8Array(length);
  data.set(Buffer.from(hex, "hex"));
  return data;
}
const start = (sector: number): Uint8Array => {
  const data = new Uint8Array(LABEL_BYTES);
  data.set(bytesOf(LABEL, 512), sector * 512);
  return data;
};

describe("label", () => {
  test("as pvcreate writes it", () => {
    expect(decodeLabel(start(1))).toEqual({
      sector: 1,
      uuid: "5PFdq9-DJJZ-e8p5-t9aT-UxeB-llos-iuJBZ0",
      deviceSize: 64 << 20,
      dataAreas: [{ offset: 1 << 20, size: 0 }],
      metadataAreas: [AREA],
      checksumProblem: undefined,
    });
  });

  test("none, and none past the fourth sector", () => {
    expect(decodeLabel(new Uint8Array(LABEL_BYTES))).toBeUndefined();
    expect(decodeLabel(new Uint8Array(100))).toBeUndefined();
    expect(decodeLabel(Uint8Array.from([...new Uint8Array(LABEL_BYTES), ...bytesOf(LABEL, 512)]))).toBeUndefined();
  });

  test("in another sector than it says: read, and told", () => {
    expect(decodeLabel(start(3))?.checksumProblem).toMatch(/sector 3 says that it is that of sector 1/);
  });

  test("a changed byte: read, and told", () => {
    const data = start(1);
    data[512 + 40] = 0x41;
    expect(decodeLabel(data)?.checksumProblem).toMatch(/checksum is 0x292e66d0/);
  });

  test.each([0, 31, 473, 0xffff_ffff])("a header at byte %d of its sector", (at) => {
    const data = start(1);
    viewOf(data).setUint32(512 + 20, at, true);
    expect(() => decodeLabel(data)).toThrow(/label_header.offset_xl at byte 532/);
  });

  test("lists without an end", () => {
    const data = start(1);
    data.fill(1, 512 + 72, 1024);
    expect(() => decodeLabel(data)).toThrow(/2\^53|does not end/);
    for (let at = 512 + 72; at < 1024; at += 8) viewOf(data).setBigUint64(at, 4096n, true);
    expect(() => decodeLabel(data)).toThrow(/data areas does not end within its sector/);
  });
});

describe("header of a metadata area", () => {
  test("as vgcreate writes it", () => {
    expect(decodeMdaHeader(bytesOf(MDA, 512), AREA)).toEqual({
      size: AREA.size,
      text: { offset: 0xe00, size: 0x6a9, checksum: 0x490bbc06, isIgnored: false },
      checksumProblem: undefined,
    });
  });

  test.each([
    ["magic", 5, 0, /magic at byte 4100/],
    ["version", 20, 2, /version 2/],
    ["start", 24, 1, /says that it begins at/],
    ["size", 33, 0, /of \d+ bytes/],
    ["raw_locn.offset before the ring", 41, 1, /do not fit/],
  ])("%s", (_, at, value, message) => {
    const data = bytesOf(MDA, 512);
    data[at] = value;
    if (at === 33) data.fill(0, 32, 40);
    if (at === 41) data[40] = 0xff;
    expect(() => decodeMdaHeader(data, AREA)).toThrow(message);
  });

  test("a wrong checksum is told, and the rest is read", () => {
    const data = bytesOf(MDA, 512);
    data[60] = 1;
    const header = decodeMdaHeader(data, AREA);
    expect(header.checksumProblem).toMatch(/0x628e1fa7/);
    expect(header.text?.isIgnored).toBe(true);
  });

  test("a text at the end of the ring goes on behind the header", () => {
    const text = { offset: 9000, size: 2000, checksum: 0, isIgnored: false };
    expect(ringRuns(text, 10_000)).toEqual([
      { offset: 9000, size: 1000 },
      { offset: 512, size: 1000 },
    ]);
    expect(ringRuns(text, 11_000)).toEqual([{ offset: 9000, size: 2000 }]);
  });
});

test("the CRC of parts, one after the other, is that of the whole", () => {
  const data = buildPv();
  const first = lvmCrc(data.subarray(512, 700));
  expect(lvmCrc(data.subarray(700, 1024), first)).toBe(lvmCrc(data.subarray(512, 1024)));
  expect(decodeLabel(sealPv(data).subarray(0, LABEL_BYTES))?.checksumProblem).toBeUndefined();
  expect(PV_AT.label).toBe(512);
});

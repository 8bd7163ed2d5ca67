import { decodeText, isImageError } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { type Fields0, type Fields1, superblock0, superblock1 } from "../../../../test/lib/md-superblocks.js";
import { decodeBadBlocks } from "../../src/md/bad-blocks.js";
import { decodeSuperblock0, endianOf0, superblock0Offset } from "../../src/md/superblock-0.js";
import { decodeSuperblock1, hasMagic1, superblock1Offset } from "../../src/md/superblock-1.js";

const MIB = 1 << 20;
const DEVICE = 3 * MIB;

describe("places", () => {
  it("1.0 lies 8 to 12 KiB before the end, on 4 KiB", () => {
    expect(superblock1Offset(0, MIB)).toBe(MIB - 8192);
    expect(superblock1Offset(0, MIB + 4095)).toBe(MIB - 8192);
    expect(superblock1Offset(0, MIB - 512)).toBe(MIB - 8192 - 4096);
    expect(superblock1Offset(0, 8191)).toBeUndefined();
    expect([superblock1Offset(1, MIB), superblock1Offset(2, MIB)]).toEqual([0, 4096]);
  });
  it("0.90 lies in the last whole 64 KiB", () => {
    expect(superblock0Offset(MIB)).toBe(MIB - 65536);
    expect(superblock0Offset(MIB + 65535)).toBe(MIB - 65536);
    expect(superblock0Offset(65535)).toBeUndefined();
  });
});

describe("version 1", () => {
  const decode = (fields: Fields1, roles?: readonly number[]) =>
    decodeSuperblock1(superblock1(fields, roles), 2, 4096, DEVICE);

  it("a mirror", () => {
    const data = superblock1();
    expect(hasMagic1(data)).toBe(true);
    const { setName, ...rest } = decodeSuperblock1(data, 2, 4096, DEVICE);
    expect(decodeText(setName)).toBe("host:boot");
    expect(rest).toEqual({
      version: "1.2",
      structure: "mdp_superblock_1",
      offset: 4096,
      uuid: "00010203:04050607:08090a0b:0c0d0e0f",
      minor: undefined,
      created: 1_700_000_000,
      level: 1,
      layout: 0,
      chunk: 0,
      raidDisks: 2,
      size: MIB,
      dataOffset: MIB,
      dataSize: MIB,
      events: 10n,
      deviceNumber: 0,
      roles: [
        { kind: "active", index: 0 },
        { kind: "active", index: 1 },
      ],
      isInSync: true,
      refusal: undefined,
      isRebuilding: false,
      isReplacement: false,
      badBlocks: undefined,
      checksumProblem: undefined,
    });
  });
  it("roles: spare, faulty, journal; an odd number of them is summed, too", () => {
    const { roles, checksumProblem } = decode({}, [0xffff, 0xfffe, 0xfffd]);
    expect(roles.map(({ kind }) => kind)).toEqual(["spare", "faulty", "journal"]);
    expect(checksumProblem).toBeUndefined();
  });
  it("a wrong checksum is told and stops nothing", () => {
    expect(decode({ sb_csum: 1 }).checksumProblem).toMatch(/^the checksum is 0x1, /);
  });
  it("what is refused is named", () => {
    expect(decode({ feature_map: 0x4 }).refusal).toMatch(/reshape/);
    expect(decode({ feature_map: 0x200 }).refusal).toMatch(/journal/);
    expect(decode({ feature_map: 0x400 }).refusal).toMatch(/ppl/);
    expect(decode({ feature_map: 0x8000_0000 }).refusal).toMatch(/0x80000000/);
    expect(decode({ feature_map: 0x1 | 0x2 | 0x10 | 0x80 | 0x100 | 0x1000 }).refusal).toBeUndefined();
  });

  const wrong: [string, Fields1, string, string?][] = [
    ["it says it lies elsewhere", { super_offset: 0 }, "super_offset"],
    ["2^31 roles", { max_dev: 2 ** 31 }, "max_dev"],
    ["one role more than there is room for", { max_dev: 1921 }, "max_dev"],
    ["2^31 members", { raid_disks: 2 ** 31 }, "raid_disks"],
    ["no members", { raid_disks: 0 }, "raid_disks"],
    ["raid6 of three", { level: 6, raid_disks: 3, chunksize: 8 }, "raid_disks"],
    ["level 7", { level: 7 }, "level"],
    ["multipath", { level: -4 }, "level", "unsupported"],
    ["raid5 without a chunk", { level: 5, chunksize: 0 }, "chunksize"],
    ["raid5 with a chunk of three sectors", { level: 5, chunksize: 3 }, "chunksize"],
    ["raid5 with layout 6", { level: 5, chunksize: 8, layout: 6 }, "layout"],
    ["raid10 without copies", { level: 10, chunksize: 8, layout: 0 }, "layout"],
    ["raid10 with more copies than members", { level: 10, chunksize: 8, layout: 0x103 }, "layout"],
    ["raid10 with sets of an unknown form", { level: 10, chunksize: 8, layout: 0x60102 }, "layout"],
    ["data over the superblock", { data_offset: 8 }, "data_offset"],
    ["data past the end of the device", { data_offset: DEVICE / 512 + 1 }, "data_offset"],
    ["data at 2^54", { data_offset: 1n << 54n }, "data_offset"],
    ["data at 2^45 sectors", { data_offset: 1n << 45n }, "data_offset"],
    ["more used than there is", { size: 2049 }, "size"],
    ["a mirror of nothing", { size: 0 }, "size"],
    ["bad blocks past the end", { feature_map: 8, bblog_offset: DEVICE / 512, bblog_size: 8 }, "bblog_offset"],
    ["bad blocks before the start", { feature_map: 8, bblog_offset: -9, bblog_size: 8 }, "bblog_offset"],
    [
      "bad blocks of 2^255 sectors",
      { feature_map: 8, bblog_offset: 8, bblog_size: 8, bblog_shift: 255 },
      "bblog_shift",
    ],
  ];
  for (const [name, fields, field, code = "corrupt"] of wrong) {
    it(name, () => {
      const error = thrown(() => decode(fields));
      expect(isImageError(error, code as "corrupt")).toBe(true);
      expect(error).toMatchObject({ format: "md", structure: "mdp_superblock_1", field });
    });
  }
});

describe("version 0.90", () => {
  for (const [name, little] of [
    ["little-endian", true],
    ["big-endian", false],
  ] as const) {
    it(name, () => {
      const data = superblock0({}, 1, little);
      const endian = endianOf0(data)!;
      expect(endian).toBe(little ? "LE" : "BE");
      expect(decodeSuperblock0(data, endian, DEVICE - 65536)).toMatchObject({
        version: "0.90",
        uuid: "00010203:04050607:08090a0b:0c0d0e0f",
        minor: 3,
        size: MIB,
        dataOffset: 0,
        dataSize: MIB,
        events: 10n,
        deviceNumber: 1,
        isInSync: true,
        checksumProblem: undefined,
      });
    });
  }
  it("sixteen bits of the sum are enough, as old machines stored it", () => {
    const data = superblock0();
    const view = new DataView(data.buffer);
    const sum = view.getUint32(152, true);
    const folded = (sum & 0xffff) + (sum >>> 16);
    view.setUint32(152, (folded & 0xffff) + (folded >>> 16), true);
    expect(decodeSuperblock0(data, "LE", DEVICE).checksumProblem).toBeUndefined();
    view.setUint32(152, 0x12345678, true);
    expect(decodeSuperblock0(data, "LE", DEVICE).checksumProblem).toBeDefined();
  });
  it("0.91 is an array that is being reshaped", () => {
    expect(decodeSuperblock0(superblock0({ minor_version: 91 }), "LE", DEVICE).refusal).toMatch(/reshape/);
  });
  it("major version 1 is none of these", () => {
    expect(endianOf0(superblock0({ major_version: 1 }))).toBeUndefined();
    expect(endianOf0(new Uint8Array(100))).toBeUndefined();
  });
  const wrong: [string, Fields0, string, string?][] = [
    ["version 0.92", { minor_version: 92 }, "minor_version", "unsupported"],
    ["28 members", { raid_disks: 28 }, "raid_disks"],
    ["level 2", { level: 2 }, "level"],
    ["a chunk of 513 bytes", { level: 0, chunk_size: 513 }, "chunk_size"],
    ["2^31 KiB of a device of 3 MiB", { size: 2 ** 31 }, "size"],
    ["faulty", { level: -5 }, "level", "unsupported"],
  ];
  for (const [name, fields, field, code = "corrupt"] of wrong) {
    it(name, () => {
      const error = thrown(() => decodeSuperblock0(superblock0(fields), "LE", DEVICE));
      expect(error).toMatchObject({ code, format: "md", structure: "mdp_super_t", field });
    });
  }
});

it("bad blocks: 54 bits of the place, ten of the count, all ones end the list", () => {
  const list = new Uint8Array(32);
  const view = new DataView(list.buffer);
  view.setBigUint64(0, (2056n << 10n) | 16n, true);
  view.setBigUint64(8, 5n << 10n, true);
  view.setBigUint64(16, 0xffff_ffff_ffff_ffffn, true);
  view.setBigUint64(24, (1n << 10n) | 1n, true);
  expect(decodeBadBlocks(list, 512, MIB)).toEqual([{ start: 4096, end: 4096 + 8192 }]);
});

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

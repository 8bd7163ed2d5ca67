/** signatures: superblocks that lie. Each ends in an answer or in none, never in an error, after few reads. */
import { readFileSync } from "node:fs";
import {
  type BlockDevice,
  bufferDevice,
  countReads,
  decodeText,
  type Finding,
  ImageError,
  type ReadStats,
} from "@guestprobe/block";
import { identify, type Signature, wantedRegions } from "@guestprobe/signature";
import { describe, expect, test } from "vitest";
import { fixtures } from "../lib/fixtures.js";
import { Random } from "../lib/random.js";
import { deviceIsSeen } from "../lib/seen-devices.js";

const kept = new Map(fixtures("signature").map((fixture) => [fixture.name, fixture]));
const expected = (name: string): Record<string, string> =>
  JSON.parse(readFileSync(new URL(`../fixtures/signature/${name}.json`, import.meta.url), "utf8")) as Record<
    string,
    string
  >;
const image = (name: string): Uint8Array => kept.get(name)!.image();

/** Reads beyond the first ones, and bytes of all. */
const MAX_MORE = 24;
const MAX_BYTES = 2 << 20;

interface Outcome {
  readonly first: Signature | undefined;
  readonly all: readonly Signature[];
  readonly findings: readonly Finding[];
  readonly stats: ReadStats;
}

async function look(device: BlockDevice): Promise<Outcome> {
  const findings: Finding[] = [];
  const counted = countReads(device);
  const all = await identify(counted, { report: (entry) => findings.push(entry) });
  // Formats are few that read more, and no two of them fit one device but by a lie.
  expect(counted.stats.reads).toBeLessThanOrEqual(wantedRegions(device.size).length + 3 * MAX_MORE);
  expect(counted.stats.bytes).toBeLessThan(MAX_BYTES);
  for (const { offset } of all) expect(offset).toBeLessThan(device.size);
  return { first: all[0], all, findings, stats: counted.stats };
}

async function lookAt(bytes: Uint8Array): Promise<Outcome> {
  await deviceIsSeen(bytes.length, [0, bytes]);
  return look(bufferDevice(bytes));
}

const edit = (name: string, change: (view: DataView) => void): Uint8Array => {
  const bytes = image(name);
  change(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return bytes;
};

describe("fixtures, without any tool", () => {
  test.each([...kept.keys()])("%s", async (name) => {
    const { first } = await lookAt(image(name));
    const { TYPE, USAGE, LABEL, UUID, VERSION } = expected(name);
    expect(first).toMatchObject({ kind: TYPE, usage: USAGE, uuid: UUID, version: VERSION, problem: undefined });
    expect(decodeText(first!.label)).toBe(LABEL ?? "");
  });
});

describe("labels that lie elsewhere, and pointers that lie", () => {
  test("FAT32: a root directory whose chain leads back to itself", async () => {
    const fat = image("fat32");
    const view = new DataView(fat.buffer);
    const [reserved, fatSize] = [view.getUint16(14, true), view.getUint32(36, true)];
    const cluster = view.getUint8(13) * 512;
    const dataAt = (reserved + view.getUint8(16) * fatSize) * 512;
    // No label and no end: deleted entries only.
    fat.fill(0xe5, dataAt, dataAt + cluster);
    view.setUint32(reserved * 512 + 8, 2, true);
    const { first, stats } = await lookAt(fat);
    expect(first).toMatchObject({ kind: "vfat", version: "FAT32" });
    // The boot sector's copy is no label.
    expect(first!.label).toEqual(new Uint8Array(0));
    expect(stats.reads).toBe(wantedRegions(fat.length).length + 16);
  });
  test("FAT32: a root cluster far past the end", async () => {
    const { first } = await lookAt(edit("fat32", (view) => view.setUint32(44, 0xfff_fff0, true)));
    expect(first).toMatchObject({ kind: "vfat" });
  });
  test("FAT: no FAT, no reserved sector, sectors of 3 bytes, more clusters than can be: no FAT volume", async () => {
    for (const [at, size, value] of [
      [16, 1, 0],
      [14, 2, 0],
      [11, 2, 3],
      [11, 2, 0],
      [13, 1, 3],
      [13, 1, 0],
      [21, 1, 0],
      [19, 2, 1],
    ] as const) {
      const bytes = edit("fat12", (view) => (size === 1 ? view.setUint8(at, value) : view.setUint16(at, value, true)));
      expect(
        (await lookAt(bytes)).all.map(({ kind }) => kind),
        `byte ${at} is ${value}`,
      ).not.toContain("vfat");
    }
  });
  test("exFAT: a root directory without an end, and sectors of 2^255 bytes", async () => {
    const looped = edit("exfat", (view) => {
      const cluster = view.getUint32(0x60, true);
      const sector = 2 ** view.getUint8(0x6c);
      const size = sector * 2 ** view.getUint8(0x6d);
      const at = view.getUint32(0x58, true) * sector + (cluster - 2) * size;
      for (let entry = 0; entry < size; entry += 32) view.setUint8(at + entry, 0x05);
      view.setUint32(view.getUint32(0x50, true) * sector + cluster * 4, cluster, true);
    });
    expect((await lookAt(looped)).first).toMatchObject({ kind: "exfat", label: new Uint8Array(0) });
    expect((await lookAt(edit("exfat", (view) => view.setUint8(0x6c, 255)))).all).toEqual([]);
  });
  test("exFAT: a boot region that does not match its checksum", async () => {
    const { first } = await lookAt(edit("exfat", (view) => view.setUint32(0x64, 0x1234abcd, true)));
    expect(first).toMatchObject({ kind: "exfat", uuid: "1234-ABCD" });
    expect(first!.problem).toContain("checksum");
  });
  test("exFAT: no boot signature, and parameters of FAT where zeros should be: named, with the problem", async () => {
    for (const [at, problem] of [
      [0x1fe, "no signature"],
      [0x0b, "zeros"],
      [0x3f, "zeros"],
    ] as const) {
      const { first } = await lookAt(edit("exfat", (view) => view.setUint8(at, 1)));
      expect(first, `byte ${at}`).toMatchObject({ kind: "exfat", uuid: expected("exfat").UUID });
      expect(first!.problem).toContain(problem);
      expect(decodeText(first!.label)).toBe(expected("exfat").LABEL);
    }
  });
  test("UDF: a name of the volume set that ends before the UUID does", async () => {
    const { UUID = "" } = expected("udf-512");
    for (const [end, uuid] of [
      // Eight digits are a time; of what follows, characters that are not all digits are written as numbers.
      [10, `${UUID.slice(0, 8)}${Buffer.from(UUID.slice(8, 10)).toString("hex")}0000`],
      [7, undefined],
    ] as const) {
      const bytes = edit("udf-512", (view) => {
        for (let at = 0; at + 512 <= view.byteLength; at += 512) {
          const isVolume = view.getUint16(at, true) === 1 && view.getUint32(at + 12, true) === at / 512;
          if (isVolume) view.setUint8(at + 0x49 + end, 0);
        }
      });
      expect((await lookAt(bytes)).first).toMatchObject({ kind: "udf", uuid });
    }
  });
  test("UDF: texts in characters that are not UDF's are none", async () => {
    const editTag = (tag: number, at: number): Uint8Array =>
      edit("udf-512", (view) => {
        for (let base = 0; base + 512 <= view.byteLength; base += 512) {
          const isIt = view.getUint16(base, true) === tag && view.getUint32(base + 12, true) === base / 512;
          if (isIt) view.setUint8(base + at, 0x7f);
        }
      });
    const { UUID, LABEL = "" } = expected("udf-512");
    const primary = (await lookAt(editTag(1, 0xcc))).first!;
    expect([primary.uuid, decodeText(primary.label)]).toEqual([undefined, LABEL]);
    const logical = (await lookAt(editTag(6, 0x16))).first!;
    expect([logical.uuid, decodeText(logical.label)]).toEqual([UUID, ""]);
  });
  test("NTFS: attributes of no length, past the record, and a table that is not there", async () => {
    const record = (view: DataView): number =>
      Number(view.getBigUint64(0x30, true)) * view.getUint8(0x0d) * 512 + 3 * 1024;
    for (const [at, value] of [
      [4, 0],
      [4, 0xffff_ffff],
      [0x10, 0xffff_ffff],
    ] as const) {
      const bytes = edit("ntfs", (view) => {
        const start = record(view);
        for (let attribute = start + view.getUint16(start + 0x14, true); attribute < start + 1024; ) {
          const [type, length] = [view.getUint32(attribute, true), view.getUint32(attribute + 4, true)];
          if (type === 0x60) view.setUint32(attribute + at, value, true);
          if (type === 0xffff_ffff || type === 0x60 || length === 0) break;
          attribute += length;
        }
      });
      expect((await lookAt(bytes)).first, `attribute + ${at}`).toMatchObject({ kind: "ntfs" });
    }
    const away = await lookAt(edit("ntfs", (view) => view.setBigUint64(0x30, 100n, true)));
    expect(away.first).toMatchObject({ kind: "ntfs", label: new Uint8Array(0) });
    expect(away.first!.problem).toContain("no master file table");
    const past = await lookAt(edit("ntfs", (view) => view.setBigUint64(0x30, 0x7fff_ffff_ffff_ffffn, true)));
    expect(past.all).toEqual([]);
  });
  test("HFS+: a catalog past the end, nodes of no size, a name longer than its node", async () => {
    for (const [at, value] of [
      [0x400 + 0x120, 0xffff_ffff],
      [0x400 + 0x124, 0],
      [0x400 + 0x28, 0],
      [0x400 + 0x28, 0xffff_ffff],
    ] as const) {
      const { first } = await lookAt(edit("hfsplus", (view) => view.setUint32(at, value)));
      expect(first, `byte ${at}`).toMatchObject({ kind: "hfsplus" });
    }
  });
  test("HFS: an embedded HFS+ volume past the end", async () => {
    const bytes = edit("hfs", (view) => {
      view.setUint16(0x47c, 0x482b);
      view.setUint16(0x47e, 0xffff);
      view.setUint32(0x414, 0xffff_fe00);
    });
    const { first } = await lookAt(bytes);
    expect(first).toMatchObject({ kind: "hfsplus", offset: 0x400 });
    expect(first!.problem).toContain("no volume header");
  });
  test("UDF: an anchor that points past the end, and one that counts 2^32 - 1 bytes", async () => {
    for (const [at, value] of [
      [256 * 512 + 0x14, 0xffff_ffff],
      [256 * 512 + 0x10, 0xffff_ffff],
      [256 * 512 + 0x10, 0],
      [256 * 512 + 0x0c, 7],
    ] as const) {
      const { first } = await lookAt(edit("udf-512", (view) => view.setUint32(at, value, true)));
      expect(first, `byte ${at}`).toMatchObject({ kind: "udf" });
    }
  });
  test("ISO 9660: descriptors without an end", async () => {
    const bytes = edit("iso9660-joliet", (view) => {
      for (let at = 0x8800; at + 2048 <= Math.min(view.byteLength, 0x2_0000); at += 2048) view.setUint8(at, 0);
    });
    expect((await lookAt(bytes)).first).toMatchObject({ kind: "iso9660" });
  });
  test("ZFS: a list whose pairs have no size, or sizes past it", async () => {
    for (const size of [0, 4, 0xffff_ffff]) {
      const bytes = new Uint8Array(64 << 20);
      const view = new DataView(bytes.buffer);
      view.setUint8(0x4000, 1);
      view.setUint32(0x400c, size);
      view.setUint32(0x4014, size);
      expect((await lookAt(bytes)).all, `size ${size}`).toEqual([]);
    }
  });
  test("md: a size that leaves no room for the superblock, and one that names another place", async () => {
    const bytes = new Uint8Array(1 << 20);
    const view = new DataView(bytes.buffer);
    view.setUint32(bytes.length - 65536, 0xa92b4efc, true);
    view.setUint32(bytes.length - 65536 + 0x20, 0xffff_ffff, true);
    expect((await lookAt(bytes)).all).toEqual([]);
    const second = new Uint8Array(1 << 20);
    const other = new DataView(second.buffer);
    other.setUint32(4096, 0xa92b4efc, true);
    other.setUint32(4100, 1, true);
    other.setBigUint64(4096 + 0x90, 0xffff_ffff_ffff_ffffn, true);
    expect((await lookAt(second)).all).toEqual([]);
  });
});

describe("places that cannot be read", () => {
  const failing = (bytes: Uint8Array, isBad: (offset: number) => boolean): BlockDevice => {
    const device = bufferDevice(bytes);
    return {
      size: device.size,
      read: (offset, length, signal) =>
        isBad(offset)
          ? Promise.reject(new ImageError("io", "a bad sector", { offset }))
          : device.read(offset, length, signal),
    };
  };
  test("a bad end hides nothing at the start, and is reported", async () => {
    const { first, findings } = await look(failing(image("ntfs"), (offset) => offset > 4 << 20));
    expect(first).toMatchObject({ kind: "ntfs" });
    expect(findings.length).toBeGreaterThan(0);
    for (const { code, offset } of findings) {
      expect(code).toBe("io");
      expect(offset).toBeTypeOf("number");
    }
  });
  test("a bad root directory costs the label alone", async () => {
    const { first, findings } = await look(failing(image("fat12"), (offset) => offset > 0 && offset < 0x4_0000));
    expect(first).toMatchObject({ kind: "vfat" });
    expect(first!.label).toEqual(new Uint8Array(0));
    expect(findings.map(({ code }) => code)).toEqual(["io"]);
  });
  test("an abort is passed on", async () => {
    const controller = new AbortController();
    controller.abort();
    const device: BlockDevice = {
      size: 1 << 20,
      read: () => Promise.reject(new ImageError("aborted", "the work was stopped")),
    };
    await expect(identify(device, { signal: controller.signal })).rejects.toMatchObject({ code: "aborted" });
  });
});

test("any bytes in: an answer, in few reads", async () => {
  const random = new Random(20_261_129);
  const images = [...kept.keys()].map(image).filter(({ length }) => length <= 16 << 20);
  for (let round = 0; round < 400; round += 1) {
    const bytes = random.pick(images);
    const before = new Map<number, number>();
    // Where superblocks are: the first 2 KiB, 32 KiB, 64 KiB, and wherever.
    for (let count = 0; count < 12; count += 1) {
      const [base, range] = random.pick([
        [0, 2048],
        [0x8000, 0x1000],
        [0x1_0000, 0x800],
        [0, bytes.length],
      ] as const);
      const at = Math.min(bytes.length - 1, base + random.below(range));
      if (!before.has(at)) before.set(at, bytes[at]!);
      bytes[at] = random.pick([0, 0xff, random.below(256)]);
    }
    await lookAt(bytes);
    for (const [at, byte] of before) bytes[at] = byte;
  }
});

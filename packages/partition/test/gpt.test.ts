import { bufferDevice, type Finding, isImageError } from "@guestprobe/block";
import { decodeGptHeader, type Partitions, readPartitions } from "@guestprobe/partition";
import { describe, expect, test } from "vitest";
import { disk, type GptSpec, putGpt, putMbr } from "./build.js";

async function read(image: Uint8Array): Promise<Partitions & { codes: string[]; found: Finding[] }> {
  const found: Finding[] = [];
  const result = await readPartitions(bufferDevice(image), { report: (entry) => found.push(entry) });
  return { ...result, found, codes: found.map((entry) => entry.code) };
}
const ENTRIES: GptSpec["entries"] = [
  { slot: 1, first: 64, last: 99, name: "root ñ" },
  { slot: 7, first: 100, last: 199, attributes: (1n << 63n) | 5n },
];

function sound(spec: GptSpec = {}, sectors = 1000): Uint8Array {
  const image = disk(sectors, spec.sectorSize);
  putGpt(image, { entries: ENTRIES, ...spec });
  return image;
}

describe("GPT", () => {
  test.each([512, 1024, 2048, 4096])("sectors of %d bytes are told by where the header lies", async (sectorSize) => {
    const result = await read(sound({ sectorSize }));
    expect(result.codes).toEqual([]);
    expect(result.tables).toMatchObject([
      { kind: "gpt", role: "main", sectorSize, offset: sectorSize, uuid: "D3D2D1D0-D5D4-D7D6-D8D9-DADBDCDDDEDF" },
      { kind: "mbr", role: "protective", sectorSize },
    ]);
    expect(result.partitions).toMatchObject([
      {
        number: 1,
        table: "gpt",
        start: 64 * sectorSize,
        length: 36 * sectorSize,
        name: "root ñ",
        type: { id: "0FC63DAF-8483-4772-8E79-3D69D8477DE4", name: "Linux" },
        uuid: "01010101-0101-0101-0101-010101010101",
        active: false,
        offset: 2 * sectorSize,
      },
      { number: 7, active: true, attributes: ["required", "legacy-boot", "bit-63"], offset: 2 * sectorSize + 6 * 128 },
    ]);
  });

  test.each([128, 256, 512, 1024, 4096])("entries of %d bytes", async (entrySize) => {
    const result = await read(sound({ entrySize, count: 8, entries: [{ slot: 8, first: 200, last: 299 }] }));
    expect(result.codes).toEqual([]);
    expect(result.partitions).toMatchObject([{ number: 8, start: 200 * 512, length: 100 * 512 }]);
  });

  test("gaps leave out both copies of the table", async () => {
    const result = await read(sound());
    expect(result.gaps.map((gap) => [gap.start / 512, gap.length / 512])).toEqual([
      [34, 30],
      [200, 1000 - 33 - 200],
    ]);
  });

  test("a hybrid MBR is listed beside the GPT", async () => {
    const image = sound();
    putMbr(image, [
      { type: 0xee, start: 1, sectors: 33 },
      { type: 0x83, start: 64, sectors: 36 },
    ]);
    const result = await read(image);
    expect(result.tables.map((table) => [table.kind, table.role])).toEqual([
      ["gpt", "main"],
      ["mbr", "hybrid"],
    ]);
    expect(result.partitions.map((part) => [part.table, part.number, part.role])).toEqual([
      ["gpt", 1, "main"],
      ["gpt", 7, "main"],
      ["mbr", 2, "hybrid"],
    ]);
    expect(result.codes).toEqual(["gpt-hybrid"]);
  });
});

describe("copies that disagree", () => {
  test("a flipped byte of the first header: the backup is used", async () => {
    const image = sound();
    image[512 + 60]! ^= 1;
    const result = await read(image);
    expect(result.partitions).toHaveLength(2);
    expect(result.tables[0]?.offset).toBe(999 * 512);
    expect(result.found).toMatchObject([{ code: "gpt-primary-bad", offset: 999 * 512, format: "gpt" }]);
  });

  test("a flipped byte of the first array: the backup is used", async () => {
    const image = sound();
    image[1024 + 32]! ^= 1;
    const result = await read(image);
    expect(result.partitions[0]?.start).toBe(64 * 512);
    expect(result.codes).toEqual(["gpt-primary-bad"]);
  });

  test.each([512, 4096])("the first header wiped, sectors of %d bytes", async (sectorSize) => {
    const image = sound({ sectorSize });
    image.fill(0, sectorSize, 2 * sectorSize);
    const result = await read(image);
    expect(result.tables[0]).toMatchObject({ sectorSize, offset: 999 * sectorSize });
    expect(result.partitions).toHaveLength(2);
    expect(result.codes).toEqual(["gpt-primary-bad"]);
  });

  test("the whole start of the disk wiped", async () => {
    const image = sound();
    image.fill(0, 0, 34 * 512);
    const result = await read(image);
    expect(result.partitions).toHaveLength(2);
    expect(result.codes.sort()).toEqual(["gpt-no-protective-mbr", "gpt-primary-bad"]);
  });

  test("both copies damaged: the first is listed, as GRUB does", async () => {
    const image = sound();
    image[512 + 60]! ^= 1;
    image[999 * 512 + 60]! ^= 1;
    const result = await read(image);
    expect(result.tables[0]?.offset).toBe(512);
    expect(result.partitions).toHaveLength(2);
    expect(result.codes).toEqual(["gpt-checksum", "gpt-backup-bad"]);
  });

  test("an image cut short has no backup and its partitions are cut", async () => {
    const image = sound().subarray(0, 150 * 512);
    const result = await read(image);
    expect(result.partitions.map((part) => part.device?.size)).toEqual([36 * 512, 50 * 512]);
    expect(result.codes).toEqual(["gpt-backup-bad", "part-past-end"]);
  });

  test("a backup that says it lies elsewhere is not this disk's: the member of an array ends with the array's", async () => {
    const image = new Uint8Array(1100 * 512);
    image.set(sound(), 100 * 512);
    const result = await read(image);
    expect(result.tables).toEqual([]);
    expect(result.partitions).toEqual([]);
    expect(result.codes).toEqual([]);
  });

  test("a disk that grew has its backup where AlternateLBA says", async () => {
    const image = new Uint8Array(2000 * 512);
    image.set(sound());
    const result = await read(image);
    expect(result.codes).toEqual(["gpt-backup-not-at-end"]);
    expect(result.partitions).toHaveLength(2);
  });

  test("two sound copies that differ", async () => {
    const image = sound();
    const other = sound({ entries: [{ slot: 1, first: 300, last: 399 }] });
    image.set(other.subarray(967 * 512), 967 * 512);
    const result = await read(image);
    expect(result.partitions[0]?.start).toBe(64 * 512);
    expect(result.codes).toEqual(["gpt-copies-differ"]);
  });
});

describe("GPT and MBR at odds", () => {
  test("no protective MBR", async () => {
    const result = await read(sound({ protective: false }));
    expect(result.partitions).toHaveLength(2);
    expect(result.codes).toEqual(["gpt-no-protective-mbr"]);
  });

  test("an MBR with partitions wins over a GPT without 0xEE", async () => {
    const image = sound({ protective: false });
    putMbr(image, [{ start: 64, sectors: 10 }]);
    const result = await read(image);
    expect(result.partitions).toMatchObject([{ table: "mbr", number: 1 }]);
    expect(result.tables.map((table) => [table.kind, table.role])).toEqual([
      ["mbr", "main"],
      ["gpt", "stale"],
    ]);
    expect(result.codes).toEqual(["gpt-stale"]);
  });

  test("a protective MBR and no GPT", async () => {
    const image = disk(100);
    putMbr(image, [{ type: 0xee, start: 1, sectors: 99 }]);
    const result = await read(image);
    expect(result.tables).toMatchObject([{ kind: "mbr", role: "protective" }]);
    expect(result.partitions).toEqual([]);
    expect(result.found).toMatchObject([{ code: "gpt-missing", offset: 0 }]);
  });
});

describe("hostile headers", () => {
  const withHeader = (edit: (header: DataView) => void, sectors = 1000) =>
    read(sound({ edit, backup: false, entries: ENTRIES }, sectors));

  test("2^32 - 1 entries: as many as the disk has, and told", async () => {
    const result = await withHeader((header) => header.setUint32(80, 0xffffffff, true));
    expect(result.partitions).toHaveLength(2);
    expect(result.found.find((entry) => entry.code === "gpt-entries-cut")).toMatchObject({ offset: 512 + 80 });
    expect(result.codes).toContain("gpt-checksum");
  });

  test("2^32 - 1 entries of 4096 bytes on a large sparse disk stay bounded", async () => {
    const small = sound({ entrySize: 4096, count: 8, edit: (header) => header.setUint32(80, 0xffffffff, true) });
    const size = 2 ** 50;
    let most = 0;
    const result = await readPartitions({
      size,
      async read(offset, length) {
        most = Math.max(most, length);
        const data = new Uint8Array(length);
        if (offset < small.length) data.set(small.subarray(offset, offset + length));
        return data;
      },
    });
    expect(most).toBeLessThanOrEqual(4 << 20);
    expect(result.tables[0]?.problems.map((entry) => entry.code)).toContain("gpt-entries-cut");
  });

  test.each([
    ["HeaderSize", 12, [0, 1, 91, 513, 0xffffffff]],
    ["SizeOfPartitionEntry", 84, [0, 1, 64, 127, 129, 384, 8192, 0xffffffff]],
  ] as const)("%s that no header can have is told with its place", async (field, at, values) => {
    for (const value of values) {
      const result = await withHeader((header) => header.setUint32(at, value, true));
      expect(result.found).toMatchObject([
        { code: "gpt-header-field", field, offset: 512 + at },
        { code: "gpt-missing" },
      ]);
    }
  });

  test.each([
    ["MyLBA", 24],
    ["AlternateLBA", 32],
    ["FirstUsableLBA", 40],
    ["LastUsableLBA", 48],
    ["PartitionEntryLBA", 72],
  ] as const)("%s at its maximum", async (field, at) => {
    const result = await withHeader((header) => header.setBigUint64(at, 0xffff_ffff_ffff_ffffn, true));
    expect(result.found[0]).toMatchObject({ code: "gpt-header-field", field, offset: 512 + at });
  });

  test("each header field at 0, 1 and off by one never throws", async () => {
    for (const at of [24, 32, 40, 48, 72]) {
      for (const delta of [-1n, 0n, 1n]) {
        for (const base of [0n, 1n, 999n, 1000n]) {
          const value = base + delta < 0n ? 0n : base + delta;
          await withHeader((header) => header.setBigUint64(at, value, true));
        }
      }
    }
  });

  test("entries past the end of the disk", async () => {
    const result = await withHeader((header) => header.setBigUint64(72, 2n ** 40n, true));
    expect(result.codes).toContain("gpt-entries-cut");
    expect(result.partitions).toEqual([]);
  });

  test("one bad entry does not hide the others", async () => {
    const result = await read(
      sound({
        entries: [
          { slot: 1, first: 2n ** 64n - 1n, last: 2n ** 64n - 1n },
          { slot: 2, first: 100, last: 99 },
          { slot: 3, first: 2n ** 50n, last: 2n ** 50n },
          { slot: 4, first: 100, last: 199 },
        ],
      }),
    );
    expect(result.partitions.map((part) => part.number)).toEqual([4]);
    expect(result.found.map((entry) => [entry.code, entry.offset])).toEqual([
      ["gpt-entry-bad", 1024],
      ["gpt-entry-bad", 1024 + 128],
      ["gpt-entry-bad", 1024 + 256],
    ]);
  });

  test("partitions over the table itself", async () => {
    const result = await read(sound({ entries: [{ slot: 1, first: 0, last: 999 }] }));
    expect(result.codes).toEqual(["gpt-outside-usable"]);
  });
});

test("decodeGptHeader: magic first, and alone not-this-format", () => {
  for (const data of [new Uint8Array(512), new Uint8Array(0), new Uint8Array(40)]) {
    try {
      decodeGptHeader(data, 512);
      expect.unreachable();
    } catch (error) {
      expect(isImageError(error, "not-this-format")).toBe(true);
    }
  }
});

test("reading changes no byte", async () => {
  const image = sound();
  const before = Uint8Array.from(image);
  await read(image);
  expect(image).toEqual(before);
});

import { bufferDevice, type Finding } from "@guestprobe/block";
import { type Partitions, readPartitions } from "@guestprobe/partition";
import { describe, expect, test } from "vitest";
import { disk, putMbr } from "./build.js";

async function read(image: Uint8Array): Promise<Partitions & { codes: string[]; found: Finding[] }> {
  const found: Finding[] = [];
  const result = await readPartitions(bufferDevice(image), { report: (entry) => found.push(entry) });
  return { ...result, found, codes: found.map((entry) => entry.code) };
}
const rows = (result: Partitions) =>
  result.partitions.map((part) => [part.number, part.kind, part.start / 512, part.length / 512]);

describe("MBR", () => {
  test("a slot keeps its number when those before it are empty", async () => {
    const image = disk(1000);
    putMbr(
      image,
      [
        { type: 0 },
        { status: 0x80, start: 100, sectors: 50, type: 0x83 },
        { type: 0 },
        { start: 500, sectors: 200, type: 0xa5 },
      ],
      { id: 0x00c0ffee },
    );
    const result = await read(image);
    expect(rows(result)).toEqual([
      [2, "primary", 100, 50],
      [4, "primary", 500, 200],
    ]);
    expect(result.tables).toMatchObject([{ kind: "mbr", role: "main", sectorSize: 512, uuid: "00c0ffee", slots: 4 }]);
    expect(result.partitions[0]).toMatchObject({
      active: true,
      uuid: "00c0ffee-02",
      type: { id: "0x83", name: "Linux" },
      offset: 446 + 16,
    });
    expect(result.partitions[1]).toMatchObject({ active: false, type: { id: "0xa5", name: "FreeBSD" } });
    expect(result.partitions[0]?.device?.size).toBe(50 * 512);
    expect(result.gaps.map((gap) => [gap.start / 512, gap.length / 512])).toEqual([
      [1, 99],
      [150, 350],
      [700, 300],
    ]);
    expect(result.codes).toEqual([]);
  });

  test("logical partitions count from 5, data from their record and links from the first", async () => {
    const image = disk(2000);
    putMbr(image, [
      { start: 10, sectors: 20 },
      { type: 0x05, start: 100, sectors: 900 },
    ]);
    putMbr(
      image,
      [
        { start: 1, sectors: 50 },
        { type: 0x0f, start: 200, sectors: 100 },
      ],
      { lba: 100 },
    );
    putMbr(
      image,
      [
        { start: 2, sectors: 60, type: 0x8e },
        { type: 0x85, start: 400, sectors: 100 },
      ],
      { lba: 300 },
    );
    putMbr(image, [{ start: 3, sectors: 70 }], { lba: 500 });
    const result = await read(image);
    expect(rows(result)).toEqual([
      [1, "primary", 10, 20],
      [2, "extended", 100, 900],
      [5, "logical", 101, 50],
      [6, "logical", 302, 60],
      [7, "logical", 503, 70],
    ]);
    expect(result.partitions[1]?.device).toBeUndefined();
    expect(result.codes).toEqual([]);
  });

  test("all four entries of a record count when they lie within the extended partition", async () => {
    const image = disk(2000);
    putMbr(image, [{ type: 0x05, start: 100, sectors: 900 }]);
    putMbr(
      image,
      [
        { start: 10, sectors: 10 },
        { start: 30, sectors: 10 },
        { start: 50, sectors: 10 },
        { start: 5000, sectors: 10 },
      ],
      { lba: 100 },
    );
    expect(rows(await read(image)).slice(1)).toEqual([
      [5, "logical", 110, 10],
      [6, "logical", 130, 10],
      [7, "logical", 150, 10],
    ]);
  });

  test("a second extended partition goes on with the numbers, and is told", async () => {
    const image = disk(2000);
    putMbr(image, [
      { type: 0x05, start: 100, sectors: 100 },
      { type: 0x0f, start: 300, sectors: 100 },
    ]);
    putMbr(image, [{ start: 1, sectors: 5 }], { lba: 100 });
    putMbr(image, [{ start: 1, sectors: 5 }], { lba: 300 });
    const result = await read(image);
    expect(rows(result).slice(2)).toEqual([
      [5, "logical", 101, 5],
      [6, "logical", 301, 5],
    ]);
    expect(result.codes).toEqual(["mbr-two-extended"]);
  });

  test("sectors of 4096 bytes when the device says so", async () => {
    const image = disk(100, 4096);
    putMbr(image, [{ start: 10, sectors: 20 }]);
    const result = await readPartitions(bufferDevice(image, { sectorSize: 4096 }));
    expect(result.partitions).toMatchObject([{ start: 40960, length: 81920 }]);
  });
});

describe("what is no table", () => {
  test("no signature, an empty device, one sector, random bytes", async () => {
    const noise = Uint8Array.from({ length: 8192 }, (_, at) => (at * 7919 + (at >> 3) * 104729) & 0xff);
    for (const image of [new Uint8Array(0), new Uint8Array(1), new Uint8Array(512), disk(100), noise]) {
      expect(await readPartitions(bufferDevice(image))).toEqual({ tables: [], partitions: [], gaps: [] });
    }
  });

  test("the boot sector of a FAT volume with zeros where the entries would be", async () => {
    const image = disk(100);
    image.set([0xeb, 0x3c, 0x90, ...new TextEncoder().encode("mkfs.fat"), 0, 2, 4, 1, 0, 2, 0, 2, 100, 0, 0xf8]);
    image.set([0x55, 0xaa], 510);
    expect((await read(image)).tables).toEqual([]);
  });

  test("boot code that ends in 55 AA", async () => {
    const image = disk(100);
    image.fill(0x6f, 446, 510);
    image.set([0x55, 0xaa], 510);
    expect((await read(image)).tables).toEqual([]);
  });
});

describe("damage", () => {
  test("a status byte that is neither 0 nor 0x80, when the entries make sense", async () => {
    const image = disk(1000);
    putMbr(image, [
      { start: 10, sectors: 20 },
      { status: 0x01, start: 100, sectors: 20 },
    ]);
    const result = await read(image);
    // The two unused slots are empty, so that what is used is judged alone.
    expect(rows(result)).toHaveLength(2);
    expect(result.found).toMatchObject([{ code: "mbr-status", offset: 446 + 16, field: "status" }]);
    expect(result.tables[0]?.problems).toEqual(result.found);
  });

  test("a partition that passes the end is cut, one past the end has no device", async () => {
    const image = disk(100);
    putMbr(image, [
      { start: 90, sectors: 20 },
      { start: 100, sectors: 1 },
      { start: 0xffffffff, sectors: 0xffffffff },
    ]);
    const result = await read(image);
    expect(result.partitions.map((part) => part.device?.size)).toEqual([10 * 512, undefined, undefined]);
    expect(result.partitions[2]?.start).toBe(0xffffffff * 512);
    expect(result.found.filter((entry) => entry.code !== "part-overlap")).toMatchObject([
      { code: "part-past-end", offset: 446 },
      { code: "part-off-disk", offset: 446 + 16 },
      { code: "part-off-disk", offset: 446 + 32 },
    ]);
  });

  test("overlap: also with a partition that lies before the last one", async () => {
    const image = disk(1000);
    putMbr(image, [
      { start: 10, sectors: 500 },
      { start: 100, sectors: 10 },
      { start: 300, sectors: 10 },
    ]);
    const result = await read(image);
    expect(result.found).toMatchObject([
      { code: "part-overlap", offset: 446 + 16 },
      { code: "part-overlap", offset: 446 + 32 },
    ]);
  });

  test("a type without sectors", async () => {
    const image = disk(100);
    putMbr(image, [
      { start: 10, sectors: 0 },
      { start: 20, sectors: 1 },
    ]);
    const result = await read(image);
    expect(rows(result)).toEqual([[2, "primary", 20, 1]]);
    expect(result.codes).toEqual(["part-no-length"]);
  });

  test.each([
    ["to itself", 0],
    ["to the first", -200],
  ])("a chain that leads back %s ends, with what was found before", async (_, delta) => {
    const image = disk(2000);
    putMbr(image, [{ type: 0x05, start: 100, sectors: 900 }]);
    putMbr(
      image,
      [
        { start: 1, sectors: 5 },
        { type: 0x05, start: 200, sectors: 100 },
      ],
      { lba: 100 },
    );
    putMbr(
      image,
      [
        { start: 1, sectors: 5 },
        { type: 0x05, start: 200 + delta, sectors: 100 },
      ],
      { lba: 300 },
    );
    const result = await read(image);
    expect(rows(result).slice(1)).toHaveLength(2);
    expect(result.found).toMatchObject([{ code: "mbr-ebr-loop", offset: 300 * 512 + 446 + 16 }]);
  });

  test("an extended partition at sector 0 is its own record", async () => {
    const image = disk(100);
    putMbr(image, [
      { type: 0x05, start: 0, sectors: 50 },
      { start: 20, sectors: 10 },
    ]);
    const result = await read(image);
    expect(result.codes).toContain("mbr-ebr-loop");
  });

  test("a chain of thousands of records ends at the limit", async () => {
    const image = disk(10_000);
    putMbr(image, [{ type: 0x05, start: 1, sectors: 9999 }]);
    for (let n = 1; n < 9998; n += 1) putMbr(image, [{ type: 0x05, start: n, sectors: 5 }], { lba: n });
    const result = await read(image);
    expect(result.codes).toContain("mbr-ebr-limit");
  });

  test("a record without signature, and one past the end", async () => {
    for (const link of [300, 0xfffffff0]) {
      const image = disk(2000);
      putMbr(image, [{ type: 0x05, start: 100, sectors: 900 }]);
      putMbr(
        image,
        [
          { start: 1, sectors: 5 },
          { type: 0x05, start: link, sectors: 100 },
        ],
        { lba: 100 },
      );
      const result = await read(image);
      expect(rows(result).slice(1)).toEqual([[5, "logical", 101, 5]]);
      expect(result.found).toMatchObject([{ code: "mbr-ebr-unreadable", offset: 100 * 512 + 446 + 16 }]);
    }
  });

  test("logical partitions outside the extended one are listed and told", async () => {
    const image = disk(2000);
    putMbr(image, [{ type: 0x05, start: 100, sectors: 100 }]);
    putMbr(image, [{ start: 50, sectors: 100 }], { lba: 100 });
    const result = await read(image);
    expect(rows(result)[1]).toEqual([5, "logical", 150, 100]);
    expect(result.codes).toContain("mbr-ebr-outside");
  });
});

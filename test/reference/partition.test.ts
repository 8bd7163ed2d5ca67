import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice } from "@guestprobe/block";
import { gptTypeName, mbrTypeName, type Partitions, readPartitions } from "@guestprobe/partition";
import { afterAll, describe, expect, test } from "vitest";
import { putGpt, putMbr } from "../../packages/partition/test/build.js";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { DiskMaker } from "../lib/guest-disk.js";
import { inSfdiskWords, type SfdiskTable } from "../lib/sfdisk.js";

const folder = mkdtempSync(join(tmpdir(), "partition-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

const run = (tool: string, ...words: string[]): string =>
  execFileSync(tool, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 30_000 });

async function read(image: string): Promise<Partitions & { codes: string[] }> {
  const codes: string[] = [];
  const device = bufferDevice(readFileSync(image));
  const found = await readPartitions(device, { report: ({ code }) => codes.push(code) });
  await expectAsBlkidHasIt(image);
  return { ...found, codes };
}

function sfdisk(image: string): SfdiskTable {
  const { label, id, sectorsize, partitions = [] } = JSON.parse(run("sfdisk", "--json", image)).partitiontable;
  return {
    label,
    id,
    sectorsize,
    partitions: partitions.map(({ node, ...rest }: { node: string }) => ({
      number: Number(node.slice(image.length)),
      ...rest,
    })),
  };
}

/** Number, start and length in bytes of each partition, as libblkid finds them. */
function partx(image: string, sectorSize = 512): [number, number, number][] {
  const text = run("partx", "-r", "-g", "-b", "-S", `${sectorSize}`, "-o", "NR,START,SIZE", image);
  return text
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(/\s+/).map(Number))
    .map(([number, start, size]): [number, number, number] => [number!, start! * 512, size!]);
}
const bytes = ({ partitions }: Partitions): [number, number, number][] =>
  partitions
    .filter((partition) => partition.kind !== "extended" && partition.role === "main")
    .map(({ number, start, length }) => [number, start, length]);

/** Repeatable numbers: the layouts are the same on each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some partitions in order that do not overlap. */
function layout(next: (below: number) => number, first: number, count: number, room: number): [number, number][] {
  let at = first;
  return Array.from({ length: count }, () => {
    const start = at + next(200);
    const size = 1 + next(room);
    at = start + size + 1;
    return [start, size];
  });
}

const TYPES = ["83", "82", "8e", "fd", "7", "c", "a5", "ef", "da"];

describe("MBR disks by sfdisk", () => {
  test.each(Array.from({ length: 30 }, (_, n) => n))("layout %d", async (seed) => {
    const next = numbers(seed);
    const lines = ["label: dos", `label-id: 0x${(next(0xffffffff) + 1).toString(16)}`];
    const slots = [1, 2, 3, 4].filter(() => next(3) > 0);
    const primaries = layout(next, 1 + next(100), slots.length, 500);
    const extendedAt = next(2) === 0 ? slots.pop() : undefined;
    for (const [index, slot] of slots.entries()) {
      const [start, size] = primaries[index]!;
      const boot = next(4) === 0 ? ", bootable" : "";
      lines.push(`${slot} : start=${start}, size=${size}, type=${TYPES[next(TYPES.length)]}${boot}`);
    }
    if (extendedAt !== undefined) {
      lines.push(`${extendedAt} : start=4000, size=12000, type=${["5", "f", "85"][next(3)]}`);
      // A boot record lies before each logical partition.
      for (const [start, size] of layout(next, 4010, 1 + next(20), 300)) {
        lines.push(`start=${start + 2}, size=${Math.max(1, size - 3)}, type=${TYPES[next(TYPES.length)]}`);
      }
    }
    const image = make.disk(16_384 * 512, lines);
    const found = await read(image);
    expect(inSfdiskWords(found.tables[0]!, found.partitions)).toEqual(sfdisk(image));
    expect(bytes(found)).toEqual(partx(image).filter(([number]) => number !== extendedAt));
    expect(found.codes).toEqual([]);
  });
});

describe("GPT disks by sfdisk and sgdisk", () => {
  test.each(Array.from({ length: 20 }, (_, n) => n))("layout %d", async (seed) => {
    const next = numbers(seed + 1000);
    const slots = [...new Set(Array.from({ length: 1 + next(12) }, () => 1 + next(128)))].sort((a, b) => a - b);
    const places = layout(next, 34, slots.length, 1000);
    const lines = ["label: gpt", "first-lba: 34"];
    for (const [index, slot] of slots.entries()) {
      const [start, size] = places[index]!;
      const attrs = [["RequiredPartition"], ["LegacyBIOSBootable", "GUID:50"], []][next(3)]!;
      lines.push(
        `${slot} : start=${start}, size=${size}, type=${["L", "U", "S", "V", "H"][next(5)]}, ` +
          `name="${["", "root", "größe", "漢字 ✓", "y".repeat(36)][next(5)]}"` +
          (attrs.length > 0 ? `, attrs="${attrs.join(",")}"` : ""),
      );
    }
    const image = make.disk(32_768 * 512, lines);
    const found = await read(image);
    expect(inSfdiskWords(found.tables[0]!, found.partitions)).toEqual(sfdisk(image));
    expect(bytes(found)).toEqual(partx(image));
    expect(found.codes).toEqual([]);
    const [first] = found.partitions;
    const told = run("sgdisk", "-i", `${slots[0]}`, image);
    expect(told).toContain(`Partition unique GUID: ${first?.uuid}`);
    expect(told).toContain(`Partition GUID code: ${first?.type.id}`);
    expect(told).toContain(`First sector: ${first!.start / 512} `);
    expect(told).toContain(`Partition name: '${first?.name}'`);
  });

  test.each([128, 256, 512])("a table of %d entries made by sgdisk", async (count) => {
    const image = make.write(new Uint8Array(4 << 20));
    run("sgdisk", "-a", "1", "-S", `${count}`, "-n", "1:200:300", "-n", `${count}:400:500`, image);
    const found = await read(image);
    expect(found.codes).toEqual([]);
    expect(found.tables[0]?.slots).toBe(count);
    expect(found.partitions.map(({ number, start }) => [number, start / 512])).toEqual([
      [1, 200],
      [count, 400],
    ]);
  });

  test("a hybrid MBR made by sgdisk", async () => {
    const image = make.write(new Uint8Array(4 << 20));
    run("sgdisk", "-a", "1", "-n", "1:200:300", "-n", "2:400:500", "-n", "3:600:700", image);
    run("sgdisk", "-h", "1:3", image);
    const found = await read(image);
    const nested = JSON.parse(run("sfdisk", "--json", "-Y", "dos", image)).partitiontable
      .partitions as SfdiskTable["partitions"];
    expect(
      inSfdiskWords(found.tables[1]!, found.partitions).partitions.map(({ start, size }) => [start, size]),
    ).toEqual(nested.filter(({ type }) => type !== "ee").map(({ start, size }) => [start, size]));
  });
});

describe("damage, against libblkid", () => {
  const entries = [
    { slot: 2, first: 100, last: 199 },
    { slot: 5, first: 300, last: 399 },
  ];
  const gpt = (edit: (image: Uint8Array) => void, sectorSize = 512): string => {
    const image = new Uint8Array(1000 * sectorSize);
    putGpt(image, { entries, sectorSize });
    edit(image);
    return make.write(image);
  };

  test("the last sector of an array's member is the array's: its backup alone is no table of the member", async () => {
    const array = make.write(new Uint8Array(4 << 20));
    run("sgdisk", "-a", "1", "-n", "1:200:300", array);
    // The array's data begin a mebibyte into the member, as mdadm lays it out, and end with it.
    const member = make.write(Buffer.concat([new Uint8Array(1 << 20), readFileSync(array)]));
    expect(() => partx(member)).toThrow("failed to read partition table");
    const found = await read(member);
    expect([found.tables, found.partitions, found.codes]).toEqual([[], [], []]);
  });

  test.each([512, 4096])("a sound table in sectors of %d bytes", async (size) => {
    const image = gpt(() => {}, size);
    const found = await read(image);
    expect(bytes(found)).toEqual(partx(image, size));
    expect(found.partitions).toHaveLength(2);
  });

  test.each<[string, (image: Uint8Array) => void]>([
    ["the first header is wiped", (image) => image.fill(0, 512, 1024)],
    ["the first header has a wrong checksum", (image) => image.fill(0xff, 512 + 56, 512 + 72)],
    ["the first array is wiped", (image) => image.fill(0, 1024, 34 * 512)],
    ["the backup is wiped", (image) => image.fill(0, 999 * 512)],
  ])("%s", async (_, edit) => {
    const image = gpt(edit);
    const found = await read(image);
    expect(bytes(found)).toEqual(partx(image));
    expect(found.partitions).toHaveLength(2);
    expect(found.codes).toHaveLength(1);
  });

  test.each<[string, (image: Uint8Array) => void]>([
    [
      "a second extended partition",
      (image) => {
        putMbr(image, [
          { type: 5, start: 100, sectors: 200 },
          { type: 0xf, start: 400, sectors: 200 },
        ]);
        putMbr(image, [{ start: 10, sectors: 20 }], { lba: 100 });
        putMbr(image, [{ start: 10, sectors: 20 }], { lba: 400 });
      },
    ],
    [
      "four entries in a boot record",
      (image) => {
        putMbr(image, [
          { start: 10, sectors: 5 },
          { type: 5, start: 100, sectors: 500 },
        ]);
        putMbr(
          image,
          [20, 40, 60, 80].map((start) => ({ start, sectors: 10 })),
          { lba: 100 },
        );
      },
    ],
    [
      "a chain that breaks off",
      (image) => {
        putMbr(image, [{ type: 5, start: 100, sectors: 500 }]);
        putMbr(
          image,
          [
            { start: 10, sectors: 5 },
            { type: 5, start: 100, sectors: 50 },
          ],
          { lba: 100 },
        );
      },
    ],
  ])("%s", async (_, edit) => {
    const data = new Uint8Array(1000 * 512);
    edit(data);
    const image = make.write(data);
    const found = await read(image);
    const extended = found.partitions.filter(({ kind }) => kind === "extended").map(({ number }) => number);
    expect(bytes(found)).toEqual(partx(image).filter(([number]) => !extended.includes(number)));
    expect(bytes(found).length).toBeGreaterThan(0);
  });
});

describe("names of types", () => {
  const known = (label: string): string[] =>
    run("sfdisk", "--list-types", "--label", label)
      .split("\n")
      .map((line) => line.trim().split(/\s+/)[0]!)
      .filter((id) => id !== "" && id !== "Id");

  test("each MBR type that has a name here is known to sfdisk", () => {
    const theirs = new Set(known("dos").map((id) => Number.parseInt(id, 16)));
    const ours = Array.from({ length: 256 }, (_, type) => type).filter((type) => mbrTypeName(type) !== undefined);
    expect(ours.filter((type) => !theirs.has(type))).toEqual([]);
    expect(ours.length).toBeGreaterThan(80);
  });

  test("most GPT types that sfdisk knows have a name here", () => {
    const theirs = known("gpt").map((id) => id.toUpperCase());
    const named = theirs.filter((id) => gptTypeName(id) !== undefined);
    expect(named.length).toBeGreaterThan(90);
  });
});

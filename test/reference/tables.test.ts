import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { parseHostImage } from "@guestprobe/boot";
import { ext } from "@guestprobe/ext";
import { GRUB_VERSIONS, GrubSearch, grubPartitionName, listDisk } from "@guestprobe/grub";
import { type Partition, readPartitions } from "@guestprobe/partition";
import { openFileSystem } from "@guestprobe/vfs";
import { afterAll, describe, expect, test } from "vitest";
import { putGpt, putMbr } from "../../packages/partition/test/build.js";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { putAcorn, putAmiga, putApple, putBsd, putDragonFly, putPlan9, putSunPc } from "../lib/disk-labels.js";
import { grubEmuDevices, grubEmuScript, grubEmuSearch } from "../lib/grub-emu.js";
import { DiskMaker } from "../lib/guest-disk.js";

const folder = mkdtempSync(join(tmpdir(), "guestprobe-tables-"));
const make = new DiskMaker(folder);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MIB = 1 << 20;
const SECTORS = (16 * MIB) / 512;
const blank = (): Uint8Array => new Uint8Array(SECTORS * 512);

/** A disk with a label that parted makes, and its own list: number, first sector, sectors. */
function parted(label: string, size: number, ...parts: readonly string[]): { file: string; listed: number[][] } {
  const file = make.file(label);
  writeFileSync(file, "");
  truncateSync(file, size);
  execFileSync("parted", ["-s", file, "mklabel", label]);
  for (const part of parts) execFileSync("parted", ["-s", file, "mkpart", ...part.split(" ")]);
  const text = execFileSync("parted", ["-s", "-m", file, "unit", "s", "print"], { encoding: "utf8" });
  const listed = text
    .split("\n")
    .slice(2)
    .filter((line) => /^\d/.test(line))
    .map((line) =>
      line
        .split(":")
        .slice(0, 4)
        .map((word) => Number(word.replace("s", ""))),
    )
    .map(([number = 0, start = 0, , sectors = 0]) => [number, start, sectors])
    .sort((a, b) => a[0]! - b[0]!);
  return { file, listed };
}

/** Both lists of one disk, in GRUB's order. */
async function lists(file: string): Promise<{ ours: string[]; theirs: string[] }> {
  const { devices } = await listDisk({ name: "hd0", device: bufferDevice(readFileSync(file)) });
  return { ours: devices.map(({ name }) => name), theirs: grubEmuDevices([{ name: "hd0", file }]) };
}

/**
 * What the real GRUB reads in the first sector of each device, after each got its own first sector's number; a nested name
 * cannot be opened.
 */
async function places(file: string): Promise<{ ours: Map<string, string>; theirs: Map<string, string> }> {
  const bytes = readFileSync(file);
  const { devices } = await listDisk({ name: "hd0", device: bufferDevice(bytes) });
  const open = devices.filter(({ partitions, start }) => partitions.length === 1 && start >= 16 * 512);
  const marked = make.edit(make.write(bytes), (copy) => {
    for (const { start } of open) copy.write(`@mark ${start / 512}@`.padEnd(512, "."), start, "latin1");
  });
  const script = open.map(({ name }) => `echo "<${name}"; cat (${name})0+1; echo ">"`);
  const output = grubEmuScript([{ name: "hd0", file: marked }], script.join("\n"));
  const theirs = new Map([...output.matchAll(/<(\S+)\s+@mark (\d+)@/g)].map(([, name = "", at = ""]) => [name, at]));
  return { ours: new Map(open.map(({ name, start }) => [name, String(start / 512)])), theirs };
}

const summary = ({ number, start, length }: Partition): number[] => [number, start / 512, length / 512];

/** What lies there, in GRUB's names. */
async function there(file: string): Promise<{ names: string[]; partitions: readonly Partition[]; codes: string[] }> {
  const log = new FindingLog();
  const { partitions } = await readPartitions(bufferDevice(readFileSync(file)), { nested: "any", report: log.report });
  await expectAsBlkidHasIt(file);
  return { partitions, names: partitions.map(grubPartitionName), codes: log.findings.map(({ code }) => code) };
}

describe("labels that parted makes", () => {
  test.each([
    ["mac", ["primary hfs 1M 8M", "root ext2 8M 14M"]],
    ["sun", ["ext2 8M 24M", "ext2 24M 40M"]],
    ["amiga", ["A ext2 8M 24M", "B ext2 24M 40M"]],
    ["dvh", ["primary ext2 8M 24M", "primary ext2 24M 40M"]],
  ])("%s: parted's places, GRUB's list and order", async (label, parts) => {
    const { file, listed } = parted(label, 64 * MIB, ...parts);
    const { partitions, codes } = await there(file);
    // Of an Apple map, parted leaves out what is free.
    const own = partitions.filter(({ type }) => type.id !== "Apple_Free").map(summary);
    expect(own.sort((a, b) => a[0]! - b[0]!)).toEqual(listed);
    expect(codes).toEqual([]);
    const { ours, theirs } = await lists(file);
    expect(ours).toEqual(theirs);
    expect(ours.length).toBeGreaterThan(2);
    const at = await places(file);
    expect(at.theirs.size).toBeGreaterThan(0);
    expect(at.ours).toEqual(at.theirs);
  });
});

const TWO = [
  { slot: 1, start: 2048, sectors: 4096 },
  { slot: 2, start: 8192, sectors: 4096 },
];

describe("labels written from their systems' headers", () => {
  const cases: readonly (readonly [name: string, write: (disk: Uint8Array) => void, parts: number])[] = [
    ["a BSD label on a disk of its own", (disk) => putBsd(disk, [...TWO, { slot: 5, start: 16384, sectors: 100 }]), 3],
    [
      "a BSD label of sixteen slots",
      (disk) => putBsd(disk, [...TWO, { slot: 16, start: 16384, sectors: 9 }], { slots: 16 }),
      3,
    ],
    [
      "OpenBSD in its MBR partition",
      (disk) => {
        putMbr(disk, [{ type: 0xa6, start: 1024, sectors: 30000 }]);
        putBsd(disk, [...TWO, { slot: 9, start: 16384, sectors: 100 }], { sector: 1024, slots: 16 });
      },
      4,
    ],
    [
      "NetBSD in its MBR partition, beside Linux",
      (disk) => {
        putMbr(disk, [
          { start: 30_100, sectors: 100 },
          { type: 0xa9, start: 1024, sectors: 29000 },
        ]);
        putBsd(disk, TWO, { sector: 1024, slots: 16 });
      },
      4,
    ],
    ["DragonFly's disklabel64", (disk) => putDragonFly(disk, [...TWO, { slot: 4, start: 16384, sectors: 64 }]), 3],
    [
      "Solaris on a PC",
      (disk) =>
        putSunPc(disk, [
          ...TWO,
          { slot: 3, start: 0, sectors: 30000, type: 5 },
          { slot: 8, start: 16384, sectors: 64 },
        ]),
      3,
    ],
    ["Plan 9", (disk) => putPlan9(disk, TWO), 2],
    ["Linux on Acorn", (disk) => putAcorn(disk, TWO, 64), 2],
    ["Amiga", (disk) => putAmiga(disk, TWO), 2],
    [
      "an Apple map of 2048-byte blocks",
      (disk) =>
        putApple(
          disk,
          [{ slot: 1, start: 4, sectors: 8 }, ...TWO.map((part) => ({ ...part, slot: part.slot + 1 }))],
          2048,
        ),
      3,
    ],
  ];
  test.each(cases)("%s", async (_, write, parts) => {
    const disk = blank();
    write(disk);
    const file = make.write(disk);
    const { ours, theirs } = await lists(file);
    expect(ours).toEqual(theirs);
    expect(ours).toHaveLength(parts + 1);
    const at = await places(file);
    expect(at.theirs.size).toBeGreaterThan(0);
    expect(at.ours).toEqual(at.theirs);
    // What is there has the same names: GRUB takes all of these.
    const { names, codes } = await there(file);
    expect(names.map((name) => `hd0,${name}`).sort()).toEqual(ours.slice(1).sort());
    expect(codes).toEqual([]);
  });
});

/** The maps of a list of devices, each once, in the order of the list. */
const mapsOf = (names: readonly string[]): string[] => [
  ...new Set(names.flatMap((name) => /,([a-z]+)\d+$/.exec(name)?.[1] ?? [])),
];

/**
 * The order in which a search comes to these maps under Debian's image: that in which their modules are loaded, since the last
 * one registered is asked first, and what is found last is visited first.
 */
function loadedMaps(maps: readonly string[]): string[] {
  const image = parseHostImage(new Uint8Array(readFileSync("/usr/lib/grub-xen/grub-x86_64-xen.bin")));
  const names = image.modules.map(({ name }) => name.replace(/^part_/, ""));
  return [...maps].sort((a, b) => names.indexOf(a) - names.indexOf(b));
}

describe("several tables on one disk: each contributes, in GRUB's order", () => {
  test("an MBR, an Apple map, Solaris, Amiga and Acorn at once", async () => {
    const disk = blank();
    putApple(
      disk,
      [
        { slot: 1, start: 20000, sectors: 8 },
        { slot: 2, start: 20008, sectors: 8 },
      ],
      2048,
    );
    putMbr(disk, [
      { start: 2048, sectors: 64 },
      { start: 3000, sectors: 64 },
    ]);
    putSunPc(disk, [{ slot: 2, start: 4000, sectors: 64 }]);
    putAcorn(disk, [{ slot: 1, start: 6000, sectors: 64 }], 64);
    putAmiga(disk, [{ slot: 1, start: 8000, sectors: 64 }], 10);
    const file = make.write(disk);
    const { ours, theirs } = await lists(file);
    // The modules of grub-emu stand in another order than those of Debian's images, which is what decides.
    expect([...ours].sort()).toEqual([...theirs].sort());
    expect(mapsOf(ours)).toEqual(loadedMaps(mapsOf(ours)));
    expect(mapsOf(theirs)).not.toEqual(mapsOf(ours));
    expect(new Set(ours.map((name) => /[a-z]+(?=\d+$)/.exec(name)?.[0]))).toEqual(
      new Set(["hd", "apple", "msdos", "sunpc", "acorn", "amiga"]),
    );
    expect((await there(file)).names.map((name) => `hd0,${name}`).sort()).toEqual(ours.slice(1).sort());
  });
});

describe("tables inside partitions", () => {
  const nested: readonly (readonly [name: string, write: (disk: Uint8Array) => void, names: readonly string[]])[] = [
    [
      "FreeBSD's label that counts from its partition",
      (disk) => {
        putMbr(disk, [
          { start: 30_000, sectors: 100 },
          { type: 0xa5, start: 1024, sectors: 20_000 },
        ]);
        putBsd(
          disk,
          [
            { slot: 1, start: 16, sectors: 4096 },
            { slot: 5, start: 8192, sectors: 100 },
          ],
          { sector: 1024 },
        );
      },
      ["msdos1", "msdos2", "msdos2,bsd1", "msdos2,bsd5"],
    ],
    [
      "FreeBSD's label that counts from the disk",
      (disk) => {
        putMbr(disk, [{ type: 0xa5, start: 1024, sectors: 20_000 }]);
        putBsd(
          disk,
          [
            { slot: 1, start: 1040, sectors: 4096 },
            { slot: 6, start: 9216, sectors: 100 },
          ],
          { sector: 1024, whole: 1024 },
        );
      },
      ["msdos1", "msdos1,bsd1", "msdos1,bsd6"],
    ],
    [
      "MINIX, which counts from the disk",
      (disk) => {
        putMbr(disk, [{ type: 0x81, start: 1024, sectors: 20_000 }]);
        putMbr(
          disk,
          [
            { type: 0x81, start: 2048, sectors: 512 },
            { type: 0x81, start: 4096, sectors: 512 },
          ],
          { lba: 1024 },
        );
      },
      ["msdos1", "msdos1,msdos1", "msdos1,msdos2"],
    ],
    [
      "an MBR in a partition of a GPT",
      (disk) => {
        putGpt(disk, { entries: [{ slot: 2, first: 2048, last: 20_000 }] });
        putMbr(
          disk,
          [
            { start: 64, sectors: 512 },
            { type: 5, start: 1024, sectors: 2048 },
          ],
          { lba: 2048 },
        );
        putMbr(disk, [{ start: 8, sectors: 64 }], { lba: 3072 });
      },
      ["gpt2", "gpt2,msdos1", "gpt2,msdos5"],
    ],
    [
      "Solaris in its MBR partition",
      (disk) => {
        putMbr(disk, [{ type: 0xbf, start: 1024, sectors: 20_000 }]);
        putSunPc(
          disk,
          [
            { slot: 1, start: 64, sectors: 512 },
            { slot: 8, start: 1024, sectors: 64 },
          ],
          1024,
        );
      },
      ["msdos1", "msdos1,sunpc1", "msdos1,sunpc8"],
    ],
    [
      "a GPT in a logical partition",
      (disk) => {
        putMbr(disk, [{ type: 5, start: 1024, sectors: 30_000 }]);
        putMbr(disk, [{ start: 1024, sectors: 20_000 }], { lba: 1024 });
        const inner = new Uint8Array(20_000 * 512);
        putGpt(inner, { entries: [{ slot: 3, first: 2048, last: 4096 }] });
        disk.set(inner, 2048 * 512);
      },
      ["msdos5", "msdos5,gpt3"],
    ],
    [
      "DragonFly in its MBR partition",
      (disk) => {
        putMbr(disk, [{ type: 0x6c, start: 1024, sectors: 20_000 }]);
        putDragonFly(
          disk,
          [
            { slot: 1, start: 64, sectors: 512 },
            { slot: 4, start: 1024, sectors: 64 },
          ],
          1024,
        );
      },
      ["msdos1", "msdos1,dfly1", "msdos1,dfly4"],
    ],
  ];
  test.each(nested)("%s", async (_, write, expected) => {
    const disk = blank();
    write(disk);
    const file = make.write(disk);
    const { ours, theirs } = await lists(file);
    expect(ours).toEqual(theirs);
    const found = await there(file);
    const names = found.partitions.filter(({ kind }) => kind !== "extended").map(grubPartitionName);
    expect(names.sort()).toEqual([...expected].sort());
    expect(found.codes).toEqual([]);
    // GRUB's devices and ours begin at the same bytes.
    const { devices } = await listDisk({ name: "hd0", device: bufferDevice(disk) });
    for (const { name, start } of devices.slice(1)) {
      expect(found.partitions.find((part) => `hd0,${grubPartitionName(part)}` === name)?.start, name).toBe(start);
    }
  });

  test("one that passes its parent is left out by GRUB, and is a finding", async () => {
    const disk = blank();
    putMbr(disk, [{ type: 0xa5, start: 1024, sectors: 4096 }]);
    putBsd(
      disk,
      [
        { slot: 1, start: 16, sectors: 1024 },
        { slot: 2, start: 2048, sectors: 8192 },
      ],
      { sector: 1024 },
    );
    const file = make.write(disk);
    const { ours, theirs } = await lists(file);
    expect(ours).toEqual(theirs);
    expect(ours).toEqual(["hd0", "hd0,msdos1,bsd1", "hd0,msdos1"]);
    const { names, codes } = await there(file);
    expect(names).toEqual(["msdos1", "msdos1,bsd1", "msdos1,bsd2"]);
    expect(codes).toEqual(["part-outside-parent"]);
  });
});

describe("search in them", () => {
  const CFG = "/boot/grub/grub.cfg";
  const volume = make.ext({ size: MIB, tree: { [CFG]: "menuentry guest { true }\n" } });
  const searchOf = (file: string, version?: keyof typeof GRUB_VERSIONS) =>
    new GrubSearch([{ name: "hd0", device: bufferDevice(readFileSync(file)) }], {
      openVolume: (device) => openFileSystem(device, [ext]),
      ...(version === undefined ? {} : { version: GRUB_VERSIONS[version] }),
    });

  test("the file is found on labels at the top, in GRUB's order", async () => {
    const disk = blank();
    putMbr(disk, [{ type: 0xa6, start: 1024, sectors: 30_000 }]);
    putBsd(disk, TWO, { sector: 1024, slots: 16 });
    for (const { start } of TWO) disk.set(volume, start * 512);
    const file = make.write(disk);
    const [theirs] = grubEmuSearch([{ name: "hd0", file }], [{ by: "file", name: CFG }]);
    const { hits } = await searchOf(file).search({ by: "file", name: CFG });
    expect(hits.map(({ device }) => device)).toEqual(theirs);
    expect(theirs).toEqual(["hd0,openbsd2", "hd0,openbsd1"]);
  });

  test("a nested name is listed, and opened by the versions that can", async () => {
    const disk = blank();
    putMbr(disk, [{ type: 0xa5, start: 1024, sectors: 20_000 }]);
    putBsd(disk, [{ slot: 5, start: 8192, sectors: 4096 }], { sector: 1024 });
    disk.set(volume, (1024 + 8192) * 512);
    const file = make.write(disk);
    const [theirs] = grubEmuSearch([{ name: "hd0", file }], [{ by: "file", name: CFG }]);
    const old = await searchOf(file).search({ by: "file", name: CFG });
    expect(old.hits.map(({ device }) => device)).toEqual(theirs);
    expect(theirs).toEqual([]);
    expect(old.hidden).toMatchObject([{ device: "hd0,msdos1,bsd5", code: "grub-nested-name" }]);
    const redHat = await searchOf(file, "redhat-2.12").search({ by: "file", name: CFG });
    expect(redHat.hits).toEqual([]);
    const released = await searchOf(file, "2.12").search({ by: "file", name: CFG });
    expect(released.hits.map(({ device }) => device)).toEqual(["hd0,msdos1,bsd5"]);
  });
});

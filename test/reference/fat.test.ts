/**
 * FAT: volumes of mkfs.fat filled by mtools, as Linux's vfat shows them, against what the reader shows. The host's kernel need
 * not know vfat: all volumes are mounted in one emulated guest.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, FindingLog } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { fat } from "@guestprobe/fat";
import { GrubSearch } from "@guestprobe/grub";
import { type Entry, openFileSystem, resolve } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { BOOT_PATHS, probeBootPaths } from "../lib/boot-probe.js";
import { pattern } from "../lib/ext-tree.mjs";
import { copyIn, makeFat, makeFolder, remove, setAttributes, writeFat } from "../lib/fat-images.mjs";
import { FAT_NAMES } from "../lib/fat-tree.mjs";
import { guestViews } from "../lib/guest-view.mjs";
import { run } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";

/** Names in UTF-8, times as they are stored, and what Debian's kernel does by default said aloud. */
const OPTIONS = "codepage=437,iocharset=ascii,utf8,tz=UTC,shortname=mixed,umask=022";
const MODULES = ["vfat", "nls_cp437", "nls_ascii", "nls_utf8"];

interface Shape {
  readonly name: string;
  readonly bits: 12 | 16 | 32;
  readonly perCluster: number;
  readonly size: string;
  readonly sector?: number;
  readonly many?: number;
}

const KIB_PER_SECTOR = { 12: 1500, 16: 6000, 32: 34_000 } as const;
/** Every size of cluster for every type: from 1 to 64 sectors. FAT32 has at least 65,525 clusters by the book. */
const SHAPES: readonly Shape[] = [
  ...([12, 16, 32] as const).flatMap((bits) =>
    [1, 2, 4, 8, 16, 32, 64].map((perCluster) => ({
      name: `FAT${bits}, ${perCluster} sectors a cluster`,
      bits,
      perCluster,
      size: `${KIB_PER_SECTOR[bits] * perCluster}K`,
      many: bits === 32 && perCluster === 8 ? 4000 : 0,
    })),
  ),
  { name: "FAT16, sectors of 4096 bytes", bits: 16, perCluster: 1, size: "64M", sector: 4096 },
  { name: "FAT32, sectors of 2048 bytes", bits: 32, perCluster: 2, size: "300M", sector: 2048 },
];

let folder = "";
const image = ({ name }: Shape): string => join(folder, `${name}.img`);
const views = new Map<string, Entry[]>();

/** Mtools goes on behind the cluster that FSInfo names, and would not go back into the holes: FSI_Nxt_Free becomes "unknown". */
function forgetNextFree(path: string, sector: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(4, 0xff), 0, 4, sector + 492);
  closeSync(file);
}

/** What mtools can write: names, sizes round the cluster, attributes, a file in the holes that others left. */
function fill(shape: Shape): void {
  const { perCluster, sector = 512, many = 0 } = shape;
  const clusterSize = perCluster * sector;
  const path = image(shape);
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "boot/grub"), { recursive: true });
  writeFileSync(join(tree, "boot/grub/grub.cfg"), "set timeout=5\n");
  mkdirSync(join(tree, "Names"));
  // The host's own file system has no longer names; those of 255 letters of Unicode are in the fixtures. And on FAT, NOEXT and
  // noext are one.
  const names = FAT_NAMES.filter((name: string) => Buffer.byteLength(name) <= 255 && name !== "noext");
  for (const [n, name] of names.entries()) writeFileSync(join(tree, "Names", name), `${n}`);
  mkdirSync(join(tree, "sizes"));
  for (const size of [0, 1, clusterSize - 1, clusterSize, clusterSize + 1, 5 * clusterSize]) {
    writeFileSync(join(tree, "sizes", `s${size}`), pattern(size, size));
  }
  mkdirSync(join(tree, "holes"));
  for (let n = 0; n < 16; n += 1) writeFileSync(join(tree, "holes", `h${n}`), pattern(clusterSize, n));
  if (many > 0) {
    mkdirSync(join(tree, "many"));
    // Few of the long ones: for each, mtools looks for a short name that is free, from the first on.
    const nameOf = (n: number): string => (n % 8 === 0 ? `entry number ${n}` : `e${n}.txt`);
    for (let n = 0; n < many; n += 1) writeFileSync(join(tree, "many", nameOf(n)), "");
  }
  copyIn(path, "::/", ...["boot", "sizes", "holes", ...(many > 0 ? ["many"] : [])].map((name) => join(tree, name)));
  // In this order: LONGNA~1.TXT is taken once it is somebody's short name.
  makeFolder(path, "::/Names");
  copyIn(path, "::/Names/", ...names.map((name: string) => join(tree, "Names", name)));
  remove(path, ...Array.from({ length: 8 }, (_, n) => `::/holes/h${2 * n}`));
  if (shape.bits === 32) forgetNextFree(path, sector);
  writeFat(path, "::/holes/fragmented", pattern(7 * clusterSize - 5, 9));
  setAttributes(path, "+r", "+h", "+s", "::/boot/grub/grub.cfg");
  makeFolder(path, "::/empty");
  rmSync(tree, { recursive: true });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-fat-"));
  for (const shape of SHAPES) {
    makeFat(image(shape), { ...shape, label: "A LABEL" });
    fill(shape);
  }
  const volumes = SHAPES.map((shape) => ({ image: image(shape), type: "vfat", options: OPTIONS }));
  const all = (await guestViews(volumes, MODULES)) as Entry[][];
  for (const [index, shape] of SHAPES.entries()) views.set(shape.name, all[index]!);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(SHAPES.map((shape) => [shape.name, shape] as const))("%s", (name, shape) => {
  test("as Linux shows it", async () => {
    await using device = await openFile(image(shape));
    const log = new FindingLog();
    const fs = await fat.open(cachedDevice(device), { report: log.report });
    expect(fs.features).toEqual([`FAT${shape.bits}`]);
    expect(fs.blockSize).toBe(shape.perCluster * (shape.sector ?? 512));
    // Linux makes inode numbers of vfat up as it goes.
    const entries = views.get(name)!.map(({ ino: _ino, ...entry }) => entry);
    expect(entries.length).toBeGreaterThan(40 + (shape.many ?? 0));
    const expected = { kind: "vfat", label: "A LABEL", uuid: "1234-ABCD", entries };
    for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
    expect(log.findings).toEqual([]);
    // The matrix is worth nothing if mtools put the file in one piece.
    const runs: unknown[] = [];
    for await (const batch of (await resolve(fs, "/holes/fragmented"))!.inode.extents()) runs.push(...batch);
    expect(runs.length).toBeGreaterThan(1);
  });

  test("label and serial as blkid reads them", async () => {
    const [label, uuid] = ["LABEL", "UUID"].map((key) =>
      run("blkid", ["-p", "-o", "value", "-s", key, image(shape)]).trim(),
    );
    expect([label, uuid]).toEqual(["A LABEL", "1234-ABCD"]);
    await expectAsBlkidHasIt(image(shape));
  });
});

test("the eight boot paths cost at most 16 reads and 1 MiB, through GRUB's search too", async () => {
  const shape: Shape = { name: "boot", bits: 32, perCluster: 8, size: "1G" };
  makeFat(image(shape), shape);
  const tree = join(folder, "boot-tree");
  for (const path of BOOT_PATHS) {
    mkdirSync(join(tree, path, ".."), { recursive: true });
    writeFileSync(join(tree, path), path);
  }
  for (let n = 0; n < 400; n += 1) writeFileSync(join(tree, "boot/grub", `module-${n}.mod`), "");
  copyIn(image(shape), "::/", ...["boot", "xen", "grub"].map((name) => join(tree, name)));
  await using device = await openFile(image(shape));
  const { hits, stats } = await probeBootPaths(device, fat);
  expect(hits).toEqual([...BOOT_PATHS]);
  expect(stats.reads).toBeLessThanOrEqual(16);
  expect(stats.bytes).toBeLessThanOrEqual(1 << 20);

  const counted = countReads(device);
  const search = new GrubSearch([{ name: "xen/xvda", device: cachedDevice(counted) }], {
    openVolume: (volume) => openFileSystem(volume, [fat]),
  });
  for (const name of BOOT_PATHS) expect((await search.search({ by: "file", name })).hits).toHaveLength(1);
  expect(counted.stats.reads).toBeLessThanOrEqual(16);
  expect(counted.stats.bytes).toBeLessThanOrEqual(1 << 20);
});

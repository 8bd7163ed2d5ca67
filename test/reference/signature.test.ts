import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { type BlockDevice, bufferDevice, countReads, type ReadStats } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { openImage } from "@guestprobe/image";
import { identify, SIGNATURES, wantedRegions } from "@guestprobe/signature";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BlkidCheck } from "../lib/blkid.js";
import { corpus } from "../lib/corpora.js";
import { imageFixtures, unpackImage } from "../lib/image-fixtures.js";
import { writeDevice } from "../lib/seen-devices.js";
import { makeSample, SIGNATURE_SAMPLES } from "../lib/signature-samples.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-signature-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What blkid says nothing of, or not this. */
const check = new BlkidCheck([
  {
    name: "reiserfs-jr",
    theirs: {},
    ours: {
      TYPE: "reiserfs",
      USAGE: "filesystem",
      LABEL: "jr",
      UUID: "01234567-89ab-cdef-0123-456789abcdef",
      VERSION: "JR",
    },
    why: "without a journal of its own, the superblock looks like a copy inside of one to blkid",
  },
  {
    name: "bcachefs",
    theirs: {},
    ours: {
      TYPE: "bcachefs",
      USAGE: "filesystem",
      LABEL: "copy on write",
      UUID: "01234567-89ab-cdef-0123-456789abcdef",
      VERSION: "1024",
    },
    why: "the format is younger than the blkid of Debian 12",
  },
  ...(corpus("btrfs").length === 0
    ? []
    : [
        {
          name: "corpora: btrfs/fuzz-bad-superblock-2.img.gz",
          theirs: {},
          ours: { TYPE: "btrfs", USAGE: "filesystem" },
          why: "blkid asks no device of less than 1 MiB; an image that was cut off is named all the same",
        },
      ]),
]);

/** Samples that are kept as fixtures, for the tests that run without any tool: small, and with a label away from the start. */
const KEPT = new Set([
  "exfat",
  "fat12",
  "fat16-no-label",
  "fat32",
  "hfs",
  "hfsplus",
  "iso9660-joliet",
  "ntfs",
  "swap",
  "udf-512",
  "udf-bridge",
]);

function keepFixture(name: string, file: string, expected: Record<string, string>): void {
  const base = fileURLToPath(new URL(`../fixtures/signature/${name}`, import.meta.url));
  mkdirSync(dirname(base), { recursive: true });
  writeFileSync(`${base}.img.gz`, gzipSync(readFileSync(file), { level: 9 }));
  writeFileSync(`${base}.json`, `${JSON.stringify(expected, null, 2)}\n`);
}

const seen = new Set<string>();

describe("each sample is named as blkid names it", () => {
  test.each(SIGNATURE_SAMPLES.map((sample) => [sample.name, sample] as const))("%s", async (name, sample) => {
    const file = makeSample(sample, folder);
    const [whole] = await check.compare(name, file);
    const { ours, theirs, all } = whole!;
    expect(ours.TYPE, "something is known").toBeDefined();
    seen.add(ours.TYPE!);
    expect(all.map(({ problem }) => problem)).toEqual(all.map(() => undefined));
    if (process.env.GUESTPROBE_UPDATE === "1" && KEPT.has(sample.name)) keepFixture(sample.name, file, theirs);
    await using device = await openFile(file);
    const { reads, bytes } = await costOf(device);
    const regions = wantedRegions(device.size);
    // What tells the format, and at most a dozen small reads for a label that lies elsewhere.
    expect(regions.length).toBeLessThanOrEqual(5);
    expect(reads).toBeLessThanOrEqual(regions.length + 12);
    expect(bytes).toBeLessThan(1 << 20);
    for (const name of [file, join(folder, sample.name)]) rmSync(name, { force: true });
  });

  test("there is a sample of every kind that is told", () => {
    expect(SIGNATURES.map(({ kind }) => kind).filter((kind) => !seen.has(kind))).toEqual([]);
  });
});

async function costOf(device: BlockDevice): Promise<ReadStats> {
  const counted = countReads(device);
  await identify(counted);
  return counted.stats;
}

const fixtureRoot = fileURLToPath(new URL("../fixtures/", import.meta.url));
/** Every image that lies in the repository, volumes, disks and containers; and those that others collected, where they are. */
const IMAGES: readonly (readonly [string, () => Uint8Array])[] = [
  ...readdirSync(fixtureRoot, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".gz"))
    .map((name) => [name, () => new Uint8Array(gunzipSync(readFileSync(fixtureRoot + name)))] as const),
  ...[...corpus("ext"), ...corpus("btrfs")].map(({ name, bytes }) => [`corpora: ${name}`, bytes] as const),
];

async function compareBytes(name: string, bytes: Uint8Array): Promise<void> {
  const file = join(folder, "image");
  writeDevice(file, bytes.length, [[0, bytes]]);
  await check.compare(name, file);
}

describe("each image is named as blkid names it, with its partitions", () => {
  test.each(IMAGES)("%s", (name, bytes) => compareBytes(name, bytes()));
  test("the sample guest", async () => {
    const before = check.count;
    await check.compare("sample", fileURLToPath(new URL("../../sample/guest.img", import.meta.url)));
    expect(check.count - before).toBeGreaterThan(3);
  });
  test.each(imageFixtures.map(({ name, expected }) => [name, expected] as const))(
    "the disk in %s",
    async (name, { files }) => {
      const resolve = async (file: string) => (files.includes(file) ? bufferDevice(unpackImage(file)) : undefined);
      const { device } = await openImage(bufferDevice(unpackImage(name)), { resolve });
      await compareBytes(`disk in ${name}`, await device.read(0, device.size));
    },
  );
});

test("nothing where there is nothing: zeros, noise, and files too small for any superblock", async () => {
  for (const [name, bytes] of [
    ["zeros", new Uint8Array(1 << 20)],
    ["ones", new Uint8Array(1 << 20).fill(0xff)],
    ["tiny", new Uint8Array(1024)],
    ["empty", new Uint8Array(0)],
  ] as const) {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    await using device = await openFile(file);
    expect(await identify(device), name).toEqual([]);
    await check.compare(name, file);
  }
  const noise = join(folder, "noise");
  execFileSync("sh", ["-c", 'head -c 4194304 /dev/urandom >"$0"', noise]);
  await check.compare("noise", noise);
});

test("each explained difference was met", () => expect(check.unmet).toEqual([]));

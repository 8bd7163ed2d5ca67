import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { countReads, decodeText } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { identify, type Signature, wantedRegions } from "@guestprobe/signature";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixtures } from "../lib/fixtures.js";
import { blkid, makeSample, SIGNATURE_SAMPLES } from "../lib/signature-samples.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-signature-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In blkid's names, and what was read for it. */
async function ours(
  file: string,
): Promise<{ answer: Record<string, string>; reads: number; bytes: number; all: readonly Signature[] }> {
  await using device = await openFile(file);
  const counted = countReads(device);
  const all = await identify(counted);
  const [first] = all;
  const answer: Record<string, string> = {};
  if (first !== undefined) {
    answer.TYPE = first.kind;
    answer.USAGE = first.usage;
    if (first.label.length > 0) answer.LABEL = decodeText(first.label);
    if (first.uuid !== undefined) answer.UUID = first.uuid;
    if (first.version !== undefined) answer.VERSION = first.version;
  }
  return { answer, all, reads: counted.stats.reads, bytes: counted.stats.bytes };
}

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

describe("each sample is named as blkid names it", () => {
  test.each(SIGNATURE_SAMPLES.map((sample) => [sample.name, sample] as const))("%s", async (_, sample) => {
    const file = makeSample(sample, folder);
    const theirs = blkid(file);
    const { answer, all, reads, bytes } = await ours(file);
    if (sample.known === undefined) {
      expect(theirs.TYPE, "blkid knows it").toBeDefined();
      expect(answer).toEqual(theirs);
    } else {
      expect(theirs).toEqual({});
      expect(answer).toMatchObject(sample.known);
    }
    expect(all.map(({ problem }) => problem)).toEqual(all.map(() => undefined));
    if (process.env.GUESTPROBE_UPDATE === "1" && KEPT.has(sample.name)) keepFixture(sample.name, file, theirs);
    const { size } = await openSize(file);
    const regions = wantedRegions(size);
    // What tells the format, and at most a dozen small reads for a label that lies elsewhere.
    expect(regions.length).toBeLessThanOrEqual(5);
    expect(reads).toBeLessThanOrEqual(regions.length + 12);
    expect(bytes).toBeLessThan(1 << 20);
    for (const name of [file, join(folder, sample.name)]) rmSync(name, { force: true });
  });
});

async function openSize(file: string): Promise<{ size: number }> {
  await using device = await openFile(file);
  return { size: device.size };
}

describe("each fixture is named as blkid names it", () => {
  const folders = ["btrfs", "ext", "ext-casefold", "ext-encrypted", "squashfs", "xfs", "partition"];
  const all = folders.flatMap((format) =>
    fixtures(format).map((fixture) => [`${format}/${fixture.name}`, fixture] as const),
  );
  test.each(all)("%s", async (name, fixture) => {
    const file = join(folder, name.replaceAll("/", "-"));
    writeFileSync(file, fixture.image());
    const theirs = blkid(file);
    const { answer } = await ours(file);
    // The members of a btrfs volume differ in a way that is the reader's to tell.
    expect(answer).toEqual(theirs);
    rmSync(file);
  });
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
    expect((await ours(file)).answer, name).toEqual({});
  }
  const noise = join(folder, "noise");
  execFileSync("sh", ["-c", 'head -c 4194304 /dev/urandom >"$0"', noise]);
  expect((await ours(noise)).answer).toEqual(blkid(noise));
});

/** btrfs over two devices: a mirror as the kernel showed it, with a member missing, stale, short, damaged or of no volume. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type BlockDevice, bufferDevice, decodeText, FindingLog, sliceDevice } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { btrfs_super_block } from "@guestprobe/btrfs/layout";
import { type OpenOptions, readFile, resolve } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

const read = (name: string): Buffer => readFileSync(new URL(`./fixtures/btrfs-mirror/${name}`, import.meta.url));
const unpack = (name: string): Uint8Array => new Uint8Array(gunzipSync(read(`${name}.gz`)));
const expected = JSON.parse(read("expected.json").toString()) as ExpectedVolume;
const [one, two, before] = ["one", "two", "two-before"].map(unpack) as [Uint8Array, Uint8Array, Uint8Array];

/** Opens the mirror by its first device, reads all of it, and tells the findings. */
async function conform(first: Uint8Array, members: readonly BlockDevice[], options: OpenOptions = {}) {
  const log = new FindingLog();
  const fs = await btrfs.open(bufferDevice(first), { members, report: log.report, verify: true, ...options });
  const devices = [bufferDevice(first), ...members];
  for (const { run } of conformanceCases(expected, { devices, sha256 })) await run(fs);
  return { fs, findings: log.findings, codes: [...new Set(log.findings.map(({ code }) => code))] };
}

describe("whole", () => {
  test("from either device, with nothing to tell", async () => {
    for (const [first, second] of [
      [one, two],
      [two, one],
    ] as const) {
      const { fs, codes } = await conform(first, [bufferDevice(second)]);
      expect(codes).toEqual([]);
      expect(fs.devices.map(({ devid, index, isSeed }) => [devid, index, isSeed])).toEqual(
        first === one
          ? [
              [1, 0, false],
              [2, 1, false],
            ]
          : [
              [1, 1, false],
              [2, 0, false],
            ],
      );
    }
  });

  test("devices of another volume, of none, and cut off, are passed over", async () => {
    const stranger = bufferDevice(
      fixtures("btrfs")
        .find(({ name }) => name === "subvolumes")!
        .image(),
    );
    const { codes } = await conform(one, [stranger, bufferDevice(new Uint8Array(1 << 20)), bufferDevice(two)]);
    expect(codes).toEqual([]);
  });
});

describe("with a member missing", () => {
  test("the other holds all of it", async () => {
    for (const [first, devid] of [
      [one, 2],
      [two, 1],
    ] as const) {
      const { findings } = await conform(first, []);
      expect(findings.map(({ code }) => code)).toEqual(["btrfs-member-missing"]);
      expect(findings[0]!.message).toMatch(new RegExp(`^device ${devid} \\(.*\\) was not given; the others hold all`));
    }
  });

  test("a superblock that counts more devices than the volume has", async () => {
    const copy = one.slice();
    const at = 0x1_0000;
    new DataView(copy.buffer).setBigUint64(at + btrfs_super_block.$fields.num_devices.offset, 3n, true);
    const log = new FindingLog();
    await btrfs.open(bufferDevice(copy), { members: [bufferDevice(two)], checksums: "ignore", report: log.report });
    expect(log.findings).toMatchObject([{ code: "btrfs-device-count", field: "num_devices" }]);
  });
});

test("a member that missed the last changes is told, and read last", async () => {
  const { findings, fs } = await conform(one, [bufferDevice(before)]);
  expect(findings.map(({ code }) => code)).toContain("btrfs-member-stale");
  expect(findings.find(({ code }) => code === "btrfs-member-stale")!.message).toMatch(/^device 2 is of generation \d+/);
  expect(decodeText(fs.label!)).toBe("mirror");
  // Opened by the stale one, the newer superblock is taken all the same.
  const swapped = await conform(before, [bufferDevice(one)]);
  expect(swapped.codes).toContain("btrfs-member-stale");
  expect(swapped.findings.find(({ code }) => code === "btrfs-member-stale")!.offset).toBe(0x1_0000);
});

test("a member that is shorter than the volume says", async () => {
  const short = sliceDevice(bufferDevice(two), 0, two.length - (1 << 20));
  const { findings } = await conform(one, [short]);
  expect(findings).toMatchObject([{ code: "btrfs-device-short", structure: "btrfs_dev_item", field: "total_bytes" }]);
});

describe("with damaged data on one of the two", () => {
  const after = expected.entries.find(({ path }) => path === "/dir/after")!;
  const spoiled = async (image: Uint8Array): Promise<Uint8Array> => {
    const fs = await btrfs.open(bufferDevice(one), { members: [bufferDevice(two)] });
    const inode = (await resolve(fs, "/dir/after"))!.inode;
    const copy = image.slice();
    const wanted = Buffer.from(await readFile(inode));
    const place = Buffer.from(copy).indexOf(wanted.subarray(4096, 4200));
    expect(place).toBeGreaterThan(0);
    copy.fill(0xee, place, place + 50);
    return copy;
  };

  const content = async (first: Uint8Array, second: Uint8Array) => {
    const log = new FindingLog();
    const options = { members: [bufferDevice(second)], report: log.report, verify: true };
    const fs = await btrfs.open(bufferDevice(first), options);
    const data = await readFile((await resolve(fs, "/dir/after"))!.inode);
    return { sum: await sha256([data]), findings: log.findings };
  };

  test("the other copy is read, and the finding says where the bad one lies", async () => {
    const { sum, findings } = await content(await spoiled(one), two);
    expect(sum).toBe(after.sha256);
    expect(findings).toMatchObject([{ code: "btrfs-bad-copy", offset: expect.any(Number) as number }]);
    // The first copy is sound: the second is not looked at.
    expect(await content(one, await spoiled(two))).toEqual({ sum: after.sha256, findings: [] });
  });

  test("both bad: an error with its place, unless it is only to be reported", async () => {
    const [first, second] = [await spoiled(one), await spoiled(two)];
    const log = new FindingLog();
    const members = [bufferDevice(second)];
    const fs = await btrfs.open(bufferDevice(first), {
      members,
      report: log.report,
      verify: true,
      checksums: "require",
    });
    const inode = (await resolve(fs, "/dir/after"))!.inode;
    await expect(readFile(inode)).rejects.toMatchObject({ code: "bad-checksum", format: "btrfs" });
    const lenient = await btrfs.open(bufferDevice(first), { members, report: log.report, verify: true });
    const data = await readFile((await resolve(lenient, "/dir/after"))!.inode);
    expect(data.length).toBe(after.size);
    expect(log.findings.map(({ code }) => code)).toContain("btrfs-bad-data");
  });
});

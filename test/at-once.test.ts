/** A device that answers at once is read in other ways than one that waits: what a walk finds must be the same. */
import { createHash } from "node:crypto";
import {
  type BlockDevice,
  cachedDevice,
  checkRange,
  countReads,
  type Finding,
  ImageError,
  isImageError,
  type ReadStats,
} from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { BOOT_PROBE_PATHS } from "@guestprobe/grub";
import { type FileSystemFormat, type Inode, resolve, walkAll } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { describe, expect, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";
import { Random } from "./lib/random.js";

const FORMATS: readonly (readonly [string, FileSystemFormat])[] = [
  ["ext", ext],
  ["xfs", xfs],
  ["btrfs", btrfs],
];

/** Bytes that cannot be read. */
type BadRange = readonly [from: number, to: number];

function readOf(data: Uint8Array, bad: BadRange | undefined) {
  return (offset: number, length: number): Uint8Array => {
    checkRange(data.length, offset, length);
    if (bad !== undefined && offset < bad[1] && bad[0] < offset + length) {
      throw new ImageError("io", "a bad sector", { offset: bad[0] });
    }
    return data.slice(offset, offset + length);
  };
}

const waiting = (data: Uint8Array, bad?: BadRange): BlockDevice => {
  const bytes = readOf(data, bad);
  return { size: data.length, read: async (offset, length) => bytes(offset, length) };
};

const atOnce = (data: Uint8Array, bad?: BadRange): BlockDevice => {
  const bytes = readOf(data, bad);
  return {
    ...waiting(data, bad),
    readNow: (offset, length, into) => {
      into.set(bytes(offset, length));
      return into;
    },
  };
};

const failureOf = (error: unknown): unknown => {
  if (!isImageError(error)) throw error;
  return [error.code, error.reason, error.offset];
};

async function factsOf(inode: Inode): Promise<unknown> {
  const { ino, type, mode, uid, gid, size, nlink, mtimeNs } = inode.stat;
  const stat = [ino, type, mode, uid, gid, size, nlink, mtimeNs, inode.offset];
  try {
    const into = new Uint8Array(Math.min(size, 70_000));
    if (type === "symlink") return [stat, Buffer.from(await inode.readLink()).toString("latin1")];
    if (type !== "file") return [stat];
    const content = inode.readNow?.(0, into.length, into) ?? (await inode.read(0, into.length));
    return [stat, createHash("sha256").update(content).digest("hex")];
  } catch (error) {
    return [stat, failureOf(error)];
  }
}

/** All that a walk says of the volume on a device, as text. */
async function walked(format: FileSystemFormat, device: BlockDevice): Promise<string> {
  const told: unknown[] = [];
  const report = ({ code, message, offset }: Finding): void => void told.push(["finding", code, message, offset]);
  try {
    const fs = await format.open(device, { report });
    for await (const { path, inode, error } of walkAll(fs, { maxEntries: 3000 })) {
      const name = Buffer.from(path).toString("latin1");
      told.push([name, inode && (await factsOf(inode)), error && failureOf(error)]);
    }
  } catch (error) {
    told.push(failureOf(error));
  }
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));
  // When a finding is told depends on what is read together; which there are does not.
  const isFinding = (line: unknown): boolean => Array.isArray(line) && line[0] === "finding";
  const findings = told.filter(isFinding).map(text).sort();
  return [...told.filter((line) => !isFinding(line)).map(text), ...findings].join("\n");
}

describe.each(FORMATS)("%s", (folder, format) => {
  test.each(fixtures(folder))(
    "$name, sound, cut short, damaged, and with bytes that cannot be read",
    async (fixture) => {
      const image = fixture.image();
      const random = new Random(image.length);
      const check = async (data: Uint8Array, bad?: BadRange): Promise<number> => {
        const expected = await walked(format, waiting(data, bad));
        expect(await walked(format, atOnce(data, bad))).toBe(expected);
        expect(await walked(format, cachedDevice(atOnce(data, bad)))).toBe(expected);
        return expected.length;
      };
      expect(await check(image)).toBeGreaterThan(500);
      await check(image.subarray(0, Math.floor(image.length * 0.7)));
      // Where there is anything: most of a small volume is empty.
      const used = (): number => {
        let at = random.below(image.length);
        while (image[at] === 0) at = (at + 61) % image.length;
        return at;
      };
      for (let n = 0; n < 8; n += 1) {
        const damaged = image.slice();
        for (let times = 0; times < 6; times += 1) damaged[used()]! ^= 1 << random.below(8);
        await check(damaged);
        const from = used() & ~511;
        await check(image, [from, from + 512]);
      }
    },
  );

  // A page of the cache is larger than what a directory or a table begins with, so that some of the calls are more.
  test.each(fixtures(folder))(
    "$name, walked: by at most twice the calls and bytes of a device that waits",
    async (fixture) => {
      const image = fixture.image();
      const readBy = async (device: BlockDevice): Promise<ReadStats> => {
        const counted = countReads(device);
        const fs = await format.open(cachedDevice(counted));
        let entries = 0;
        for await (const _ of walkAll(fs)) entries += 1;
        expect(entries).toBeGreaterThan(4);
        return counted.stats;
      };
      const expected = await readBy(waiting(image));
      const { reads, bytes } = await readBy(atOnce(image));
      expect(reads).toBeLessThanOrEqual(2 * expected.reads);
      expect(bytes).toBeLessThanOrEqual(2 * expected.bytes);
    },
  );

  test.each(fixtures(folder))("$name, searched: by the calls and bytes of a device that waits", async (fixture) => {
    const image = fixture.image();
    const readBy = async (device: BlockDevice): Promise<ReadStats> => {
      const counted = countReads(device);
      const fs = await format.open(cachedDevice(counted));
      for (const path of BOOT_PROBE_PATHS) await resolve(fs, path);
      return counted.stats;
    };
    const expected = await readBy(waiting(image));
    expect(expected.reads).toBeGreaterThan(1);
    expect(await readBy(atOnce(image))).toEqual(expected);
  });
});

/**
 * What a reader looks at for each file is of one kind to V8, however many volumes a process has opened: the fields of an
 * object with a getter written into it, or with keys of another spread into it, are looked up by name, ten times as slowly.
 */
import { setFlagsFromString } from "node:v8";
import { bufferDevice, cachedDevice, countReads, sliceDevice } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import { iso9660 } from "@guestprobe/iso9660";
import { squashfs } from "@guestprobe/squashfs";
import { type FileSystemFormat, walkAll } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { expect, test } from "vitest";
import { decodeSuperblock as btrfsSuperblock } from "../packages/btrfs/src/superblock.js";
import { decodeSuperblock as extSuperblock } from "../packages/ext/src/superblock.js";
import { decodeBootSector } from "../packages/fat/src/boot-sector.js";
import { decodeSuperblock as squashfsSuperblock } from "../packages/squashfs/src/superblock.js";
import { decodeSuperblock as xfsSuperblock } from "../packages/xfs/src/superblock.js";
import { fixtures } from "./lib/fixtures.js";

setFlagsFromString("--allow-natives-syntax");
const isOfOneKind = new Function("a", "b", "return %HaveSameMap(a, b)") as (a: object, b: object) => boolean;
const isFast = new Function("a", "return %HasFastProperties(a)") as (a: object) => boolean;

/** More than V8 takes to give up on objects that differ each time, which is a dozen. */
const TIMES = 40;

const imageOf = (format: string): Uint8Array => fixtures(format)[0]!.image();

test("the two ways to make objects that V8 does not know are seen", () => {
  const words = { a: 1, b: 2 };
  const spread = (n: number) => ({ ...words, c: n, d: n, e: n });
  const made = Array.from({ length: TIMES }, (_, n) => spread(n));
  expect(isOfOneKind(made.at(-2)!, made.at(-1)!)).toBe(false);
  const read = (): number => 1;
  const written = {
    read,
    get held(): number {
      return read();
    },
  };
  expect(isFast(written)).toBe(false);
});

test("devices", () => {
  const bytes = bufferDevice(new Uint8Array(65_536));
  const base = { ...bytes, readNow: () => undefined, map: async () => [] };
  for (const make of [
    () => cachedDevice(base),
    () => cachedDevice(bytes),
    () => countReads(base),
    () => sliceDevice(base, 512, 1024),
  ]) {
    const made = Array.from({ length: TIMES }, make);
    expect(isFast(made.at(-1)!)).toBe(true);
    expect(isOfOneKind(made.at(-2)!, made.at(-1)!)).toBe(true);
  }
});

test.each<[string, (image: Uint8Array) => object]>([
  ["ext", (image) => extSuperblock(image.subarray(1024, 2048), 1024, { checksums: "report", report: undefined })],
  ["xfs", (image) => xfsSuperblock(image.subarray(0, 512), 0)],
  ["btrfs", (image) => btrfsSuperblock(image.subarray(65_536, 65_536 + 4096), 65_536)],
  ["squashfs", (image) => squashfsSuperblock(image.subarray(0, 96))],
  ["fat", (image) => decodeBootSector(image.subarray(0, 512), 0)],
])("the superblock of %s", (format, decode) => {
  const image = imageOf(format);
  const made = Array.from({ length: TIMES }, () => decode(image));
  expect(isFast(made.at(-1)!)).toBe(true);
  expect(isOfOneKind(made.at(-2)!, made.at(-1)!)).toBe(true);
});

test.each<[string, FileSystemFormat]>([
  ["ext", ext],
  ["xfs", xfs],
  ["btrfs", btrfs],
  ["squashfs", squashfs],
  ["fat", fat],
  ["iso9660", iso9660],
])("files of %s", async (name, format) => {
  const device = bufferDevice(imageOf(name));
  const files: object[][] = [];
  for (let n = 0; n < TIMES; n += 1) {
    const fs = await format.open(cachedDevice(device));
    for await (const entry of walkAll(fs)) {
      if (entry.inode?.stat.type !== "file" || entry.dirent === undefined) continue;
      files.push([entry, entry.dirent, entry.inode, entry.inode.stat]);
      break;
    }
  }
  const [before, last] = [files[TIMES - 2]!, files[TIMES - 1]!];
  for (const [n, object] of last.entries()) {
    expect([n, isFast(object), isOfOneKind(before[n]!, object)]).toEqual([n, true, true]);
  }
});

/** The gate for FAT against grub-fstest: what it lets through GRUB reads, with its label and UUID, and nothing else. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, decodeText } from "@guestprobe/block";
import { fat } from "@guestprobe/fat";
import { DEFAULT_GRUB_VERSION, fatGate, GrubSearch } from "@guestprobe/grub";
import { openFileSystem } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeFat, makeFolder, writeFat } from "../lib/fat-images.mjs";
import { grubRead } from "../lib/grub-fstest.mjs";

const CONTENT = "set timeout=5\n";
const TYPES = [
  { bits: 12, size: "2M" },
  { bits: 16, size: "20M" },
  { bits: 32, size: "40M" },
] as const;
let folder = "";
const image = (bits: number): string => join(folder, `fat${bits}.img`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-fat-gate-"));
  for (const { bits, size } of TYPES) {
    makeFat(image(bits), { bits, size, label: "A label" });
    makeFolder(image(bits), "::boot", "::boot/grub", "::Long directory name");
    writeFat(image(bits), "::boot/grub/grub.cfg", CONTENT);
    writeFat(image(bits), "::Long directory name/Long file name.cfg", CONTENT);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What GRUB says of the device: `ls -l` prints label and UUID. */
function grubDevice(path: string): { label: string | undefined; uuid: string | undefined } | undefined {
  const line = execFileSync("grub-fstest", [path, "ls", "--", "-l", "(loop0)"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (!line.includes("Filesystem type fat")) return undefined;
  return { label: /Label `([^']*)'/.exec(line)?.[1], uuid: /UUID ([^ ]+)/.exec(line)?.[1] };
}

/** Lets both judge the volume with these bytes changed. */
async function agree(bits: number, changes: readonly [at: number, bytes: readonly number[]][]): Promise<string> {
  const data = readFileSync(image(bits));
  for (const [at, bytes] of changes) Buffer.from(bytes).copy(data, at);
  const changed = join(folder, "changed.img");
  writeFileSync(changed, data);
  const verdict = await fatGate.probe(bufferDevice(new Uint8Array(data)), DEFAULT_GRUB_VERSION);
  const ours =
    verdict.verdict === "accept"
      ? { label: verdict.label && decodeText(verdict.label), uuid: verdict.uuid }
      : undefined;
  expect(ours).toEqual(grubDevice(changed));
  return verdict.verdict;
}

const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];

describe.each(TYPES)("FAT$bits", ({ bits }) => {
  test("as mkfs.fat makes it: taken", async () => expect(await agree(bits, [])).toBe("accept"));

  test.each([
    ["sectors of 256 bytes", 11, word(256)],
    ["sectors of 513 bytes", 11, word(513)],
    ["sectors of 1024 bytes", 11, word(1024)],
    ["no sectors per cluster", 13, [0]],
    ["3 sectors per cluster", 13, [3]],
    ["128 sectors per cluster", 13, [128]],
    ["no reserved sectors", 14, [0, 0]],
    ["another reserved sector", 14, [9, 0]],
    ["no table", 16, [0]],
    ["one table", 16, [1]],
    ["no root entries", 17, [0, 0]],
    ["root entries", 17, [16, 0]],
    ["no sectors", 19, [0, 0]],
    ["sectors: 3", 19, [3, 0]],
    ["media 0xf0", 21, [0xf0]],
    ["media 0xf9", 21, [0xf9]],
    ["media 0", 21, [0]],
    ["no table sectors", 22, [0, 0]],
    ["65535 table sectors", 22, [0xff, 0xff]],
    ["no sectors in the large count", 32, [0, 0, 0, 0]],
    ["no sectors in FAT32's table", 36, [0, 0, 0, 0]],
    ["another active table", 40, [0x81, 0]],
    ["an active table that is not there", 40, [0x87, 0]],
    ["version 1", 42, [1, 0]],
    ["root cluster 0", 44, [0, 0, 0, 0]],
    ["root cluster far away", 44, [0, 0, 0, 1]],
    ["no boot signature byte", bits === 32 ? 66 : 38, [0]],
    ["serial 0", bits === 32 ? 67 : 39, [0, 0, 0, 0]],
    ["no type name", bits === 32 ? 82 : 54, [0, 0, 0, 0, 0]],
    ["no signature at the end", 510, [0, 0]],
    ["no jump", 0, [0, 0, 0]],
  ])("%s", async (_, at, bytes) => {
    await agree(bits, [[at, bytes]]);
  });

  test("the table's first entry changed", async () => {
    const data = readFileSync(image(bits));
    const fatStart = data.readUInt16LE(14) * 512;
    for (const byte of [0, 0xf0, 0xf7, 0xf8, 0xff]) await agree(bits, [[fatStart, [byte]]]);
    await agree(bits, [[fatStart + 1, [0]]]);
  });

  test("the label: gone, deleted, archived, behind the end", async () => {
    const data = readFileSync(image(bits));
    const perFat = data.readUInt16LE(22) || data.readUInt32LE(36);
    const root = (data.readUInt16LE(14) + 2 * perFat) * 512;
    expect(data.toString("latin1", root, root + 11)).toBe("A label    ");
    await agree(bits, [[root, [0xe5]]]);
    await agree(bits, [[root, [0x00]]]);
    await agree(bits, [[root, [0x05]]]);
    await agree(bits, [[root + 11, [0x28]]]);
    await agree(bits, [[root + 11, [0x09]]]);
    await agree(bits, [[root + 3, [0]]]);
  });

  test.each([
    "/boot/grub/grub.cfg",
    "/BOOT/Grub/GRUB.CFG",
    "/./boot/../boot/grub/grub.cfg",
    "//boot//grub/grub.cfg",
    "/boot/grub/grub.cfg/",
    "/boot/grub/grub.cfg.",
    "/boot./grub/grub.cfg",
    "/long DIRECTORY name/LONG file NAME.cfg",
    "/LONGDI~1/LONGFI~1.CFG",
    "/Long directory name/LONGFI~1.CFG",
    "/boot/grub",
    "/boot/grub/grub.cfg/..",
  ])("search finds %s as GRUB does", async (path) => {
    const { read, size } = bufferDevice(new Uint8Array(readFileSync(image(bits))));
    const search = new GrubSearch([{ name: "hd0", device: { read, size } }], {
      openVolume: (device) => openFileSystem(device, [fat]),
    });
    const { hits } = await search.search({ by: "file", name: path });
    expect(hits.length > 0).toBe(grubRead(image(bits), path) !== undefined);
  });
});

test("an entry behind the end mark: Linux shows it, GRUB does not", async () => {
  const path = image(12);
  const data = readFileSync(path);
  const root = (data.readUInt16LE(14) + 2 * data.readUInt16LE(22)) * 512;
  // The label is the first entry; the second is made an end mark, and what it was comes after it.
  data.copy(data, root + 64 * 8, root + 32, root + 64);
  data.fill(0, root + 32, root + 64);
  const changed = join(folder, "past-end.img");
  writeFileSync(changed, data);
  const fs = await fat.open(bufferDevice(new Uint8Array(data)));
  const top = await fs.root();
  expect(await top.lookup(new TextEncoder().encode("boot"))).toBeDefined();
  const search = new GrubSearch([{ name: "hd0", device: bufferDevice(new Uint8Array(data)) }], {
    openVolume: (device) => openFileSystem(device, [fat]),
  });
  expect((await search.search({ by: "file", name: "/boot/grub/grub.cfg" })).hits).toEqual([]);
  expect(grubRead(changed, "/boot/grub/grub.cfg")).toBeUndefined();
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "@guestprobe/block";
import { ext4_super_block } from "@guestprobe/ext/layout";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkDocument } from "../../packages/cli/test/e2e/schema.js";
import { type BatchResult, guestprobeBatch } from "../lib/cli.js";

/**
 * The command over damaged disks. The second image is always sound: whatever the first one holds, its answer must be
 * there. An answer about the first one that differs from the sound one's must come with a finding that has a byte
 * offset, and with exit code 3 or 4.
 */
const MAX_MS = 2000;
const MAX_RSS = 256 << 20;
/** Starting up, compiling and the collector's laziness, in one process that runs hundreds of command lines. */
const BATCH = 60;

const sample = fileURLToPath(new URL("../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-corrupt-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const SECTOR = 512;
const whole = readFileSync(sample);
/** One volume as a whole disk: the ext2 /boot of the sample. */
const volume = whole.subarray(2048 * SECTOR, 4096 * SECTOR);

interface Case {
  readonly name: string;
  readonly image: Buffer;
}

interface Document {
  readonly disks: readonly {
    readonly device: string;
    readonly bootFiles: readonly string[];
    readonly partitions: readonly { readonly device: string; readonly bootFiles: readonly string[] }[];
  }[];
  readonly findings: readonly { readonly where: { readonly offset: number | null; readonly device: string | null } }[];
}

/** The boot files of one disk, by device: the answer that must not be lost in silence. */
function answer(document: Document, index: number): string {
  const disk = document.disks[index];
  const parts = disk?.partitions.map((part) => [part.device.replace(/^xen\/xvd./, ""), part.bootFiles]) ?? [];
  return JSON.stringify([disk?.bootFiles, parts]);
}

let soundDisk: string;
let soundVolume: string;

async function inspectAll(
  cases: readonly Case[],
): Promise<{ name: string; result: BatchResult; document: Document }[]> {
  const found: { name: string; result: BatchResult; document: Document }[] = [];
  for (let at = 0; at < cases.length; at += BATCH) {
    const part = cases.slice(at, at + BATCH);
    const jobs = part.map(({ image }, index) => {
      const path = join(scratch, `case${index}.img`);
      writeFileSync(path, image);
      return ["inspect", "--json", path, sample];
    });
    const results = await guestprobeBatch(jobs, 120_000);
    for (const [index, result] of results.entries()) {
      found.push({ name: part[index]!.name, result, document: checkDocument(result.out) as unknown as Document });
    }
  }
  return found;
}

function check(name: string, result: BatchResult, document: Document, sound: string | undefined): void {
  expect(result.ms, `${name}: time`).toBeLessThan(MAX_MS);
  expect(result.rss, `${name}: memory`).toBeLessThan(MAX_RSS);
  expect([0, 3, 4], `${name}: exit code ${result.code}`).toContain(result.code);
  expect(answer(document, 1), `${name}: the sound disk's answer`).toBe(soundDisk);
  if (sound !== undefined && answer(document, 0) === sound) return;
  const own = document.findings.filter((finding) => finding.where.device?.startsWith("xen/xvda"));
  expect(
    own.some((finding) => finding.where.offset !== null),
    `${name}: a finding with its offset`,
  ).toBe(true);
}

beforeAll(async () => {
  const path = join(scratch, "volume.img");
  writeFileSync(path, volume);
  const [disk, alone] = await guestprobeBatch(
    [
      ["inspect", "--json", sample],
      ["inspect", "--json", path],
    ],
    60_000,
  );
  soundDisk = answer(checkDocument(disk!.out) as unknown as Document, 0);
  soundVolume = answer(checkDocument(alone!.out) as unknown as Document, 0);
  expect(soundDisk).toContain("/boot/grub/grub.cfg");
  expect(soundVolume).toContain("/xen/pvboot-x86_64.elf");
});

/** xorshift32: the same bytes on every run. */
function noise(length: number, seed: number): Buffer {
  const data = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data.writeInt32LE(state, at);
  }
  return data;
}

const patched = (image: Buffer, patch: (copy: Buffer) => void): Buffer => {
  const copy = Buffer.from(image);
  patch(copy);
  return copy;
};

/** A GPT whose header is sound but for what `change` does to it; its checksum is made to match afterwards. */
function gpt(change: (header: Buffer) => void): Buffer {
  const disk = Buffer.alloc(1 << 20);
  disk[0x1c2] = 0xee;
  disk.writeUInt32LE(1, 0x1c6);
  disk.writeUInt32LE(2047, 0x1ca);
  disk.writeUInt16LE(0xaa55, 0x1fe);
  const header = disk.subarray(SECTOR, 2 * SECTOR);
  header.write("EFI PART");
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(2047n, 32);
  header.writeBigUInt64LE(34n, 40);
  header.writeBigUInt64LE(2014n, 48);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  change(header);
  header.writeUInt32LE(0, 16);
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
  return disk;
}

test("an image that is empty, too small, noise, or cut short", { timeout: 120_000 }, async () => {
  const cases: Case[] = [
    { name: "empty file", image: Buffer.alloc(0) },
    { name: "one byte", image: Buffer.alloc(1) },
    { name: "one sector of zeros", image: Buffer.alloc(SECTOR) },
    {
      name: "one sector with a boot signature",
      image: patched(Buffer.alloc(SECTOR), (disk) => disk.writeUInt16LE(0xaa55, 510)),
    },
    ...[1, 2, 3].map((seed) => ({ name: `4 MiB of noise ${seed}`, image: noise(4 << 20, seed) })),
    {
      name: "noise with a boot signature",
      image: patched(noise(1 << 20, 9), (disk) => disk.writeUInt16LE(0xaa55, 510)),
    },
    {
      name: "noise with the magic of ext",
      image: patched(noise(1 << 20, 5), (disk) => disk.writeUInt16LE(0xef53, 1024 + 56)),
    },
  ];
  for (const { name, result, document } of await inspectAll(cases)) {
    check(name, result, document, undefined);
    // The second disk is sound, so the run as a whole is no "cannot tell"; alone, each of these is.
    expect(document.disks).toHaveLength(2);
  }
  const alone = cases.map(({ image }, index) => {
    const path = join(scratch, `alone${index}.img`);
    writeFileSync(path, image);
    return ["inspect", path];
  });
  for (const [index, result] of (await guestprobeBatch(alone, 60_000)).entries()) {
    expect([3, 4], cases[index]!.name).toContain(result.code);
    expect(result.err, cases[index]!.name).toMatch(/at byte \d+/);
  }
});

test("the sample cut at every sixteenth of its length", { timeout: 120_000 }, async () => {
  const cases = Array.from({ length: 15 }, (_, index) => ({
    name: `${index + 1}/16 of the sample`,
    image: whole.subarray(0, Math.floor((whole.length * (index + 1)) / 16)),
  }));
  for (const { name, result, document } of await inspectAll(cases)) {
    check(name, result, document, soundDisk);
    expect(result.code, name).toBe(4);
  }
});

test("extended partitions that lead to themselves, and a GPT that lies", { timeout: 60_000 }, async () => {
  const ebr = 12288 * SECTOR;
  const cases: Case[] = [
    {
      name: "an extended boot record that points to itself",
      image: patched(whole, (disk) => {
        disk[ebr + 0x1be + 16 + 4] = 5;
        disk.writeUInt32LE(0, ebr + 0x1be + 16 + 8);
        disk.writeUInt32LE(10240, ebr + 0x1be + 16 + 12);
      }),
    },
    {
      name: "two extended boot records that point to each other",
      image: patched(whole, (disk) => {
        for (const [from, to] of [
          [0, 100],
          [100, 0],
        ] as const) {
          const at = ebr + from * SECTOR;
          disk.writeUInt16LE(0xaa55, at + 510);
          disk[at + 0x1be + 16 + 4] = 5;
          disk.writeUInt32LE(to, at + 0x1be + 16 + 8);
          disk.writeUInt32LE(10, at + 0x1be + 16 + 12);
        }
      }),
    },
    { name: "a GPT of 2^32 - 1 entries", image: gpt((header) => header.writeUInt32LE(0xffff_ffff, 80)) },
    { name: "GPT entries of 2^31 bytes", image: gpt((header) => header.writeUInt32LE(0x8000_0000, 84)) },
    { name: "GPT entries of no bytes", image: gpt((header) => header.writeUInt32LE(0, 84)) },
    { name: "GPT entries past the end", image: gpt((header) => header.writeBigUInt64LE(1n << 50n, 72)) },
    {
      name: "GPT entries at sector 2^64 - 1",
      image: gpt((header) => header.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 72)),
    },
    { name: "a GPT header of 2^32 - 1 bytes", image: gpt((header) => header.writeUInt32LE(0xffff_ffff, 12)) },
  ];
  for (const { name, result, document } of await inspectAll(cases)) check(name, result, document, undefined);
});

test("each field of the superblock at 0, 1, its maximum and off by one", { timeout: 300_000 }, async () => {
  const cases: Case[] = [];
  for (const [field, { offset, size }] of Object.entries(ext4_super_block.$fields)) {
    if (size > 8) continue;
    const at = 1024 + offset;
    const read = volume.subarray(at, at + size);
    const value = [...read].reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
    const most = (1n << BigInt(8 * size)) - 1n;
    for (const bad of new Set([0n, 1n, most, (value + 1n) & most, (value - 1n) & most])) {
      if (bad === value) continue;
      cases.push({
        name: `${field} = ${bad} (was ${value})`,
        image: patched(volume, (disk) => {
          for (let n = 0; n < size; n += 1) disk[at + n] = Number((bad >> BigInt(8 * n)) & 0xffn);
        }),
      });
    }
  }
  expect(cases.length).toBeGreaterThan(200);
  for (const { name, result, document } of await inspectAll(cases)) check(name, result, document, soundVolume);
});

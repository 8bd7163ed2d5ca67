import { bufferDevice, encodeText } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { identifyBootCode } from "../src/index.js";
import { CORE, diskWithCore, ENDLESS_CORE } from "./core-image.js";

/** A boot sector with texts at their places; the loaders here have no package in Debian, so what is known of them is written. */
function sector(pieces: readonly (readonly [at: number, what: string | readonly number[]])[]): Uint8Array {
  const bytes = new Uint8Array(2048);
  for (const [at, what] of pieces) bytes.set(typeof what === "string" ? encodeText(what) : what, at);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

const WINDOWS = "Invalid partition table\0Error loading operating system\0Missing operating system";

test.each([
  [
    "windows-nt",
    [
      [0, [0x33, 0xc0]],
      [0x12c, WINDOWS],
      [0x1b5, [0x2c, 0x44, 0x63]],
    ],
  ],
  [
    "windows-vista",
    [
      [0, [0x33, 0xc0]],
      [0x162, WINDOWS],
      [0x1b5, [0x62, 0x7a, 0x99]],
    ],
  ],
  [
    "windows-7",
    [
      [0, [0x33, 0xc0]],
      [0x163, WINDOWS],
      [0x1b5, [0x63, 0x7b, 0x9a]],
    ],
  ],
  [
    "windows",
    [
      [0, [0x33, 0xc0]],
      [0x100, WINDOWS],
    ],
  ],
  [
    "windows-bootmgr",
    [
      [0, [0xeb, 0x52, 0x90]],
      [3, "NTFS    "],
      [0x190, "BOOTMGR is missing"],
    ],
  ],
  [
    "windows-ntldr",
    [
      [0, [0xeb, 0x52, 0x90]],
      [3, "NTFS    "],
      [0x190, "NTLDR is missing"],
    ],
  ],
  [
    "lilo",
    [
      [0, [0xfa, 0xeb, 0x21, 0x01, 0xb4, 0x01]],
      [6, "LILO"],
    ],
  ],
  ["unknown", [[0, [0xeb, 0xfe]]]],
] as const)("%s", async (kind, pieces) => {
  const code = await identifyBootCode(bufferDevice(sector(pieces)));
  expect(code).toMatchObject({ kind, next: undefined, prefix: undefined });
});

test("GRUB legacy's stage 1 says where its stage 2 is", async () => {
  const bytes = sector([
    [0, [0xeb, 0x48, 0x90]],
    [0x3e, [3, 2, 0x81, 0, 0, 0x80, 1, 0, 0, 0, 0, 8]],
    [0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error\0"],
  ]);
  expect(await identifyBootCode(bufferDevice(bytes))).toEqual({
    kind: "grub-legacy",
    title: "GRUB legacy, stage 1",
    drive: 0x81,
    next: 512,
    prefix: undefined,
  });
});

test("a core image that is said to lie past the end, at no sector, or at 2^64 - 1", async () => {
  for (const at of [0n, 1_000_000n, 0xffff_ffff_ffff_ffffn]) {
    const bytes = sector([[0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error\0"]]);
    const view = new DataView(bytes.buffer);
    view.setUint16(0x5a, 0x8000, true);
    view.setBigUint64(0x5c, at, true);
    const code = await identifyBootCode(bufferDevice(bytes));
    expect(code).toMatchObject({ kind: "grub2", prefix: undefined, drive: 0 });
    if (code?.next !== undefined) expect(Number.isSafeInteger(code.next)).toBe(true);
  }
});

test("without 55 AA, and for a sector that is cut short, there is no boot code", async () => {
  const bytes = sector([[0, [0xeb, 0xfe]]]);
  bytes[510] = 0;
  expect(await identifyBootCode(bufferDevice(bytes))).toBeUndefined();
  expect(await identifyBootCode(bufferDevice(bytes.subarray(0, 511)))).toBeUndefined();
});

describe("the core image behind a boot sector of GRUB 2", () => {
  const prefixOf = async (disk: Uint8Array) => (await identifyBootCode(bufferDevice(disk)))?.prefix;

  test("has its prefix behind the modules", async () => {
    expect(await prefixOf(diskWithCore(CORE.stream, CORE.unpacked))).toBe("(,msdos1)/boot/grub");
  });
  test("lists that are each as long as the kernel, one at every twelfth byte, end", async () => {
    expect(await prefixOf(diskWithCore(ENDLESS_CORE.stream, ENDLESS_CORE.unpacked))).toBeUndefined();
  });
  test("zeros, which are a stream at every start, are unpacked a few times at most", async () => {
    expect(await prefixOf(diskWithCore(new Uint8Array(400_000), 8 << 20))).toBeUndefined();
  });
});

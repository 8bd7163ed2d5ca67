/** signatures: the superblocks of each tool are named as blkid named the whole device when they were made. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { type BlockDevice, bufferDevice, countReads, decodeText } from "@guestprobe/block";
import { identify, identifyBootCode } from "@guestprobe/signature";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("./fixtures/", import.meta.url));
const SECTOR = 512;

interface Superblock {
  readonly expected: {
    readonly TYPE: string;
    readonly USAGE: string;
    readonly LABEL?: string;
    readonly UUID?: string;
    readonly VERSION?: string;
  };
  /** Of the whole device, bytes. */
  readonly size: number;
  /** By their places in bytes; all others are zeros. */
  readonly sectors: Readonly<Record<string, string>>;
}

const kept = readdirSync(`${root}superblock`).map((file) => {
  const text = gunzipSync(readFileSync(`${root}superblock/${file}`)).toString();
  return [file.replace(".json.gz", ""), JSON.parse(text) as Superblock] as const;
});

function deviceOf({ size, sectors }: Superblock): BlockDevice {
  const pieces = new Map(Object.entries(sectors).map(([at, data]) => [Number(at), Buffer.from(data, "base64")]));
  return {
    size,
    async read(offset, length) {
      const first = offset - (offset % SECTOR);
      const bytes = new Uint8Array(Math.ceil((offset + length - first) / SECTOR) * SECTOR);
      for (let at = 0; at < bytes.length; at += SECTOR) bytes.set(pieces.get(first + at) ?? [], at);
      return bytes.subarray(offset - first, offset - first + length);
    },
  };
}

test.each(kept)("%s", async (_, superblock) => {
  const { TYPE, USAGE, LABEL, UUID, VERSION } = superblock.expected;
  const device = countReads(deviceOf(superblock));
  const [first] = await identify(device);
  expect(first).toMatchObject({ kind: TYPE, usage: USAGE, uuid: UUID, version: VERSION, problem: undefined });
  expect(decodeText(first!.label)).toBe(LABEL ?? "");
  expect(device.stats.reads).toBeLessThanOrEqual(17);
});

describe("GRUB 2, installed by grub-bios-setup", () => {
  const bytes = new Uint8Array(gunzipSync(readFileSync(`${root}boot-code/grub2.img.gz`)));
  const { prefix } = JSON.parse(readFileSync(`${root}boot-code/grub2.json`, "utf8")) as { prefix: string };

  test("its prefix is read from the packed core image behind the MBR", async () => {
    const device = countReads(bufferDevice(bytes));
    expect(await identifyBootCode(device)).toEqual({
      kind: "grub2",
      title: "GRUB 2",
      drive: undefined,
      next: 512,
      prefix,
    });
    expect(device.stats.reads).toBeLessThanOrEqual(4);
  });

  /** The first entry of the list of pieces, at the end of the core image's first sector; entries before it are more pieces. */
  const FIRST = 1024 - 12;

  test.each<[string, (view: DataView) => void]>([
    ["the packed part is overwritten", (view) => new Uint8Array(view.buffer).fill(0xff, 0x2000, 0x3000)],
    ["the list of pieces is empty", (view) => view.setUint16(FIRST + 8, 0, true)],
    ["a piece lies past the end", (view) => view.setBigUint64(FIRST, 4000n, true)],
    ["a piece is 32 MiB long", (view) => view.setUint16(FIRST + 8, 0xffff, true)],
    ["the kernel claims 4 GiB", (view) => view.setUint32(1024 + 12, 0xffff_ffff, true)],
    ["the packed part claims 4 GiB", (view) => view.setUint32(1024 + 8, 0xffff_ffff, true)],
  ])("%s: the loader is named, the prefix is not known", async (_, patch) => {
    const copy = bytes.slice();
    patch(new DataView(copy.buffer));
    const device = countReads(bufferDevice(copy));
    expect(await identifyBootCode(device)).toMatchObject({ kind: "grub2", next: 512, prefix: undefined });
    expect(device.stats.reads).toBeLessThanOrEqual(4);
  });
});

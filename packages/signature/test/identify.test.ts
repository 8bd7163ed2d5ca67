import { countReads, decodeText, encodeText } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { deviceIsSeen, type Piece } from "../../../test/lib/seen-devices.js";
import { identify, SIGNATURES, wantedRegions } from "../src/index.js";

const MIB = 1 << 20;

/** A device of zeros with some bytes, of any size. */
async function sparse(size: number, ...pieces: readonly Piece[]) {
  await deviceIsSeen(size, ...pieces);
  return countReads({
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (const [at, data] of pieces) {
        for (let index = 0; index < data.length; index += 1) {
          const place = at + index - offset;
          if (place >= 0 && place < length) bytes[place] = data[index]!;
        }
      }
      return bytes;
    },
  });
}

/** An LVM2 label in sector 1, with LVM's checksum worked out bit by bit. */
function lvmLabel(change: (sector: Uint8Array) => void = () => {}): Uint8Array {
  const sector = new Uint8Array(512);
  const view = new DataView(sector.buffer);
  sector.set(encodeText("LABELONE"));
  view.setUint32(8, 1, true);
  view.setUint32(0x14, 32, true);
  sector.set(encodeText("LVM2 001"), 0x18);
  sector.set(encodeText("abcdefghijklmnopqrstuvwxyzABCDEF"), 0x20);
  let crc = 0xf597a6cf;
  for (const byte of sector.subarray(0x14)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  view.setUint32(0x10, crc >>> 0, true);
  change(sector);
  return sector;
}

describe("what is read", () => {
  test("a large blank device: five reads side by side, under a quarter of a MiB", async () => {
    const device = await sparse(2 ** 40);
    expect(await identify(device)).toEqual([]);
    expect(device.stats.reads).toBe(5);
    expect(device.stats.bytes).toBe(wantedRegions(2 ** 40).reduce((sum, { length }) => sum + length, 0));
    expect(device.stats.bytes).toBeLessThan(256 << 10);
  });
  test("a small one: one read, of all of it", async () => {
    const device = await sparse(100_000);
    expect(await identify(device)).toEqual([]);
    expect(device.stats).toEqual({ reads: 1, bytes: 100_000 });
  });
  test("no size makes more than five ranges, out of order, overlapping or past the end", () => {
    for (const size of [0, 1, 511, 1024, 0x1_2000, 0x4_0000, 0x4_0001, MIB, MIB + 1, 2 * MIB, 3 * MIB, 2 ** 50]) {
      const regions = wantedRegions(size);
      expect(regions.length).toBeLessThanOrEqual(5);
      let end = 0;
      for (const { offset, length } of regions) {
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + length;
      }
      expect(end).toBeLessThanOrEqual(size);
    }
  });
  test("a device of two sectors is not asked", async () => {
    const device = await sparse(1024, [0, encodeText("XFSB")]);
    expect(await identify(device)).toEqual([]);
    expect(device.stats.reads).toBe(0);
  });
});

describe("one device, several signatures", () => {
  test("a mirror's member shows the file system on the array: the array comes first", async () => {
    const md = new Uint8Array(256);
    const view = new DataView(md.buffer);
    view.setUint32(0, 0xa92b4efc, true);
    view.setUint32(4, 1, true);
    md.set(encodeText("host:boot"), 0x20);
    const size = 64 * MIB;
    view.setUint32(0x90, (size - 8192) / 512, true);
    const ext = new Uint8Array(1024);
    ext.set([0x53, 0xef], 0x38);
    ext.set(encodeText("boot"), 0x78);
    const all = await identify(await sparse(size, [size - 8192, md], [1024, ext]));
    expect(all.map(({ kind, label }) => [kind, decodeText(label)])).toEqual([
      ["linux_raid_member", "host:boot"],
      ["ext2", "boot"],
    ]);
    expect(all[0]).toMatchObject({ usage: "raid", version: "1.0", offset: size - 8192 });
  });
});

describe("a superblock with a wrong checksum is named, with the problem", () => {
  test("LVM2", async () => {
    const good = await identify(await sparse(2 * MIB, [512, lvmLabel()]));
    expect(good).toMatchObject([{ kind: "LVM2_member", uuid: "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF", offset: 512 }]);
    expect(good[0]!.problem).toBeUndefined();
    const bad = await identify(
      await sparse(2 * MIB, [
        512,
        lvmLabel((sector) => {
          sector[0x30] = 0x7a;
        }),
      ]),
    );
    expect(bad[0]).toMatchObject({ kind: "LVM2_member", problem: "the checksum of the superblock does not match" });
  });
  test("a label that says that it lies in another sector is none", async () => {
    expect(await identify(await sparse(2 * MIB, [1024, lvmLabel()]))).toEqual([]);
  });
});

describe("the table", () => {
  test("each row has its source, and no kind stands in it with two usages", () => {
    const usages = new Map<string, string>();
    for (const { kind, title, usage, source } of SIGNATURES) {
      expect(title.length, kind).toBeGreaterThan(0);
      expect(source.length, kind).toBeGreaterThan(0);
      expect(usages.get(kind) ?? usage, kind).toBe(usage);
      usages.set(kind, usage);
    }
    expect(usages.size).toBeGreaterThan(60);
  });
  test("labels end at the first NUL and have no white space at their end; a UUID of zeros is none", async () => {
    const ext = new Uint8Array(1024);
    ext.set([0x53, 0xef], 0x38);
    ext.set(encodeText("a b \t\0rest"), 0x78);
    const [found] = await identify(await sparse(2048, [1024, ext]));
    expect(found).toMatchObject({ kind: "ext2", uuid: undefined });
    expect(decodeText(found!.label)).toBe("a b");
  });
});

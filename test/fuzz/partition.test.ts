import { bufferDevice, isImageError } from "@guestprobe/block";
import { listDisk } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { putGpt, putMbr } from "../../packages/partition/test/build.js";

const SECTORS = 300;

const mbr = (): Uint8Array => {
  const image = new Uint8Array(SECTORS * 512);
  putMbr(image, [
    { start: 10, sectors: 20 },
    { type: 5, start: 50, sectors: 200 },
  ]);
  putMbr(
    image,
    [
      { start: 5, sectors: 10 },
      { type: 5, start: 50, sectors: 50 },
    ],
    { lba: 50 },
  );
  putMbr(
    image,
    [
      { start: 5, sectors: 10 },
      { type: 15, start: 100, sectors: 50 },
    ],
    { lba: 100 },
  );
  putMbr(image, [{ start: 5, sectors: 10, type: 0x81 }], { lba: 150 });
  return image;
};
const gpt = (): Uint8Array => {
  const image = new Uint8Array(SECTORS * 512);
  putGpt(image, {
    entries: [
      { slot: 1, first: 40, last: 80 },
      { slot: 9, first: 100, last: 200 },
    ],
  });
  return image;
};

/** Where a changed byte matters: table sectors of both layouts. */
const places = fc.oneof(
  fc.integer({ min: 440, max: 1200 }),
  fc.integer({ min: (SECTORS - 1) * 512, max: SECTORS * 512 - 1 }),
  fc.constantFrom(50, 100, 150).chain((lba) => fc.integer({ min: lba * 512 + 440, max: lba * 512 + 511 })),
  fc.integer({ min: 0, max: SECTORS * 512 - 1 }),
);
const values = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xee, 0xff), fc.integer({ min: 0, max: 255 }));

describe.each([
  ["MBR", mbr],
  ["GPT", gpt],
])("%s with any bytes changed", (_, build) => {
  test("ends in tables that hold together, or in an ImageError", async () => {
    const edits = fc.array(fc.tuple(places, values), { minLength: 1, maxLength: 12 });
    const cut = fc.option(fc.integer({ min: 0, max: SECTORS * 512 }));
    await fc.assert(
      fc.asyncProperty(edits, cut, async (changes, length) => {
        const whole = build();
        for (const [at, value] of changes) whole[at] = value;
        const image = length === null ? whole : whole.subarray(0, length);
        const device = bufferDevice(image);
        try {
          const { partitions, gaps, tables } = await readPartitions(device);
          for (const partition of partitions) {
            expect(Number.isSafeInteger(partition.start + partition.length)).toBe(true);
            if (partition.device === undefined) continue;
            expect(partition.start + partition.device.size).toBeLessThanOrEqual(image.length);
          }
          for (const [index, gap] of gaps.entries()) {
            expect(gap.length).toBeGreaterThan(0);
            const before = gaps[index - 1];
            if (before !== undefined) expect(gap.start).toBeGreaterThan(before.start + before.length);
          }
          for (const finding of tables.flatMap((table) => table.problems)) expect(finding.offset).toBeTypeOf("number");
        } catch (error) {
          if (!isImageError(error)) throw error;
        }
        const { devices } = await listDisk({ name: "hd0", device });
        expect(devices[0]?.name).toBe("hd0");
      }),
      { numRuns: 300, seed: 20_261_120 },
    );
  });
});

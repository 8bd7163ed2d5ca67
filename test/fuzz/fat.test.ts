/** FAT: any bytes in, a value or an ImageError out, in bounded time. */
import { bufferDevice, isImageError } from "@guestprobe/block";
import { fat } from "@guestprobe/fat";
import { fat_boot_sector as bs, fat32_boot_sector as bs32 } from "@guestprobe/fat/layout";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";
import { Random } from "../lib/random.js";

/** On a machine of its own the slowest takes a tenth of this. */
const MAX_MS = 5000;

async function survives(image: Uint8Array, what: string): Promise<void> {
  const began = performance.now();
  try {
    await drain(await fat.open(bufferDevice(image), { report: () => {} }));
  } catch (error) {
    if (!isImageError(error)) throw new Error(what, { cause: error });
  }
  expect(performance.now() - began, what).toBeLessThan(MAX_MS);
}

/** Where the tables begin, and where the clusters that hold directories end: those that were written first. */
function metadata(image: Uint8Array): { start: number; end: number } {
  const view = new DataView(image.buffer);
  const start = bs.BPB_RsvdSecCnt(view, 0) * 512;
  const tables = 2 * 512 * (bs.BPB_FATSz16(view, 0) || bs32.BPB_FATSz32(view, 0));
  return { start, end: start + tables + bs.BPB_RootEntCnt(view, 0) * 32 + 64 * 1024 };
}

describe.each(fixtures("fat").map((fixture) => [fixture.name, fixture] as const))("%s", (name, fixture) => {
  test("bytes of boot sector, tables and directories changed", { timeout: 120_000 }, async () => {
    const random = new Random(name.length * 31 + Number(name.slice(3)));
    const whole = fixture.image();
    const { start, end } = metadata(whole);
    const used = 600;
    for (let n = 0; n < (name === "fat32" ? 12 : 60); n += 1) {
      const image = whole.slice();
      const changes: string[] = [];
      for (let left = 1 + random.below(8); left > 0; left -= 1) {
        const place = random.below(4);
        const at =
          place === 0
            ? random.below(512)
            : place === 1
              ? start + random.below(used)
              : start + random.below(end - start);
        const value = random.pick([0, 1, 2, 0x0f, 0x10, 0x40, 0x7f, 0x80, 0xe5, 0xff, random.below(256)]);
        image[at] = value;
        changes.push(`${at}=${value}`);
      }
      await survives(image, `${name}: ${changes.join(" ")}`);
    }
  });

  test("cut anywhere", { timeout: 120_000 }, async () => {
    const random = new Random(name.length);
    const whole = fixture.image();
    for (let n = 0; n < 8; n += 1) {
      const length = random.below(whole.length);
      await survives(whole.slice(0, length), `${name}: cut to ${length}`);
    }
  });
});

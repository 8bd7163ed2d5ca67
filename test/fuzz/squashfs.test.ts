/** squashfs: any bytes in, a value or an ImageError out, in bounded time. */
import { bufferDevice, isImageError } from "@guestprobe/block";
import { squashfs } from "@guestprobe/squashfs";
import { squashfs_super_block as sb } from "@guestprobe/squashfs/layout";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";
import { Random } from "../lib/random.js";

/** On a machine of its own the slowest takes a tenth of this. */
const MAX_MS = 2000;

async function survives(image: Uint8Array, what: string): Promise<void> {
  const began = performance.now();
  try {
    await drain(await squashfs.open(bufferDevice(image), { cacheBudget: 1 << 20 }));
  } catch (error) {
    if (!isImageError(error)) throw new Error(what, { cause: error });
  }
  expect(performance.now() - began, what).toBeLessThan(MAX_MS);
}

describe.each(fixtures("squashfs").map((fixture) => [fixture.name, fixture] as const))("%s", (name, fixture) => {
  test("bytes of superblock and tables changed", { timeout: 120_000 }, async () => {
    const random = new Random(name.length * 31);
    const tables = sb.inode_table_start(new DataView(fixture.image().buffer), 0);
    for (let n = 0; n < (name === "plain" ? 150 : 25); n += 1) {
      const image = fixture.image();
      const changes: string[] = [];
      for (let left = 1 + random.below(4); left > 0; left -= 1) {
        const at = random.below(4) === 0 ? random.below(sb.$size) : tables + random.below(image.length - tables);
        const value = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
        image[at] = value;
        changes.push(`${at}=${value}`);
      }
      await survives(image, `${name}: ${changes.join(" ")}`);
    }
  });

  test("cut anywhere", { timeout: 120_000 }, async () => {
    const random = new Random(name.length);
    const whole = fixture.image();
    for (let n = 0; n < 20; n += 1) {
      const length = random.below(whole.length);
      await survives(whole.slice(0, length), `${name}: cut to ${length}`);
    }
  });
});

/** ISO 9660: any bytes in, a value or an ImageError out, in bounded time. */
import { bufferDevice, isImageError } from "@guestprobe/block";
import { isIso9660, iso9660 } from "@guestprobe/iso9660";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";
import { Random } from "../lib/random.js";

/** On a machine of its own the slowest takes a tenth of this. */
const MAX_MS = 3000;
/** Descriptors, path tables, directories and continuation areas lie between these bytes. */
const METADATA = { start: 16 * 2048, end: 140_000 };

async function survives(image: Uint8Array, what: string): Promise<void> {
  const began = performance.now();
  try {
    const fs = await iso9660.open(bufferDevice(image), { report: () => {} });
    await drain(fs);
    if (isIso9660(fs)) await fs.bootEntries();
  } catch (error) {
    if (!isImageError(error)) throw new Error(what, { cause: error });
  }
  expect(performance.now() - began, what).toBeLessThan(MAX_MS);
}

describe.each(fixtures("iso9660").map((fixture) => [fixture.name, fixture] as const))("%s", (name, fixture) => {
  test("bytes of descriptors and directories changed", { timeout: 120_000 }, async () => {
    const random = new Random(name.length * 31 + name.charCodeAt(0));
    const whole = fixture.image();
    // Zeros between structures teach nothing.
    const used = [...whole.keys()].slice(METADATA.start, METADATA.end).filter((at) => whole[at] !== 0);
    for (let n = 0; n < 60; n += 1) {
      const image = whole.slice();
      const changes: string[] = [];
      for (let left = 1 + random.below(6); left > 0; left -= 1) {
        const at = random.pick(used);
        const value = random.pick([0, 1, 4, 5, 0x22, 0x7f, 0x80, 0xff, random.below(256)]);
        image[at] = value;
        changes.push(`${at}=${value}`);
      }
      await survives(image, `${name}: ${changes.join(" ")}`);
    }
  });

  test("cut anywhere", { timeout: 120_000 }, async () => {
    const random = new Random(name.length);
    const whole = fixture.image();
    for (let n = 0; n < 10; n += 1) {
      const length = random.below(whole.length);
      await survives(whole.slice(0, length), `${name}: cut to ${length}`);
    }
  });
});

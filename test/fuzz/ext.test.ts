/** ext: bytes changed at random in real volumes. A value or an ImageError comes out, in bounded time. */
import { bufferDevice, cachedDevice, isImageError } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import fc from "fast-check";
import { expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";

const BLOCK = 1024;
const MAX_MS = 2000;
const images = ["ext", "ext-casefold", "ext-encrypted"].flatMap((folder) =>
  fixtures(folder).map((fixture) => fixture.image()),
);
/** Blocks that hold something, the first of them: metadata lies there. */
const hot = images.map((image) => {
  const blocks = Array.from({ length: Math.floor(image.length / BLOCK) }, (_, block) => block * BLOCK);
  return blocks.filter((at) => image.subarray(at, at + BLOCK).some((byte) => byte !== 0)).slice(0, 120);
});

const damage = fc.record({
  image: fc.nat(images.length - 1),
  changes: fc.array(
    fc.record({
      block: fc.nat(),
      at: fc.nat(BLOCK - 4),
      bytes: fc.oneof(
        fc.constantFrom([0], [255], [0, 0, 0, 0], [255, 255, 255, 255], [1, 0, 0, 0]),
        fc.array(fc.nat(255), { minLength: 1, maxLength: 4 }),
      ),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  journal: fc.constantFrom("ignore" as const, "replay" as const),
  checksums: fc.constantFrom("ignore" as const, "report" as const, "require" as const),
});

test("random damage to real volumes", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(damage, async ({ image, changes, journal, checksums }) => {
      const data = images[image]!.slice();
      const places = hot[image]!;
      for (const { block, at, bytes } of changes) data.set(bytes, places[block % places.length]! + at);
      const started = performance.now();
      try {
        await drain(await ext.open(cachedDevice(bufferDevice(data)), { journal, checksums }));
      } catch (error) {
        if (!isImageError(error)) throw error;
      }
      expect(performance.now() - started).toBeLessThan(MAX_MS);
    }),
    { numRuns: 120, seed: 20_240_229 },
  );
});

import { gzipSync } from "node:zlib";
import { inspectKernel, type KernelExcerpt, type PayloadCache } from "@guestprobe/boot";
import { describe, expect, test } from "vitest";
import { LINUX_NOTES, makeBzImage, makeElf, PVH_NOTES } from "./build.js";

/** Answers what it is given, whatever is asked, and keeps what it is told. */
function cacheOf(known?: KernelExcerpt): PayloadCache & { readonly told: KernelExcerpt[]; asked: number } {
  const told: KernelExcerpt[] = [];
  return {
    told,
    asked: 0,
    async get() {
      this.asked += 1;
      return known;
    },
    put: async (_, excerpt) => void told.push(excerpt),
  };
}

const payload = gzipSync(makeElf({ notes: LINUX_NOTES }));
const kernel = makeBzImage({ payload });

describe("what was unpacked is kept for the next time", () => {
  test("the excerpt gives the same kernel, without unpacking", async () => {
    const first = cacheOf();
    const fresh = await inspectKernel(kernel, { cache: first });
    expect(fresh).toMatchObject({ pv: true, pvh: true, arch: "x86_64" });
    expect(first.told).toHaveLength(1);

    // The payload is damaged behind its header, so that only the excerpt can have given the answer.
    const damaged = makeBzImage({
      payload: payload.map((byte, at) => (at < 10 || at >= payload.length - 4 ? byte : 0xff)),
    });
    expect((await inspectKernel(damaged)).error?.code).toBe("corrupt");
    const second = cacheOf(first.told[0]);
    const again = await inspectKernel(damaged, { cache: second });
    const known = ({ elf, notes, arch, pv, pvh, release }: typeof fresh) => ({
      ...{ notes, arch, pv, pvh, release },
      segments: elf?.segments,
      size: elf?.size,
    });
    expect(known(again)).toEqual(known(fresh));
    expect(second.told).toEqual([]);
  });

  test("what cannot be an excerpt is not believed, and the payload is unpacked", async () => {
    const first = cacheOf();
    await inspectKernel(kernel, { cache: first });
    const sound = first.told[0]!;
    const zeros = new Uint8Array(64);
    for (const broken of [
      { ...sound, length: sound.size + 1 },
      { ...sound, size: 2 ** 40, length: 2 ** 40 },
      { ...sound, length: -1 },
      { ...sound, length: Number.NaN },
      { ...sound, pieces: [{ offset: sound.length - 1, bytes: zeros }] },
      { ...sound, pieces: [{ offset: -1, bytes: zeros }] },
      { ...sound, pieces: [{ offset: 0, bytes: zeros }] },
    ]) {
      const cache = cacheOf(broken);
      expect(await inspectKernel(kernel, { cache })).toMatchObject({ pv: true, pvh: true });
      expect(cache.asked).toBe(1);
      expect(cache.told).toHaveLength(1);
    }
  });

  test("a payload that has to be unpacked to its end is not kept", async () => {
    const cache = cacheOf();
    const inSection = makeBzImage({ payload: gzipSync(makeElf({ notes: PVH_NOTES, notesIn: "section" })) });
    expect(await inspectKernel(inSection, { cache })).toMatchObject({ pvh: true, notes: { source: "SHT_NOTE" } });
    expect(await inspectKernel(kernel, { cache, whole: true })).toMatchObject({ pv: true });
    expect(cache.told).toEqual([]);
    expect(cache.asked).toBe(1);
  });
});

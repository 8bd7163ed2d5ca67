import { type BlockDevice, bufferDevice, sliceDevice } from "@guestprobe/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "./lib/code-of.js";
import { fakeDevice } from "./lib/fake-device.js";
import { pattern } from "./lib/pattern.js";

const data = pattern(1000);

describe("sliceDevice", () => {
  test("reads and peeks what lies there, a slice of a slice too", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000), async (a, b, c, d) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const outer = sliceDevice(bufferDevice(data), from, to - from);
        const innerFrom = Math.min(c, outer.size);
        const inner = sliceDevice(outer, innerFrom, Math.min(d, outer.size - innerFrom));
        const expected = data.subarray(from + innerFrom, from + innerFrom + inner.size);
        expect(await inner.read(0, inner.size)).toEqual(expected);
        expect(inner.peek?.(0, inner.size)).toEqual(expected);
        expect(inner.readNow?.(0, inner.size, new Uint8Array(inner.size))).toEqual(expected);
      }),
    );
  });

  test("neighbours cannot be reached", async () => {
    const slice = sliceDevice(bufferDevice(data), 100, 50);
    await expect(slice.read(49, 2)).rejects.toMatchObject({ code: "past-end", offset: 49 });
    await expect(slice.read(-1, 2)).rejects.toMatchObject({ code: "invalid-argument" });
    expect(slice.peek?.(49, 2)).toBeUndefined();
    expect(slice.peek?.(-1, 2)).toBeUndefined();
    expect(slice.peek?.(0, -1)).toBeUndefined();
    expect(codeOf(() => slice.readNow?.(49, 2, new Uint8Array(2)))).toBe("past-end");
    expect(codeOf(() => slice.readNow?.(-1, 2, new Uint8Array(2)))).toBe("invalid-argument");
  });

  test.each([
    [0, 1001],
    [1000, 1],
    [1001, 0],
    [2 ** 53, 512],
  ])("a slice of %i + %i does not lie within 1000 bytes", (offset, length) => {
    expect(codeOf(() => sliceDevice(bufferDevice(data), offset, length))).toBe("past-end");
  });

  test("the whole is the parent itself", () => {
    const parent = bufferDevice(data);
    expect(sliceDevice(parent, 0, 1000)).toBe(parent);
  });

  test("hands on the sector size, the signal, the memory to spare and the parent's promise", () => {
    const promise = Promise.resolve(new Uint8Array(4));
    const seen: unknown[] = [];
    const parent: BlockDevice = {
      size: 100,
      sectorSize: 4096,
      read: (...args) => {
        seen.push(args);
        return promise;
      },
    };
    const slice = sliceDevice(parent, 10, 20);
    const { signal } = new AbortController();
    expect(slice.sectorSize).toBe(4096);
    const spare = new Uint8Array(4);
    expect(slice.read(3, 4, signal, spare)).toBe(promise);
    expect(seen).toEqual([[13, 4, signal, spare]]);
    expect((seen[0] as unknown[])[3]).toBe(spare);
  });

  test("has peek and map just where the parent has them", () => {
    const slice = sliceDevice(fakeDevice(data), 1, 2);
    expect([slice.peek, slice.readNow, slice.map]).toEqual([undefined, undefined, undefined]);
  });

  test("map is shifted, and bounded by the slice", async () => {
    const parent: BlockDevice = {
      ...bufferDevice(data),
      map: async (offset, length) => [{ kind: "hole", offset, length }],
    };
    const slice = sliceDevice(parent, 100, 50);
    expect(await slice.map?.(10, 20)).toEqual([{ kind: "hole", offset: 10, length: 20 }]);
    await expect(slice.map?.(10, 41)).rejects.toMatchObject({ code: "past-end" });
  });
});

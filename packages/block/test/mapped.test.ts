import { bufferDevice, countReads, isImageError, mappedDevice, runsDevice, sliceDevice } from "@guestprobe/block";
import { describe, expect, it } from "vitest";

const letters = new TextEncoder().encode("abcdefghijklmnopqrstuvwxyz");
const text = (data: Uint8Array): string => Array.from(data, (byte) => String.fromCharCode(byte || 0x2e)).join("");

describe("device of fixed runs", () => {
  const source = countReads(bufferDevice(letters));
  const device = runsDevice([
    { kind: "stored", device: source, offset: 4, length: 3 },
    { kind: "zero", length: 5 },
    { kind: "stored", device: source, offset: 20, length: 2 },
    { kind: "stored", device: source, offset: 22, length: 2 },
    { kind: "decoded", skip: 1, length: 3, load: async () => letters.subarray(0, 4) },
  ]);

  it("lays the runs end to end", async () => {
    expect(device.size).toBe(15);
    expect(text(await device.read(0, 15))).toBe("efg.....uvwxbcd");
    expect(text(await device.read(1, 12))).toBe("fg.....uvwxb");
    expect(text(await device.read(14, 1))).toBe("d");
  });

  it("zero runs cost no read, neighbours cost one", async () => {
    source.stats.reads = 0;
    await device.read(3, 5);
    expect(source.stats.reads).toBe(0);
    await device.read(8, 4);
    expect(source.stats.reads).toBe(1);
  });

  it("map: holes are zero runs; what is below answers for itself", async () => {
    expect(await device.map?.(1, 13)).toEqual([
      { offset: 1, length: 2, kind: "data" },
      { offset: 3, length: 5, kind: "hole" },
      { offset: 8, length: 6, kind: "data" },
    ]);
    const outer = runsDevice([
      { kind: "zero", length: 2 },
      { kind: "stored", device, offset: 2, length: 8 },
    ]);
    expect(await outer.map?.(0, 10)).toEqual([
      { offset: 0, length: 2, kind: "hole" },
      { offset: 2, length: 1, kind: "data" },
      { offset: 3, length: 5, kind: "hole" },
      { offset: 8, length: 2, kind: "data" },
    ]);
  });

  it("refuses a run that passes its device, and a read that passes the end", async () => {
    expect(() => runsDevice([{ kind: "stored", device: source, offset: 20, length: 7 }])).toThrow(/pass the end/);
    await expect(device.read(10, 6)).rejects.toMatchObject({ code: "past-end" });
  });

  it("more runs than one answer of locate holds", async () => {
    const runs = letters.reduce<Parameters<typeof runsDevice>[0][number][]>((all, _, n) => {
      all.push({ kind: "stored", device: sliceDevice(source, 25 - n, 1), offset: 0, length: 1 });
      return all;
    }, []);
    expect(text(await runsDevice(runs).read(0, 26))).toBe("zyxwvutsrqponmlkjihgfedcba");
  });
});

describe("mapping by tables", () => {
  it("a mapping that gives nothing is an error, not a loop", async () => {
    const device = mappedDevice({ size: 10, locate: async () => [] });
    const failure = await device.read(0, 10).catch((error: unknown) => error);
    expect(isImageError(failure, "invalid-argument")).toBe(true);
  });

  it("map stops at its limit of runs", async () => {
    const stored = bufferDevice(letters);
    const device = mappedDevice({
      size: 2 ** 40,
      locate: async (_, length) =>
        Array.from({ length: Math.min(length, 65536) }, (_, n) =>
          n % 2 === 0 ? { kind: "zero", length: 1 } : { kind: "stored", device: stored, offset: 0, length: 1 },
        ),
    });
    await expect(device.map?.(0, 2 ** 40)).rejects.toMatchObject({ code: "limit" });
  });

  it("an aborted read stops between runs", async () => {
    const controller = new AbortController();
    const device = mappedDevice({
      size: 100,
      locate: async () => {
        controller.abort();
        return [{ kind: "zero", length: 1 }];
      },
    });
    await expect(device.read(0, 100, controller.signal)).rejects.toMatchObject({ code: "aborted" });
  });
});

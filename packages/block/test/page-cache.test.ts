import { abortable, type BlockDevice, bufferDevice, cachedDevice, countReads, ImageError } from "@guestprobe/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "./lib/code-of.js";
import { fakeDevice } from "./lib/fake-device.js";
import { pattern } from "./lib/pattern.js";

const KIB = 1024;
const data = pattern(64 * KIB + 700);
const lone = { pageSize: KIB, readAhead: 0 };

test("memory to spare is handed on past the cache, filled from several pages, and never kept as a page", async () => {
  const given: (Uint8Array | undefined)[] = [];
  const device: BlockDevice = {
    size: data.length,
    async read(offset, length, _signal, into) {
      given.push(into);
      into?.set(data.subarray(offset, offset + length));
      return into ?? data.slice(offset, offset + length);
    },
  };
  const cached = cachedDevice(device, { ...lone, bypass: 8 * KIB });
  const large = new Uint8Array(8 * KIB);
  expect(await cached.read(100, large.length, undefined, large)).toBe(large);
  expect(given).toEqual([large]);
  const small = new Uint8Array(2 * KIB);
  expect(await cached.read(KIB / 2, small.length, undefined, small)).toBe(small);
  expect(Buffer.compare(small, data.subarray(KIB / 2, KIB / 2 + small.length))).toBe(0);
  expect(given.slice(1).some((into) => into?.buffer === small.buffer)).toBe(false);
  small.fill(0);
  expect(Buffer.compare(await cached.read(KIB / 2, 2 * KIB), data.subarray(KIB / 2, KIB / 2 + 2 * KIB))).toBe(0);
});

test("direct: a read that brings memory passes by the cache, but for what it holds", async () => {
  const device = fakeDevice(data);
  const cached = cachedDevice(device, { ...lone, direct: true });
  const spare = new Uint8Array(300);
  const readToSpare = async () =>
    Buffer.compare(await cached.read(100, 300, undefined, spare), data.subarray(100, 400));
  expect([await readToSpare(), device.calls.length, cached.held]).toEqual([0, 1, 0]);
  await cached.read(100, 300);
  expect([device.calls.length, cached.held > 0]).toEqual([2, true]);
  expect(await readToSpare()).toBe(0);
  expect(device.calls).toHaveLength(2);
});

describe("any reads, any options: the bytes are those of the device", () => {
  const range = fc.tuple(fc.nat(data.length), fc.oneof(fc.nat(3000), fc.nat(data.length)));
  const options = fc.record({
    pageSize: fc.constantFrom(512, 1024, 4096, 65536),
    pages: fc.integer({ min: 1, max: 40 }),
    readAhead: fc.constantFrom(0, 1000, 5000, 100_000),
    bypass: fc.constantFrom(1, 5000, 20_000, 1 << 20),
  });

  test("in turns of several reads at once, never over the budget", async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.array(fc.array(range, { maxLength: 6 }), { maxLength: 12 }), async (o, turns) => {
        const device = fakeDevice(data);
        const cached = cachedDevice(device, { ...o, budget: o.pages * o.pageSize + 511 });
        for (const turn of turns) {
          await Promise.all(
            turn.map(async ([offset, wanted]) => {
              const length = Math.min(wanted, data.length - offset);
              const expected = data.subarray(offset, offset + length);
              expect(Buffer.compare(await cached.read(offset, length), expected)).toBe(0);
              const peeked = cached.peek?.(offset, length);
              if (peeked !== undefined) expect(Buffer.compare(peeked, expected)).toBe(0);
            }),
          );
          expect(cached.held).toBeLessThanOrEqual(o.pages * o.pageSize);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("bad sectors hide just the reads that touch them", async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.array(range, { maxLength: 12 }), fc.nat(data.length - 1), async (o, reads, bad) => {
        const device = fakeDevice(data);
        device.bad.add(bad);
        const cached = cachedDevice(device, { ...o, budget: o.pages * o.pageSize });
        await Promise.all(
          reads.map(async ([offset, wanted]) => {
            const length = Math.min(wanted, data.length - offset);
            const reading = cached.read(offset, length);
            if (offset <= bad && bad < offset + length) {
              await expect(reading).rejects.toMatchObject({ code: "io", offset: bad });
            } else {
              expect(Buffer.compare(await reading, data.subarray(offset, offset + length))).toBe(0);
            }
          }),
        );
      }),
    );
  });
});

describe("what is read below", () => {
  test("a miss is one page, a hit nothing", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    await cached.read(1500, 10);
    expect(device.calls).toEqual([{ offset: 1024, length: 1024 }]);
    expect(await cached.read(1024, 1024)).toEqual(data.slice(1024, 2048));
    expect(cached.peek?.(2047, 1)).toEqual(data.slice(2047, 2048));
    expect(device.calls).toHaveLength(1);
  });

  test("the last page ends with the device", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    expect(await cached.read(data.length - 1, 1)).toEqual(data.slice(-1));
    expect(device.calls).toEqual([{ offset: 64 * KIB, length: 700 }]);
    expect(cached.held).toBe(700);
  });

  test("pages side by side that are asked for in one turn are one read, in any order", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    await Promise.all([3, 1, 2, 7, 2].map((page) => cached.read(page * KIB + 5, 10)));
    expect(device.calls).toEqual([
      { offset: KIB, length: 3 * KIB },
      { offset: 7 * KIB, length: KIB },
    ]);
  });

  test("a merged read is no longer than 4 MiB", async () => {
    const size = 10 << 20;
    const counted = countReads({ size, read: async (_, length) => new Uint8Array(length) });
    const lengths: number[] = [];
    const device: BlockDevice = {
      size,
      read: (offset, length) => {
        lengths.push(length);
        return counted.read(offset, length);
      },
    };
    const cached = cachedDevice(device, { pageSize: 1 << 20, readAhead: 0, bypass: size + 1 });
    await cached.read(0, size);
    expect(lengths.map((length) => length >> 20)).toEqual([4, 4, 2]);
  });

  test("a load under way is shared by a reader that comes later", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    const first = cached.read(0, 10);
    await Promise.resolve();
    await Promise.resolve();
    expect(device.calls).toHaveLength(1);
    const second = cached.read(5, 10);
    expect([await first, await second]).toEqual([data.slice(0, 10), data.slice(5, 15)]);
    expect(device.calls).toHaveLength(1);
  });

  test("a read that spans held and missing pages loads the missing ones only", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    await cached.read(2 * KIB, 1);
    device.calls.length = 0;
    expect(await cached.read(KIB + 7, 3 * KIB)).toEqual(data.slice(KIB + 7, 4 * KIB + 7));
    expect(device.calls).toEqual([
      { offset: KIB, length: KIB },
      { offset: 3 * KIB, length: 2 * KIB },
    ]);
  });

  test("large reads pass by and leave nothing behind", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, { ...lone, bypass: 5000 });
    expect(await cached.read(100, 5000)).toEqual(data.slice(100, 5100));
    expect(device.calls).toEqual([{ offset: 100, length: 5000 }]);
    expect(cached.held).toBe(0);
  });

  test("no bytes cost no read, at the end of the device too", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    expect(await cached.read(data.length, 0)).toHaveLength(0);
    expect(await cachedDevice(bufferDevice(new Uint8Array(0))).read(0, 0)).toHaveLength(0);
    expect(device.calls).toHaveLength(0);
  });
});

describe("read-ahead", () => {
  test("doubles as a reader goes on, up to its limit; another reader in between does not disturb it", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, { pageSize: KIB, readAhead: 4 * KIB });
    for (let page = 0; page < 20; page += 1) {
      await cached.read(page * KIB, KIB);
      if (page % 3 === 0) await cached.read((60 - page) * KIB, 1);
    }
    const forward = device.calls.filter(({ offset }) => offset < 30 * KIB);
    expect(forward.map(({ offset, length }) => [offset / KIB, length / KIB])).toEqual([
      [0, 1],
      [1, 2],
      [3, 3],
      [6, 5],
      [11, 5],
      [16, 5],
    ]);
    expect(device.calls.filter(({ offset }) => offset > 30 * KIB).every(({ length }) => length === KIB)).toBe(true);
  });

  test("stops before a page that is held, and at the end of the device", async () => {
    const device = fakeDevice(data.subarray(0, 6 * KIB + 10));
    const cached = cachedDevice(device, { pageSize: KIB, readAhead: 100 * KIB });
    await cached.read(4 * KIB, 1);
    await cached.read(0, 2 * KIB);
    await cached.read(2 * KIB, KIB);
    await cached.read(5 * KIB, 1);
    expect(device.calls.map(({ offset, length }) => [offset, length])).toEqual([
      [4 * KIB, KIB],
      [0, 2 * KIB],
      [2 * KIB, 2 * KIB],
      [5 * KIB, KIB + 10],
    ]);
  });

  test("each page of a sequential reader is read once, however small the budget", async () => {
    for (const pages of [1, 2, 3, 5, 16]) {
      const counted = countReads(fakeDevice(data));
      const cached = cachedDevice(counted, { pageSize: KIB, budget: pages * KIB, readAhead: 32 * KIB });
      for (let at = 0; at < data.length; at += 100) await cached.read(at, Math.min(100, data.length - at));
      // With room for one page, a read over the edge of two asks again for the second of them.
      const allowed = pages === 1 ? 2 : 1;
      expect(counted.stats.bytes, `${pages} pages`).toBeLessThanOrEqual(data.length * allowed);
    }
  });

  test("a bad sector in what is read ahead is no one's failure", async () => {
    const device = fakeDevice(data);
    device.bad.add(5 * KIB);
    const cached = cachedDevice(device, { pageSize: KIB, readAhead: 8 * KIB });
    for (let at = 0; at < 5 * KIB; at += 128) expect(await cached.read(at, 128)).toEqual(data.slice(at, at + 128));
    await expect(cached.read(5 * KIB - 1, 2)).rejects.toMatchObject({ code: "io" });
    expect(await cached.read(5 * KIB + 1, 50)).toEqual(data.slice(5 * KIB + 1, 5 * KIB + 51));
  });
});

describe("eviction", () => {
  test("a page in use outlives a scan", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, { ...lone, budget: 4 * KIB });
    for (let page = 1; page < 50; page += 1) {
      await cached.read(0, 1);
      await cached.read(page * KIB, 1);
    }
    expect(device.calls.filter(({ offset }) => offset === 0)).toHaveLength(1);
  });

  test("a new page is kept even when all others are in use", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, { ...lone, budget: 4 * KIB });
    for (const round of [1, 2]) for (let page = 0; page < 4; page += 1) await cached.read(page * KIB, round);
    await cached.read(9 * KIB, 1);
    expect(cached.peek?.(9 * KIB, 1)).toEqual(data.slice(9 * KIB, 9 * KIB + 1));
    expect(cached.held).toBe(4 * KIB);
  });

  test("clear drops all", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    await cached.read(0, 10);
    cached.clear();
    expect([cached.held, cached.peek?.(0, 1)]).toEqual([0, undefined]);
    await cached.read(0, 10);
    expect(device.calls).toHaveLength(2);
  });

  test("a kept page does not keep the run that it came in", async () => {
    const cached = cachedDevice(fakeDevice(data), lone);
    await Promise.all([cached.read(0, 1), cached.read(KIB, 1)]);
    expect(cached.peek?.(0, 1)?.buffer.byteLength).toBe(KIB);
    const buffers: BlockDevice = { size: 10 * KIB, read: async (_, length) => Buffer.alloc(length) };
    const other = cachedDevice(buffers, lone);
    await Promise.all([other.read(0, 1), other.read(KIB, 1)]);
    expect(other.peek?.(0, 1)?.buffer.byteLength).toBe(KIB);
  });
});

describe("reads in parts", () => {
  const inParts = (size = data.length): { device: BlockDevice; calls: number[][]; bad: Set<number> } => {
    const calls: number[][] = [];
    const fake = fakeDevice(data.subarray(0, size));
    const device: BlockDevice = {
      ...fake,
      readParts: async (offset, length, partSize) => {
        calls.push([offset, length, partSize]);
        const parts: Uint8Array[] = [];
        for (let at = 0; at < length; at += partSize)
          parts.push(await fake.read(offset + at, Math.min(partSize, length - at)));
        return parts;
      },
    };
    return { device, calls, bad: fake.bad };
  };

  test("bring a run of pages, each in memory of its own; a page by itself is read", async () => {
    const { device, calls } = inParts();
    const cached = cachedDevice(device, lone);
    const [first, second] = await Promise.all([cached.read(10, 20), cached.read(KIB + 5, 30)]);
    expect([first, second]).toEqual([data.slice(10, 30), data.slice(KIB + 5, KIB + 35)]);
    expect(calls).toEqual([[0, 2 * KIB, KIB]]);
    expect(first?.buffer.byteLength).toBe(KIB);
    await cached.read(4 * KIB, 10);
    expect(calls).toHaveLength(1);
    expect(cached.held).toBe(3 * KIB);
  });

  test("the last page of a device is as long as what is left", async () => {
    const { device, calls } = inParts(2 * KIB + 100);
    const cached = cachedDevice(device, lone);
    expect(await cached.read(0, 2 * KIB + 100)).toEqual(data.slice(0, 2 * KIB + 100));
    expect([calls, cached.held]).toEqual([[[0, 2 * KIB + 100, KIB]], 2 * KIB + 100]);
  });

  test("a bad spot hides only itself, and no page of its run is kept", async () => {
    const { device, bad } = inParts();
    bad.add(KIB + 500);
    const cached = cachedDevice(device, lone);
    const [before, behind] = await Promise.allSettled([cached.read(0, 100), cached.read(KIB, 501)]);
    expect(before).toEqual({ status: "fulfilled", value: data.slice(0, 100) });
    expect(behind).toMatchObject({ status: "rejected", reason: { code: "io", offset: KIB + 500 } });
    expect(cached.held).toBe(0);
  });
});

describe("reads at once", () => {
  test("pass by the cache, but for what a held page has, and are there just where the device has them", async () => {
    const calls: number[] = [];
    const device: BlockDevice = {
      ...fakeDevice(data),
      readNow: (offset, length, into) => {
        calls.push(offset);
        into.set(data.subarray(offset, offset + length));
        return into;
      },
    };
    expect(cachedDevice(fakeDevice(data), lone).readNow).toBeUndefined();
    const cached = cachedDevice(device, lone);
    await cached.read(0, 10);
    expect(cached.readNow?.(3, 9, new Uint8Array(9))).toEqual(data.slice(3, 12));
    expect(calls).toEqual([]);
    expect(cached.readNow?.(5 * KIB, 9, new Uint8Array(9))).toEqual(data.slice(5 * KIB, 5 * KIB + 9));
    expect([calls, cached.held]).toEqual([[5 * KIB], KIB]);
  });

  describe("small ones that follow one another", () => {
    const long = pattern(700 * KIB);
    const window = 256 * KIB;

    /** A device that answers at once, and tells of each call; `most`: bytes that it has at once. */
    function device(most = long.length) {
      const calls: [number, number][] = [];
      const readNow: BlockDevice["readNow"] = (offset, length, into) => {
        calls.push([offset, length]);
        if (length > most || into.length !== length) return undefined;
        into.set(long.subarray(offset, offset + length));
        return into;
      };
      const cached = cachedDevice({ ...fakeDevice(long), readNow });
      const isRight = (offset: number, length: number): boolean => {
        const got = cached.readNow?.(offset, length, new Uint8Array(length));
        return got !== undefined && Buffer.compare(got, long.subarray(offset, offset + length)) === 0;
      };
      return { calls, cached, isRight };
    }

    test("are had by one call from the third on", () => {
      const { calls, isRight } = device();
      for (let at = 0; at < 600 * KIB; at += 4 * KIB) expect(isRight(at, 3 * KIB)).toBe(true);
      const third = 8 * KIB;
      // Where a window ends within a file, or before one, the next begins with that file.
      expect(calls).toEqual([
        [0, 3 * KIB],
        [4 * KIB, 3 * KIB],
        [third, window],
        [third + window, window],
        [third + 2 * window, long.length - third - 2 * window],
      ]);
    });

    test("those that go back, leap, or are large, are had as they are", () => {
      const { calls, isRight } = device();
      for (let n = 10; n > 0; n -= 1) expect(isRight(n * 5000, 4000)).toBe(true);
      for (let n = 0; n < 5; n += 1) expect(isRight(n * 70 * KIB, 4000)).toBe(true);
      for (let n = 0; n < 4; n += 1) expect(isRight(n * 150 * KIB, 150 * KIB)).toBe(true);
      for (let n = 0; n < 4; n += 1) expect(isRight(n * 16 * KIB, 16 * KIB)).toBe(true);
      const large = [...Array(4).fill(150 * KIB), ...Array(4).fill(16 * KIB)];
      expect(calls.map(([, length]) => length)).toEqual([...Array(15).fill(4000), ...large]);
    });

    test("where more cannot be had at once, what was asked for still is", () => {
      const { calls, isRight } = device(4000);
      for (let n = 0; n < 9; n += 1) expect(isRight(n * 4000, 4000)).toBe(true);
      const one = [4000, 4000, window, 4000];
      expect(calls.map(([, length]) => length)).toEqual([...one, ...one, ...one]);
    });

    test("what was read ahead is gone after clear()", () => {
      const { calls, cached, isRight } = device();
      for (let n = 0; n < 4; n += 1) isRight(n * 4000, 4000);
      expect(calls).toHaveLength(3);
      cached.clear();
      expect(isRight(8000, 4000)).toBe(true);
      expect(calls).toHaveLength(4);
    });

    test("in any order: the bytes are those of the device", () => {
      const step = fc.record({
        by: fc.integer({ min: -9000, max: 90_000 }),
        length: fc.integer({ min: 0, max: 9000 }),
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const { isRight } = device();
          let at = 0;
          for (const { by, length } of steps) {
            at = Math.max(0, Math.min(long.length - length, at + by));
            expect(isRight(at, length)).toBe(true);
            at += length;
          }
        }),
        { examples: [[[{ by: 0, length: 0 }]]] },
      );
    });

    test("what is no range is the device's to refuse", () => {
      const { calls, cached, isRight } = device();
      for (let n = 0; n < 4; n += 1) isRight(n * 4000, 4000);
      cached.readNow?.(8000.5, 10, new Uint8Array(10));
      cached.readNow?.(8000, 10, new Uint8Array(9));
      expect(calls.slice(3)).toEqual([
        [8000.5, 10],
        [8000, 10],
      ]);
    });
  });
});

describe("failures", () => {
  test("after a failure the page is tried anew", async () => {
    const device = fakeDevice(data);
    device.bad.add(5);
    const cached = cachedDevice(device, lone);
    await expect(cached.read(0, 10)).rejects.toMatchObject({ code: "io", offset: 5 });
    device.bad.clear();
    expect(await cached.read(0, 10)).toEqual(data.slice(0, 10));
    expect(cached.held).toBe(KIB);
  });

  test("ranges are checked, for hits and misses alike", async () => {
    const cached = cachedDevice(fakeDevice(data), lone);
    await cached.read(0, 10);
    await cached.read(data.length - 1, 1);
    for (const [offset, length, code] of [
      [data.length - 1, 2, "past-end"],
      [data.length, 1, "past-end"],
      [-1, 2, "invalid-argument"],
      [0, -1, "invalid-argument"],
      [0.5, 1, "invalid-argument"],
      [0, 1.5, "invalid-argument"],
      [Number.NaN, 1, "invalid-argument"],
    ] as const) {
      expect(cached.peek?.(offset, length)).toBeUndefined();
      await expect(cached.read(offset, length), `${offset} + ${length}`).rejects.toMatchObject({ code });
    }
  });

  test.each([[10], [5000]])("a device that answers short reads is not believed (%i bytes)", async (length) => {
    const short: BlockDevice = { size: 10_000, read: async (_, count) => new Uint8Array(count - 1) };
    const cached = cachedDevice(short, { ...lone, bypass: 4096 });
    await expect(cached.read(0, length)).rejects.toMatchObject({ code: "io", offset: 0 });
  });

  test("what is no ImageError passes through unchanged", async () => {
    const bug = new TypeError("a bug below");
    const cached = cachedDevice({ size: 10, read: () => Promise.reject(bug) });
    await expect(cached.read(0, 10)).rejects.toBe(bug);
  });
});

describe("abort", () => {
  test("before: neither a hit nor a miss answers", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    await cached.read(0, 10);
    const signal = AbortSignal.abort("enough");
    await expect(cached.read(0, 10, signal)).rejects.toMatchObject({ code: "aborted", cause: "enough" });
    await expect(cached.read(KIB, 10, signal)).rejects.toMatchObject({ code: "aborted" });
    await expect(cached.read(0, 1 << 15, signal)).rejects.toMatchObject({ code: "aborted" });
    expect(device.calls).toHaveLength(1);
  });

  test("ends the wait of one reader, not the load that another shares", async () => {
    const device = fakeDevice(data);
    const cached = cachedDevice(device, lone);
    const controller = new AbortController();
    const stopped = cached.read(0, 10, controller.signal);
    const other = cached.read(5, 10);
    controller.abort();
    await expect(stopped).rejects.toMatchObject({ code: "aborted" });
    expect(await other).toEqual(data.slice(5, 15));
    expect(device.calls).toHaveLength(1);
  });

  test("a large read hands the signal down", async () => {
    const cached = cachedDevice(fakeDevice(data), { ...lone, bypass: 1 });
    const controller = new AbortController();
    const reading = cached.read(0, 10, controller.signal);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });

  test("a failure that has nothing to do with the signal stays what it is", async () => {
    const device = fakeDevice(data);
    device.bad.add(3);
    const cached = cachedDevice(device, lone);
    await expect(cached.read(0, 10, new AbortController().signal)).rejects.toMatchObject({ code: "io" });
  });

  test("abortable: no signal, a signal that never fires, one that fired before", async () => {
    const promise = Promise.resolve(1);
    expect(abortable(promise, undefined)).toBe(promise);
    expect(await abortable(promise, new AbortController().signal)).toBe(1);
    await expect(abortable(new Promise(() => {}), AbortSignal.abort(2))).rejects.toMatchObject({ cause: 2 });
    const late = Promise.reject(new ImageError("io", "late"));
    await expect(abortable(late, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("the rest of the device", () => {
  test("size, sector size and map are those below", async () => {
    const below: BlockDevice = {
      ...bufferDevice(data, { sectorSize: 4096 }),
      map: async (offset, length) => [{ kind: "data", offset, length }],
    };
    const cached = cachedDevice(below);
    expect([cached.size, cached.sectorSize]).toEqual([data.length, 4096]);
    expect(await cached.map?.(1, 2)).toEqual([{ kind: "data", offset: 1, length: 2 }]);
    expect(cachedDevice(fakeDevice(data)).map).toBeUndefined();
  });

  test.each([
    { pageSize: 256 },
    { pageSize: 1000 },
    { pageSize: Number.NaN },
    { pageSize: 4096, budget: 4095 },
    { budget: Number.NaN },
    { readAhead: -1 },
    { readAhead: Number.NaN },
    { bypass: Number.NaN },
  ])("refuses %j", (options) => {
    expect(codeOf(() => cachedDevice(bufferDevice(data), options))).toBe("invalid-argument");
  });
});

import { type BlockDevice, bufferDevice, countReads } from "@guestprobe/block";
import {
  clampRead,
  type Extent,
  filePieces,
  type Inode,
  open,
  readFile,
  readStream,
  readThroughExtents,
} from "@guestprobe/vfs";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { dir, file, memoryFs, type Node, text } from "./lib/memory-fs.js";

const MIB = 1 << 20;
const large = Uint8Array.from({ length: 2 * MIB + 12_345 }, (_, at) => (at * 2654435761) >>> 13);
const fs = memoryFs(
  dir({ small: file("content"), empty: file(), large: file(large), d: dir(), pipe: { special: "fifo" } }),
);

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

/** The inode of `path`, with some of it changed. */
const changed = async (path: string, change: Partial<Inode>): Promise<Inode> => ({
  ...(await open(fs, path)),
  ...change,
});

describe("clampRead", () => {
  test.each([
    [10, 0, 10, 10],
    [10, 0, 11, 10],
    [10, 9, 5, 1],
    [10, 10, 5, 0],
    [10, 11, 5, 0],
    [10, 2 ** 53 - 1, 5, 0],
    [10, 3, 0, 0],
    [0, 0, 1, 0],
    [10, 2, Number.POSITIVE_INFINITY, 8],
  ])("size %d, %d + %d", (size, offset, length, expected) => expect(clampRead(size, offset, length)).toBe(expected));
  test.each([
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
  ])("%d + %d is refused", (offset, length) => {
    expect(() => clampRead(10, offset, length)).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  });
});

describe("readThroughExtents", () => {
  const data = large.subarray(0, 4000);
  const device = bufferDevice(data);
  const taking: BlockDevice = {
    size: device.size,
    async read(offset, length, signal, into) {
      const bytes = await device.read(offset, length, signal);
      into?.set(bytes);
      return into ?? bytes;
    },
  };
  const runs = fc.array(
    fc.record({ kind: fc.constantFrom("data", "hole", "unwritten", "gap"), length: fc.integer({ min: 1, max: 300 }) }),
    { maxLength: 12 },
  );

  test("any mix of data, holes and gaps, any range", async () => {
    await fc.assert(
      fc.asyncProperty(runs, fc.nat(3000), fc.nat(3000), fc.infiniteStream(fc.nat(3700)), async (mix, a, b, places) => {
        const extents: Extent[] = [];
        const expected = new Uint8Array(6000);
        let logical = 0;
        for (const { kind, length } of mix) {
          const physical = places.next().value as number;
          if (kind === "data") expected.set(data.subarray(physical, physical + length), logical);
          if (kind !== "gap") extents.push({ kind, logical, length, physical: kind === "hole" ? undefined : physical });
          logical += length;
        }
        expect(await readThroughExtents(device, extents, a, b)).toEqual(expected.slice(a, a + b));
        // A device that takes the memory it is offered, which holds something else and is longer than the range.
        const spare = new Uint8Array(b + 3).fill(0xdb);
        const read = await readThroughExtents(taking, extents, a, b, undefined, spare);
        expect(read).toEqual(expected.slice(a, a + b));
        if (b > 0) expect(read.buffer).toBe(spare.buffer);
        expect(spare.subarray(b)).toEqual(Uint8Array.of(0xdb, 0xdb, 0xdb));
      }),
      { numRuns: 300 },
    );
  });

  test("only what overlaps is read, and all of it is asked for at once", async () => {
    const asked: [number, number][] = [];
    const waiting: (() => void)[] = [];
    const slow: BlockDevice = {
      size: 4000,
      read: (offset, length) => {
        asked.push([offset, length]);
        return new Promise((resolve) => waiting.push(() => resolve(data.slice(offset, offset + length))));
      },
    };
    const extents: Extent[] = [0, 1, 2, 3].map((n) => ({
      kind: "data",
      logical: n * 100,
      length: 100,
      physical: n * 500,
    }));
    const reading = readThroughExtents(slow, extents, 150, 100);
    expect(asked).toEqual([
      [550, 50],
      [1000, 50],
    ]);
    for (const answer of waiting) answer();
    expect(await reading).toEqual(Uint8Array.of(...data.subarray(550, 600), ...data.subarray(1000, 1050)));
  });

  test("holes cost no read, one extent no copy", async () => {
    const counted = countReads(device);
    const extents: Extent[] = [
      { kind: "hole", logical: 0, length: 100, physical: undefined },
      { kind: "data", logical: 100, length: 100, physical: 700 },
    ];
    expect(await readThroughExtents(counted, extents, 0, 100)).toEqual(new Uint8Array(100));
    expect(counted.stats.reads).toBe(0);
    expect((await readThroughExtents(counted, extents, 110, 20)).buffer).toBe(data.buffer);
    expect(counted.stats).toEqual({ reads: 1, bytes: 20 });
  });

  test("an extent that points past the device is past-end, and no other failure is left unhandled", async () => {
    const extents: Extent[] = [3990, 3995, 2 ** 53 - 1].map((physical, n) => ({
      ...{ kind: "data", logical: n * 100, length: 100, physical },
    }));
    await expect(readThroughExtents(device, extents, 0, 300)).rejects.toMatchObject({ code: "past-end", offset: 3990 });
    await expect(readThroughExtents(device, extents, 250, 20)).rejects.toMatchObject({ code: "past-end" });
  });

  test.each([["inline"], ["encoded"], ["data"]] as const)(
    "an extent of kind %s that has no plain place",
    async (kind) => {
      const extents: Extent[] = [{ kind, logical: 0, length: 10, physical: undefined }];
      await expect(readThroughExtents(device, extents, 0, 10)).rejects.toMatchObject({ code: "invalid-argument" });
      expect(await readThroughExtents(device, extents, 10, 10)).toEqual(new Uint8Array(10));
    },
  );

  test("a hole larger than memory is a limit", async () => {
    await expect(readThroughExtents(device, [], 0, 2 ** 52)).rejects.toMatchObject({ code: "limit" });
  });

  test("a signal", async () => {
    const extents: Extent[] = [{ kind: "data", logical: 0, length: 10, physical: 0 }];
    const reading = readThroughExtents(device, extents, 0, 10, AbortSignal.abort());
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("readFile", () => {
  test.each([
    ["/small", "content"],
    ["/empty", ""],
  ])("%s", async (path, content) => {
    expect(text(await readFile(await open(fs, path)))).toBe(content);
  });
  test("a large one, in pieces of a mebibyte", async () => {
    const sizes: number[] = [];
    const inode = await open(fs, "/large");
    const watched = {
      ...inode,
      read(at: number, length: number) {
        sizes.push(length);
        return inode.read(at, length);
      },
    };
    expect(Buffer.compare(await readFile(watched), large)).toBe(0);
    expect(sizes).toEqual([MIB, MIB, 12_345]);
  });
  test("the limit is inclusive", async () => {
    const inode = await open(fs, "/small");
    expect(await readFile(inode, { max: 7 })).toHaveLength(7);
    await expect(readFile(inode, { max: 6 })).rejects.toMatchObject({ code: "limit" });
  });
  test("by default 64 MiB: an inode that claims more costs no memory", async () => {
    const { stat } = await open(fs, "/small");
    const liar = await changed("/small", { stat: { ...stat, size: 2 ** 52 }, offset: 77 });
    await expect(readFile(liar)).rejects.toMatchObject({ code: "limit", offset: 77 });
    await expect(readFile(liar, { max: 2 ** 53 })).rejects.toMatchObject({ code: "limit" });
  });
  test("what is no file", async () => {
    await expect(readFile(await open(fs, "/d"))).rejects.toMatchObject({ code: "is-a-directory" });
    await expect(readFile(await open(fs, "/pipe"))).rejects.toMatchObject({ code: "invalid-argument" });
  });
  test("a signal", async () => {
    const reading = readFile(await open(fs, "/large"), { signal: AbortSignal.abort() });
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("filePieces", () => {
  test("from start to end, both clamped to the file", async () => {
    const inode = await open(fs, "/large");
    const ranges: [number?, number?][] = [[], [5], [5, 6], [MIB - 1, MIB + 1], [MIB, 3 * MIB], [large.length], [9, 3]];
    for (const [start, end] of ranges) {
      const whole = Buffer.concat(await collect(filePieces(inode, { start, end })));
      expect(Buffer.compare(whole, large.subarray(start ?? 0, Math.max(start ?? 0, end ?? large.length)))).toBe(0);
    }
  });
  test("nothing is read before it is asked for", async () => {
    const before = fs.calls.read;
    const pieces = filePieces(await open(fs, "/large"));
    expect(fs.calls.read).toBe(before);
    await pieces.next();
    expect(fs.calls.read).toBe(before + 1);
    await pieces.return(undefined);
  });
  test("a negative start", async () => {
    await expect(collect(filePieces(await open(fs, "/small"), { start: -1 }))).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });
  test("content that ends before the size is corrupt, neither short nor endless", async () => {
    const inode = await changed("/small", { read: async (at) => new Uint8Array(at < 3 ? 3 - at : 0), offset: 9 });
    await expect(collect(filePieces(inode))).rejects.toMatchObject({ code: "corrupt", offset: 9 });
  });
  test("an empty file yields nothing, an empty directory and a pipe are refused", async () => {
    expect(await collect(filePieces(await open(fs, "/empty")))).toEqual([]);
    await expect(collect(filePieces(await open(fs, "/d")))).rejects.toMatchObject({ code: "is-a-directory" });
    await expect(collect(filePieces(await open(fs, "/pipe")))).rejects.toMatchObject({ code: "invalid-argument" });
  });
  test("a signal between two pieces", async () => {
    const controller = new AbortController();
    const pieces = filePieces(await open(fs, "/large"), { signal: controller.signal });
    await pieces.next();
    controller.abort();
    await expect(pieces.next()).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("filePieces", () => {
  test("with `reuse`, a large file is read through memory that the next one is read through, without it each is the caller's to keep", async () => {
    const size = (1 << 20) + 5;
    const content = new Uint8Array(size).map((_, at) => (at * 7919) >> 8);
    const spares = new Set<ArrayBufferLike | undefined>();
    const inode = {
      stat: { size },
      async read(offset: number, length: number, _signal?: AbortSignal, into?: Uint8Array) {
        spares.add(into?.buffer);
        const piece = content.subarray(offset, offset + length);
        into?.set(piece);
        return into ?? piece.slice();
      },
    } as Partial<Inode> as Inode;
    const known = new Set<ArrayBufferLike | undefined>();
    // The first file leaves its memory to the next; none may be there for its first piece.
    for await (const _ of filePieces(inode, { reuse: true })) for (const spare of spares) known.add(spare);
    for (const reuse of [true, true, false]) {
      spares.clear();
      const pieces: Uint8Array[] = [];
      const read: Uint8Array[] = [];
      for await (const piece of filePieces(inode, { reuse })) {
        pieces.push(piece);
        read.push(piece.slice());
      }
      expect(Buffer.concat(read).equals(content)).toBe(true);
      expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(pieces.length);
      expect(spares.has(undefined)).toBe(!reuse);
      expect(spares.has([...known].at(-1))).toBe(reuse);
    }
  });
});

describe("filePieces with `reuse` reads three pieces ahead", () => {
  /** A file of numbered pieces whose reads are answered by hand. */
  function byHand(pieces: number) {
    const size = pieces * MIB;
    const asked: { readonly at: number; readonly into: Uint8Array; answer(error?: unknown): void }[] = [];
    const inode = {
      stat: { size },
      read(at: number, length: number, _signal?: AbortSignal, into = new Uint8Array(length)) {
        return new Promise<Uint8Array>((resolve, reject) => {
          const settle = (error?: unknown): void => {
            if (error !== undefined) reject(error);
            else resolve(into.fill(at / MIB + 1));
          };
          asked.push({ at, into, answer: settle });
        });
      },
    } as Partial<Inode> as Inode;
    /** Answers the read of piece `n`, which may come some turns of the event loop later. */
    const answer = async (n: number, error?: unknown): Promise<void> => {
      await vi.waitUntil(() => asked.length > n, { interval: 1 });
      asked[n]!.answer(error);
    };
    return { inode, asked, answer };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("in order, each piece once, into memory that nobody uses", async () => {
    const { inode, asked, answer } = byHand(6);
    const pieces = filePieces(inode, { reuse: true });
    for (let n = 0; n < 6; n += 1) {
      const piece = pieces.next();
      await answer(n);
      const { value } = await piece;
      expect([value?.[0], value?.[MIB - 1], value?.length]).toEqual([n + 1, n + 1, MIB]);
      // Those after it are on their way, and what was handed out is left alone by them.
      expect(asked.map(({ at }) => at / MIB)).toEqual([0, 1, 2, 3, 4, 5].slice(0, n + 4));
      for (const { into } of asked.slice(n + 1)) expect(into.buffer).not.toBe(value?.buffer);
      expect(asked[n]?.into.buffer).toBe(value?.buffer);
    }
    expect((await pieces.next()).done).toBe(true);
    expect(asked).toHaveLength(6);
    expect(new Set(asked.slice(1).map(({ into }) => into.buffer)).size).toBe(4);
  });

  test("but none where content is only copied, so that all pieces come into the same memory", async () => {
    const { inode, asked, answer } = byHand(6);
    const copied = Object.assign(inode, { isCopied: true });
    const pieces = filePieces(copied, { reuse: true });
    const places: (ArrayBufferLike | undefined)[] = [];
    const read = async (n: number): Promise<void> => {
      const piece = pieces.next();
      await answer(n);
      const { value } = await piece;
      expect(value?.[0]).toBe(n + 1);
      places.push(value?.buffer);
    };
    for (let n = 0; n < 3; n += 1) {
      await read(n);
      expect(asked).toHaveLength(n + 1);
    }
    expect(new Set(places).size).toBe(1);
    // A piece that takes more than a copy: from there on they are asked for again.
    copied.isCopied = false;
    await read(3);
    expect(asked).toHaveLength(6);
    const last = asked.slice(3).map(({ into }) => into.buffer);
    expect(new Set(last).size).toBe(3);
    await read(4);
    await read(5);
    expect((await pieces.next()).done).toBe(true);
  });

  test("nor a promise for each, where a device that blocks has them at once", async () => {
    const { inode, asked, answer } = byHand(6);
    const now: number[] = [];
    const copied = Object.assign(inode, {
      isCopied: true,
      readNow: (at: number, length: number, into: Uint8Array): Uint8Array | undefined => {
        now.push(at / MIB);
        // The fourth has to be waited for.
        return at === 3 * MIB ? undefined : into.fill(at / MIB + 1, 0, length);
      },
    });
    const pieces = filePieces(copied, { reuse: true });
    const places = new Set<ArrayBufferLike | undefined>();
    for (let n = 0; n < 6; n += 1) {
      const piece = pieces.next();
      if (asked.at(-1)?.at === n * MIB) await answer(asked.length - 1);
      const { value } = await piece;
      expect([value?.[0], value?.[MIB - 1], value?.length]).toEqual([n + 1, n + 1, MIB]);
      if (n > 0) places.add(value?.buffer);
    }
    expect((await pieces.next()).done).toBe(true);
    expect(places.size).toBe(1);
    expect(asked.map(({ at }) => at / MIB).filter((at) => at > 0)).toEqual([3]);
    expect(now.filter((at) => at > 0)).toEqual([1, 2, 3, 4, 5]);
  });

  test("files that break off at once cost no memory", async () => {
    const given: (Uint8Array | undefined)[] = [];
    const inode = {
      stat: { size: 100 * MIB },
      async read(_at: number, _length: number, _signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
        given.push(into);
        throw new Error("bad block");
      },
    } as Partial<Inode> as Inode;
    for (let n = 0; n < 3; n += 1) await expect(filePieces(inode, { reuse: true }).next()).rejects.toThrow("bad block");
    // The first may have had what another file left.
    expect(given.slice(1)).toEqual([undefined, undefined]);
  });

  test("no piece past the end that was asked for", async () => {
    const { inode, asked, answer } = byHand(4);
    const pieces = filePieces(inode, { reuse: true, start: MIB, end: 3 * MIB - 5 });
    const first = pieces.next();
    await answer(0);
    await first;
    await answer(1);
    expect((await pieces.next()).value).toHaveLength(MIB - 5);
    expect((await pieces.next()).done).toBe(true);
    expect(asked.map(({ at }) => at / MIB)).toEqual([1, 2]);
  });

  test("an error comes at its piece, after the sound one before it, though it happened first", async () => {
    const { inode, answer } = byHand(3);
    const pieces = filePieces(inode, { reuse: true });
    const first = pieces.next();
    await answer(0);
    expect((await first).value?.[0]).toBe(1);
    await answer(1, new Error("bad block"));
    await turn();
    await expect(pieces.next()).rejects.toThrow("bad block");
    expect((await pieces.next()).done).toBe(true);
  });

  test("who stops early leaves no failure unhandled, and nothing more is read", async () => {
    const { inode, asked, answer } = byHand(9);
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    try {
      const pieces = filePieces(inode, { reuse: true });
      const first = pieces.next();
      await answer(0);
      await first;
      await pieces.return(undefined);
      await answer(1, new Error("nobody waits"));
      await turn();
      await turn();
      expect([unhandled, asked.length]).toEqual([[], 4]);
    } finally {
      process.off("unhandledRejection", listener);
    }
  });

  test("a signal ends it between two pieces, though the next one is there", async () => {
    const { inode, asked, answer } = byHand(9);
    const controller = new AbortController();
    const pieces = filePieces(inode, { reuse: true, signal: controller.signal });
    const first = pieces.next();
    await answer(0);
    await first;
    await answer(1);
    controller.abort();
    await expect(pieces.next()).rejects.toMatchObject({ code: "aborted" });
    expect(asked).toHaveLength(4);
  });

  test("a whole file takes as many reads as it has pieces", async () => {
    const before = fs.calls.read;
    const inode = await open(fs, "/large");
    let bytes = 0;
    for await (const piece of filePieces(inode, { reuse: true })) bytes += piece.length;
    expect([bytes, fs.calls.read - before]).toEqual([large.length, 3]);
  });
});

describe("readStream", () => {
  test("is what fetch and Response take", async () => {
    const body = readStream(await open(fs, "/large"));
    expect(Buffer.compare(new Uint8Array(await new Response(body).arrayBuffer()), large)).toBe(0);
    expect(await new Response(readStream(await open(fs, "/small"), { start: 2, end: 4 })).text()).toBe("nt");
  });
  test("reads when asked, no piece ahead, and no more after cancel", async () => {
    const before = fs.calls.read;
    const reader = readStream(await open(fs, "/large")).getReader();
    await new Promise((resolve) => setImmediate(resolve));
    expect(fs.calls.read).toBe(before);
    await reader.read();
    expect(fs.calls.read).toBe(before + 1);
    await reader.cancel();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(fs.calls.read).toBe(before + 1);
  });
  test("a failure is the stream's", async () => {
    const bad: Node = file("x");
    const broken = memoryFs(dir({ bad }), {
      change: (_, node) => (node === bad ? { read: () => Promise.reject(new Error("bad block")) } : undefined),
    });
    await expect(
      readStream(await open(broken, "/bad"))
        .getReader()
        .read(),
    ).rejects.toThrow("bad block");
  });
});

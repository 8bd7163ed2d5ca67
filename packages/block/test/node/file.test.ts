import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFile } from "@guestprobe/block/node";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { run } from "../../../../test/lib/kernel-view.mjs";
import { pattern } from "../lib/pattern.js";

const data = pattern(100_000);
/** Enough for a read of two system calls. */
const large = pattern(1_500_001);
let folder: string;
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-file-"));
  writeFileSync(at("image"), data);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("what is read at once is what is read; where it is not all there, or takes two calls, or is closed, `read` is left to say so", async () => {
  await using patient = await openFile(at("image"));
  expect(patient.readNow).toBeUndefined();
  writeFileSync(at("cut"), data);
  const device = await openFile(at("cut"), { blocking: true });
  const into = new Uint8Array(100);
  expect(device.readNow?.(7, 100, into)).toBe(into);
  expect(into).toEqual(data.slice(7, 107));
  expect(device.readNow?.(7, 99, into)).toBeUndefined();
  expect(() => device.readNow?.(99_999, 2, new Uint8Array(2))).toThrow("pass the end");
  expect(() => device.readNow?.(-1, 2, new Uint8Array(2))).toThrow("not a range");
  truncateSync(at("cut"), 50);
  expect(device.readNow?.(7, 100, into)).toBeUndefined();
  await device.close();
  expect(device.readNow?.(7, 10, into.subarray(0, 10))).toBeUndefined();
  writeFileSync(at("large-now"), large);
  await using big = await openFile(at("large-now"), { blocking: true });
  const memory = new Uint8Array(large.length);
  chosen.isSecond = true;
  expect(big.readNow?.(0, large.length, memory), "by two calls, which have to be waited for").toBeUndefined();
  chosen.isSecond = false;
  expect(big.readNow?.(0, large.length, memory)).toBe(memory);
  expect(Buffer.compare(memory, large)).toBe(0);
});

/** Which way large reads go is a matter of time, and here of the test: faster-way.test.ts has the choice itself. */
const chosen = vi.hoisted(() => ({ isSecond: false }));
vi.mock("../../src/node/faster-way.js", () => ({
  FasterWay: class {
    run(_units: number, work: (isSecond: boolean) => Promise<void>): Promise<void> {
      return work(chosen.isSecond);
    }
    runNow<T>(_units: number, work: () => T): T | undefined {
      return chosen.isSecond ? undefined : work();
    }
  },
}));

describe.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])("blocking: %s, large reads in two calls: %s", (blocking, isSecond) => {
  beforeEach(() => {
    chosen.isSecond = isSecond;
  });

  test("reads what the file holds", async () => {
    await using device = await openFile(at("image"), { blocking });
    expect([device.size, device.path]).toEqual([100_000, at("image")]);
    expect(await device.read(0, 100_000)).toEqual(data);
    expect(await device.read(99_999, 1)).toEqual(data.slice(-1));
    expect(await device.read(100_000, 0)).toHaveLength(0);
    const parts = await Promise.all([5, 50_000, 7].map((offset) => device.read(offset, 1000)));
    expect(parts).toEqual([5, 50_000, 7].map((offset) => data.slice(offset, offset + 1000)));
  });

  test("memory to spare is read into, if it has the length", async () => {
    await using device = await openFile(at("image"), { blocking });
    const spare = new Uint8Array(100);
    expect(await device.read(7, 100, undefined, spare)).toBe(spare);
    expect(spare).toEqual(data.slice(7, 107));
    expect(await device.read(500, 99, undefined, spare)).toEqual(data.slice(500, 599));
    expect(spare).toEqual(data.slice(7, 107));
  });

  test("ranges and signals", async () => {
    await using device = await openFile(at("image"), { blocking });
    await expect(device.read(99_999, 2)).rejects.toMatchObject({ code: "past-end", offset: 99_999 });
    await expect(device.read(-1, 2)).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(device.read(0, 2, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });

  test("a file that is cut answers io, and what is left is still read", async () => {
    writeFileSync(at("cut"), data);
    await using device = await openFile(at("cut"), { blocking });
    truncateSync(at("cut"), 1000);
    await expect(device.read(500, 1000)).rejects.toThrow(
      `${at("cut")}: 500 bytes came back where 1000 were asked for: the file was cut (at byte 500)`,
    );
    await expect(device.read(5000, 10)).rejects.toMatchObject({ code: "io", offset: 5000 });
    expect(await device.read(500, 500)).toEqual(data.slice(500, 1000));
  });

  test("a large read is the same from both of its system calls, wherever it begins", async () => {
    writeFileSync(at("large"), large);
    await using device = await openFile(at("large"), { blocking });
    const reads = [
      [0, large.length],
      [1, large.length - 1],
      [4097, 512 << 10],
      [777, (512 << 10) - 1],
    ] as const;
    for (const [offset, length] of reads) {
      const spare = new Uint8Array(length);
      expect(await device.read(offset, length, undefined, spare)).toBe(spare);
      expect(Buffer.compare(spare, large.subarray(offset, offset + length))).toBe(0);
    }
  });

  test.each([1000, 300_000, 800_000])("a large file that is cut to %d bytes says how far it goes", async (left) => {
    writeFileSync(at("large-cut"), large);
    await using device = await openFile(at("large-cut"), { blocking });
    truncateSync(at("large-cut"), left);
    await expect(device.read(10, 900_000)).rejects.toThrow(
      `${left - 10} bytes came back where 900000 were asked for: the file was cut (at byte 10)`,
    );
  });

  test("close waits for both calls of a large read", async () => {
    writeFileSync(at("large"), large);
    const device = await openFile(at("large"), { blocking });
    let isRead = false;
    const reading = device.read(0, large.length).then((bytes) => {
      isRead = true;
      return bytes;
    });
    await device.close();
    expect(isRead).toBe(true);
    expect(Buffer.compare(await reading, large)).toBe(0);
  });

  test.each([1, 7, 4096, 99_000])("in parts of %d bytes, each with memory of its own", async (size) => {
    await using device = await openFile(at("image"), { blocking });
    const parts = (await device.readParts?.(99, 99_001, size)) ?? [];
    expect(parts.slice(0, -1).every(({ length }) => length === size)).toBe(true);
    expect(parts.every(({ length, buffer }) => buffer.byteLength === length)).toBe(true);
    expect(Buffer.compare(Buffer.concat(parts), data.subarray(99, 99_100))).toBe(0);
  });

  test("parts: what is no range, no size, or aborted", async () => {
    await using device = await openFile(at("image"), { blocking });
    expect(await device.readParts?.(100_000, 0, 16)).toEqual([]);
    await expect(device.readParts?.(99_998, 3, 2)).rejects.toMatchObject({ code: "past-end" });
    for (const size of [0, -1, 0.5, Number.NaN])
      await expect(device.readParts?.(0, 3, size)).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(device.readParts?.(0, 3, 2, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });

  test("parts of a file that is cut answer io, where it was cut", async () => {
    writeFileSync(at("cut-parts"), data);
    await using device = await openFile(at("cut-parts"), { blocking });
    truncateSync(at("cut-parts"), 1000);
    await expect(device.readParts?.(500, 900, 300)).rejects.toThrow(
      `${at("cut-parts")}: 200 bytes came back where 300 were asked for: the file was cut (at byte 800)`,
    );
    expect(Buffer.concat((await device.readParts?.(100, 900, 300)) ?? [])).toEqual(
      Buffer.from(data.subarray(100, 1000)),
    );
  });

  test("close waits for parts", async () => {
    const device = await openFile(at("image"), { blocking });
    const reading = device.readParts?.(0, 100_000, 50_000);
    await device.close();
    expect(Buffer.compare(Buffer.concat((await reading) ?? []), data)).toBe(0);
    await expect(device.readParts?.(0, 100, 10)).rejects.toMatchObject({ code: "io" });
  });

  test("a file that grows keeps its size", async () => {
    writeFileSync(at("grows"), data.subarray(0, 10));
    await using device = await openFile(at("grows"), { blocking });
    writeFileSync(at("grows"), data);
    expect(device.size).toBe(10);
    await expect(device.read(5, 10)).rejects.toMatchObject({ code: "past-end" });
  });

  test("after close nothing is read, whoever has the descriptor now", async () => {
    const device = await openFile(at("image"), { blocking });
    await device.close();
    await device.close();
    const other = openSync(at("image"), "r");
    await expect(device.read(0, 10)).rejects.toMatchObject({ code: "io" });
    closeSync(other);
  });

  test("close waits for the reads under way", async () => {
    const device = await openFile(at("image"), { blocking });
    const reads = Array.from({ length: 50 }, (_, n) => device.read(n * 1000, 1000));
    const closing = device.close();
    await expect(device.read(0, 1)).rejects.toMatchObject({ code: "io" });
    expect(await Promise.all(reads)).toEqual(reads.map((_, n) => data.slice(n * 1000, n * 1000 + 1000)));
    await closing;
  });

  test("a sparse file of terabytes: its end is read, all of it at once is refused", async () => {
    writeFileSync(at("sparse"), "");
    const size = 8 * 2 ** 40;
    truncateSync(at("sparse"), size);
    await using device = await openFile(at("sparse"), { blocking });
    expect(device.size).toBe(size);
    expect(await device.read(size - 3, 3)).toEqual(new Uint8Array(3));
    await expect(device.read(0, size)).rejects.toMatchObject({ code: "limit" });
  });
});

describe("what can be opened", () => {
  test("an empty file", async () => {
    writeFileSync(at("empty"), "");
    await using device = await openFile(at("empty"));
    expect(device.size).toBe(0);
    expect(await device.read(0, 0)).toHaveLength(0);
    await expect(device.read(0, 1)).rejects.toMatchObject({ code: "past-end" });
  });

  test.each([["with blank"], ["-rf"], ["new\nline"], ["ünïcödé \u{1f427}"], ["%2e%2e"], ["a:b?c*d"]])(
    "a file named %j",
    async (name) => {
      writeFileSync(at(name), data.subarray(0, 3));
      await using device = await openFile(at(name));
      expect(await device.read(0, 3)).toEqual(data.slice(0, 3));
    },
  );

  test("a symbolic link to a file", async () => {
    symlinkSync("image", at("link"));
    await using device = await openFile(at("link"));
    expect(device.size).toBe(100_000);
  });

  test("opening and reading changes neither content nor times of modification", async () => {
    const before = statSync(at("image"), { bigint: true });
    await using device = await openFile(at("image"));
    await device.read(0, 1000);
    const after = statSync(at("image"), { bigint: true });
    expect([after.mtimeNs, after.ctimeNs, after.size]).toEqual([before.mtimeNs, before.ctimeNs, before.size]);
  });
});

describe("what cannot be opened is io, and leaves no descriptor behind", () => {
  const refused = async (path: string, reason: string): Promise<void> => {
    const before = readdirSync("/proc/self/fd").length;
    await expect(openFile(path)).rejects.toMatchObject({ code: "io", message: `${path}: ${reason}` });
    expect(readdirSync("/proc/self/fd")).toHaveLength(before);
  };

  test("nothing there", () => refused(at("none"), "no such file"));
  test("a directory", async () => {
    mkdirSync(at("folder"));
    await refused(at("folder"), "is a directory, not a disk image");
  });
  test("a pipe that nobody writes to, at once", async () => {
    run("mkfifo", [at("pipe")]);
    await refused(at("pipe"), "is neither a regular file nor a block device");
  });
  test("a socket", async () => {
    const server = createServer().listen(at("socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    await refused(at("socket"), "is neither a regular file nor a block device");
    server.close();
  });
  test("a character device", () => refused("/dev/null", "is neither a regular file nor a block device"));
  test("links in a circle", async () => {
    symlinkSync("loop", at("loop"));
    await expect(openFile(at("loop"))).rejects.toMatchObject({ code: "io", cause: { code: "ELOOP" } });
  });
  test("a path through a file", async () => {
    await expect(openFile(at("image/x"))).rejects.toMatchObject({ code: "io", cause: { code: "ENOTDIR" } });
  });
  test("a path with a NUL", async () => {
    await expect(openFile(at("a\0b"))).rejects.toMatchObject({ code: "io", cause: expect.any(TypeError) });
  });
  test("a file that may not be read", async () => {
    writeFileSync(at("secret"), "x");
    chmodSync(at("secret"), 0);
    // The superuser may read everything: the check is made as nobody.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) {
      chmodSync(at("."), 0o755);
      process.seteuid?.(65534);
    }
    try {
      await refused(at("secret"), "permission denied");
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

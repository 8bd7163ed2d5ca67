import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { ImageError, isImageError } from "@guestprobe/block";
import { afterAll, expect, test } from "vitest";
// The built package: a worker thread loads its own file, which only a build has.
import { meterDecoders } from "../dist/index.js";
import { workerDecompressor } from "../dist/node/index.js";

const scratch = mkdtempSync(join(tmpdir(), "guestprobe-workers-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const plain = new Uint8Array(200_000).map((_, n) => (n * n) >> 3);
const block = new Uint8Array(deflateSync(plain));

/** As bytes, which is a thousand times as fast as comparing item by item. */
const expectBytes = (actual: unknown, expected: Uint8Array): void => {
  expect(Buffer.compare(actual as Uint8Array, expected)).toBe(0);
};

test("blocks decoded on threads are the same, each for the call that asked", async () => {
  await using pool = workerDecompressor({ threads: 2, minBytes: 0 });
  const sizes = [1, 1000, 50_000, 200_000];
  const outs = await Promise.all(
    sizes.map((size) => pool.decode("zlib", new Uint8Array(deflateSync(plain.subarray(0, size))), { exact: size })),
  );
  outs.forEach((out, n) => {
    expectBytes(out, plain.subarray(0, sizes[n]));
  });
  // The input is still the caller's.
  expectBytes(await pool.decode("zlib", block, { exact: plain.length }), plain);
  expect(block.length).toBeGreaterThan(0);
});

test("an error comes back with its code, reason and place", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const error: unknown = await pool.decode("zlib", block, { exact: 5 }).catch((reason: unknown) => reason);
  if (!isImageError(error, "corrupt")) throw error;
  expect([error.format, error.reason]).toEqual(["zlib", expect.stringContaining("5 bytes expected")]);
});

test("the answer lies in memory to spare, if there is enough, and else in memory of its own", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const into = new Uint8Array(plain.length + 5).fill(0xdb);
  const [there, elsewhere] = await Promise.all([
    pool.decode("zlib", block, { exact: plain.length }, { into }),
    pool.decode("zlib", block, { exact: plain.length }, { into: new Uint8Array(10) }),
  ]);
  expect(there.buffer).toBe(into.buffer);
  expectBytes(there, plain);
  expect(into.subarray(plain.length)).toEqual(new Uint8Array(5).fill(0xdb));
  expectBytes(elsewhere, plain);
});

test("many blocks at once, of all sizes, sound and damaged: each has its own answer", async () => {
  await using pool = workerDecompressor({ threads: 2, minBytes: 0 });
  const sizes = Array.from({ length: 60 }, (_, n) => (n * 7919) % plain.length);
  const answers = await Promise.all(
    sizes.map((size, n) => {
      const src = new Uint8Array(deflateSync(plain.subarray(0, size)));
      if (n % 10 === 3) src[src.length - 1]! ^= 1;
      return pool.decode("zlib", src, { max: size }).catch((error: unknown) => error);
    }),
  );
  answers.forEach((answer, n) => {
    if (n % 10 === 3) expect(answer).toMatchObject({ code: "bad-checksum", format: "zlib" });
    else expectBytes(answer, plain.subarray(0, sizes[n]));
  });
});

test("output for which no room is made beforehand comes all the same, under its bound", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const much = new Uint8Array(3 << 20).map((_, n) => n >> 12);
  const src = new Uint8Array(deflateSync(much));
  expectBytes(await pool.decode("zlib", src, { max: 1 << 30 }), much);
  expectBytes(await pool.decode("zlib", block, { max: 1 << 30 }), plain);
  await expect(pool.decode("zlib", src, { max: much.length - 1 })).rejects.toMatchObject({ code: "limit" });
  await expect(pool.decode("zlib", src, { max: -1 })).rejects.toMatchObject({ code: "invalid-argument" });
});

test("a thread that ends fails what it was given, and the next block has another", async () => {
  const pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const lost = Array.from({ length: 20 }, () => pool.decode("zlib", block, { exact: plain.length }));
  // Sent, but not answered yet.
  await new Promise((resolve) => setImmediate(resolve));
  const settled = Promise.allSettled(lost);
  await pool.close();
  for (const { status, ...rest } of await settled) {
    expect([status, rest]).toEqual(["rejected", { reason: expect.objectContaining({ code: "io" }) }]);
  }
  expectBytes(await pool.decode("zlib", block, { exact: plain.length }), plain);
  await pool.close();
});

test("who stops waiting has their memory to themselves", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const controller = new AbortController();
  const into = new Uint8Array(plain.length);
  const options = { into, signal: controller.signal };
  const stopped = pool.decode("zlib", block, { exact: plain.length }, options);
  controller.abort();
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  // The thread answers in order: what comes after it is there.
  expectBytes(await pool.decode("zlib", block, { exact: plain.length }), plain);
  expectBytes(into, new Uint8Array(plain.length));
});

test("what threads make is counted with the rest", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  let counted = 0;
  meterDecoders((bytes) => {
    counted += bytes;
    if (counted > plain.length) throw new ImageError("limit", "enough");
  });
  try {
    await pool.decode("zlib", block, { exact: plain.length });
    expect(counted).toBe(plain.length);
    await expect(pool.decode("zlib", block, { exact: plain.length })).rejects.toThrow("enough");
  } finally {
    meterDecoders(undefined);
  }
});

test("small input is decoded on the calling thread, and a closed pool starts anew", async () => {
  const pool = workerDecompressor({ threads: 1 });
  expectBytes(await pool.decode("zlib", block, { exact: plain.length }), plain);
  await pool.close();
  expect(await pool.decode("zlib", new Uint8Array(deflateSync("x")), { exact: 1 })).toEqual(Uint8Array.of(0x78));
  expectBytes(await pool.decode("zlib", block, { exact: plain.length }), plain);
  await pool.close();
});

/** Some options only a whole process can have, and a thread must not be told them; nor that its file is text. */
test.each([
  ["a process without options", []],
  ["a process with options of V8", ["--max-old-space-size=300", "--expose-gc"]],
  ["a process with options of its own", ["--v8-pool-size=1", "--title=threads"]],
])("%s has threads, be its program a file or text", (_, options) => {
  const dist = new URL("../dist/node/index.js", import.meta.url).href;
  const program = `
    import { deflateSync } from "node:zlib";
    import { workerDecompressor } from ${JSON.stringify(dist)};
    const pool = workerDecompressor();
    const out = await pool.decode("zlib", deflateSync(new Uint8Array(100_000).fill(7)), { exact: 100_000 });
    console.log(out.length, out[99_999]);
    await pool.close();`;
  const file = join(scratch, "program.mjs");
  writeFileSync(file, program);
  for (const words of [["--input-type=module", "-e", program], [file]]) {
    expect(execFileSync(process.execPath, [...options, ...words], { encoding: "utf8" })).toBe("100000 7\n");
  }
});

import { deflateSync } from "node:zlib";
import { isImageError } from "@guestprobe/block";
import { expect, test } from "vitest";
// The built package: a worker thread loads its own file, which only a build has.
import { workerDecompressor } from "../dist/node/index.js";

const plain = new Uint8Array(200_000).map((_, n) => (n * n) >> 3);
const block = new Uint8Array(deflateSync(plain));

test("blocks decoded on threads are the same, each for the call that asked", async () => {
  await using pool = workerDecompressor({ threads: 2, minBytes: 0 });
  const sizes = [1, 1000, 50_000, 200_000];
  const outs = await Promise.all(
    sizes.map((size) => pool.decode("zlib", new Uint8Array(deflateSync(plain.subarray(0, size))), { exact: size })),
  );
  outs.forEach((out, n) => {
    expect(out).toEqual(plain.subarray(0, sizes[n]));
  });
  // The input is still the caller's.
  expect(await pool.decode("zlib", block, { exact: plain.length })).toEqual(plain);
  expect(block.length).toBeGreaterThan(0);
});

test("an error comes back with its code, reason and place", async () => {
  await using pool = workerDecompressor({ threads: 1, minBytes: 0 });
  const error: unknown = await pool.decode("zlib", block, { exact: 5 }).catch((reason: unknown) => reason);
  if (!isImageError(error, "corrupt")) throw error;
  expect([error.format, error.reason]).toEqual(["zlib", expect.stringContaining("5 bytes expected")]);
});

test("small input is decoded on the calling thread, and a closed pool starts anew", async () => {
  const pool = workerDecompressor({ threads: 1 });
  expect(await pool.decode("zlib", block, { exact: plain.length })).toEqual(plain);
  await pool.close();
  expect(await pool.decode("zlib", new Uint8Array(deflateSync("x")), { exact: 1 })).toEqual(Uint8Array.of(0x78));
  expect(await pool.decode("zlib", block, { exact: plain.length })).toEqual(plain);
  await pool.close();
});

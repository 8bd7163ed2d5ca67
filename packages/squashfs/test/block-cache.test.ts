import { expect, test } from "vitest";
import { BlockCache } from "../src/block-cache.js";

/** A cache of three blocks of one byte, which notes what it gives up for use again. */
function cacheOfThree() {
  const recycled: string[] = [];
  const cache = new BlockCache<string, string>(
    3,
    () => 1,
    (block) => recycled.push(block),
  );
  const use = (key: string) =>
    cache.use(
      key,
      async () => `block ${key}`,
      (block) => block,
    );
  return { cache, recycled, use };
}

test("a block that is dropped may be used again, once nobody reads it", async () => {
  const { recycled, use } = cacheOfThree();
  for (const key of ["a", "b", "c", "d", "e"]) expect(await use(key)).toBe(`block ${key}`);
  expect(recycled).toEqual(["block a", "block b"]);
});

test("one that is dropped before its readers had it is not", async () => {
  const recycled: string[] = [];
  const cache = new BlockCache<string, string>(
    0,
    () => 1,
    (block) => recycled.push(block),
  );
  const read = () =>
    cache.use(
      "a",
      async () => "block",
      (block) => block,
    );
  expect(await Promise.all([read(), read(), read()])).toEqual(["block", "block", "block"]);
  expect([recycled, cache.held]).toEqual([[], 0]);
});

test("a reader that fails reads no more", async () => {
  const { cache, recycled, use } = cacheOfThree();
  const failing = cache.use(
    "a",
    async () => "block a",
    () => {
      throw new TypeError("no");
    },
  );
  await expect(failing).rejects.toThrow("no");
  for (const key of ["b", "c", "d"]) await use(key);
  expect(recycled).toEqual(["block a"]);
});

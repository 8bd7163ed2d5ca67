import { LruCache } from "@guestprobe/block";
import { describe, expect, it } from "vitest";

describe("LruCache", () => {
  it("drops what was not used for longest, and keeps nothing above its budget", () => {
    const cache = new LruCache<string, number>(3);
    for (const key of ["a", "b", "c"]) cache.set(key, 1, 1);
    cache.get("a");
    cache.set("d", 1, 1);
    expect(["a", "b", "c", "d"].filter((key) => cache.get(key) !== undefined)).toEqual(["a", "c", "d"]);
    cache.set("large", 1, 4);
    expect(cache.get("large")).toBeUndefined();
    cache.set("a", 2, 3);
    expect(["a", "c", "d"].map((key) => cache.get(key))).toEqual([2, undefined, undefined]);
  });

  it("where all are in use the oldest makes room, and not the new one", () => {
    const cache = new LruCache<string, number>(3);
    for (const key of ["a", "b", "c"]) cache.set(key, 1, 1);
    for (const key of ["a", "b", "c"]) cache.get(key);
    cache.set("d", 1, 1);
    expect(["a", "b", "c", "d"].filter((key) => cache.get(key) !== undefined)).toEqual(["b", "c", "d"]);
    cache.set("b", 2, 3);
    expect(["b", "c", "d"].map((key) => cache.get(key))).toEqual([2, undefined, undefined]);
    cache.set("e", 1, 1);
    expect(cache.get("b")).toBeUndefined();
    expect(cache.get("e")).toBe(1);
  });

  it("room for several is made before they come: none of them goes for another", () => {
    const cache = new LruCache<number, number>(4);
    for (const key of [1, 2, 3, 4]) cache.set(key, key);
    for (const key of [1, 2, 3, 4]) cache.get(key);
    cache.makeRoom(2);
    expect(cache.held).toBe(2);
    for (const key of [5, 6]) cache.set(key, key);
    expect([1, 2, 3, 4, 5, 6].filter((key) => cache.has(key))).toEqual([3, 4, 5, 6]);
    cache.clear();
    expect([cache.held, cache.has(5)]).toEqual([0, false]);
  });
});

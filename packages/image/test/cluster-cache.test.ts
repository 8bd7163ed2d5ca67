import { describe, expect, it } from "vitest";
import { ClusterCache } from "../src/cluster-cache.js";
import { failureOf } from "./lib.js";

/** A decoder that counts its calls. */
function counting() {
  const calls: number[] = [];
  const decode = (key: number) => async () => {
    calls.push(key);
    return Uint8Array.of(key);
  };
  return { calls, decode };
}

describe("cache of decoded clusters", () => {
  it("keeps what fits its budget, the least recently used going first", async () => {
    const { calls, decode } = counting();
    const cache = new ClusterCache(2048, 1024);
    for (const key of [1, 2, 1, 3, 1, 2]) await cache.get(key, undefined, decode(key));
    expect(calls).toEqual([1, 2, 3, 2]);
  });

  it("keeps one cluster that is larger than the budget", async () => {
    const { calls, decode } = counting();
    const cache = new ClusterCache(1, 1024);
    for (const key of [1, 1, 2, 2]) await cache.get(key, undefined, decode(key));
    expect(calls).toEqual([1, 2]);
  });

  it("decodes once for readers that ask together", async () => {
    const { calls, decode } = counting();
    const cache = new ClusterCache(4096, 1024);
    await Promise.all([1, 1, 1].map((key) => cache.get(key, undefined, decode(key))));
    expect(calls).toEqual([1]);
  });

  it("does not keep a failure", async () => {
    const { decode } = counting();
    const cache = new ClusterCache(4096, 1024);
    await expect(cache.get(1, undefined, () => Promise.reject(new TypeError("once")))).rejects.toThrow("once");
    expect(await cache.get(1, undefined, decode(1))).toEqual(Uint8Array.of(1));
  });

  it("a reader that gives up does not take the others with it", async () => {
    const cache = new ClusterCache(4096, 1024);
    const controller = new AbortController();
    let finish: (data: Uint8Array) => void = () => {};
    const decode = () => new Promise<Uint8Array>((resolve) => (finish = resolve));
    const first = cache.get(1, controller.signal, decode);
    const second = cache.get(1, undefined, decode);
    controller.abort();
    expect((await failureOf(first)).code).toBe("aborted");
    finish(Uint8Array.of(9));
    expect(await second).toEqual(Uint8Array.of(9));
  });
});

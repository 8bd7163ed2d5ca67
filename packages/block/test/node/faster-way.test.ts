import { expect, test } from "vitest";
import { FasterWay } from "../../src/node/faster-way.js";

/** A choice between two ways that take so many milliseconds for a unit, and a log of which were gone. */
function choice(costs: [number, number]) {
  let now = 1000;
  const gone: number[] = [];
  const way = new FasterWay(() => now);
  const go = (units = 1, fails = false) =>
    way.run(units, async (isSecond) => {
      gone.push(Number(isSecond));
      now += units * costs[Number(isSecond)]!;
      if (fails) throw new TypeError("no");
    });
  const nowGone = (): string | undefined =>
    way.runNow(1, () => {
      now += costs[0];
      return "done";
    });
  const times = async (count: number): Promise<string> => {
    gone.length = 0;
    for (let n = 0; n < count; n += 1) await go();
    return gone.join("");
  };
  return { costs, go, nowGone, times };
}
const trials = "01010101";

test.each([
  ["first", [1, 3], "0"],
  ["second", [3, 1], "1"],
] as const)("both are tried in turn, then the %s is gone, which is faster", async (_, costs, faster) => {
  const { times } = choice([...costs]);
  expect(await times(256)).toBe(trials + faster.repeat(248));
});

test("now and then both are tried again, and a way that has become faster is gone", async () => {
  const { costs, times } = choice([3, 1]);
  await times(256);
  costs.reverse();
  const later = await times(256 * 8);
  expect(later.slice(0, 2)).toBe("01");
  expect(later.slice(-254)).toBe("0".repeat(254));
});

test("the cost is that of a unit, not of a work", async () => {
  const { go, times } = choice([2, 1]);
  for (let n = 0; n < 8; n += 1) await go(n % 2 === 0 ? 1 : 100);
  expect(await times(20)).toBe("1".repeat(20));
});

test("work that fails is told, and counts for nothing", async () => {
  const { go, times } = choice([1, 3]);
  for (let n = 0; n < 8; n += 1) await expect(go(1000, true)).rejects.toThrow("no");
  expect(await times(3)).toBe("000");
});

test("work that somebody else held up does not have the faster way given up", async () => {
  const { costs, times } = choice([1, 1.5]);
  await times(256);
  await times(2);
  costs[0] = 1000;
  await times(1);
  costs[0] = 1;
  expect(await times(100)).toBe("0".repeat(100));
});

test("the first way at once, where it is its turn", async () => {
  const { go, nowGone, times } = choice([1, 3]);
  expect(nowGone()).toBe("done");
  expect(nowGone(), "the turn of the second").toBeUndefined();
  await go();
  expect(nowGone(), "the turn that was left to it is over").toBe("done");
  for (let n = 0; n < 5; n += 1) await go();
  expect([nowGone(), nowGone()]).toEqual(["done", "done"]);
  expect(await times(3)).toBe("000");

  const other = choice([3, 1]);
  await other.times(8);
  expect(other.nowGone()).toBeUndefined();
});

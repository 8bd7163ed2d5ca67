import { expect, it } from "vitest";
import { nanoseconds } from "../src/time.js";

it("nanoseconds are what bigints make of them, before 1970 and up to the ends of what formats hold", () => {
  const seconds = [
    0,
    1,
    -1,
    4095,
    4096,
    -4096,
    -4097,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 32,
    2 ** 33 + 5,
    2 ** 34,
    -(2 ** 34),
  ];
  for (let n = 0; n < 2000; n += 1) seconds.push(Math.floor((Math.random() - 0.5) * 2 ** 34));
  for (const whole of seconds) {
    for (const rest of [0, 1, 999_999_999, 2 ** 30 - 1, 2 ** 32 - 1]) {
      const expected = BigInt(whole) * 1_000_000_000n + BigInt(rest);
      expect(nanoseconds(whole, rest), `${whole} s, ${rest} ns`).toBe(expected);
    }
  }
});

import { alignDown, alignUp, checkedAdd, checkedMul, isPowerOfTwo, isU64None, joinU64 } from "@guestprobe/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "./lib/code-of.js";

const word = fc.integer({ min: 0, max: 0xffff_ffff });
const LIMIT = 2n ** 53n;

describe("joinU64", () => {
  test("is exact below 2^53 and refused from there on", () => {
    fc.assert(
      fc.property(fc.oneof(word, fc.integer({ min: 0x1f_ff00, max: 0x20_00ff })), word, (hi, lo) => {
        const value = (BigInt(hi) << 32n) | BigInt(lo);
        if (value < LIMIT) expect(BigInt(joinU64(hi, lo))).toBe(value);
        else expect(codeOf(() => joinU64(hi, lo))).toBe("corrupt");
      }),
    );
  });
  test("the edge", () => {
    expect(joinU64(0x1f_ffff, 0xffff_ffff)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => joinU64(0x20_0000, 0, { field: "i_size", offset: 4 })).toThrow(
      "value 0x20000000000000 is 2^53 or more (i_size at byte 4)",
    );
  });
});

test("isU64None: all ones and nothing else", () => {
  const view = new DataView(new ArrayBuffer(12));
  expect(isU64None(view, 4)).toBe(false);
  for (let at = 4; at < 12; at += 1) view.setUint8(at, 0xff);
  expect(isU64None(view, 4)).toBe(true);
  for (let at = 4; at < 12; at += 1) {
    view.setUint8(at, 0xfe);
    expect(isU64None(view, 4)).toBe(false);
    view.setUint8(at, 0xff);
  }
});

describe("checked arithmetic equals bigint's, or is refused", () => {
  const near = fc.oneof(fc.maxSafeNat(), fc.nat(100), fc.integer({ min: 2 ** 26, max: 2 ** 27 }));
  test("sum", () => {
    fc.assert(
      fc.property(near, near, (a, b) => {
        const sum = BigInt(a) + BigInt(b);
        if (sum < LIMIT) expect(BigInt(checkedAdd(a, b))).toBe(sum);
        else expect(codeOf(() => checkedAdd(a, b, { offset: 1 }))).toBe("corrupt");
      }),
    );
  });
  test("product", () => {
    fc.assert(
      fc.property(near, near, (a, b) => {
        const product = BigInt(a) * BigInt(b);
        if (product < LIMIT) expect(BigInt(checkedMul(a, b))).toBe(product);
        else expect(codeOf(() => checkedMul(a, b, { offset: 1 }))).toBe("corrupt");
      }),
    );
  });
});

test("alignUp and alignDown equal bigint's over the whole range, units that are no powers of two included", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 2 ** 32 }), (value, unit) => {
      const [v, u] = [BigInt(value), BigInt(unit)];
      expect(BigInt(alignDown(value, unit))).toBe((v / u) * u);
      const up = ((v + u - 1n) / u) * u;
      if (up < LIMIT) expect(BigInt(alignUp(value, unit))).toBe(up);
    }),
  );
});

describe("isPowerOfTwo", () => {
  test("each power up to 2^52, and neither neighbour", () => {
    for (let exponent = 2; exponent <= 52; exponent += 1) {
      const value = 2 ** exponent;
      expect([value - 1, value, value + 1].map(isPowerOfTwo), `2^${exponent}`).toEqual([false, true, false]);
    }
    expect([0, 1, 2, 3].map(isPowerOfTwo)).toEqual([false, true, true, false]);
  });
  test.each([[-1], [-2], [0.5], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53]])("not %d", (value) => {
    expect(isPowerOfTwo(value)).toBe(false);
  });
});

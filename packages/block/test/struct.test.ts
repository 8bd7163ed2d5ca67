import {
  BE,
  bytes,
  i8,
  i16,
  i32,
  i64big,
  LE,
  struct,
  u8,
  u16,
  u32,
  u64,
  u64big,
  u64OrNone,
  viewOf,
} from "@guestprobe/block/struct";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "./lib/code-of.js";

const fields = {
  a: u8(0),
  b: i8(1),
  c: u16(2),
  d: i16(4),
  e: u32(6),
  f: i32(10),
  g: u64(14),
  h: u64OrNone(22),
  i: u64big(30),
  j: i64big(38),
  k: bytes(46, 3),
};
const little = struct("sample", 49, LE, fields);
const big = struct("sample", 49, BE, fields);

const values = fc.record({
  a: fc.integer({ min: 0, max: 0xff }),
  b: fc.integer({ min: -0x80, max: 0x7f }),
  c: fc.integer({ min: 0, max: 0xffff }),
  d: fc.integer({ min: -0x8000, max: 0x7fff }),
  e: fc.integer({ min: 0, max: 0xffff_ffff }),
  f: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  g: fc.maxSafeNat(),
  h: fc.maxSafeNat(),
  i: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  j: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
});

describe.each([
  ["little-endian", little, "LE"],
  ["big-endian", big, "BE"],
] as const)("%s", (_, layout, suffix) => {
  test("reads what Buffer wrote, at any base and any offset of the view", () => {
    fc.assert(
      fc.property(values, fc.nat(7), fc.nat(7), (v, skip, base) => {
        const whole = Buffer.alloc(skip + base + 49);
        const at = Buffer.from(whole.buffer, whole.byteOffset + skip + base, 49);
        at.writeUInt8(v.a, 0);
        at.writeInt8(v.b, 1);
        at[`writeUInt16${suffix}`](v.c, 2);
        at[`writeInt16${suffix}`](v.d, 4);
        at[`writeUInt32${suffix}`](v.e, 6);
        at[`writeInt32${suffix}`](v.f, 10);
        at[`writeBigUInt64${suffix}`](BigInt(v.g), 14);
        at[`writeBigUInt64${suffix}`](BigInt(v.h), 22);
        at[`writeBigUInt64${suffix}`](v.i, 30);
        at[`writeBigInt64${suffix}`](v.j, 38);
        at.set([1, 2, 3], 46);
        const view = viewOf(whole.subarray(skip));
        expect(layout.$dump(view, base)).toEqual({ ...v, k: Uint8Array.of(1, 2, 3) });
        expect(layout.e(view, base)).toBe(v.e);
      }),
    );
  });

  test("u64 from 2^53 on is corrupt, and says which field of which structure", () => {
    const data = Buffer.alloc(49);
    data[`writeBigUInt64${suffix}`](2n ** 53n, 14);
    expect(() => layout.g(viewOf(data), 0)).toThrow(
      expect.objectContaining({ code: "corrupt", structure: "sample", field: "g" }),
    );
    expect(() => layout.g(viewOf(data), 0)).toThrow("value 0x20000000000000 is 2^53 or more (sample.g)");
  });

  test("u64OrNone: all ones is undefined, one less is corrupt", () => {
    const data = Buffer.alloc(49);
    data[`writeBigUInt64${suffix}`](2n ** 64n - 1n, 22);
    expect(layout.h(viewOf(data), 0)).toBeUndefined();
    data[`writeBigUInt64${suffix}`](2n ** 64n - 2n, 22);
    expect(codeOf(() => layout.h(viewOf(data), 0))).toBe("corrupt");
  });
});

describe("the declaration", () => {
  test("says name, size and where each field lies", () => {
    expect([little.$name, little.$size]).toEqual(["sample", 49]);
    expect(little.$fields.g).toEqual({ offset: 14, size: 8, bind: expect.any(Function) });
    expect(Object.keys(little.$fields)).toEqual(Object.keys(fields));
  });
  test.each([
    ["past the end", { x: u32(6) }],
    ["before the start", { x: u8(-1) }],
    ["bytes past the end", { x: bytes(0, 9) }],
  ])("a field %s is refused", (_, wrong) => {
    expect(codeOf(() => struct("small", 8, LE, wrong))).toBe("invalid-argument");
  });
  test("a field may end where the structure ends", () => {
    expect(struct("small", 8, LE, { x: u32(4) }).x(viewOf(Uint8Array.of(0, 0, 0, 0, 1, 2, 3, 4)), 0)).toBe(0x04030201);
  });
  test("bytes share memory", () => {
    const data = new Uint8Array(49);
    little.k(viewOf(data), 0)[1] = 7;
    expect(data[47]).toBe(7);
  });
});

import { allocate, bufferDevice, checkRange, readUpTo } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { codeOf } from "./lib/code-of.js";

describe("checkRange", () => {
  test.each([
    [0, 0],
    [0, 10],
    [10, 0],
    [9, 1],
  ])("%i + %i lies within 10 bytes", (offset, length) => expect(() => checkRange(10, offset, length)).not.toThrow());

  test.each([
    [0, 11],
    [10, 1],
    [11, 0],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2 ** 60, 512],
    [0, 2 ** 64],
  ])("%i + %i passes the end of 10 bytes", (offset, length) => {
    expect(codeOf(() => checkRange(10, offset, length))).toBe("past-end");
  });

  test.each([
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.NaN],
    [Number.POSITIVE_INFINITY, 1],
  ])("%d + %d is no range", (offset, length) => {
    expect(codeOf(() => checkRange(10, offset, length))).toBe("invalid-argument");
  });

  test("says where", () => {
    expect(() => checkRange(10, 8, 4)).toThrow("4 bytes from byte 8 pass the end of a device of 10 bytes (at byte 8)");
  });
});

describe("readUpTo", () => {
  const device = bufferDevice(Uint8Array.of(1, 2, 3, 4));
  test.each([
    [0, 4, [1, 2, 3, 4]],
    [2, 10, [3, 4]],
    [4, 10, []],
    [2 ** 52, 10, []],
    [1, 0, []],
  ])("from %i, %i bytes", async (offset, length, expected) => {
    expect([...(await readUpTo(device, offset, length))]).toEqual(expected);
  });
  test("refuses a negative offset", async () => {
    await expect(readUpTo(device, -1, 2)).rejects.toMatchObject({ code: "invalid-argument" });
  });
  test("hands on the signal", async () => {
    await expect(readUpTo(device, 0, 2, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("allocate", () => {
  test("zeros", () => expect([...allocate(3)]).toEqual([0, 0, 0]));
  test("more than any platform has is a limit, with the cause", () => {
    expect(() => allocate(2 ** 52)).toThrow(expect.objectContaining({ code: "limit", cause: expect.any(RangeError) }));
  });
});

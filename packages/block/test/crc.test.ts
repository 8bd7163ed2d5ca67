import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32, crc32c, crc32cRaw, encodeText } from "@guestprobe/block";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { pattern } from "./lib/pattern.js";

/** The definition, bit by bit: reflected polynomial, no inversion. */
function bitwise(polynomial: number, register: number, data: Uint8Array): number {
  let crc = register >>> 0;
  for (const byte of data) {
    crc = (crc ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1) >>> 0;
  }
  return crc;
}

/** On both sides of where CRC-32C is handed to WebAssembly. */
const bytes = fc.uint8Array({ maxLength: 300 });

/** The same function where WebAssembly may not be compiled. */
async function withoutWebAssembly(): Promise<typeof crc32cRaw> {
  vi.resetModules();
  vi.stubGlobal("WebAssembly", undefined);
  const { crc32cRaw: sum } = await import("../src/crc.js");
  sum(Uint8Array.of(1), 0);
  vi.unstubAllGlobals();
  return sum;
}

describe("crc32", () => {
  test("the check value of the CRC catalogue", () => expect(crc32(encodeText("123456789"))).toBe(0xcbf43926));
  test("nothing", () => expect(crc32(new Uint8Array(0))).toBe(0));
  test("a large run, which Node sums, has the sum of its parts, which are summed here", () => {
    const run = pattern(100_000);
    let sum = 0;
    for (let at = 0; at < run.length; at += 1000) sum = crc32(run.subarray(at, at + 1000), sum);
    expect(crc32(run)).toBe(sum);
    // A signed seed, as `~` makes them, is the unsigned one.
    expect(crc32(run, ~7)).toBe(crc32(run, ~7 >>> 0));
  });
  test("equals zlib's at every length and alignment", () => {
    fc.assert(
      fc.property(bytes, fc.nat(9), (data, skip) => {
        expect(crc32(data.subarray(skip))).toBe(zlibCrc32(data.subarray(skip)));
      }),
    );
  });
  test("goes on from an earlier result", () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(crc32(b, crc32(a))).toBe(zlibCrc32(b, zlibCrc32(a)));
      }),
    );
  });
});

describe("crc32c", () => {
  // RFC 3720 (iSCSI), appendix B.4; the RFC prints the bytes in the order of the wire.
  test.each([
    ["32 bytes of zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["32 bytes rising", Uint8Array.from({ length: 32 }, (_, n) => n), 0x46dd794e],
    ["32 bytes falling", Uint8Array.from({ length: 32 }, (_, n) => 31 - n), 0x113fdb5c],
    ["the check value of the CRC catalogue", encodeText("123456789"), 0xe3069283],
  ])("%s", (_, data, expected) => expect(crc32c(data)).toBe(expected));
  test("in two parts is the same as in one", () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(crc32c(b, crc32c(a))).toBe(crc32c(Uint8Array.of(...a, ...b)));
      }),
    );
  });
  test("the bare register is the definition, whatever it starts from", () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 0xffff_ffff }), (data, register) => {
        expect(crc32cRaw(data, register)).toBe(bitwise(0x82f63b78, register, data));
      }),
    );
  });

  describe.each([
    ["by WebAssembly", async () => crc32cRaw],
    ["without", withoutWebAssembly],
  ])("%s", (_, load) => {
    afterEach(() => vi.unstubAllGlobals());

    test("is the definition at every length and alignment", async () => {
      const sum = await load();
      fc.assert(
        fc.property(bytes, fc.nat(9), fc.integer({ min: 0, max: 0xffff_ffff }), (data, skip, register) => {
          const from = Math.min(skip, data.length);
          expect(sum(data, register, from)).toBe(bitwise(0x82f63b78, register, data.subarray(from)));
        }),
      );
    });

    test("more than its memory holds at once", async () => {
      const sum = await load();
      const data = Uint8Array.from({ length: 150_001 }, (_, at) => (at * 7) ^ (at >> 8));
      expect(sum(data, 1)).toBe(bitwise(0x82f63b78, 1, data));
      expect(sum(data, 1, 3, 130_000)).toBe(bitwise(0x82f63b78, 1, data.subarray(3, 130_000)));
    });
  });
});

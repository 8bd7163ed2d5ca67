import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32, crc32c, crc32cOfRecords, crc32cRaw, encodeText, type Gap } from "@guestprobe/block";
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

/** The sums of records that lie one behind the other, each with its gaps as zeros, by the definition; signed. */
function bitwiseOfRecords(data: Uint8Array, size: number, gaps: readonly Gap[], registers: Int32Array<ArrayBuffer>) {
  return registers.map((register, n) => {
    const record = data.slice(n * size, (n + 1) * size);
    for (const gap of gaps) record.fill(0, gap.at, gap.at + gap.size);
    return bitwise(0x82f63b78, register, record) | 0;
  });
}

/** On both sides of where CRC-32C is handed to WebAssembly. */
const bytes = fc.uint8Array({ maxLength: 300 });

/** The same functions where WebAssembly may not be compiled. */
async function withoutWebAssembly() {
  vi.resetModules();
  vi.stubGlobal("WebAssembly", undefined);
  const module = await import("../src/crc.js");
  module.crc32cRaw(Uint8Array.of(1), 0);
  vi.unstubAllGlobals();
  return module;
}

describe("crc32", () => {
  test("the check value of the CRC catalogue", () => expect(crc32(encodeText("123456789"))).toBe(0xcbf43926));
  test("nothing", () => expect(crc32(new Uint8Array(0))).toBe(0));
  test("a large run, which Node sums, has the sum of its parts, which are summed here", () => {
    const run = pattern(100_000);
    let sum = 0;
    for (let at = 0; at < run.length; at += 400) sum = crc32(run.subarray(at, at + 400), sum);
    expect(crc32(run)).toBe(sum);
    // A signed seed, as `~` makes them, is the unsigned one.
    expect(crc32(run, ~7)).toBe(crc32(run, ~7 >>> 0));
  });
  test("is the same where there is no Node, and before and after there were enough pieces to ask it", async () => {
    vi.resetModules();
    vi.stubGlobal("process", undefined);
    const elsewhere = await import("../src/crc.js");
    const data = pattern(70_000);
    const sums = [511, 512, 5000, 70_000].map((length) => elsewhere.crc32(data.subarray(0, length)));
    vi.unstubAllGlobals();
    expect(sums).toEqual([511, 512, 5000, 70_000].map((length) => zlibCrc32(data.subarray(0, length))));
    vi.resetModules();
    const here = await import("../src/crc.js");
    for (let n = 0; n < 40; n += 1) {
      const piece = data.subarray(n, n + 60_000);
      expect(here.crc32(piece)).toBe(zlibCrc32(piece));
    }
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
    ["by WebAssembly", async () => ({ crc32cRaw, crc32cOfRecords })],
    ["without", withoutWebAssembly],
  ])("%s", (_, load) => {
    afterEach(() => vi.unstubAllGlobals());

    test("is the definition at every length and alignment", async () => {
      const { crc32cRaw: sum } = await load();
      fc.assert(
        fc.property(bytes, fc.nat(9), fc.integer({ min: 0, max: 0xffff_ffff }), (data, skip, register) => {
          const from = Math.min(skip, data.length);
          expect(sum(data, register, from)).toBe(bitwise(0x82f63b78, register, data.subarray(from)));
        }),
      );
    });

    test("where long ranges are moved to their last bytes", async () => {
      const { crc32cRaw: sum } = await load();
      const data = pattern(34_000);
      // From where it begins, each length that leaves another rest; then those about what is summed at once.
      const lengths = [
        ...Array.from({ length: 40 }, (_, n) => 760 + n),
        1023,
        4084,
        16_352,
        32_767,
        32_768,
        32_769,
        33_536,
      ];
      for (const [n, length] of lengths.entries()) {
        const register = n * 0x1234_5678;
        expect([length, sum(data, register, n, n + length)]).toEqual([
          length,
          bitwise(0x82f63b78, register, data.subarray(n, n + length)),
        ]);
      }
    });

    // Sizes of inodes; one that is no multiple of eight, one larger than the memory, and more records than it has registers.
    test.each([
      [128, 32],
      [256, 16],
      [512, 7],
      [2048, 2],
      [156, 5],
      [40_000, 1],
      [16, 600],
    ])("records of %i bytes, %i of them, with gaps", async (size, count) => {
      const { crc32cOfRecords: sums } = await load();
      const data = pattern(size * count);
      const before = data.slice();
      const gaps = [
        { at: 2, size: 2 },
        { at: 8, size: 4 },
      ];
      const registers = Int32Array.from({ length: count }, (_, n) => n * 0x1234_5678);
      const expected = bitwiseOfRecords(data, size, gaps, registers);
      sums(data, size, gaps, registers);
      expect(registers).toEqual(expected);
      expect(data).toEqual(before);
    });

    // What all sums should be is known, is wrong for one, and for two of them; the whole is long enough to be moved, or not.
    test.each([
      [128, 32],
      [256, 64],
      [512, 32],
      [512, 1],
      [2048, 1],
    ])("records of %i bytes, %i of them, whose sums are foretold", async (size, count) => {
      const { crc32cOfRecords: sums } = await load();
      const data = pattern(size * count);
      const gaps = [{ at: 100, size: 4 }];
      const start = Int32Array.from({ length: count }, (_, n) => ~(n * 0x1234_5678));
      const right = bitwiseOfRecords(data, size, gaps, start);
      for (const [first, second] of [[], [0], [count - 1], [count >> 1, count - 1]] as const) {
        const expected = right.slice();
        if (first !== undefined) expected[first]! ^= 1;
        if (second !== undefined) expected[second]! ^= 1;
        const registers = start.slice();
        expect(sums(data, size, gaps, registers, expected)).toBe(expected.every((sum, n) => sum === right[n]));
        expect(registers).toEqual(right);
      }
      const before = data.slice();
      data[size * count - 1]! ^= 0x80;
      const registers = start.slice();
      sums(data, size, gaps, registers, right);
      expect(registers).toEqual(bitwiseOfRecords(data, size, gaps, start));
      expect(registers.at(-1)).not.toBe(right.at(-1));
      data[size * count - 1]! ^= 0x80;
      expect(data).toEqual(before);
    });

    test("more than its memory holds at once", async () => {
      const { crc32cRaw: sum } = await load();
      const data = Uint8Array.from({ length: 150_001 }, (_, at) => (at * 7) ^ (at >> 8));
      expect(sum(data, 1)).toBe(bitwise(0x82f63b78, 1, data));
      expect(sum(data, 1, 3, 130_000)).toBe(bitwise(0x82f63b78, 1, data.subarray(3, 130_000)));
    });
  });
});

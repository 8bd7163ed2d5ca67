import { readFileSync } from "node:fs";
import { constants, deflateRawSync, deflateSync, gzipSync, inflateRawSync } from "node:zlib";
import { ImageError, isImageError, polledSignal } from "@guestprobe/block";
import { decodeDeflate, decodeGzip, decodeZlib } from "@guestprobe/codec";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/lib/random.js";
import { stopwatch } from "../../../test/lib/stopwatch.mjs";

const plain = Uint8Array.from({ length: 65536 }, (_, n) => (n % 251) ^ (n >> 9));
const packed = new Uint8Array(deflateRawSync(plain));
/** As qcow2 stores it: whatever lies in the rest of the sector follows. */
const padded = new Uint8Array(Math.ceil(packed.length / 512) * 512 + 512).fill(0xa5);
padded.set(packed);

const code = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (isImageError(error)) return error.code;
    throw error;
  }
  return "decoded";
};

describe("raw DEFLATE", () => {
  const decode = decodeDeflate;

  it("decodes to the exact size, and does not look at what follows", () => {
    expect(decode(packed, { exact: plain.length })).toEqual(plain);
    expect(decode(padded, { exact: plain.length })).toEqual(plain);
  });

  it("RFC 1951 section 3.2.4: a stored block by hand", () => {
    const stored = Uint8Array.of(0x01, 0x03, 0x00, 0xfc, 0xff, 0x61, 0x62, 0x63);
    expect(decode(stored, { exact: 3 })).toEqual(Uint8Array.of(0x61, 0x62, 0x63));
  });

  it("refuses a stream that is longer or shorter than it must be", () => {
    expect(code(() => decode(packed, { exact: plain.length - 1 }))).toBe("corrupt");
    expect(code(() => decode(packed, { exact: plain.length + 1 }))).toBe("corrupt");
    expect(code(() => decode(packed, { max: 1000 }))).toBe("limit");
  });

  it("refuses a cut stream and the reserved block type", () => {
    expect(code(() => decode(packed.subarray(0, packed.length / 2), { exact: plain.length }))).toBe("corrupt");
    expect(code(() => decode(Uint8Array.of(0x07, 0, 0, 0), { exact: 1 }))).toBe("corrupt");
    expect(code(() => decode(new Uint8Array(0), { exact: 1 }))).toBe("corrupt");
  });
});

describe("beside Node's zlib", () => {
  const random = new Random(11);
  const prose = readFileSync(new URL("../../../CHANGELOG.md", import.meta.url));
  const bytes = (length: number, one: (at: number) => number): Uint8Array =>
    Uint8Array.from({ length }, (_, at) => one(at));
  /** Of `size` bytes: text, one byte, what cannot be packed, runs that repeat after each distance below 40, few values. */
  const kinds: readonly ((size: number) => Uint8Array)[] = [
    (size) => prose.subarray(0, size),
    (size) => new Uint8Array(size).fill(7),
    (size) => bytes(size, () => random.below(256)),
    (size) => bytes(size, (at) => (at % (1 + (size % 40))) * 37),
    (size) => bytes(size, () => Math.floor((random.below(1000) / 1000) ** 4 * 256)),
  ];
  const STRATEGIES = ["Z_DEFAULT_STRATEGY", "Z_FILTERED", "Z_HUFFMAN_ONLY", "Z_RLE", "Z_FIXED"] as const;

  function packAs(plain: Uint8Array, n: number): Uint8Array {
    const strategy = constants[STRATEGIES[n % STRATEGIES.length]!];
    return deflateRawSync(plain, { level: n % 10, memLevel: 1 + (n % 9), strategy });
  }

  it("data of every kind, packed at every level, by every strategy", () => {
    for (let n = 0; n < 600; n += 1) {
      const plain = kinds[n % kinds.length]!(random.below(n % 7 === 0 ? 200_000 : 5000));
      const stream = packAs(plain, Math.floor(n / kinds.length));
      expect(Buffer.compare(decodeDeflate(stream, { exact: plain.length }), plain), `${n}`).toBe(0);
      expect(Buffer.compare(decodeDeflate(stream, { max: 1 << 20 }), plain), `${n}`).toBe(0);
      const cut = stream.subarray(0, random.below(stream.length));
      expect(() => decodeDeflate(cut, { max: 1 << 20 })).toThrow("input ends inside DEFLATE data");
      if (plain.length > 0) expect(code(() => decodeDeflate(stream, { max: plain.length - 1 }))).toBe("limit");
    }
  });

  it("damage: both refuse it, or make the same of it", () => {
    const most = 1 << 18;
    let refused = 0;
    for (let n = 0; n < 6000; n += 1) {
      const stream = packAs(kinds[n % kinds.length]!(500 + random.below(2500)), Math.floor(n / kinds.length)).slice();
      // Mostly where the codes are described.
      const span = n % 4 === 0 ? stream.length : Math.min(stream.length, 80);
      for (let flips = 0; flips <= n % 3; flips += 1) stream[random.below(span)]! ^= 1 << random.below(8);
      let theirs: Uint8Array | undefined;
      try {
        theirs = inflateRawSync(stream, { maxOutputLength: most });
      } catch {
        refused += 1;
      }
      const ours = code(() => decodeDeflate(stream, { max: most }));
      expect([n, ours === "decoded"]).toEqual([n, theirs !== undefined]);
      if (theirs === undefined) continue;
      expect([n, Buffer.compare(decodeDeflate(stream, { max: most }), theirs)]).toEqual([n, 0]);
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

it("Adler-32 about the lengths at which sums would overflow, and past them", () => {
  const worst = new Uint8Array(20_000).fill(255);
  for (const length of [0, 1, 15, 16, 17, 5551, 5552, 5553, 11_104, 20_000]) {
    for (const plain of [worst.subarray(0, length), worst.map((_, at) => at * 7).subarray(0, length)]) {
      expect(Buffer.compare(decodeZlib(deflateSync(plain), { exact: length }), plain), `${length}`).toBe(0);
    }
  }
});

it("a signal that fired ends a long stream", () => {
  const bomb = deflateSync(new Uint8Array(1 << 26));
  let polls = 0;
  const signal = polledSignal(() => {
    polls += 1;
    if (polls > 3) throw new ImageError("aborted", "enough");
  });
  expect(code(() => decodeZlib(bomb, { max: 1 << 26 }, { signal }))).toBe("aborted");
});

it("gzip: many small members cost no copy of the rest each", () => {
  const member = gzipSync("x");
  const count = 100_000;
  const spent = stopwatch();
  const stream = new Uint8Array(member.length * count);
  for (let n = 0; n < count; n += 1) stream.set(member, n * member.length);
  expect(decodeGzip(stream, { exact: count })).toHaveLength(count);
  expect(spent()).toBeLessThan(2000);
});

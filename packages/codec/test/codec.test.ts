import { readFileSync } from "node:fs";
import { deflateSync, gzipSync } from "node:zlib";
import { isImageError, polledSignal } from "@guestprobe/block";
import {
  CODEC_NAMES,
  type CodecName,
  type Decode,
  decodeBzip2,
  decodeGzip,
  decodeLz4Block,
  decodeLz4Legacy,
  decodeLzmaAlone,
  decodeLzo1x,
  decodeLzop,
  decodeXz,
  decodeZlib,
  decodeZstd,
  loadDecoder,
} from "@guestprobe/codec";
import * as fzstd from "fzstd";
import { describe, expect, test } from "vitest";
import { BLOCKS, HELLO, hex } from "../../../test/lib/codec-samples.js";
import { stopwatch } from "../../../test/lib/stopwatch.mjs";

const text = (data: Uint8Array): string => Buffer.from(data).toString("latin1");

const all: [CodecName, Uint8Array][] = [
  ["zlib", new Uint8Array(deflateSync(HELLO))],
  ["gzip", new Uint8Array(gzipSync(HELLO))],
  ...(Object.entries(BLOCKS) as [CodecName, Uint8Array][]),
];

test("every codec has a sample here", () => {
  expect(all.map(([name]) => name).sort()).toEqual([...CODEC_NAMES].sort());
});

function refusal(decode: Decode, ...args: Parameters<Decode>): string {
  try {
    decode(...args);
  } catch (error) {
    if (isImageError(error)) return error.code;
    throw error;
  }
  return "accepted";
}

describe.each(all)("%s", (name, block) => {
  test("decodes to the exact size, and under a larger limit", async () => {
    const decode = await loadDecoder(name);
    expect(text(decode(block, { exact: HELLO.length }))).toBe(HELLO);
    expect(text(decode(block, { max: 1 << 20 }))).toBe(HELLO);
  });

  test("a size that is not the exact one, or above the limit, is refused", async () => {
    const decode = await loadDecoder(name);
    expect(refusal(decode, block, { exact: HELLO.length - 1 })).toBe("corrupt");
    expect(refusal(decode, block, { exact: HELLO.length + 1 })).toBe("corrupt");
    expect(["limit", "corrupt"]).toContain(refusal(decode, block, { max: HELLO.length - 1 }));
  });

  test("cut at any byte it is refused", async () => {
    const decode = await loadDecoder(name);
    for (let length = 0; length < block.length; length += 1) {
      const code = refusal(decode, block.subarray(0, length), { exact: HELLO.length });
      expect(["corrupt", "bad-checksum"], `${length} bytes`).toContain(code);
    }
  });

  test("bytes after the end are refused, or ignored on request", async () => {
    const decode = await loadDecoder(name);
    // Not zeros: xz and lzop take those for padding.
    const padded = new Uint8Array(block.length + 16).fill(0x5a);
    padded.set(block);
    expect(refusal(decode, padded.subarray(0, block.length + 7), { exact: HELLO.length })).toBe("corrupt");
    // The raw blocks of LZO and LZ4 have no end of their own to look past.
    if (name === "lzo1x" || name === "lz4") return;
    expect(text(decode(padded, { exact: HELLO.length }, { trailing: "ignore" }))).toBe(HELLO);
  });

  test("a bound that is no size is the caller's mistake", async () => {
    const decode = await loadDecoder(name);
    for (const bound of [{ exact: -1 }, { max: 1.5 }, { max: 2 ** 40 }, { exact: Number.NaN }]) {
      expect(refusal(decode, block, bound)).toBe("invalid-argument");
    }
  });

  test("the result does not change when the input does", async () => {
    const decode = await loadDecoder(name);
    const copy = block.slice();
    const out = decode(copy, { exact: HELLO.length });
    copy.fill(0xff);
    expect(text(out)).toBe(HELLO);
  });
});

describe("oracles", () => {
  const data = new Uint8Array(
    readFileSync(new URL("../../../package-lock.json", import.meta.url)).subarray(0, 100_000),
  );

  test("fzstd agrees about a frame", async () => {
    const decode = decodeZstd;
    expect(text(fzstd.decompress(BLOCKS.zstd))).toBe(text(decode(BLOCKS.zstd, { exact: HELLO.length })));
  });

  test("lz4js agrees about a block of its own making", async () => {
    const { default: lz4js } = await import("lz4js");
    const packed = new Uint8Array(lz4js.compressBound(data.length));
    const length = lz4js.compressBlock(data, packed, 0, data.length, new Uint32Array(1 << 16));
    expect(decodeLz4Block(packed.subarray(0, length), { exact: data.length })).toEqual(data);
  });

  test("xz-decompress agrees about a stream", async () => {
    const { default: packageXz } = await import("xz-decompress");
    const source = new Blob([BLOCKS.xz as Uint8Array<ArrayBuffer>]).stream();
    expect(await new Response(new packageXz.XzReadableStream(source)).text()).toBe(HELLO);
  });
});

describe("checksums are verified", () => {
  const flip = (data: Uint8Array, at: number): Uint8Array => {
    const copy = data.slice();
    copy[at]! ^= 1;
    return copy;
  };
  test.each<[string, Decode, Uint8Array, number]>([
    ["zlib's Adler-32", decodeZlib, all[0]![1], -1],
    ["gzip's CRC-32", decodeGzip, all[1]![1], -8],
    ["gzip's size", decodeGzip, all[1]![1], -4],
    ["xz's stream header", decodeXz, BLOCKS.xz, 8],
    ["xz's footer", decodeXz, BLOCKS.xz, -12],
    ["bzip2's block", decodeBzip2, BLOCKS.bzip2, 10],
    ["lzop's header", decodeLzop, BLOCKS.lzop, 20],
  ])("%s", (_, decode, block, at) => {
    const code = refusal(decode, flip(block, at < 0 ? block.length + at : at), { exact: HELLO.length });
    expect(["bad-checksum", "corrupt"]).toContain(code);
  });
});

describe("concatenation", () => {
  const twice = (block: Uint8Array): Uint8Array => Uint8Array.from([...block, ...block]);

  test.each<[string, Decode]>([
    ["gzip", decodeGzip],
    ["xz", decodeXz],
    ["bzip2", decodeBzip2],
    ["lz4-legacy", decodeLz4Legacy],
  ])("%s decodes all members, or the first alone", (name, decode) => {
    const block = all.find(([codec]) => codec === name)![1];
    expect(text(decode(twice(block), { exact: 2 * HELLO.length }))).toBe(HELLO + HELLO);
    if (name === "lz4-legacy") return;
    expect(text(decode(twice(block), { exact: HELLO.length }, { trailing: "ignore" }))).toBe(HELLO);
  });

  test("zstd frames, and skippable ones between them", async () => {
    const decode = decodeZstd;
    const skipped = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    const stream = Uint8Array.from([...BLOCKS.zstd, ...skipped, ...BLOCKS.zstd]);
    expect(text(decode(stream, { exact: 2 * HELLO.length }))).toBe(HELLO + HELLO);
  });
});

describe("bombs cost no more than their bound", () => {
  test.each<[string, Decode, Uint8Array]>([
    ["zlib", decodeZlib, new Uint8Array(deflateSync(new Uint8Array(1 << 26)))],
    ["gzip", decodeGzip, new Uint8Array(gzipSync(new Uint8Array(1 << 26)))],
    // 200 MB of zeros by the length bytes alone.
    [
      "lz4",
      decodeLz4Block,
      Uint8Array.from([0x1f, 0, 1, 0, ...new Array<number>(800_000).fill(255), 0, 0x50, 0, 0, 0, 0, 0]),
    ],
    [
      "lzo1x",
      decodeLzo1x,
      Uint8Array.from([0x12, 0, 0x20, ...new Array<number>(800_000).fill(0), 1, 0, 0, 0x11, 0, 0]),
    ],
  ])("%s", (_, decode, bomb) => {
    const before = process.memoryUsage();
    const spent = stopwatch();
    expect(refusal(decode, bomb, { max: 8192 })).toBe("limit");
    expect(spent()).toBeLessThan(1000);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(32 << 20);
  });

  test("zstd: a block of one byte repeated, over and over", async () => {
    // A frame without a content size, of 3000 RLE blocks of 128 KiB: 375 MiB from 12 KB.
    const block = [0x02, 0x00, 0x10, 0x61];
    const blocks = Array.from({ length: 3000 }, (_, n) => (n === 2999 ? [0x03, 0x00, 0x10, 0x61] : block)).flat();
    const bomb = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, ...blocks]);
    expect(["limit", "corrupt"]).toContain(refusal(decodeZstd, bomb, { max: 8192 }));
  });

  test("lzma: a header that claims 2^60 bytes, and one that claims nothing", () => {
    const claim = BLOCKS.lzma.slice();
    claim.set([0, 0, 0, 0, 0, 0, 0, 0x10], 5);
    expect(refusal(decodeLzmaAlone, claim, { max: 1 << 30 })).toBe("limit");
  });
});

test.each(["zlib", "gzip", "zstd", "xz", "lzma", "bzip2"] as const)(
  "%s looks at the signal between pieces of its work",
  async (name) => {
    const decode = await loadDecoder(name);
    const block = all.find(([codec]) => codec === name)![1];
    expect(refusal(decode, block, { max: 100 }, { signal: AbortSignal.abort() })).toBe("aborted");
    let asked = 0;
    decode(block, { max: 100 }, { signal: polledSignal(() => void asked++) });
    expect(asked).toBeGreaterThan(0);
  },
);

describe("xz", () => {
  test("a filter that is not known is named", () => {
    // Block header: one more filter, RISC-V (0x0b), before LZMA2; CRC-32 made to match.
    expect(refusal(decodeXz, hex("fd377a585a000004e6d6b44603010b00210116000000000052b80173"), { max: 100 })).toBe(
      "unsupported",
    );
  });
});

/** What the headers of zstd, lzop and LZO claim, by hand from their formats: each lie has its code and its byte. */
import { readFileSync } from "node:fs";
import type { ErrorCode } from "@guestprobe/block";
import { decodeLz4Block, decodeLzo1x, decodeLzop, decodeZstd } from "@guestprobe/codec";
import { describe, expect, test } from "vitest";
import { BLOCKS, hex } from "../../../test/lib/codec-samples.js";
import { failure } from "../../../test/lib/failure.js";
import { sha256 } from "../../../test/lib/sha256.js";
import { adler32 } from "../src/checksum/adler32.js";

interface Sample {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly sum: string;
  readonly stream: string;
}
const samples = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/codec/lzop.json", import.meta.url), "utf8"),
) as Sample[];

const text = (data: Uint8Array): string => Buffer.from(data).toString("latin1");

describe("zstd frames (RFC 8878, section 3.1.1)", () => {
  const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
  /** A last block of three bytes as they are, and a last block of one byte four times. */
  const RAW = [0x19, 0, 0, 0x61, 0x62, 0x63];
  const RLE = [0x23, 0, 0, 0x7a];

  test.each<[string, number[], string]>([
    ["one segment, size in one byte", [0x20, 3, ...RAW], "abc"],
    ["size in four bytes", [0xa0, 3, 0, 0, 0, ...RAW], "abc"],
    ["size in eight bytes, a dictionary id of 0", [0xe1, 0, 3, 0, 0, 0, 0, 0, 0, 0, ...RAW], "abc"],
    ["a window, no size", [0x00, 0x58, ...RLE], "zzzz"],
    ["two blocks", [0x20, 7, 0x18, 0, 0, 0x61, 0x62, 0x63, ...RLE], "abczzzz"],
  ])("%s", (_, bytes, plain) => {
    expect(text(decodeZstd(Uint8Array.from([...MAGIC, ...bytes]), { max: 100 }))).toBe(plain);
  });

  test.each<[string, number[], ErrorCode, string, number]>([
    ["a reserved bit", [0x28, 3, ...RAW], "corrupt", "reserved bit", 4],
    ["a dictionary", [0x21, 7, 3, ...RAW], "unsupported", "needs a dictionary", 5],
    ["a window of 2^32", [0x00, 22 << 3, ...RAW], "unsupported", "window of 2^32", 5],
    ["block type 3", [0x20, 3, 0x1f, 0, 0, 0x61, 0x62, 0x63], "corrupt", "block type 3", 6],
    ["a block of 128 KiB and a byte", [0x00, 0x58, 0x0b, 0, 0x10, 0x61], "corrupt", "block of 131073 bytes", 6],
    ["a block cut off", [0x20, 3, 0x19, 0, 0, 0x61], "corrupt", "inside the block", 9],
    ["more than the blocks hold", [0x20, 9, ...RAW], "corrupt", "frame states 9 bytes, its blocks hold 3 at most", 0],
    ["less than the blocks hold", [0x20, 2, ...RAW], "corrupt", "block of 3 bytes, more than its frame states", 6],
    ["less than a compressed block holds", [0x60, 0, 0, 0x05, 0, 0], "corrupt", "block is damaged", 7],
    ["a checksum that is another", [0x24, 3, ...RAW, 1, 2, 3, 4], "bad-checksum", "content checksum", 12],
    ["a checksum cut off", [0x24, 3, ...RAW, 1, 2, 3], "corrupt", "inside the content checksum", 12],
  ])("%s", (_, bytes, code, reason, offset) => {
    const got = failure(() => decodeZstd(Uint8Array.from([...MAGIC, ...bytes]), { max: 1 << 20 }));
    expect(got).toEqual([code, expect.stringContaining(reason), offset]);
  });

  test("another magic, and a skippable frame that passes the end", () => {
    const [code, reason, offset] = failure(() => decodeZstd(hex("28b52ffe2003190000616263"), { max: 100 }));
    expect([code, reason, offset]).toEqual(["corrupt", "magic is 0xfe2fb528, expected 0xfd2fb528", 0]);
    const skipped = failure(() => decodeZstd(hex("502a4d1809000000ffff"), { max: 100 }));
    expect(skipped).toEqual(["corrupt", "input ends inside the skippable frame", 8]);
  });
});

describe("lzop", () => {
  const SUM_AT = 34;
  /** The tool's own file with some bytes of the header changed, and its sum made to match. */
  const patched = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = BLOCKS.lzop.slice();
    copy.set(bytes, at);
    new DataView(copy.buffer).setUint32(SUM_AT, adler32(copy.subarray(9, SUM_AT)));
    return copy;
  };

  test.each(samples.map((one) => [one.name, one] as const))("%s: what lzop decodes", async (_, one) => {
    const stream = new Uint8Array(Buffer.from(one.stream, "base64"));
    expect(await sha256([decodeLzop(stream, { exact: one.size })])).toBe(one.sha256);
    // The sum of the one block stands behind its two lengths; with it the block is refused, whichever sum it is.
    const sumAt = SUM_AT + 4 + 8;
    const changed = failure(() => decodeLzop(stream.with(sumAt, stream[sumAt]! ^ 1), { exact: one.size }));
    expect(changed).toEqual(["bad-checksum", expect.stringMatching(one.sum), SUM_AT + 4]);
  });

  test.each<[string, Uint8Array, ErrorCode, string, number]>([
    ["no magic", BLOCKS.lzop.with(0, 0), "corrupt", "magic is not that of lzop", 0],
    ["version 0.8", patched(9, 8, 0), "corrupt", "version 0x800", 9],
    ["method 4", patched(15, 4), "unsupported", "lzop method 4", 15],
    ["a filter", patched(17, 0, 0, 8, 1), "unsupported", "lzop filter", 17],
    ["one part of several", patched(17, 0, 0, 4, 1), "unsupported", "lzop multipart", 17],
    ["a changed mode", BLOCKS.lzop.with(22, 0xff), "bad-checksum", "header checksum does not match", SUM_AT],
    ["a block of 64 MiB and a byte", patched(38, 4, 0, 0, 1), "corrupt", "block of 67108865 bytes", 38],
    ["a block stored in none", patched(42, 0, 0, 0, 0), "corrupt", "block of 24 bytes is stored in 0", 42],
    ["cut inside the header", BLOCKS.lzop.subarray(0, 30), "corrupt", "input is truncated", 21],
  ])("%s", (_, stream, code, reason, offset) => {
    const got = failure(() => decodeLzop(stream, { max: 1000 }));
    expect(got).toEqual([code, expect.stringContaining(reason), offset]);
  });
});

describe("a raw block (staging/lzo of the Linux documentation)", () => {
  test.each<[string, string, string, number]>([
    ["nothing", "", "input is empty", 0],
    ["a first run past the end", "1461", "literal run of 3 passes the end of the input", 1],
    ["no end marker", "14616263", "input ends without the end marker", 4],
    ["a literal length without an end", "1461626321000000", "input ends inside a literal length", 7],
    ["a match before its distance", "1461626340", "input ends inside a match", 4],
    ["a match length without an end", "146162632000", "input ends inside a match length", 4],
    ["half a distance", "146162632100", "input ends inside a match", 4],
    ["a match after literals without its distance", "146162630c", "input ends inside a match", 4],
    ["a distance of 9 after 3 bytes", "146162634001", "match at distance 9 after 3 bytes of output", 4],
    ["a byte after the end marker", "1461626311000000", "1 bytes follow the end marker", 7],
  ])("%s", (_, block, reason, offset) => {
    expect(failure(() => decodeLzo1x(hex(block), { max: 100 }))).toEqual(["corrupt", reason, offset]);
  });

  test("two literals and the two-byte match that may follow them", () => {
    // 19: two literals; 04 00: two bytes from two back; the end marker.
    expect(text(decodeLzo1x(hex("1361620400110000"), { exact: 4 }))).toBe("abab");
  });
});

describe("an LZ4 block (lz4_Block_format.md)", () => {
  test.each<[string, string, string]>([
    ["distance 0", "10610000506161616161", "match at distance 0"],
    ["a distance of 9 after one byte", "10610900506161616161", "match at distance 9 after 1 bytes of output"],
    ["a match and two literals", "106101002061", "block ends too soon after a match"],
  ])("%s", (_, block, reason) => {
    const [code, why] = failure(() => decodeLz4Block(hex(block), { max: 100 }));
    expect([code, why]).toEqual(["corrupt", reason]);
  });
});

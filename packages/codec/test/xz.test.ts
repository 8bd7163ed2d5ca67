/** xz and its filters: streams by the tool, and streams by hand whose one lie has its place. */
import { readFileSync } from "node:fs";
import { crc32, type ErrorCode } from "@guestprobe/block";
import { decodeLzmaAlone, decodeXz } from "@guestprobe/codec";
import { describe, expect, test } from "vitest";
import { BLOCKS, hex } from "../../../test/lib/codec-samples.js";
import { failure } from "../../../test/lib/failure.js";
import { sha256 } from "../../../test/lib/sha256.js";

interface Sample {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly stream: string;
}
const samples = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/codec/xz.json", import.meta.url), "utf8"),
) as Sample[];

test.each(samples.map((one) => [one.name, one] as const))("%s: what xz decodes", async (_, one) => {
  const stream = new Uint8Array(Buffer.from(one.stream, "base64"));
  expect(await sha256([decodeXz(stream, { exact: one.size })])).toBe(one.sha256);
  // The check stands before the index, so a changed byte of the index is another error than a changed check.
  const error = failure(() => decodeXz(stream.with(stream.length - 1, 0), { exact: one.size }));
  expect([error[0], error[2]]).toEqual(["corrupt", stream.length - 2]);
});

const word = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const summed = (bytes: readonly number[]): number[] => [...bytes, ...word(crc32(Uint8Array.from(bytes)))];
const padded = (bytes: readonly number[]): number[] => [...bytes, ...new Array<number>(-bytes.length & 3).fill(0)];

/** xz file format, section 2.1.1: no check. */
const STREAM_HEADER = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, ...summed([0, 0])];

/** A block header of these bytes after its size, with its CRC-32 (section 3.1). */
const blockHeader = (bytes: readonly number[]): number[] => {
  const body = padded([0, ...bytes]);
  return summed([body.length / 4, ...body.slice(1)]);
};

/** One block of this LZMA2 data, which claims to decode to `size` bytes, up to 127. */
function xzOf(lzma2: readonly number[], size: number, header = blockHeader([0, 0x21, 1, 0x16])): Uint8Array {
  const index = summed(padded([0, 1, header.length + lzma2.length, size]));
  const footer = [...word(index.length / 4 - 1), 0, 0];
  const sum = word(crc32(Uint8Array.from(footer)));
  return Uint8Array.from([...STREAM_HEADER, ...header, ...padded(lzma2), ...index, ...sum, ...footer, 0x59, 0x5a]);
}

/** Where the LZMA2 data of `xzOf` begins. */
const DATA = STREAM_HEADER.length + 12;

describe("LZMA2 chunks", () => {
  test("stored bytes, with and without a new dictionary", () => {
    const data = [0x01, 0, 2, 0x61, 0x62, 0x63, 0x02, 0, 0, 0x64, 0];
    expect(Buffer.from(decodeXz(xzOf(data, 4), { exact: 4 })).toString()).toBe("abcd");
  });

  test.each<[string, number[], string, number]>([
    ["the first does not reset the dictionary", [0x02, 0, 0, 0x61, 0], "does not reset the dictionary", 0],
    ["properties that were never set", [0x01, 0, 0, 0x61, 0x80, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0], "not set", 4],
    ["properties byte 225", [0xe0, 0, 0, 0, 4, 225, 0, 0, 0, 0, 0, 0], "LZMA properties byte 225", 5],
    ["lc + lp of 5", [0xe0, 0, 0, 0, 4, 9 * 4 + 1, 0, 0, 0, 0, 0, 0], "LZMA properties byte 37", 5],
    ["four bytes of LZMA data", [0xe0, 0, 0, 0, 3, 0x5d, 0, 0, 0, 0, 0], "first bytes of LZMA data", 6],
    ["LZMA data that starts with 1", [0xe0, 0, 0, 0, 4, 0x5d, 1, 0, 0, 0, 0, 0], "start with a zero byte", 6],
    ["a byte of LZMA data too many", [0xe0, 0, 0, 0, 6, 0x5d, 0, 0, 0, 0, 0, 0, 0, 0], "does not end cleanly", 13],
  ])("%s", (_, data, reason, at) => {
    const claimed = data[0] === 0xe0 || data.length < 8 ? 1 : 2;
    const error = failure(() => decodeXz(xzOf(data, claimed), { max: 100 }));
    expect(error).toEqual(["corrupt", expect.stringContaining(reason), DATA + at]);
  });

  test.each<[string, number[], string, number]>([
    ["control byte 3", [0x03, 0, 0, 0x61, 0], "LZMA2 control byte 0x3", 0],
    ["no end marker", [0x01, 0, 0, 0x61], "input ends", 4],
    ["a header cut off", [0x01, 0], "inside an LZMA2 chunk header", 0],
    ["a chunk cut off", [0x01, 0, 9, 0x61], "inside an LZMA2 chunk", 0],
  ])("walked before anything is decoded: %s", (_, data, reason, at) => {
    const stream = Uint8Array.from([...STREAM_HEADER, ...blockHeader([0, 0x21, 1, 0x16]), ...data]);
    const error = failure(() => decodeXz(stream, { max: 100 }));
    expect(error).toEqual(["corrupt", expect.stringContaining(reason), DATA + at]);
  });
});

describe("block headers", () => {
  const at = STREAM_HEADER.length;
  test.each<[string, number[], ErrorCode, string, number]>([
    ["reserved flags", [0x04, 0x21, 1, 0x16], "corrupt", "reserved flags", at + 1],
    ["compressed size 0", [0x40, 0, 0x21, 1, 0x16], "corrupt", "compressed size is 0", at],
    ["no LZMA2", [0x00, 0x03, 1, 0], "corrupt", "the last filter is not LZMA2", at],
    ["LZMA2 first of two", [0x01, 0x21, 1, 0x16, 0x03, 1, 0], "corrupt", "LZMA2 is not the last filter", at + 2],
    ["properties past the header", [0x00, 0x21, 9, 0x16], "corrupt", "filter properties pass", at + 2],
    ["dictionary size 41", [0x00, 0x21, 1, 41], "corrupt", "LZMA2 properties are bad", at + 2],
    ["LZMA2 of two properties", [0x00, 0x21, 2, 0x16, 0], "corrupt", "LZMA2 properties are bad", at + 2],
    ["delta of no properties", [0x01, 0x03, 0, 0x21, 1, 0x16], "corrupt", "delta properties are bad", at + 2],
    ["x86 of one property", [0x01, 0x04, 1, 0, 0x21, 1, 0x16], "corrupt", "filter properties are bad", at + 2],
    ["ARM from byte 2", [0x01, 0x07, 4, 2, 0, 0, 0, 0x21, 1, 0x16], "corrupt", "start offset 2 is not", at + 2],
    ["RISC-V", [0x01, 0x0b, 0, 0x21, 1, 0x16], "unsupported", "xz filter 0xb", at + 2],
    ["padding that is not zero", [0x00, 0x21, 1, 0x16, 0, 0, 1], "corrupt", "padding of the block header", at + 7],
    ["an integer longer than need be", [0x40, 0x81, 0, 0x21, 1, 0x16], "corrupt", "longer than it need be", at + 2],
    ["an integer of ten bytes", [0x40, ...new Array<number>(10).fill(0x81)], "corrupt", "longer than 9", at + 2],
    [
      "an integer of 2^56",
      [0x40, ...new Array<number>(8).fill(0x80), 1, 0x21, 1, 0x16],
      "corrupt",
      "integer is 2^53 or more",
      at + 2,
    ],
    ["an integer past the header", [0x40, 0x81, 0x81], "corrupt", "structure ends inside an integer", at + 2],
    ["a compressed size of 9", [0x40, 9, 0x21, 1, 0x16], "corrupt", "the block header says 9", at],
    ["a size of 2", [0x80, 2, 0x21, 1, 0x16], "corrupt", "size is 1, the block header says 2", at],
  ])("%s", (_, bytes, code, reason, offset) => {
    const stream = xzOf([0x01, 0, 0, 0x61, 0], 1, blockHeader(bytes));
    const error = failure(() => decodeXz(stream, { max: 100 }));
    expect(error).toEqual([code, expect.stringContaining(reason), offset]);
  });

  test("the largest dictionary is 4 GiB - 1, and costs nothing by itself", () => {
    const stream = xzOf([0x01, 0, 0, 0x61, 0], 1, blockHeader([0, 0x21, 1, 40]));
    expect(decodeXz(stream, { exact: 1 })).toEqual(Uint8Array.of(0x61));
  });
});

describe("streams", () => {
  const sound = xzOf([0x01, 0, 0, 0x61, 0], 1);
  const index = DATA + 8;
  /** One byte made another, and the CRC-32 of what it lies in made to match. */
  const patched = (at: number, value: number, from?: number, to?: number, sum?: number): Uint8Array => {
    const copy = sound.with(at, value);
    if (from !== undefined) copy.set(word(crc32(copy.subarray(from, to))), sum);
    return copy;
  };
  const footer = sound.length - 12;

  test.each<[string, Uint8Array, ErrorCode, string, number]>([
    ["reserved stream flags", patched(6, 1, 6, 8, 8), "unsupported", "flags are reserved", 6],
    ["check type 2", patched(7, 2, 6, 8, 8), "unsupported", "xz check type 2", 7],
    ["no block, no index", sound.subarray(0, 12), "corrupt", "input ends between blocks", 12],
    ["padding of the block", patched(DATA + 5, 1), "corrupt", "padding is missing or not zero", DATA + 5],
    ["an index of two records", patched(index + 1, 2), "corrupt", "index lists 2 blocks, the stream has 1", index],
    ["another size in the index", patched(index + 3, 2), "corrupt", "index record 0", index + 2],
    ["the index's CRC-32", patched(index + 4, 0), "bad-checksum", "CRC-32 of the index", index + 4],
    ["an index cut off", sound.subarray(0, index + 6), "corrupt", "input ends inside the index", index + 4],
    ["a footer cut off", sound.subarray(0, footer + 5), "corrupt", "inside the stream footer", footer],
    ["the footer's magic", patched(footer + 10, 0), "corrupt", "no magic", footer + 10],
    [
      "the footer's index size",
      patched(footer + 4, 7, footer + 4, footer + 10, footer),
      "corrupt",
      "footer and index disagree",
      footer + 4,
    ],
    [
      "the footer's flags",
      patched(footer + 9, 1, footer + 4, footer + 10, footer),
      "corrupt",
      "footer and header disagree",
      footer + 8,
    ],
    ["three bytes of padding", Uint8Array.from([...sound, 0, 0, 0]), "corrupt", "stream padding", sound.length],
  ])("%s", (_, stream, code, reason, offset) => {
    const error = failure(() => decodeXz(stream, { max: 100 }));
    expect(error).toEqual([code, expect.stringContaining(reason), offset]);
  });

  test("a check that is not that of the data", () => {
    // Before the footer lie an index of eight bytes and the CRC-64.
    const stream = BLOCKS.xz.slice();
    const checkAt = BLOCKS.xz.length - 12 - 8 - 8;
    stream[checkAt]! ^= 1;
    const error = failure(() => decodeXz(stream, { max: 100 }));
    expect(error).toEqual(["bad-checksum", "check of a block does not match", checkAt]);
  });

  test("a check cut off", () => {
    const [code, why] = failure(() => decodeXz(BLOCKS.xz.subarray(0, BLOCKS.xz.length - 12 - 8 - 1), { max: 100 }));
    expect([code, why]).toEqual(["corrupt", "input ends inside a block's check"]);
  });
});

describe("LZMA alone", () => {
  const alone = (patch: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = BLOCKS.lzma.slice();
    patch(bytes);
    return bytes;
  };
  const sized = (size: number): Uint8Array => alone((bytes) => bytes.set([size, 0, 0, 0, 0, 0, 0, 0], 5));

  // Inside the range coder's data the place is where it would read on.
  test.each<[string, Uint8Array, string, number | undefined]>([
    ["a match before anything it could copy", alone((bytes) => bytes.fill(0, 14, 15)), "match distance", undefined],
    ["an end marker before the size", sized(25), "end marker where the size is known", 32],
    ["data past the size", sized(20), "goes on past its size", undefined],
    ["a range coder that is not at rest", alone((bytes) => bytes.fill(187, 28, 29)), "does not end cleanly", 32],
    ["properties byte 225", alone((bytes) => bytes.fill(225, 0, 1)), "properties byte 225", 0],
    ["nothing but half a header", hex("5d0000"), "shorter than the header", 0],
  ])("%s", (_, stream, reason, offset) => {
    const [code, why, at] = failure(() => decodeLzmaAlone(stream, { max: 100 }));
    expect([code, why]).toEqual(["corrupt", expect.stringContaining(reason)]);
    if (offset !== undefined) expect(at).toBe(offset);
    else expect(at! > 17 && at! < stream.length, `byte ${at}`).toBe(true);
  });

  test("a marker after a known size is allowed", () => {
    expect(decodeLzmaAlone(sized(24), { exact: 24 })).toEqual(decodeLzmaAlone(BLOCKS.lzma, { exact: 24 }));
  });
});

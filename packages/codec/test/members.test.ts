/** gzip's member headers, what inflate does with much output, bzip2's randomised blocks, and WebAssembly. */
import { readFileSync } from "node:fs";
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { crc32, type ErrorCode } from "@guestprobe/block";
import { decodeBzip2, decodeGzip, decodeZlib } from "@guestprobe/codec";
import { describe, expect, test } from "vitest";
import { failure } from "../../../test/lib/failure.js";
import { sha256 } from "../../../test/lib/sha256.js";
import { reserveMemory, WasmDecoder } from "../src/wasm.js";

describe("gzip member headers (RFC 1952, section 2.3)", () => {
  const text = Buffer.from("text");
  const member = (flags: number, fields: readonly number[], crc16 = false): Uint8Array => {
    const header = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3, ...fields];
    const sum = crc32(Uint8Array.from(header)) & 0xffff;
    const end = Buffer.alloc(8);
    end.writeUInt32LE(crc32(text), 0);
    end.writeUInt32LE(text.length, 4);
    return Uint8Array.from([...header, ...(crc16 ? [sum & 0xff, sum >> 8] : []), ...deflateRawSync(text), ...end]);
  };

  test("extra field, name, comment and CRC-16 are passed over", () => {
    const fields = [3, 0, 1, 2, 3, 0x6e, 0, 0x63, 0x63, 0];
    expect(decodeGzip(member(0x1e, fields, true), { exact: 4 })).toEqual(new Uint8Array(text));
    expect(decodeGzip(member(0x0c, fields.slice(0, 7)), { exact: 4 })).toEqual(new Uint8Array(text));
  });

  test.each<[string, Uint8Array, ErrorCode, string, number]>([
    ["no magic", Uint8Array.of(0x1f, 0x8c, 8, 0, 0, 0, 0, 0, 0, 3), "corrupt", "magic is not 1f 8b", 0],
    ["nine bytes", member(0, []).subarray(0, 9), "corrupt", "inside the member header", 0],
    ["method 7", member(0, []).with(2, 7), "corrupt", "compression method is 7", 2],
    ["reserved flags", member(0xa0, []), "corrupt", "reserved flags 0xa0", 3],
    ["an extra field past the end", member(4, [255, 255]), "corrupt", "inside the member header", 12],
    ["a name without an end", member(8, [0x6e]).subarray(0, 11), "corrupt", "inside the member header", 10],
    ["a CRC-16 that is another", member(2, [0, 0]), "bad-checksum", "header CRC-16 does not match", 10],
    ["a trailer cut off", member(0, []).subarray(0, -1), "corrupt", "inside the member trailer", 16],
    ["damaged DEFLATE data", member(0, []).with(10, 0xff), "corrupt", "DEFLATE data is damaged", 10],
  ])("%s", (_name, stream, code, reason, offset) => {
    const [got, why, at] = failure(() => decodeGzip(stream, { max: 100 }));
    expect([got, why]).toEqual([code, expect.stringContaining(reason)]);
    expect(at).toBe(offset);
  });
});

describe("inflate makes room as data arrives", () => {
  const plain = Uint8Array.from({ length: 700_001 }, (_, n) => (n % 251) ^ (n >> 11));

  test("a result several times what it began with", () => {
    expect(Buffer.compare(decodeZlib(deflateSync(plain), { max: 1 << 20 }), plain)).toBe(0);
    expect(Buffer.compare(decodeGzip(gzipSync(plain), { max: 700_001 }), plain)).toBe(0);
  });

  test("one byte too many is noticed at the limit", () => {
    expect(failure(() => decodeGzip(gzipSync(plain), { max: 700_000 }))[0]).toBe("limit");
  });

  test("data cut off is corrupt, wherever the room stands", () => {
    const stream = deflateSync(plain);
    for (const length of [30, stream.length >> 1, stream.length - 5]) {
      const [code, reason, offset] = failure(() => decodeZlib(stream.subarray(0, length), { max: 1 << 20 }));
      expect([code, reason, offset]).toEqual(["corrupt", "input ends inside DEFLATE data", length]);
    }
  });
});

test("bzip2: a randomised block decodes as bzip2 decodes it", async () => {
  const path = new URL("../../../test/fixtures/codec/bzip2-randomised.json", import.meta.url);
  const one = JSON.parse(readFileSync(path, "utf8")) as { size: number; sha256: string; stream: string };
  const stream = new Uint8Array(Buffer.from(one.stream, "base64"));
  expect(await sha256([decodeBzip2(stream, { exact: one.size })])).toBe(one.sha256);
  // Without the bit the same data is that of another block, which its CRC shows.
  expect(failure(() => decodeBzip2(stream.with(14, stream[14]! & 0x7f), { exact: one.size }))[0]).toBe("bad-checksum");
  // Room is made as data arrives, to the limit and no further.
  expect(await sha256([decodeBzip2(stream, { max: 1 << 20 })])).toBe(one.sha256);
  expect(failure(() => decodeBzip2(stream, { max: one.size - 1 }))[0]).toBe("limit");
});

describe("WebAssembly", () => {
  test("a module that does not compile is what is not supported here", () => {
    const broken = new WasmDecoder<{ memory: WebAssembly.Memory }>("lzma", btoa("no module"));
    const [code, reason] = failure(() => broken.use(() => 0));
    expect([code, reason]).toEqual(["unsupported", "lzma needs WebAssembly, which cannot be loaded here"]);
  });

  test("a memory grows by whole pages, and one that may not grow is a limit", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
    reserveMemory(memory, 0x1_0001, "xz");
    expect(memory.buffer.byteLength).toBe(0x2_0000);
    const [code, reason] = failure(() => reserveMemory(memory, 0x3_0001, "xz"));
    expect([code, reason]).toEqual(["limit", "no memory for 196609 bytes of input and output"]);
  });
});

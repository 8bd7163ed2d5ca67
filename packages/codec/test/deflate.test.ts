import { deflateRawSync } from "node:zlib";
import { isImageError } from "@guestprobe/block";
import { decodeDeflate, decodeDeflatePortable } from "@guestprobe/codec";
import { describe, expect, it } from "vitest";

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

describe.each([
  ["by Node's zlib", decodeDeflate],
  ["portable", decodeDeflatePortable],
])("raw DEFLATE, %s", (_, decode) => {
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

import {
  compareBytes,
  decodeText,
  decodeTextStrict,
  decodeUtf16,
  encodeText,
  equalBytes,
  toHex,
  untilNul,
} from "@guestprobe/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const bytes = fc.uint8Array({ maxLength: 20 });

describe("UTF-8", () => {
  test("text goes there and back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(decodeText(encodeText(text))).toBe(text);
      }),
    );
  });
  test("strict is undefined just where Buffer cannot give the bytes back", () => {
    fc.assert(
      fc.property(bytes, (data) => {
        const text = Buffer.from(data).toString("utf8");
        expect(decodeTextStrict(data)).toBe(Buffer.from(text).equals(data) ? text : undefined);
      }),
    );
  });
  test("lossy replaces what is invalid", () => expect(decodeText(Uint8Array.of(0x61, 0xff, 0x62))).toBe("a\ufffdb"));
  test("a byte order mark is part of the text", () => {
    expect(decodeText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
    expect(decodeTextStrict(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
  });
});

test("untilNul", () => {
  expect([...untilNul(Uint8Array.of(1, 2, 0, 3))]).toEqual([1, 2]);
  expect([...untilNul(Uint8Array.of(0, 3))]).toEqual([]);
  expect([...untilNul(Uint8Array.of(1, 2))]).toEqual([1, 2]);
  expect([...untilNul(Uint8Array.of())]).toEqual([]);
});

describe("decodeUtf16", () => {
  const utf16 = (text: string) => new Uint8Array(Buffer.from(text, "utf16le"));
  test("the name of a GPT entry: NUL padded", () => {
    const field = new Uint8Array(72);
    field.set(utf16("Linux \u{1f427}"));
    expect(decodeUtf16(field)).toBe("Linux \u{1f427}");
  });
  test("a field that is full has no NUL", () => expect(decodeUtf16(utf16("abc"))).toBe("abc"));
  test("a NUL byte that is half a unit does not end it", () => {
    expect(decodeUtf16(Uint8Array.of(0x00, 0x01, 0x61, 0x00))).toBe("\u0100a");
  });
  test("an odd byte at the end is left out", () => expect(decodeUtf16(Uint8Array.of(0x61, 0, 0x62))).toBe("a"));
  test("a lone surrogate is replaced", () => {
    expect(decodeUtf16(Uint8Array.of(0x00, 0xd8, 0x61, 0x00))).toBe("\ufffda");
  });
  test("a byte order mark is part of the text", () => expect(decodeUtf16(Uint8Array.of(0xff, 0xfe))).toBe("\ufeff"));
});

describe("comparing and printing", () => {
  test("compareBytes and equalBytes agree with Buffer", () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
        expect(equalBytes(a, a.slice())).toBe(true);
      }),
    );
  });
  test("a prefix comes first, bytes are unsigned", () => {
    expect(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBeLessThan(0);
    expect(compareBytes(Uint8Array.of(0xff), Uint8Array.of(0x7f))).toBeGreaterThan(0);
  });
  test("toHex agrees with Buffer", () => {
    fc.assert(
      fc.property(bytes, (data) => {
        expect(toHex(data)).toBe(Buffer.from(data).toString("hex"));
      }),
    );
  });
});

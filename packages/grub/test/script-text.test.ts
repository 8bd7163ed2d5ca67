/** Text as GRUB sees it: bytes, whatever they are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeText, encodeText } from "../src/script/text.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("decodeText", () => {
  test("any bytes come back", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.string({ unit: "binary", maxLength: 12 }).map(bytes),
      fc.constantFrom("é", "€", "😀", "\u{10ffff}").map(bytes),
      fc
        .constantFrom([0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80])
        .map((data) => Uint8Array.from(data)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const all = Buffer.concat(pieces);
        expect(Buffer.from(encodeText(decodeText(all))).equals(all)).toBe(true);
      }),
    );
  });

  test("a byte that is no UTF-8 stands as itself, and what is around it as text", () => {
    expect(decodeText(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9, 0xe2, 0x82))).toBe("a\udcffé\udce2\udc82");
  });

  test("of long text, too, wherever a letter of two units lies in it", () => {
    for (let before = 4090; before < 4100; before += 1) {
      const text = `${"a".repeat(before)}😀é${"b".repeat(9000)}`;
      expect(decodeText(Buffer.concat([bytes(text), Uint8Array.of(0x80)]))).toBe(`${text}\udc80`);
    }
  });
});

import { describe, expect, test } from "vitest";
import { escapeGuestText, unescapeGuestText } from "../src/output/escape.js";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("escapeGuestText", () => {
  test.each([
    ["plain ASCII is kept", "grub.cfg", "grub.cfg"],
    ["printable UTF-8 is kept", "naïve 日本", "naïve 日本"],
    ["a terminal's escape sequence", "\u001b[2J", "\\x1b[2J"],
    ["newline, tab and carriage return", "a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"],
    ["delete and the C1 controls", "\u007f\u009b31m", "\\x7f\\u009b31m"],
    ["bidirectional override", "a\u202egnp.exe", "a\\u202egnp.exe"],
    ["bidirectional isolate", "\u2066x\u2069", "\\u2066x\\u2069"],
    ["zero-width space and byte order mark", "a\u200bb\ufeff", "a\\u200bb\\ufeff"],
    ["line and paragraph separators", "\u2028\u2029", "\\u2028\\u2029"],
    ["tag characters above the basic plane", "\u{e0041}", "\\u{e0041}"],
    ["a backslash, so that the result is unambiguous", "\\x1b", "\\\\x1b"],
  ])("%s", (_, text, expected) => {
    expect(escapeGuestText(text)).toBe(expected);
    expect(escapeGuestText(new TextEncoder().encode(text))).toBe(expected);
    expect(Buffer.from(unescapeGuestText(expected)).toString()).toBe(text);
  });

  test("invalid UTF-8 shows byte by byte, and the valid text around it is kept", () => {
    expect(escapeGuestText(bytes(0x61, 0xff, 0xc3, 0xa9, 0x80, 0x62))).toBe("a\\xffé\\x80b");
  });

  test("any bytes come back from what is written, and no two are written alike", () => {
    const seen = new Map<string, string>();
    const alphabet = [0x00, 0x0a, 0x41, 0x5c, 0x75, 0x78, 0x38, 0x35, 0x7f, 0x80, 0x85, 0xc2, 0xad, 0xe2, 0xae, 0xff];
    for (const a of alphabet) {
      for (const b of alphabet) {
        for (const c of alphabet) {
          const data = bytes(a, b, c);
          const text = escapeGuestText(data);
          expect([...unescapeGuestText(text)], text).toEqual([...data]);
          expect(seen.get(text) ?? data.join(), text).toBe(data.join());
          seen.set(text, data.join());
        }
      }
    }
  });

  test("a sequence that is cut short at the end", () => {
    expect(escapeGuestText(bytes(0x61, 0xe2, 0x82))).toBe("a\\xe2\\x82");
  });

  test("an overlong form and a surrogate are invalid", () => {
    expect(escapeGuestText(bytes(0xc0, 0xaf, 0xed, 0xa0, 0x80))).toBe("\\xc0\\xaf\\xed\\xa0\\x80");
  });

  test("control characters between invalid bytes are escaped too", () => {
    expect(escapeGuestText(bytes(0xff, 0x1b, 0x5b))).toBe("\\xff\\x1b[");
  });

  test("no byte string yields a control character, whatever it holds", () => {
    for (let first = 0; first < 256; first += 1) {
      for (let second = 0; second < 256; second += 1) {
        const text = escapeGuestText(bytes(first, second, 0x41));
        expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }
    }
  });
});

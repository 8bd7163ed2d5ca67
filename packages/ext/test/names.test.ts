import { encodeText, toHex } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { foldName } from "../src/casefold.js";
import { hashName } from "../src/dir-hash.js";
import { noKeyName } from "../src/no-key-name.js";
import { sha256 } from "../src/sha256.js";

/** 6b1d2f3e-90ab-4cde-8f01-23456789abcd, as four little-endian words. */
const SEED = Uint32Array.of(0x3e2f1d6b, 0xde4cab90, 0x4523018f, 0xcdab8967);
const LONG = `${"long ".repeat(20)}end`;

describe("hash of a name, as `debugfs -R 'dx_hash -h ALGORITHM -s SEED NAME'` prints it", () => {
  const cases: [string, number, string, number, number][] = [
    ["legacy", 0, "a", 0xe74b53e2, 0],
    ["legacy", 0, "hello", 0x32252546, 0],
    ["legacy", 0, "a name of exactly thirty-two chars", 0x7fa2786c, 0],
    ["legacy", 0, LONG, 0x200cbf0a, 0],
    ["legacy", 0, "\u00e9t\u00e9", 0x70d7b7fc, 0],
    ["half_md4", 1, "a", 0xd0f5f474, 0xe3be9253],
    ["half_md4", 1, "hello", 0x35101802, 0x17790995],
    ["half_md4", 1, "a name of exactly thirty-two chars", 0x070127f4, 0xdbd1370b],
    ["half_md4", 1, LONG, 0x43e49e96, 0xff238a19],
    ["half_md4", 1, "\u00e9t\u00e9", 0xe314ae1a, 0xc6d995b7],
    ["tea", 2, "a", 0x2c07ac3c, 0x28c5441e],
    ["tea", 2, "hello", 0x5e9f7fb4, 0x0d90fbc2],
    ["tea", 2, "a name of exactly thirty-two chars", 0x4b7f09d8, 0xf07f0cf5],
    ["tea", 2, LONG, 0xa106690a, 0xfbb1d8b2],
    ["tea", 2, "\u00e9t\u00e9", 0xdc651f50, 0xe98a8909],
  ];
  for (const [algorithm, version, name, hash, minor] of cases) {
    test(`${algorithm}: ${name.slice(0, 12)}`, () => {
      expect(hashName(encodeText(name), version, SEED)).toEqual({ hash, minor });
    });
  }

  test("without a seed", () => {
    expect(hashName(encodeText("hello"), 1, undefined)).toEqual({ hash: 0x1746da32, minor: 0x420013b5 });
  });

  test("unsigned bytes differ only above 127", () => {
    expect(hashName(encodeText("hello"), 4, SEED)).toEqual(hashName(encodeText("hello"), 1, SEED));
    expect(hashName(encodeText("\u00e9"), 4, SEED)).not.toEqual(hashName(encodeText("\u00e9"), 1, SEED));
  });

  test("a hash that needs a key, and one that is not known", () => {
    expect(hashName(encodeText("a"), 6, SEED)).toBeUndefined();
    expect(hashName(encodeText("a"), 9, SEED)).toBeUndefined();
  });
});

describe("folded names hash as `debugfs -R 'dx_hash -h half_md4 -c -e utf8 -s SEED NAME'` says", () => {
  const cases: [string, number, number][] = [
    ["README", 0x931a8086, 0x62e8f749],
    ["Stra\u00dfe", 0xa0ea4b1c, 0x94d96ea9],
    ["\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", 0x60ac7794, 0x26179e59],
    ["\u0130stanbul", 0x00ae5828, 0xbee09448],
    ["\u01c5", 0x01a3056c, 0xe53903f2],
    ["\ufb03", 0x46d05630, 0x2dcec539],
    ["\u13f8\u13a0", 0x243d9cf2, 0x4389c1ab],
    ["\uab70", 0xb7d11222, 0x9fa0add3],
    ["\u0149", 0x7239653c, 0xd4c09278],
    ["\u1e9e", 0xc011bb30, 0xfe1d199a],
    ["\u0131", 0x9432d57e, 0xa3ef0a16],
    ["\u03f4", 0x6a8dc03a, 0x605ab27b],
    ["\u017f", 0x815fe490, 0xf014024e],
    ["\u1c80", 0x97759e48, 0xc5e1fa70],
    ["\u1fb3", 0xfe3344fa, 0xfaf4e6d3],
    ["\u01f0", 0xb48ecf0c, 0xca0e41f6],
  ];
  for (const [name, hash, minor] of cases) {
    test(name, () => expect(hashName(foldName(encodeText(name))!, 1, SEED)).toEqual({ hash, minor }));
  }

  test("bytes that are not UTF-8 have no folded form", () =>
    expect(foldName(Uint8Array.of(0x41, 0xff))).toBeUndefined());
  test("ignorable characters are left out", () => {
    expect(foldName(encodeText("a\u00ad\u200db"))).toEqual(encodeText("ab"));
  });
});

describe("SHA-256, FIPS 180-4 examples", () => {
  test("abc", () => {
    expect(toHex(sha256(encodeText("abc")))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
  test("two blocks", () => {
    const message = encodeText("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    expect(toHex(sha256(message))).toBe("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  });
});

describe("encrypted names", () => {
  const hash = { hash: 0x04030201, minor: 0x08070605 };
  test("too short to be one", () => expect(noKeyName(new Uint8Array(15), hash)).toBeUndefined());
  test("hash and ciphertext in base64url", () => {
    const name = Buffer.from(noKeyName(new Uint8Array(16).fill(0xfb), hash)!).toString();
    const wanted = Buffer.concat([Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), Buffer.alloc(16, 0xfb)]);
    expect(name).toBe(wanted.toString("base64url"));
  });
  test("past 149 bytes a digest", () => {
    const name = noKeyName(new Uint8Array(255), hash)!;
    expect(name.length).toBe(252);
  });
});

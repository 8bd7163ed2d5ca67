import { ImageError } from "@guestprobe/block";
import { ENTRY_BYTES, type Inode, type Stat, textPair, toEntry, writeEntry } from "@guestprobe/vfs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const stat: Inode["stat"] = {
  type: "char",
  mode: 0o4755,
  uid: 4294967294,
  gid: 0,
  size: 2 ** 53 - 1,
  nlink: 2,
  ino: 2 ** 53 - 1,
  rdev: { major: 8, minor: 1 },
  atimeNs: -1n,
  mtimeNs: 2n ** 62n,
  ctimeNs: 0n,
  crtimeNs: undefined,
};
const inode = { stat } as Inode;
const path = Uint8Array.of(0x2f, 0x61);

describe("textPair", () => {
  test("valid UTF-8 stands alone", () => expect(textPair("path", path)).toEqual({ path: "/a" }));
  test("what had to be repaired has its bytes beside it", () => {
    expect(textPair("target", Uint8Array.of(0x61, 0xff))).toEqual({ target: "a\ufffd", targetHex: "61ff" });
  });
  test("a replacement character that is there is no repair", () => {
    expect(textPair("path", new TextEncoder().encode("\ufffd"))).toEqual({ path: "\ufffd" });
  });
});

describe("toEntry", () => {
  test("all of a file", () => {
    expect(toEntry({ path, inode })).toEqual({
      path: "/a",
      type: "char",
      mode: "4755",
      uid: 4294967294,
      gid: 0,
      size: 9007199254740991,
      nlink: 2,
      ino: "9007199254740991",
      mtimeNs: "4611686018427387904",
      atimeNs: "-1",
      ctimeNs: "0",
      crtimeNs: null,
      target: null,
      rdev: { major: 8, minor: 1 },
      sha256: null,
    });
  });
  test("the mode has four digits, a creation time is text", () => {
    const entry = toEntry({ path, inode: { stat: { ...stat, mode: 0o7, crtimeNs: 5n } } as Inode });
    expect([entry.mode, entry.crtimeNs]).toEqual(["0007", "5"]);
  });
  test("target and digest are the caller's", () => {
    const entry = toEntry({ path, inode, target: Uint8Array.of(0xc3), sha256: "ab" });
    expect(entry).toMatchObject({ target: "\ufffd", targetHex: "c3", sha256: "ab" });
  });
  test("an inode that could not be read", () => {
    const error = new ImageError("corrupt", "bad", { format: "ext", offset: 3 });
    expect(toEntry({ path: Uint8Array.of(0x2f, 0xff), inode: undefined, error })).toEqual({
      ...{ path: "/\ufffd", pathHex: "2fff", type: null, mode: null, uid: null, gid: null, size: null, nlink: null },
      ...{ ino: null, mtimeNs: null, atimeNs: null, ctimeNs: null, crtimeNs: null, target: null, rdev: null },
      sha256: null,
      error: { code: "corrupt", message: "ext: bad (at byte 3)" },
    });
  });
});

describe("writeEntry", () => {
  const bigint = fc.bigInt(-(2n ** 70n), 2n ** 70n);
  const anyStat = fc.record({
    type: fc.constantFrom("file", "dir", "char"),
    mode: fc.nat(0o7777),
    uid: fc.nat(),
    gid: fc.nat(),
    size: fc.maxSafeNat(),
    nlink: fc.nat(),
    ino: fc.maxSafeNat(),
    rdev: fc.option(fc.record({ major: fc.nat(), minor: fc.nat() }), { nil: undefined }),
    atimeNs: bigint,
    mtimeNs: bigint,
    ctimeNs: bigint,
    crtimeNs: fc.option(bigint, { nil: undefined }),
  });
  const name = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme" }),
    fc.stringMatching(/^[\w ./+,:;=@#%&()[\]{}!?~^$*<>|-]*$/),
    fc.constantFrom('a"\\b', "\u2028"),
  );
  const digest = fc.option(fc.constant("0a".repeat(32)), { nil: null });

  /** What is written between two bytes that must stay, and the same by a text; undefined where it is left to others. */
  function written(path: Uint8Array, stat: Stat, sha256: string | null, before = ""): string | undefined {
    const start = new TextEncoder().encode(before);
    const memory = new Uint8Array(2 + start.length + path.length + ENTRY_BYTES).fill(0xee);
    const source = {
      pathLength: path.length,
      copyPath: (target: Uint8Array, at: number) => {
        target.set(path, at);
        return at + path.length;
      },
    };
    const end = writeEntry(memory, 1, start, source, stat, sha256);
    if (end === undefined) return undefined;
    expect(memory[0]).toBe(0xee);
    expect(memory.subarray(end).every((byte) => byte === 0xee)).toBe(true);
    return new TextDecoder().decode(memory.subarray(1, end));
  }

  test("is what JSON.stringify makes of toEntry", () => {
    fc.assert(
      fc.property(name, anyStat, digest, (text, any, sha256) => {
        const path = new TextEncoder().encode(text);
        const bytes = written(path, any, sha256);
        const wanted = JSON.stringify(toEntry({ path, inode: { stat: any } as Inode, sha256: sha256 ?? undefined }));
        if (bytes === undefined) expect(any.rdev !== undefined || /[^ !#-[\]-~]/.test(text)).toBe(true);
        else expect(bytes).toBe(wanted);
        if (bytes !== undefined) expect(written(path, any, sha256, '"a":1,')).toBe(`{"a":1,${wanted.slice(1)}`);
      }),
    );
  });

  test("leaves to others what is not the usual", () => {
    const usual = { ...stat, rdev: undefined };
    expect(written(Uint8Array.of(0xff), usual, null)).toBeUndefined();
    for (const letter of ['"', "\\", "\n", "\u007f", "\u009b", "\u202e", "ä"])
      expect(written(new TextEncoder().encode(letter), usual, null)).toBeUndefined();
    expect(written(path, stat, null), "a device").toBeUndefined();
    expect(written(path, usual, null)).toBe(JSON.stringify(toEntry({ path, inode: { stat: usual } as Inode })));
  });
});

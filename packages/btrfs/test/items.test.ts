import { encodeText } from "@guestprobe/block";
import { decodeLzo1x } from "@guestprobe/codec";
import { describe, expect, it } from "vitest";
import { decodeLzo } from "../src/decompress.js";
import { decodeDirItems, type NamedDirent, nameHash, pushDirents } from "../src/dir-item.js";
import { decodeFileExtent } from "../src/file-extent.js";
import { decodeInodeItem } from "../src/inode-item.js";
import { compareKeyAt, compareKeys, compareKeysAt, formatKey, type Key, makeKey, readKey } from "../src/key.js";
import { type Node, slotOf } from "../src/node.js";
import { itemBytes } from "./lib/item.js";

/** Little-endian numbers, each as [bytes, value]. */
function pack(...fields: readonly (readonly [size: number, value: number | bigint])[]): Uint8Array {
  const out: number[] = [];
  for (const [size, value] of fields) {
    for (let n = 0, rest = BigInt.asUintN(64, BigInt(value)); n < size; n += 1, rest >>= 8n)
      out.push(Number(rest & 0xffn));
  }
  return Uint8Array.from(out);
}

const fields = ({ objectHi, objectLo, type, offsetHi, offsetLo }: Key) =>
  [
    [4, objectLo],
    [4, objectHi],
    [1, type],
    [4, offsetLo],
    [4, offsetHi],
  ] as const;

describe("keys", () => {
  it("are ordered by object id, type, offset, over all 64 bits", () => {
    const big = 0xffff_ffff_ffff_fff6n;
    const ordered = [
      makeKey(1, 216, 1),
      makeKey(256, 1, 0),
      makeKey(256, 84, 0),
      makeKey(256, 84, 2 ** 40),
      makeKey(256, 84, big),
      makeKey(2 ** 33, 1, 0),
      makeKey(big, 128, 0),
    ];
    const stored = pack(...ordered.flatMap(fields));
    const view = new DataView(stored.buffer);
    for (const [n, key] of ordered.entries()) {
      for (const [m, other] of ordered.entries()) {
        expect(Math.sign(compareKeys(key, other))).toBe(Math.sign(n - m));
        expect(Math.sign(compareKeysAt(view, n * 17, m * 17))).toBe(Math.sign(n - m));
      }
    }
  });

  it("are found in a leaf from wherever one looks", () => {
    // Inodes with one to seven items each; odd numbers only, so that there are keys between them.
    const keys = Array.from({ length: 60 }, (_, n) =>
      Array.from({ length: 1 + (n % 7) }, (_, m) => makeKey(257 + 2 * n, 1 + m)),
    ).flat();
    const bytes = new Uint8Array(101 + 25 * keys.length);
    for (const [slot, key] of keys.entries()) bytes.set(pack(...fields(key)), 101 + 25 * slot);
    const leaf: Node = {
      logical: 0,
      level: 0,
      generation: 1,
      owner: 5n,
      count: keys.length,
      bytes,
      view: new DataView(bytes.buffer),
      origin: undefined,
      unasked: 0,
    };
    for (let near = 0; near < keys.length; near += 1) {
      for (const [slot, key] of keys.entries()) {
        if (slotOf(leaf, key, near) !== slot) throw new Error(`slot ${slot} from ${near}`);
      }
      for (const missing of [makeKey(1, 1), makeKey(258, 1), makeKey(257, 2), makeKey(300, 1), makeKey(9999, 1)]) {
        expect(slotOf(leaf, missing, near)).toBeUndefined();
      }
    }
  });

  it("on the disk: 8 bytes, 1 byte, 8 bytes", () => {
    const data = pack([8, 0xffff_ffff_ffff_fff6n], [1, 128], [8, 0x1_2345_6789]);
    const view = new DataView(data.buffer);
    expect(formatKey(readKey(view, 0))).toBe("(18446744073709551606 128 4886718345)");
    expect(compareKeyAt(view, 0, makeKey(-10n & 0xffff_ffff_ffff_ffffn, 128, 0x1_2345_6789))).toBe(0);
  });
});

describe("directory items", () => {
  it("the hash of a name, as the root tree of every volume has it", () => {
    // Key of the entry "default" in the directory of the root tree, the same on every volume.
    expect(nameHash(encodeText("default"))).toBe(2378154706);
  });

  const item = (name: string, type = 1, value = "") => [
    ...pack([8, 257], [1, 1], [8, 0], [8, 7], [2, value.length], [2, name.length], [1, type]),
    ...encodeText(name + value),
  ];

  it("two names that share a hash lie in one item; an encrypted name keeps its type", () => {
    const items = decodeDirItems(itemBytes(Uint8Array.from([...item("one", 2), ...item("two", 0x87)]), 0), "name");
    expect(items.map(({ name, type }) => [new TextDecoder().decode(name), type])).toEqual([
      ["one", "dir"],
      ["two", "symlink"],
    ]);
  });

  it("entries of a directory are the same names, and one whose number is too large hides no other", () => {
    const high = item("high").with(6, 0x20);
    const names: NamedDirent[] = [];
    pushDirents(itemBytes(Uint8Array.from([...item("one", 2), ...high, ...item("two", 0x87)]), 0), names);
    expect(names.map(({ name, ino, type }) => [new TextDecoder().decode(name), ino, type])).toEqual([
      ["one", 257, "dir"],
      ["high", 257 + 2 ** 53, "file"],
      ["two", 257, "symlink"],
    ]);
    for (const name of ["a/b", "a\0", ".", "..", ""]) {
      expect(() => pushDirents(itemBytes(Uint8Array.from(item(name)), 100), []), name).toThrow(/name/);
    }
  });

  it("an attribute has a value, and may have a slash in its name", () => {
    const [found] = decodeDirItems(itemBytes(Uint8Array.from(item("user.a/b", 8, "value")), 0), "xattr");
    expect(new TextDecoder().decode(found!.value)).toBe("value");
  });

  it("names that no directory may hold", () => {
    for (const name of ["a/b", "a\0", ".", "..", ""]) {
      expect(() => decodeDirItems(itemBytes(Uint8Array.from(item(name)), 100), "name"), name).toThrow(/name/);
    }
    expect(() => decodeDirItems(itemBytes(Uint8Array.from(item("x")).subarray(0, 20), 100), "name")).toThrow(
      /at byte 100/,
    );
  });
});

describe("inode items", () => {
  const inode = (mode: number, rdev: bigint, flags: bigint, sec: bigint) =>
    pack(
      ...([
        [8, 1],
        [8, 1],
        [8, 5],
        [8, 5],
        [8, 0],
        [4, 2],
        [4, 1000],
        [4, 100],
        [4, mode],
        [8, rdev],
        [8, flags],
      ] as const),
      ...([
        [8, 1],
        [32, 0],
        [8, sec],
        [4, 999_999_999],
        [8, 1],
        [4, 1],
        [8, 2],
        [4, 2],
        [8, 3],
        [4, 3],
      ] as const),
    );

  it("a device node before 1970, with flags of both words", () => {
    const item = decodeInodeItem(itemBytes(inode(0o60640, (259n << 20n) | 70_000n, 0x1_0000_0051n, -2n), 0), 300);
    expect(item).toMatchObject({
      type: "block",
      mode: 0o640,
      uid: 1000,
      gid: 100,
      size: 5,
      nlink: 2,
      ino: 300,
      rdev: { major: 259, minor: 70_000 },
      atimeNs: -1_000_000_001n,
      ctimeNs: 1_000_000_001n,
      mtimeNs: 2_000_000_002n,
      crtimeNs: 3_000_000_003n,
    });
    expect(item.flagNames).toEqual(["immutable", "verity"]);
    expect(item.noDataSum).toBe(true);
  });

  it("no type, and too short", () => {
    expect(() => decodeInodeItem(itemBytes(inode(0o644, 0n, 0n, 0n), 1000), 300)).toThrow(
      /mode 0644 has no type .*at byte 1052/,
    );
    expect(() => decodeInodeItem(itemBytes(new Uint8Array(159), 1000), 300)).toThrow(/159 bytes/);
  });
});

describe("file extents", () => {
  const head = (ram: number, type: number, compression = 0) =>
    pack([8, 7], [8, ram], [1, compression], [1, 0], [2, 0], [1, type]);
  const item = (offset: number, ...parts: Uint8Array[]) => {
    const data = Uint8Array.from(parts.flatMap((part) => [...part]));
    return { ...itemBytes(data, 0x4000), key: makeKey(300, 108, offset), data, logical: 0x8000 };
  };
  const body = (address: number, disk: number, from: number, length: number) =>
    pack([8, address], [8, disk], [8, from], [8, length]);

  it("inline bytes follow the 21 of the header", () => {
    expect(decodeFileExtent(item(0, head(3, 0), encodeText("abc")), 4096)).toEqual({
      kind: "inline",
      logical: 0,
      length: 3,
      compression: undefined,
      bytes: encodeText("abc"),
      address: 0x8015,
    });
    expect(() => decodeFileExtent(item(4096, head(3, 0), encodeText("abc")), 4096)).toThrow(/inline at byte 4096/);
  });

  it("a bookend: part of a compressed extent", () => {
    expect(decodeFileExtent(item(8192, head(131072, 1, 3), body(0x10_0000, 8192, 4096, 12288)), 4096)).toEqual({
      kind: "encoded",
      logical: 8192,
      length: 12288,
      compression: "zstd",
      address: 0x10_0000,
      diskLength: 8192,
      ramBytes: 131072,
      offset: 4096,
    });
  });

  it("plain, unwritten, and a hole", () => {
    const read = (type: number, address: number) =>
      decodeFileExtent(item(0, head(8192, type), body(address, 8192, 4096, 4096)), 4096);
    expect(read(1, 0x10_0000)).toEqual({ kind: "data", logical: 0, length: 4096, address: 0x10_1000 });
    expect(read(2, 0x10_0000)).toEqual({ kind: "unwritten", logical: 0, length: 4096, address: 0x10_1000 });
    expect(read(1, 0)).toEqual({ kind: "hole", logical: 0, length: 4096 });
  });
});

describe("LZO in the framing of btrfs", () => {
  /** An LZO1X block of literals alone, and the end marker. */
  const block = (text: string) => [17 + text.length, ...encodeText(text), 0x11, 0, 0];
  const segment = (text: string) => [...pack([4, block(text).length]), ...block(text)];
  const framed = (bytes: number[]) => Uint8Array.from([...pack([4, bytes.length + 4]), ...bytes]);

  it("segments of a sector each", () => {
    const data = framed([...segment("abcdefghij"), ...segment("12345")]);
    // With sectors of ten bytes, no length lies across a border here: 4 + 18 leaves 8 of the third sector.
    expect(new TextDecoder().decode(decodeLzo(decodeLzo1x, data, 20, 10))).toBe("abcdefghij12345");
  });

  it("a length that would cross the border of a sector begins the next one", () => {
    // 4 bytes of total and 21 of the first segment end one byte before the border at 26.
    const data = framed([...segment("abcdefghijklm"), 0, ...segment("nop!")]);
    expect(new TextDecoder().decode(decodeLzo(decodeLzo1x, data, 26, 13))).toBe("abcdefghijklmnop!");
    const unpadded = framed([...segment("abcdefghijklm"), ...segment("nop!")]);
    expect(() => decodeLzo(decodeLzo1x, unpadded, 26, 13)).toThrow();
  });

  it("a short segment in the middle, one too many, and a total past the end", () => {
    expect(() => decodeLzo(decodeLzo1x, framed([...segment("abcd"), ...segment("efgh")]), 32, 16)).toThrow(
      /within the data/,
    );
    expect(() => decodeLzo(decodeLzo1x, framed([...segment("0123456789"), ...segment("0123")]), 12, 10)).toThrow();
    const data = framed(segment("abcd"));
    data[0] = 200;
    expect(() => decodeLzo(decodeLzo1x, data, 16, 16)).toThrow(/200 bytes/);
  });
});

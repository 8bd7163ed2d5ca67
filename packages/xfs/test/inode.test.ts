import { viewOf } from "@guestprobe/block/struct";
import { describe, expect, test } from "vitest";
import { decodeLeafAttrs, decodeShortFormAttrs } from "../src/attr/decode.js";
import { shownAs } from "../src/attr/names.js";
import { decodeDinode, decodeTime } from "../src/dinode.js";
import type { Superblock } from "../src/superblock.js";
import { block, hex } from "./bytes.js";

describe("time stamps", () => {
  test("seconds and nanoseconds, before 1970 too", () => {
    expect(decodeTime(viewOf(hex("00000001 00000002")), 0, false)).toBe(1_000_000_002n);
    expect(decodeTime(viewOf(hex("ffffffff 00000002")), 0, false)).toBe(-999_999_998n);
  });
  test("bigtime counts from 1901-12-13T20:45:52Z, to 2486", () => {
    const at = (date: string) => BigInt(Date.parse(date)) * 1_000_000n;
    expect(decodeTime(viewOf(hex("0000000000000000")), 0, true)).toBe(at("1901-12-13T20:45:52Z"));
    expect(decodeTime(viewOf(hex("1dcd650000000000")), 0, true)).toBe(0n);
    expect(decodeTime(viewOf(hex("ffffffffffffffff")), 0, true) / 1_000_000_000n).toBe(16_299_260_425n);
  });
});

describe("inodes", () => {
  const decode = (version: 4 | 5, data: Uint8Array, at: number, ino: number) =>
    decodeDinode({ version, inodeSize: data.length } as Superblock, viewOf(data), 0, at, ino);
  const three: readonly (readonly [number, string])[] = [
    [0, "494e 81a4 03 02"],
    [8, "000003e8 000003e9 00000002"],
    [56, "0000000000000064 0000000000000001 00000000 00000001 0000 18 01"],
  ];

  test("version 3, with an attribute fork", () => {
    const inode = decode(5, block(512, ...three), 4096, 131);
    expect(inode).toMatchObject({ type: "file", mode: 0o644, uid: 1000, gid: 1001, nlink: 2, size: 100 });
    expect(inode.data).toMatchObject({ format: 2, at: 4096 + 176, extents: 1 });
    expect(inode.data.bytes.length).toBe(192);
    expect(inode.attr).toMatchObject({ format: 1, at: 4096 + 176 + 192 });
  });

  test("version 1 counts links in 16 bits and has no time of creation", () => {
    const one = block(256, [0, "494e 41ed 01 01 0005"], [16, "ffffffff"], [56, "0000000000000006"]);
    const inode = decode(4, one, 0, 64);
    expect(inode).toMatchObject({ type: "dir", nlink: 5, crtimeNs: undefined });
    expect(inode.data.bytes.length).toBe(156);
  });

  test("larger extent counts", () => {
    const inode = decode(5, block(512, ...three, [24, "0000000500000007"], [127, "10"]), 0, 131);
    expect([inode.data.extents, inode.attr?.extents]).toEqual([5 * 2 ** 32 + 7, 1]);
    expect(() => decode(5, block(512, ...three, [24, "00ff"], [127, "10"]), 0, 131)).toThrowError(
      expect.objectContaining({ field: "di_big_nextents" }),
    );
  });

  test.each([
    ["magic", [0, "0000"], "corrupt"],
    ["a free inode", [2, "0000"], "not-found"],
    ["an unknown type", [2, "f1a4"], "corrupt"],
    ["version 2 on a volume of version 5", [4, "02"], "corrupt"],
    ["a local file", [5, "01"], "corrupt"],
    ["a size of 2^53", [56, "0020000000000000"], "unsupported"],
    ["a size of 2^63", [56, "8000000000000000"], "corrupt"],
    ["an attribute fork past the inode", [82, "2a"], "corrupt"],
  ] as const)("%s", (_, change, code) => {
    expect(() => decode(5, block(512, ...three, change), 0, 131)).toThrowError(expect.objectContaining({ code }));
  });
});

describe("attributes", () => {
  test("short form", () => {
    const fork = hex("000f 02 00  01 02 00 61 6262  01 01 02 63 64  0000");
    expect(decodeShortFormAttrs(fork.subarray(0, 15), 0)).toHaveLength(2);
    expect(decodeShortFormAttrs(fork, 0).map(({ flags, name }) => [flags, Buffer.from(name).toString()])).toEqual([
      [0, "a"],
      [2, "c"],
    ]);
    for (const bad of ["000e", "0003", "0012", "ffff"]) {
      const changed = fork.slice();
      changed.set(hex(bad), 0);
      expect(() => decodeShortFormAttrs(changed, 0)).toThrowError(expect.objectContaining({ code: "corrupt" }));
    }
    expect(() => decodeShortFormAttrs(new Uint8Array(3), 0)).toThrowError(expect.objectContaining({ code: "corrupt" }));
  });

  test("a leaf of version 4: one value inside, one elsewhere", () => {
    const data = block(
      512,
      [8, "fbee"],
      [12, "0002"],
      [32, "00000061 01f0 01 00  00000062 01e0 02 00"],
      [0x1f0, "0002 01 61 7879"],
      [0x1e0, "00000003 00001000 01 62"],
    );
    const attrs = decodeLeafAttrs({ data, at: 0, byteAt: (offset) => 7000 + offset }, false);
    expect(attrs).toEqual([
      { flags: 1, name: hex("61"), value: hex("7879") },
      { flags: 2, name: hex("62"), value: { block: 3, length: 4096, at: 7000 + 0x1e0 } },
    ]);
  });

  test("namespaces; parent pointers and unfinished values are not shown", () => {
    const shown = (flags: number) =>
      shownAs(flags, hex("61"), hex("62")).map(({ name }) => Buffer.from(name).toString());
    expect([0, 1, 2, 4, 8, 0x80].map(shown)).toEqual([["user.a"], ["user.a"], ["trusted.a"], ["security.a"], [], []]);
  });

  test("an access control list is shown in the kernel's form too", () => {
    const name = new TextEncoder().encode("SGI_ACL_FILE");
    const stored = hex("00000002  00000001 ffffffff 0006 0000  00000002 000004d2 0004 0000");
    const [plain, acl] = shownAs(2, name, stored);
    expect(Buffer.from(plain!.name).toString()).toBe("trusted.SGI_ACL_FILE");
    expect(Buffer.from(acl!.name).toString()).toBe("system.posix_acl_access");
    expect(acl!.value).toEqual(hex("02000000  0100 0600 ffffffff  0200 0400 d2040000"));
    expect(shownAs(2, name, stored.subarray(0, 20))).toHaveLength(1);
  });
});

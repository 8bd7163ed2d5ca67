import { compareBytes, ImageError } from "@guestprobe/block";
import type { Inode, Stat } from "@guestprobe/vfs";
import { expect, test } from "vitest";
import { Listing } from "../src/commands/listing.js";
import { StatRows } from "../src/commands/stat-rows.js";

const plain: Stat = {
  type: "file",
  mode: 0o644,
  uid: 1000,
  gid: 0,
  size: 5,
  nlink: 1,
  ino: 12,
  rdev: undefined,
  atimeNs: 1n,
  mtimeNs: 1_700_000_000_123_456_789n,
  ctimeNs: -1n,
  crtimeNs: undefined,
};

test.each<[string, Partial<Stat>]>([
  ["a file", {}],
  ["a directory with all mode bits", { type: "dir", mode: 0o7777 }],
  [
    "the largest numbers",
    { uid: 2 ** 32 - 1, gid: 2 ** 32 - 1, nlink: 2 ** 32 - 1, size: 2 ** 53 - 1, ino: 2 ** 53 - 1 },
  ],
  ["a device", { type: "char", rdev: { major: 4, minor: 64 } }],
  ["times at the ends of 64 bits", { atimeNs: 2n ** 63n - 1n, mtimeNs: -(2n ** 63n), crtimeNs: 0n }],
  ["times past 64 bits", { atimeNs: 2n ** 63n, mtimeNs: -(2n ** 63n) - 1n, crtimeNs: 2n ** 80n }],
  ["a number past 32 bits", { nlink: 2 ** 40, uid: 2 ** 33, gid: 2 ** 34 }],
  ["a mode past 16 bits", { mode: 0x12345 }],
])("%s comes back from its row as it was", (_, other) => {
  const rows = new StatRows();
  const stat = { ...plain, ...other };
  rows.set(5000, plain);
  rows.set(3, stat);
  rows.set(1024, plain);
  expect(rows.get(3)).toEqual(stat);
  expect(rows.get(1024)).toEqual(plain);
  expect(rows.get(5000)).toEqual(plain);
});

test("every type of file comes back", () => {
  const rows = new StatRows();
  const types = ["file", "dir", "symlink", "char", "block", "fifo", "socket"] as const;
  for (const [n, type] of types.entries()) rows.set(n, { ...plain, type });
  expect(types.map((_, n) => rows.get(n).type)).toEqual(types);
});

const inodeOf = (other: Partial<Stat>): Inode => ({ stat: { ...plain, ...other } }) as Inode;

test("names come in byte order, with what was known of each", () => {
  const listing = new Listing();
  const link = inodeOf({ type: "symlink" });
  const directory = inodeOf({ type: "dir" });
  const error = new ImageError("corrupt", "broken");
  const name = (text: string): Uint8Array => Buffer.from(text, "latin1");
  listing.add(name("b"), link, undefined);
  listing.add(name("ab"), undefined, error);
  listing.add(name("\xff"), inodeOf({ size: 3 }), undefined);
  listing.add(name("a"), directory, undefined);
  expect([...listing].map((file) => Buffer.from(file.name).toString("latin1"))).toEqual(["b", "ab", "\xff", "a"]);
  listing.sort();
  const files = [...listing];
  expect(listing.length).toBe(4);
  expect(files.map((file) => Buffer.from(file.name).toString("latin1"))).toEqual(["a", "ab", "b", "\xff"]);
  expect(files.map((file) => file.inode)).toEqual([directory, undefined, link, undefined]);
  expect(files.map((file) => file.error)).toEqual([undefined, error, undefined, undefined]);
  expect(files.map((file) => file.stat?.size)).toEqual([5, undefined, 5, 3]);
});

test("thousands of names of all lengths are in the order that comparing them gives", () => {
  const listing = new Listing();
  const names: Buffer[] = [];
  for (let n = 0; n < 3000; n += 1) {
    const name = Buffer.alloc(1 + ((n * 7919) % 255), 0x61 + (n % 3));
    name.writeUInt8((n * 31) % 256, name.length - 1);
    names.push(name);
    listing.add(name, inodeOf({ size: n }), undefined);
  }
  listing.sort();
  const files = [...listing];
  const hex = (all: readonly Uint8Array[]): string => all.map((name) => Buffer.from(name).toString("hex")).join("\n");
  expect(hex(files.map(({ name }) => name))).toBe(hex(names.toSorted(compareBytes)));
  expect(hex(files.map(({ stat }) => names[stat!.size]!))).toBe(hex(names.toSorted(compareBytes)));
});

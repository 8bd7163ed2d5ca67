import { createHash } from "node:crypto";
import { bufferDevice, equalBytes } from "@guestprobe/block";
import type { Dirent, Extent, Inode, Stat } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { dir, file, link, type MemoryFs, memoryFs, type Node, text } from "./lib/memory-fs.js";

const long = "0123456789abcdef".repeat(100);
const nodes = {
  long: file(long),
  short: file("x"),
  zeros: file(new Uint8Array(700)),
  empty: file(),
  link: link("dir/short"),
  pipe: { special: "fifo" } as Node,
};
const inner = dir({ short: nodes.short, zeros: nodes.zeros });
const root = dir({ long: nodes.long, dir: inner, link: nodes.link, pipe: nodes.pipe, empty: nodes.empty });

const digest = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");
const common = { mode: "0644", uid: 0, gid: 0, nlink: 1, mtimeNs: "2", target: null, sha256: null };
const expected: ExpectedVolume = {
  kind: "memory",
  label: "guest",
  uuid: null,
  entries: [
    { ...common, path: "/", type: "dir", ino: "1", size: 0 },
    { ...common, path: "/long", type: "file", size: 1600, sha256: digest(long) },
    { ...common, path: "/dir", type: "dir", size: 0 },
    { ...common, path: "/dir/short", type: "file", size: 1, sha256: digest("x") },
    { ...common, path: "/dir/zeros", type: "file", size: 700, sha256: digest(new Uint8Array(700)) },
    { ...common, path: "/link", type: "symlink", size: 9, target: "dir/short" },
    { ...common, path: "/pipe", type: "fifo", size: 0 },
    { ...common, path: "/empty", type: "file", size: 0, sha256: digest("") },
  ],
};

async function sha256(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

/** The names of the cases that fail, each with the reason. */
async function failures(fs: MemoryFs, want = expected, devices = [fs.device]): Promise<Record<string, string>> {
  const failed: Record<string, string> = {};
  for (const { name, run } of conformanceCases(want, { devices, sha256 })) {
    try {
      await run(fs);
    } catch (error) {
      failed[name] = (error as Error).message;
    }
  }
  return failed;
}

test("a sound reader passes every case", async () => {
  expect(await failures(memoryFs(root))).toEqual({});
});

const VOLUME = "kind, label and UUID";
const ENTRIES = "every path, type, mode, owner, size, time, link target and content";
const LOOKUP = "lookup finds each name, and only those";
const NUMBER = "an inode is found by its number";
const READS = "reading in pieces, at odd offsets, past the end, whole and as a stream is the same";
const EXTENTS = "extents cover each file and lead to its bytes";
const TYPES = "operations that do not fit the type are refused by name";
const ABORT = "an aborted signal stops every operation";

/** A change of one kind of inode. */
const only =
  (wanted: Node, change: (inode: Inode) => Partial<Inode>) =>
  (inode: Inode, node: Node): Partial<Inode> | undefined =>
    node === wanted ? change(inode) : undefined;
const stat = (change: Partial<Stat>) => (inode: Inode) => ({ stat: { ...inode.stat, ...change } });
const dirents = (change: (entry: Dirent) => Dirent | undefined) => (inode: Inode) => ({
  async *entries(signal?: AbortSignal) {
    for await (const batch of inode.entries(signal)) yield batch.map(change).filter((entry) => entry !== undefined);
  },
});
const extents = (change: (extent: Extent) => Extent[]) => (inode: Inode) => ({
  async *extents(signal?: AbortSignal) {
    for await (const batch of inode.extents(signal)) yield batch.flatMap(change);
  },
});
const bytes = (content: string) => new TextEncoder().encode(content);

type Change = (inode: Inode, node: Node) => Partial<Inode> | undefined;
const wrong: [reader: string, failingCase: string, change: Change][] = [
  ["a type is wrong", ENTRIES, only(nodes.pipe, stat({ type: "socket" }))],
  ["a mode is wrong", ENTRIES, only(nodes.long, stat({ mode: 0o640 }))],
  ["an owner is wrong", ENTRIES, only(nodes.long, stat({ uid: 1 }))],
  ["a group is wrong", ENTRIES, only(nodes.long, stat({ gid: 1 }))],
  ["a count of links is wrong", ENTRIES, only(nodes.long, stat({ nlink: 2 }))],
  ["a time is a nanosecond off", ENTRIES, only(nodes.long, stat({ mtimeNs: 3n }))],
  ["a size is too small", ENTRIES, only(nodes.long, stat({ size: 1599 }))],
  ["a link target is wrong", ENTRIES, only(nodes.link, () => ({ readLink: async () => bytes("dir/shore") }))],
  ["a byte of content is wrong", ENTRIES, only(nodes.short, () => ({ read: async () => bytes("y") }))],
  [
    "a name is left out",
    ENTRIES,
    only(
      inner,
      dirents((entry) => (text(entry.name) === "zeros" ? undefined : entry)),
    ),
  ],
  [
    "a name is given twice",
    ENTRIES,
    only(root, (inode) => ({
      async *entries() {
        for await (const batch of inode.entries()) yield [...batch, ...batch];
      },
    })),
  ],
  [
    "a name is misspelt",
    ENTRIES,
    only(
      inner,
      dirents((entry) => ({ ...entry, name: entry.name.subarray(1) })),
    ),
  ],
  [
    "the type in a directory is wrong",
    ENTRIES,
    only(
      root,
      dirents((entry) => ({ ...entry, type: "file" })),
    ),
  ],
  [
    "the number in a directory is wrong",
    ENTRIES,
    only(
      root,
      dirents((entry) => ({ ...entry, ino: entry.ino + 1 })),
    ),
  ],
  ["a child cannot be read", ENTRIES, only(root, () => ({ child: () => Promise.reject(new Error("no")) }))],

  ["lookup finds nothing", LOOKUP, only(inner, () => ({ lookup: async () => undefined }))],
  ["lookup finds the first for all", LOOKUP, only(root, (inode) => ({ lookup: () => inode.lookup(bytes("long")) }))],
  [
    "lookup matches by the start of a name",
    LOOKUP,
    only(root, (inode) => ({
      async lookup(name: Uint8Array, signal?: AbortSignal) {
        for await (const batch of inode.entries(signal)) {
          const found = batch.find((entry) => equalBytes(entry.name.subarray(0, name.length), name));
          if (found !== undefined) return inode.child(found, signal);
        }
        return undefined;
      },
    })),
  ],
  [
    "lookup leaves out the last byte",
    LOOKUP,
    only(root, (inode) => ({
      lookup: async (name: Uint8Array, signal?: AbortSignal) =>
        (await inode.lookup(name, signal)) ?? inode.lookup(name.subarray(0, -1), signal),
    })),
  ],

  [
    "a read at an odd offset is aligned down",
    READS,
    only(nodes.long, (inode) => ({
      read: (at: number, length: number) => inode.read(Math.floor(at / 512) * 512, length),
    })),
  ],
  [
    "a read past the end gives zeros",
    READS,
    only(nodes.short, () => ({
      read: async (_: number, length: number) => bytes("x".repeat(length)),
    })),
  ],
  [
    "a read past the end fails",
    READS,
    only(nodes.long, (inode) => ({
      read: async (at: number, length: number) =>
        at > 1600 ? Promise.reject(new Error("no")) : inode.read(at, length),
    })),
  ],
  [
    "a read ends at its block",
    READS,
    only(nodes.long, (inode) => ({
      read: (at: number, length: number) => inode.read(at, Math.min(length, 512 - (at % 512))),
    })),
  ],

  [
    "extents stop short",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, length: 512 }]),
    ),
  ],
  [
    "extents pass the end",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, length: 2048 }]),
    ),
  ],
  [
    "there are none",
    EXTENTS,
    only(
      nodes.long,
      extents(() => []),
    ),
  ],
  [
    "there is a gap",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, logical: 10 }]),
    ),
  ],
  [
    "one is empty",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, length: 0 }, extent]),
    ),
  ],
  [
    "one leads elsewhere",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, physical: 513 }]),
    ),
  ],
  [
    "one leads nowhere",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, physical: undefined }]),
    ),
  ],
  [
    "data is called a hole",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, kind: "hole" }]),
    ),
  ],
  [
    "one lies on a device that is not there",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, device: 1 }]),
    ),
  ],
  [
    "an encoding has no name",
    EXTENTS,
    only(
      nodes.long,
      extents((extent) => [{ ...extent, kind: "encoded" }]),
    ),
  ],
  [
    "a hole that reads as nothing",
    EXTENTS,
    only(nodes.zeros, (inode) => ({
      ...extents((extent) => [{ ...extent, kind: "hole" }])(inode),
      read: async () => new Uint8Array(0),
    })),
  ],

  ["a directory can be read", TYPES, only(inner, () => ({ read: async () => new Uint8Array(0) }))],
  ["a pipe can be read", TYPES, only(nodes.pipe, () => ({ read: async () => new Uint8Array(0) }))],
  ["a file has names", TYPES, only(nodes.long, () => ({ async *entries() {} }))],
  ["a file is looked up in", TYPES, only(nodes.long, () => ({ lookup: async () => undefined }))],
  ["a file is a link", TYPES, only(nodes.long, () => ({ readLink: async () => bytes("x") }))],
  ["a refusal has another code", TYPES, only(inner, (inode) => ({ read: () => inode.readLink() }))],

  ["lookup ignores the signal", ABORT, only(inner, (inode) => ({ lookup: (name) => inode.lookup(name) }))],
  ["entries ignores the signal", ABORT, only(inner, (inode) => ({ entries: () => inode.entries() }))],
  ["read ignores the signal", ABORT, only(nodes.long, (inode) => ({ read: (at, length) => inode.read(at, length) }))],
  ["readLink ignores the signal", ABORT, only(nodes.link, (inode) => ({ readLink: () => inode.readLink() }))],
  ["extents ignores the signal", ABORT, only(nodes.long, (inode) => ({ extents: () => inode.extents() }))],
];

describe("a reader that is wrong in one thing fails", () => {
  test.each(wrong)("%s: %s", async (_, failing, change) => {
    expect(Object.keys(await failures(memoryFs(root, { change })))).toContain(failing);
  });

  const volumes: [string, string, Partial<MemoryFs>][] = [
    ["kind", VOLUME, { kind: "ext4" }],
    ["label", VOLUME, { label: bytes("guess") }],
    ["UUID", VOLUME, { uuid: "0" }],
    ["root ignores the signal", ABORT, { root: () => memoryFs(root).root() }],
    ["any number has an inode", NUMBER, { inode: () => memoryFs(root).root() }],
    ["no number has an inode", NUMBER, { inode: () => Promise.reject(new Error("no")) }],
  ];
  test.each(volumes)("%s: %s", async (_, failing, change) => {
    expect(Object.keys(await failures({ ...memoryFs(root), ...change }))).toContain(failing);
  });

  test("an inode past any volume is found", async () => {
    const fs = memoryFs(root);
    const lenient = (ino: number) => (ino > 100 ? fs.root() : fs.inode(ino));
    expect(await failures({ ...fs, inode: lenient })).toEqual({
      [NUMBER]: "an inode number past any volume: was not refused",
    });
  });
});

describe("what is expected", () => {
  const without = (path: string) => ({ ...expected, entries: expected.entries.filter((entry) => entry.path !== path) });

  test("an entry too many on the volume", async () => {
    expect(await failures(memoryFs(root), without("/dir/zeros"))).toEqual({
      [ENTRIES]: "/dir/zeros: not on the volume",
    });
  });
  test("an entry too few", async () => {
    const entries = [...expected.entries, { ...common, path: "/gone" }];
    expect(await failures(memoryFs(root), { ...expected, entries })).toEqual({
      [ENTRIES]: "/gone: missing (1 in all)",
    });
  });
  test("nothing is expected: nothing passes", async () => {
    expect(await failures(memoryFs(root), { ...expected, entries: [] })).toEqual({ [ENTRIES]: "/: not on the volume" });
  });
  test("an image that holds other bytes than the reader shows", async () => {
    const blank = bufferDevice(new Uint8Array(1 << 16));
    expect(Object.keys(await failures(memoryFs(root), expected, [blank]))).toEqual([EXTENTS]);
  });
  test("keys that are ignored are not compared, others are", async () => {
    const fs = memoryFs(root, { change: only(nodes.long, stat({ uid: 7, gid: 7 })) });
    const run = (ignore: ("uid" | "gid")[]) =>
      conformanceCases(expected, { devices: [fs.device], sha256, ignore })
        .find(({ name }) => name === ENTRIES)
        ?.run(fs);
    await expect(run(["uid", "gid"])).resolves.toBeUndefined();
    await expect(run(["uid"])).rejects.toThrow("/long: gid: 7, expected 0");
  });
});

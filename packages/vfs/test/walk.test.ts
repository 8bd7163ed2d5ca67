import { ImageError } from "@guestprobe/block";
import { type Dirent, type WalkEntry, type WalkOptions, walk, walkAll } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { dir, file, link, memoryFs, type Node, text } from "./lib/memory-fs.js";

const shape = ({ path, depth, error }: WalkEntry): string => `${depth} ${text(path)}${error ? ` ${error.code}` : ""}`;

async function shapes(entries: AsyncIterable<WalkEntry>): Promise<string[]> {
  const all: string[] = [];
  for await (const entry of entries) all.push(shape(entry));
  return all;
}
const walked = (root: Node, options?: WalkOptions): Promise<string[]> => shapes(walkAll(memoryFs(root), options));

const tree = () =>
  dir({
    b: file("x"),
    a: dir({ z: dir({ deep: file() }), y: link("/a"), x: { special: "fifo" } }),
    c: dir(),
    d: file(),
  });

describe("what is given", () => {
  test("the start first, then depth first, in the order of the disk", async () => {
    const all = ["0 /", "1 /b", "1 /a", "2 /a/z", "3 /a/z/deep", "2 /a/y", "2 /a/x", "1 /c", "1 /d"];
    expect(await walked(tree())).toEqual(all);
    for (const batch of [1, 3, 100]) expect(await shapes(walkAll(memoryFs(tree(), { batch })))).toEqual(all);
  });
  test("entries with inode and dirent, the start without one", async () => {
    const fs = memoryFs(dir({ a: file("xyz") }));
    const entries: WalkEntry[] = [];
    for await (const entry of walkAll(fs)) entries.push(entry);
    expect(
      entries.map(({ dirent, inode }) => [dirent && text(dirent.name), inode?.stat.type, inode?.stat.size]),
    ).toEqual([
      [undefined, "dir", 0],
      ["a", "file", 3],
    ]);
  });
  test("from any directory, under any path", async () => {
    const fs = memoryFs(tree());
    const start = (await (await fs.root()).lookup(new TextEncoder().encode("a")))!;
    expect(await shapes(walk(start, new TextEncoder().encode("/guest/a"), { recursive: false }))).toEqual([
      "0 /guest/a",
      "1 /guest/a/z",
      "1 /guest/a/y",
      "1 /guest/a/x",
    ]);
  });
  test("a start that is no directory", async () => expect(await walked(file("x"))).toEqual(["0 /"]));
  test("only this directory", async () => {
    expect(await walked(tree(), { recursive: false })).toEqual(["0 /", "1 /b", "1 /a", "1 /c", "1 /d"]);
  });
  test("`enter` decides what is gone into", async () => {
    const asked: string[] = [];
    const enter = ({ path }: WalkEntry) => asked.push(text(path)) > 0 && text(path) !== "/a/z";
    expect(await walked(tree(), { enter })).toEqual([
      "0 /",
      "1 /b",
      "1 /a",
      "2 /a/z",
      "2 /a/y",
      "2 /a/x",
      "1 /c",
      "1 /d",
    ]);
    expect(asked).toEqual(["/a", "/a/z", "/c"]);
  });
  test("names of any bytes", async () => {
    const paths: Uint8Array[] = [];
    for await (const { path } of walkAll(memoryFs({ dir: [[Uint8Array.of(0xff, 0x0a), file()]] }))) paths.push(path);
    expect(paths[1]).toEqual(Uint8Array.of(0x2f, 0xff, 0x0a));
  });
});

describe("what is broken hides only itself", () => {
  const broken = () => Promise.reject(new ImageError("corrupt", "bad inode", { offset: 5 }));

  test("an inode that cannot be read", async () => {
    const bad = file();
    const root = dir({ bad, good: file() });
    const fs = memoryFs(root, {
      change: (inode, node) =>
        node === root
          ? { child: (entry: Dirent) => (text(entry.name) === "bad" ? broken() : inode.child(entry)) }
          : undefined,
    });
    expect(await shapes(walkAll(fs))).toEqual(["0 /", "1 /bad corrupt", "1 /good"]);
  });

  test("a directory that breaks off is given again with its error, after what was sound", async () => {
    const bad = dir({ one: file(), two: file(), three: file() });
    const fs = memoryFs(dir({ bad, good: file() }), {
      batch: 2,
      change: (inode, node) =>
        node === bad
          ? {
              async *entries() {
                for await (const batch of inode.entries()) {
                  yield batch;
                  await broken();
                }
              },
            }
          : undefined,
    });
    const entries: WalkEntry[] = [];
    for await (const entry of walkAll(fs)) entries.push(entry);
    expect(entries.map(shape)).toEqual(["0 /", "1 /bad", "2 /bad/one", "2 /bad/two", "1 /bad corrupt", "1 /good"]);
    expect(entries[4]).toMatchObject({ inode: entries[1]?.inode, error: { offset: 5 } });
  });

  test.each([
    ["aborted", new ImageError("aborted", "stop")],
    ["no ImageError", new TypeError("bug")],
  ])("an error that is %s ends the walk", async (_, error) => {
    const root = dir({ a: file() });
    const child = () => Promise.reject(error);
    await expect(shapes(walkAll(memoryFs(root, { change: () => ({ child }) })))).rejects.toBe(error);
    const entries = () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) });
    await expect(shapes(walkAll(memoryFs(root, { change: () => ({ entries }) })))).rejects.toBe(error);
  });
});

describe("hostile trees", () => {
  test("a directory that holds itself, its parent and the root", async () => {
    const inner = dir({ f: file() });
    const root = dir({ inner, root: dir() });
    inner.dir.push(["self", inner], ["parent", root]);
    expect(await walked(root)).toEqual([
      "0 /",
      "1 /inner",
      "2 /inner/f",
      "2 /inner/self corrupt",
      "2 /inner/parent corrupt",
      "1 /root",
    ]);
  });

  test("each directory named twice: sixty levels are walked once, not 2^60 times", async () => {
    let below = dir({ end: file() });
    for (let level = 0; level < 60; level += 1) below = dir({ a: below, b: below });
    const all = await walked(below);
    expect(all).toHaveLength(1 + 2 * 60 + 1);
    expect(all.filter((line) => line.endsWith(" corrupt"))).toHaveLength(60);
  });

  test("a file with two names is no fault", async () => {
    const twice = file("x");
    expect(await walked(dir({ a: twice, b: twice }))).toEqual(["0 /", "1 /a", "1 /b"]);
  });

  test("the same number in another subvolume is another directory", async () => {
    const [one, two] = [dir({ a: file() }), dir({ b: file() })];
    const fs = memoryFs(dir({ one, two }), {
      change: (inode, node) =>
        node === one || node === two
          ? { stat: { ...inode.stat, ino: 256 }, subvolume: node === one ? 257 : 258 }
          : undefined,
    });
    expect(await shapes(walkAll(fs))).toEqual(["0 /", "1 /one", "2 /one/a", "1 /two", "2 /two/b"]);
  });

  test("the most entries is inclusive, then a limit", async () => {
    expect(await walked(tree(), { maxEntries: 8 })).toHaveLength(9);
    await expect(walked(tree(), { maxEntries: 7 })).rejects.toMatchObject({ code: "limit" });
  });

  test("directories deeper than the limit are named and not entered", async () => {
    const root = dir({ a: dir({ b: dir({ c: file() }) }), d: file() });
    expect(await walked(root, { maxDepth: 2 })).toEqual(["0 /", "1 /a", "2 /a/b limit", "1 /d"]);
  });

  test("a thousand levels of long names end in bounded memory", async () => {
    let below = dir();
    for (let level = 0; level < 1000; level += 1) below = dir({ ["n".repeat(255)]: below });
    const all = await walked(below);
    expect(all.at(-1)).toMatch(/ limit$/);
    expect(Math.max(...all.map((line) => line.length))).toBeLessThan(17_000);
  });
});

describe("stopping", () => {
  test("a signal between two entries", async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const walking = async () => {
      for await (const entry of walkAll(memoryFs(tree()), { signal: controller.signal })) {
        seen.push(shape(entry));
        if (seen.length === 3) controller.abort();
      }
    };
    await expect(walking()).rejects.toMatchObject({ code: "aborted" });
    expect(seen).toEqual(["0 /", "1 /b", "1 /a"]);
  });

  test("a caller that has seen enough: open directories are let go", async () => {
    const closed: number[] = [];
    const fs = memoryFs(tree(), {
      change: (inode) => ({
        async *entries() {
          try {
            yield* inode.entries();
          } finally {
            closed.push(inode.stat.ino);
          }
        },
      }),
    });
    for await (const { path } of walkAll(fs)) if (text(path) === "/a/z/deep") break;
    expect(closed).toHaveLength(3);
  });
});

import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GRUB_WALK, open, type ResolveOptions, resolve } from "@guestprobe/vfs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dir, file, link, type MemoryFs, memoryFs, type Node, text } from "./lib/memory-fs.js";

/** Links are relative, so that the same tree means the same below a folder of the host. */
const tree = dir({
  f: file("content"),
  d: dir({
    g: file("g"),
    e: dir({ h: file("h") }),
    up: link(".."),
    "to-f": link("../f"),
    "to-e": link("e"),
    "to-e-slash": link("e/"),
    dangling: link("nothing"),
    "far-up": link("../d/../d/./e//h"),
  }),
  "to-d": link("d"),
  "to-to-d": link("to-d/"),
  "to-f": link("f"),
  "to-f-slash": link("f/"),
  "f-dot": link("f/."),
  dot: link("."),
  self: link("self"),
  ping: link("pong"),
  pong: link("ping"),
  "through-self": link("self/x"),
  "through-file": link("f/x"),
  "via-link": link("to-d/to-e/h"),
});

const codes: Record<string, string> = { ENOTDIR: "not-a-directory", ELOOP: "symlink-loop", ENOENT: "undefined" };

/** Where the walk ends, or why not: "undefined" or the code. */
async function ours(fs: MemoryFs, path: string, options?: ResolveOptions): Promise<string> {
  try {
    const found = await resolve(fs, path, options);
    return found === undefined ? "undefined" : text(found.path);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the same tree under Linux", () => {
  let root: string;
  const build = (node: Node, path: string): void => {
    if ("dir" in node) {
      mkdirSync(path, { recursive: true });
      for (const [name, below] of node.dir) build(below, join(path, name as string));
    } else if ("link" in node) symlinkSync(node.link as string, path);
    else if ("file" in node) writeFileSync(path, node.file);
  };
  beforeAll(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "guestprobe-resolve-")));
    build(tree, root);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const linux = (path: string): string => {
    try {
      // realpath(3) of the C library drops a trailing slash after a file; stat is the kernel's own answer.
      statSync(root + path);
      return realpathSync.native(root + path).slice(root.length) || "/";
    } catch (error) {
      return codes[(error as NodeJS.ErrnoException).code ?? ""] ?? String(error);
    }
  };

  const names = ["f", "d", "e", "g", "h", "up", "to-f", "to-d", "to-e", "to-e-slash", "to-to-d", "dangling", "far-up"];
  const more = [
    "to-f-slash",
    "f-dot",
    "dot",
    "self",
    "ping",
    "through-self",
    "through-file",
    "via-link",
    "none",
    ".",
    "",
  ];
  const component = fc.constantFrom(...names, ...more);

  test("each name of the root and of a directory, plain, with a slash, with a dot, with two", async () => {
    const fs = memoryFs(tree);
    for (const name of [...names, ...more]) {
      for (const before of ["/", "/d/", "/to-d/", "/dot/"]) {
        for (const after of ["", "/", "/.", "//", "/./", "/x"]) {
          const path = before + name + after;
          expect(await ours(fs, path), path).toBe(linux(path));
        }
      }
    }
  });

  test("any path, '..' included as long as it stays below the root", async () => {
    const fs = memoryFs(tree);
    let found = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(component, fc.constant("..")), { maxLength: 6 }),
        fc.boolean(),
        async (parts, slash) => {
          // Two extra levels down keep most ".." inside; a path that still leaves the tree has another answer on the host.
          const path = `/${parts.join("/")}${slash ? "/" : ""}`;
          const answer = linux(path);
          const isInside = parts.every((_, n) => !leaves(linux, parts.slice(0, n + 1)));
          fc.pre(isInside);
          expect(await ours(fs, path), path).toBe(answer);
          if (answer.startsWith("/")) found += 1;
        },
      ),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(200);
  });

  /** Whether one of the steps of the path goes above the root of the tree. */
  const leaves = (answer: (path: string) => string, parts: string[]): boolean =>
    parts[parts.length - 1] === ".." && answer(`/${parts.slice(0, -1).join("/")}`) === "/";

  test("the last link is left alone on request, but not before a slash: as lstat", async () => {
    const fs = memoryFs(tree);
    const kinds = async (path: string) => (await resolve(fs, path, { followLast: false }))?.inode.stat.type;
    expect(await kinds("/to-d")).toBe("symlink");
    expect(await kinds("/d/dangling")).toBe("symlink");
    expect(await kinds("/to-d/")).toBe("dir");
    expect(await kinds("/to-d/.")).toBe("dir");
    expect(await kinds("/to-to-d/")).toBe("dir");
    expect(await kinds("/to-d/to-e")).toBe("symlink");
    expect(await ours(fs, "/to-d/to-e", { followLast: false })).toBe("/d/to-e");
    expect(await ours(fs, "/to-f/", { followLast: false })).toBe("not-a-directory");
    expect(await ours(fs, "/d/dangling/", { followLast: false })).toBe("undefined");
  });
});

describe("the volume is the world", () => {
  const fs = memoryFs(
    dir({
      boot: dir({ grub: dir({ cfg: file("x"), abs: link("/boot/grub/cfg"), out: link("/../../boot/./grub/cfg") }) }),
      "to-root": link("/"),
      "to-roots": link("//"),
    }),
  );
  test.each([
    ["/..", "/"],
    ["/../../boot", "/boot"],
    ["/boot/../../boot/grub/cfg", "/boot/grub/cfg"],
    ["/boot/grub/abs", "/boot/grub/cfg"],
    ["/boot/grub/out", "/boot/grub/cfg"],
    ["/to-root", "/"],
    ["/to-roots/boot", "/boot"],
    ["/to-root/..", "/"],
    ["//", "/"],
  ])("%s", async (path, end) => {
    expect(await ours(fs, path)).toBe(end);
    expect(await ours(fs, path, { policy: GRUB_WALK })).toBe(end);
  });

  test("a path that does not begin with a slash is the caller's mistake", async () => {
    expect(await ours(fs, "boot")).toBe("invalid-argument");
    expect(await ours(fs, "")).toBe("invalid-argument");
  });
});

describe("how many links", () => {
  const chain = (length: number): MemoryFs => {
    const names = dir({ l0: file("end") });
    for (let n = 1; n <= length; n += 1) names.dir.push([`l${n}`, link(`l${n - 1}`)]);
    return memoryFs(names);
  };
  test("Linux follows forty", async () => {
    const fs = chain(41);
    expect(await ours(fs, "/l40")).toBe("/l0");
    expect(await ours(fs, "/l41")).toBe("symlink-loop");
  });
  test("GRUB follows seven", async () => {
    const fs = chain(8);
    expect(await ours(fs, "/l7", { policy: GRUB_WALK })).toBe("/l0");
    expect(await ours(fs, "/l8", { policy: GRUB_WALK })).toBe("symlink-loop");
  });
  test("those on the way count, not only those in the last place", async () => {
    const fs = memoryFs(dir({ d: link("."), f: file() }));
    expect(await ours(fs, `${"/d".repeat(7)}/f`, { policy: GRUB_WALK })).toBe("/f");
    expect(await ours(fs, `${"/d".repeat(8)}/f`, { policy: GRUB_WALK })).toBe("symlink-loop");
    expect(await ours(fs, `${"/d".repeat(40)}/f`)).toBe("/f");
    expect(await ours(fs, `${"/d".repeat(41)}/f`)).toBe("symlink-loop");
  });
});

describe("GRUB", () => {
  const fs = memoryFs(
    dir({
      f: file("x"),
      d: dir({ f: file("y"), here: link(""), g: file("z") }),
      "to-f-slash": link("f/"),
    }),
  );
  const cases: [path: string, grub: string, linux: string][] = [
    ["/f/", "/f", "not-a-directory"],
    ["/f//", "/f", "not-a-directory"],
    ["/to-f-slash", "/f", "not-a-directory"],
    ["/f/.", "not-a-directory", "not-a-directory"],
    ["/f/..", "not-a-directory", "not-a-directory"],
    ["/f/x", "not-a-directory", "not-a-directory"],
    ["/d/here", "/d", "undefined"],
    ["/d/here/g", "/d/g", "undefined"],
    ["/D/f", "undefined", "undefined"],
  ];
  test.each(cases)("%s", async (path, grub, linux) => {
    expect(await ours(fs, path, { policy: GRUB_WALK })).toBe(grub);
    expect(await ours(fs, path)).toBe(linux);
  });
});

describe("hostile links", () => {
  test("a target of a million names is a limit, not an overflow", async () => {
    const fs = memoryFs(dir({ long: link("a/".repeat(1_000_000)) }));
    expect(await ours(fs, "/long")).toBe("limit");
  });
  test("links that multiply the way end at the limit of links", async () => {
    const names = dir({ d: dir() });
    for (let n = 0; n < 30; n += 1) names.dir.push([`l${n}`, link(`l${n + 1}/../`.repeat(400))]);
    const fs = memoryFs(names);
    expect(["symlink-loop", "undefined", "limit"]).toContain(await ours(fs, "/l0/d"));
    expect(fs.calls.lookup).toBeLessThan(200);
  });
  test("'..' does not ask the disk", async () => {
    const fs = memoryFs(dir({ a: dir({ b: dir({}) }) }));
    await resolve(fs, "/a/b/../../a");
    expect(fs.calls.lookup).toBe(3);
  });
});

test("the caller may look names up itself; links are walked through it too", async () => {
  const asked: string[] = [];
  const found = await resolve(memoryFs(tree), "/to-d/g", {
    lookup: (directory, name, signal) => {
      asked.push(text(name));
      return directory.lookup(name, signal);
    },
  });
  expect([text(found!.path), asked]).toEqual(["/d/g", ["to-d", "d", "g"]]);
});

test("a name may be any bytes", async () => {
  const name = Uint8Array.of(0xff, 0x0a, 0x20);
  const fs = memoryFs({ dir: [[name, file("odd")]] });
  const found = await resolve(fs, Uint8Array.of(0x2f, ...name));
  expect(found?.path).toEqual(Uint8Array.of(0x2f, ...name));
});

test("a signal", async () => {
  await expect(resolve(memoryFs(tree), "/f", { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "aborted",
  });
});

describe("open", () => {
  test("the inode", async () => {
    expect(text(await (await open(memoryFs(tree), "/via-link")).read(0, 10))).toBe("h");
  });
  test("what is missing is not-found, by name", async () => {
    await expect(open(memoryFs(tree), "/d/none")).rejects.toMatchObject({
      code: "not-found",
      message: "memory: /d/none does not exist",
    });
  });
});

import { bufferDevice, type Finding, ImageError } from "@guestprobe/block";
import { type FileSystem, type FileSystemFormat, openFileSystem, probeFileSystem } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { dir, memoryFs } from "./lib/memory-fs.js";

const device = bufferDevice(new Uint8Array(16));

interface Says {
  readonly first?: boolean;
  readonly backup?: boolean;
  readonly error?: unknown;
}

/** A format whose probes answer what `says` says, and whose `open` fails with its error if there is one. */
function format(name: string, says: Says, log: string[] = []): FileSystemFormat & { readonly fs: FileSystem } {
  const fs = memoryFs(dir());
  return {
    name,
    fs,
    async probe() {
      log.push(`probe ${name}`);
      return says.first === true;
    },
    ...(says.backup === undefined
      ? {}
      : {
          async probeBackup() {
            log.push(`backup ${name}`);
            return says.backup === true;
          },
        }),
    async open() {
      log.push(`open ${name}`);
      if (says.error !== undefined) throw says.error;
      return fs;
    },
  };
}

describe("probeFileSystem", () => {
  test("the formats that match, in the order of the list; copies are not looked for", async () => {
    const log: string[] = [];
    const formats = [
      format("a", { first: true }, log),
      format("b", { backup: true }, log),
      format("c", { first: true }, log),
    ];
    expect((await probeFileSystem(device, formats)).map(({ name }) => name)).toEqual(["a", "c"]);
    expect(log).toEqual(["probe a", "probe b", "probe c"]);
  });
  test("copies, when no first superblock is there", async () => {
    const formats = [format("a", {}), format("b", { backup: true }), format("c", { backup: false })];
    expect((await probeFileSystem(device, formats)).map(({ name }) => name)).toEqual(["b"]);
  });
  test("all probes are asked before the first answers", async () => {
    const log: string[] = [];
    const probing = probeFileSystem(device, [format("a", {}, log), format("b", {}, log)]);
    expect(log).toEqual(["probe a", "probe b"]);
    expect(await probing).toEqual([]);
  });
});

describe("openFileSystem", () => {
  const bad = (code: "corrupt" | "unsupported" | "aborted") =>
    new ImageError(code, "cannot", { format: "a", offset: 7 });

  test("one match, nothing to report", async () => {
    const found: Finding[] = [];
    const [a, b] = [format("a", {}), format("b", { first: true })];
    expect(await openFileSystem(device, [a, b], { report: (finding) => found.push(finding) })).toBe(b.fs);
    expect(found).toEqual([]);
  });
  test("no match", async () => expect(await openFileSystem(device, [format("a", {})])).toBeUndefined());
  test("two matches: the first is opened and the doubt reported", async () => {
    const found: Finding[] = [];
    const [a, b] = [format("a", { first: true }), format("b", { first: true })];
    expect(await openFileSystem(device, [a, b], { report: (finding) => found.push(finding) })).toBe(a.fs);
    expect(found).toMatchObject([
      { code: "fs-ambiguous", severity: "warning", message: "the device carries the magic of a and b" },
    ]);
  });
  test("two matches, the first is broken: the second is opened, the error reported", async () => {
    const found: Finding[] = [];
    const [a, b] = [format("a", { first: true, error: bad("corrupt") }), format("b", { first: true })];
    expect(await openFileSystem(device, [a, b], { report: (finding) => found.push(finding) })).toBe(b.fs);
    expect(found).toMatchObject([{ code: "fs-ambiguous" }, { code: "corrupt", format: "a", offset: 7 }]);
  });
  test("all are broken: the first error is thrown", async () => {
    const error = bad("unsupported");
    const formats = [format("a", { first: true, error }), format("b", { first: true, error: bad("corrupt") })];
    await expect(openFileSystem(device, formats)).rejects.toBe(error);
  });
  test.each([
    ["aborted", bad("aborted")],
    ["not of this toolkit", new TypeError("bug")],
  ])("an error that is %s ends it at once", async (_, error) => {
    const log: string[] = [];
    const formats = [format("a", { first: true, error }, log), format("b", { first: true }, log)];
    await expect(openFileSystem(device, formats)).rejects.toBe(error);
    expect(log).not.toContain("open b");
  });
});

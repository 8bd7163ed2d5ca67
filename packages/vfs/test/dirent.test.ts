import { isDots, isPossibleName, StoredDirent, walkAll } from "@guestprobe/vfs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dir, file, memoryFs, text } from "./lib/memory-fs.js";

const block = new TextEncoder().encode("..name.with/slash");
const entry = (at: number, length: number) => new StoredDirent(block, at, length, 7, "file", "place");

describe("a dirent whose name stays in its block", () => {
  test("has the name where it is asked for, and all else", () => {
    const { name, nameLength, ino, type, ref } = entry(2, 4);
    expect([text(name), nameLength, ino, type, ref]).toEqual(["name", 4, 7, "file", "place"]);
  });

  test("copies the name, and says where it ends", () => {
    const target = new Uint8Array(8);
    expect(entry(2, 4).copyName(target, 3)).toBe(7);
    expect(text(target)).toBe("\0\0\0name\0");
  });

  test("answers about its name what is answered about the bytes", () => {
    const names = fc.uint8Array({ maxLength: 6 }).map((bytes) => bytes.map((byte) => [0, 0x2e, 0x2f, byte][byte % 4]!));
    fc.assert(
      fc.property(names, names, fc.nat(5), (name, other, before) => {
        const stored = Uint8Array.from([...other.subarray(0, before), ...name, ...other]);
        const at = Math.min(before, other.length);
        const dirent = new StoredDirent(stored, at, name.length, 1, undefined, undefined);
        expect(dirent.name).toEqual(name);
        expect(dirent.isDots).toBe(isDots(name));
        expect(dirent.isPossible).toBe(isPossibleName(name));
        expect(dirent.hasName(name)).toBe(true);
        expect(dirent.hasName(other)).toBe(Buffer.compare(name, other) === 0);
      }),
    );
  });
});

test("a walk copies paths as it makes them, of dirents with and without a name of their own", async () => {
  const target = new Uint8Array(64);
  const stored = (name: string) => new StoredDirent(new TextEncoder().encode(`x${name}`), 1, name.length, 9, "file", 0);
  const entries = async function* () {
    yield [stored("stored"), { name: new TextEncoder().encode("plain"), ino: 9, type: "file" as const }];
  };
  const child = async () => (await memoryFs(file()).root()) as never;
  const fs = memoryFs(dir(), { change: () => ({ entries, child }) });
  const shown: string[] = [];
  for await (const walked of walkAll(fs)) {
    const end = walked.copyPath(target, 5);
    shown.push(text(target.subarray(5, end)));
    expect(walked.pathLength).toBe(end - 5);
    expect(text(walked.path)).toBe(shown.at(-1));
    expect(walked.path).toBe(walked.path);
    expect(walked.copyPath(target, 0)).toBe(walked.pathLength);
  }
  expect(shown).toEqual(["/", "/stored", "/plain"]);
});

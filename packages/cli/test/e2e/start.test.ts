/** The built command as it is published: one file for most runs, started from V8's code cache, and one for the others. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const main = join(root, "packages/cli/dist/main.js");
const home = mkdtempSync(join(tmpdir(), "guestprobe-cache-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function search(env: Readonly<Record<string, string>> = {}, image = join(root, "sample/guest.img")): string {
  const settings = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "", XDG_CACHE_HOME: home, ...env };
  return execFileSync(process.execPath, [main, "search", image], {
    env: settings,
    encoding: "utf8",
  });
}

function cached(): string {
  const all = join(home, "guestprobe");
  return join(all, readdirSync(all)[0]!, "search.code");
}

test("compiled code is left for the next run, unless it is switched off, and is never trusted blindly", () => {
  const answer = search({ NODE_DISABLE_COMPILE_CACHE: "1" });
  expect(answer).toContain("(xen/xvda,msdos2)/boot/grub/grub.cfg");
  expect(existsSync(join(home, "guestprobe"))).toBe(false);

  expect(search()).toBe(answer);
  const place = cached();
  expect(statSync(place).mode & 0o777).toBe(0o600);
  const sound = statSync(place).ino;
  expect(search()).toBe(answer);
  expect(statSync(place).ino, "a sound cache is left alone").toBe(sound);

  writeFileSync(place, "not what V8 wrote");
  expect(search()).toBe(answer);
  expect(statSync(place).size, "V8 refuses it, and it is made anew").toBeGreaterThan(100_000);

  chmodSync(place, 0o666);
  const open = statSync(place).ino;
  expect(search()).toBe(answer);
  expect(statSync(place).ino, "others could have written it: made anew").not.toBe(open);
  expect(statSync(place).mode & 0o777).toBe(0o600);
}, 60_000);

test("most runs read one of the program's two files, and of both the code is kept", () => {
  const own = join(home, "two");
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "", XDG_CACHE_HOME: own };
  const image = join(root, "sample/guest.img");
  const answer = (...words: string[]): string => execFileSync(process.execPath, [main, ...words], { env }).toString();
  /** The inode of each file that is kept, by name. */
  const kept = (): Readonly<Record<string, number>> => {
    const all = join(own, "guestprobe");
    const folder = join(all, readdirSync(all)[0]!);
    const names = readdirSync(folder).filter((name) => name.endsWith(".code"));
    return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).ino]));
  };
  answer("search", image);
  answer("ls", image, "/boot");
  answer("cat", image, "/boot/grub/grub.cfg");
  answer("manifest", image);
  expect(Object.keys(kept()).sort()).toEqual(["cat.code", "ls.code", "manifest.code", "search.code"]);

  const first = answer("menu", image);
  const after = kept();
  expect(Object.keys(after)).toContain("menu.later.code");
  expect(answer("menu", image)).toBe(first);
  expect(kept(), "nothing new").toEqual(after);

  const size = (name: string): number => statSync(join(root, "packages/cli/dist", name)).size;
  expect(size("command.js") / (size("command.js") + size("later.js"))).toBeLessThan(0.55);
}, 60_000);

test("a word that is no verb leaves no code behind", () => {
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "", XDG_CACHE_HOME: join(home, "typed") };
  const ended = (...words: string[]): number | null => spawnSync(process.execPath, [main, ...words], { env }).status;
  expect(ended("serch")).toBe(2);
  expect(existsSync(env.XDG_CACHE_HOME)).toBe(false);
  expect(ended("help")).toBe(0);
  expect(existsSync(env.XDG_CACHE_HOME)).toBe(true);
}, 60_000);

test("what a later run comes to is added once", () => {
  const xfs = join(home, "xfs.img");
  writeFileSync(xfs, gunzipSync(readFileSync(join(root, "test/fixtures/xfs/v4-512.img.gz"))));
  const seek = (image: string): void => {
    // Ends with 1, for nothing is found there.
    expect(() => search({}, image)).toThrow();
  };
  search();
  const place = cached();
  const before = statSync(place);
  seek(xfs);
  const after = statSync(place);
  expect(after.size).toBeGreaterThan(before.size + 10_000);
  seek(xfs);
  search();
  expect(statSync(place).ino, "nothing new").toBe(after.ino);

  truncateSync(place, 64);
  search();
  expect(statSync(place).size, "cut off before the code").toBeGreaterThan(100_000);
}, 60_000);

import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { kernelCache } from "../src/kernel-cache.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-kernels-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const excerpt = { size: 100, length: 50, pieces: [{ offset: 7, bytes: Buffer.from([1, 2, 0xff]) }] };
const payload = Buffer.from("a payload");

test("what is kept comes back for the same bytes alone, in another run too", async () => {
  await kernelCache(folder).put(payload, excerpt);
  // Its digest, by `printf 'a payload' | sha256sum`.
  expect(readdirSync(folder)).toEqual(["d0c27dd3ba9c7d7f7be628d7bec50b9dc6ae296d21315ea880bce1d3042ff571.kernel"]);
  const later = kernelCache(folder);
  expect(await later.get(Buffer.from("a payload"))).toEqual(excerpt);
  expect(await later.get(Buffer.from("a payloae"))).toBeUndefined();
});

test("what is cut, or what others may have written, is not believed", async () => {
  await kernelCache(folder).put(payload, excerpt);
  const place = join(folder, readdirSync(folder)[0]!);
  expect(statSync(place).mode & 0o777).toBe(0o600);
  const sound = readFileSync(place);
  for (const broken of ["", "null", "[]", '{"pieces":[null]}', sound.subarray(0, -2)]) {
    writeFileSync(place, broken);
    expect(await kernelCache(folder).get(payload)).toBeUndefined();
  }
  writeFileSync(place, sound);
  expect(await kernelCache(folder).get(payload)).toEqual(excerpt);
  chmodSync(place, 0o666);
  expect(await kernelCache(folder).get(payload)).toBeUndefined();
});

test("the oldest kernels go, and nothing else", async () => {
  writeFileSync(join(folder, "boot.code"), "x");
  const cache = kernelCache(folder);
  for (let at = 0; at < 256; at++) await cache.put(Buffer.from(`${at}`), excerpt);
  const names = readdirSync(folder).filter((name) => name.endsWith(".kernel"));
  expect(names).toHaveLength(256);
  const oldest = names[100]!;
  utimesSync(join(folder, oldest), 1, 1);
  await cache.put(Buffer.from("one more"), excerpt);
  const left = readdirSync(folder);
  expect(left).toHaveLength(257);
  expect(left).toContain("boot.code");
  expect(left).not.toContain(oldest);
});

/** The gate for squashfs against grub-fstest: what it lets through GRUB reads, and nothing else. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice } from "@guestprobe/block";
import { DEFAULT_GRUB_VERSION, GRUB_SQUASH4_COMPRESSORS, squash4Gate } from "@guestprobe/grub";
import { afterAll, beforeAll, expect, test } from "vitest";
import { grubRead } from "../lib/grub-fstest.mjs";
import { makeSquashfs } from "../lib/squashfs-images.mjs";

const CONTENT = "set timeout=5\n";
let folder = "";
let image = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-squash4-"));
  image = join(folder, "volume.squashfs");
  mkdirSync(join(folder, "tree/boot/grub"), { recursive: true });
  writeFileSync(join(folder, "tree/boot/grub/grub.cfg"), CONTENT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function agree(): Promise<string> {
  const { verdict } = await squash4Gate.probe(bufferDevice(new Uint8Array(readFileSync(image))), DEFAULT_GRUB_VERSION);
  const content = grubRead(image, "/boot/grub/grub.cfg")?.toString();
  expect(content).toBe(verdict === "accept" ? CONTENT : undefined);
  return verdict;
}

test.each(GRUB_SQUASH4_COMPRESSORS.map(({ name, verdict }) => [name, verdict]))("%s: %s", async (name, verdict) => {
  makeSquashfs(join(folder, "tree"), image, ["-comp", name]);
  expect(await agree()).toBe(verdict === "read" ? "accept" : "refuse");
});

test("xz with a branch filter, and no fragments", async () => {
  makeSquashfs(join(folder, "tree"), image, ["-comp", "xz", "-Xbcj", "x86", "-no-fragments"]);
  expect(await agree()).toBe("accept");
});

test.each([
  ["compressor 9", 20, [9, 0]],
  ["version 3", 28, [3, 0]],
  ["block size 3", 12, [3, 0, 0, 0]],
  ["block size 0", 12, [0, 0, 0, 0]],
  ["block_log 30", 22, [30, 0]],
  ["fragment table at 2^40", 80, [0, 0, 0, 0, 0, 1, 0, 0]],
  ["no fragment table", 80, new Array<number>(8).fill(255)],
  ["id table at 2^40", 48, [0, 0, 0, 0, 0, 1, 0, 0]],
  ["big-endian magic", 0, [0x73, 0x71, 0x73, 0x68]],
])("%s", async (_, at, bytes) => {
  makeSquashfs(join(folder, "tree"), image, []);
  const data = readFileSync(image);
  Buffer.from(bytes).copy(data, at);
  writeFileSync(image, data);
  await agree();
});

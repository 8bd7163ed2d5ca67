import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { runInPage } from "./lib/page.js";

/** The code of the README as a reader would copy it, and the packages in a page that has no Node. */
const root = fileURLToPath(new URL("../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");

/** What test/make/sample.mjs put on the second partition. */
const GRUB_CFG = `set timeout=5
menuentry 'Sample Linux' {
  linux /boot/vmlinuz-sample root=/dev/xvda2 ro console=hvc0
  initrd /boot/initrd-sample.img
}
`;

test("the README's example runs in Node, against the built packages", async () => {
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  // Node 20 has no `await using`; a compiler for that target replaces it.
  const { code } = await transform(example, { loader: "ts", target: "node20", format: "esm" });
  const node = spawnSync(process.execPath, ["--input-type=module"], { cwd: root, input: code, encoding: "utf8" });
  expect(node.stderr).toBe("");
  expect(node.stdout).toBe(`2 ${GRUB_CFG}\n`);
});

test("the README's answer is the command's", () => {
  const session = /```console\n\$ guestprobe (.*)\n([\s\S]*?)```/.exec(readme)!;
  const args = ["packages/cli/dist/main.js", ...session[1]!.split(" ")];
  expect(spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" }).stdout).toBe(session[2]);
});

const PAGE = `
import { blobDevice, cachedDevice } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { GrubSearch } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { openFileSystem, readFile, readStream, resolve } from "@guestprobe/vfs";

globalThis.probe = async (blob) => {
  const device = cachedDevice(blobDevice(blob));
  const { partitions } = await readPartitions(device);
  const fs = await openFileSystem(partitions.find(({ number }) => number === 2).device, [ext], { journal: "replay" });
  const { inode } = await resolve(fs, "/boot/grub/grub.cfg");
  const text = new TextDecoder().decode(await readFile(inode));
  let streamed = 0;
  for await (const piece of readStream(inode)) streamed += piece.length;
  const search = new GrubSearch([{ name: "xen/xvda", device }], {
    openVolume: (block) => openFileSystem(block, [ext]),
  });
  const { hits } = await search.search({ by: "file", name: "/grub/grub.cfg" });
  return JSON.stringify({ text, streamed, hits: hits.map(({ device }) => device) });
};
`;

test("block, vfs, partition, ext and grub run in a page: no Node module, no Node global", async () => {
  const { probe } = (await runInPage(PAGE)) as unknown as { probe(blob: Blob): Promise<string> };
  const answer = JSON.parse(await probe(new Blob([readFileSync(`${root}sample/guest.img`)]))) as unknown;
  expect(answer).toEqual({ text: GRUB_CFG, streamed: GRUB_CFG.length, hits: ["xen/xvda,msdos1"] });
});

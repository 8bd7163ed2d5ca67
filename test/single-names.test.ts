/** What the build makes of imports: each name from the smallest piece that has it. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { singleNames } from "../scripts/single-names.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

test("a structure comes without the others of its module, and the constants that it needs with it", async () => {
  const contents = `
    export { decodeSuperblock, hasMagic } from "./packages/ext/dist/superblock.js";
    export { btrfs_super_block } from "${root}packages/btrfs/dist/layout.js?btrfs_super_block";
  `;
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    absWorkingDir: root,
    plugins: [singleNames()],
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format: "esm",
  });
  const inputs = Object.keys(metafile.inputs).filter((path) => path.includes("?"));
  expect(inputs.sort()).toEqual([
    "packages/btrfs/dist/layout.js?btrfs_super_block",
    "packages/ext/dist/layout.js?ext4_super_block",
  ]);
  const module = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0]!.text)}`);
  expect(module.btrfs_super_block.$size).toBe(4096);
  expect(module.btrfs_super_block.$fields.magic).toMatchObject({ offset: 0x40, size: 8 });
  const data = new Uint8Array(1024);
  expect(module.hasMagic(data)).toBe(false);
  data.set([0x53, 0xef], 0x38);
  expect(module.hasMagic(data)).toBe(true);
});

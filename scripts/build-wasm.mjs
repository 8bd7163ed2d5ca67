/**
 * Compiles the decoders that are written in AssemblyScript, and writes each as a module that holds its WebAssembly in
 * base64, so that every runtime and bundler takes it as it is: `node scripts/build-wasm.mjs`. With `--check`, compares
 * instead, and fails when a module is not what its source compiles to.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const FOLDER = fileURLToPath(new URL("../packages/codec/", import.meta.url));
const MODULES = { "assembly/lzma.ts": "src/xz/lzma-wasm.ts", "assembly/zstd.ts": "src/zstd-wasm.ts" };
const OPTIONS = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--enable", "bulk-memory", "--enable", "simd"];

for (const [source, target] of Object.entries(MODULES)) {
  let binary;
  const { error, stderr } = await asc.main([source, ...OPTIONS, "--outFile", "out.wasm"], {
    readFile: (name) => (name === source ? readFileSync(FOLDER + source, "utf8") : null),
    writeFile: (name, contents) => {
      if (name === "out.wasm") binary = contents;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw new Error(`${source}: ${stderr}`, { cause: error });
  const text = `/** What ${source} compiles to, by scripts/build-wasm.mjs. */
// biome-ignore format: one string
export const WASM = "${Buffer.from(binary).toString("base64")}";
`;
  if (!process.argv.includes("--check")) writeFileSync(FOLDER + target, text);
  else if (readFileSync(FOLDER + target, "utf8") !== text)
    throw new Error(`${target} is not what ${source} compiles to`);
}

/**
 * Compiles what is written in AssemblyScript, and writes each as a module that holds its WebAssembly in base64, so that
 * every runtime and bundler takes it as it is: `node scripts/build-wasm.mjs`. With `--check`, compares instead, and fails
 * when a module is not what its source compiles to.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const PACKAGES = fileURLToPath(new URL("../packages/", import.meta.url));
const MODULES = [
  { folder: "block", source: "assembly/crc32c.ts", target: "src/crc32c-wasm.ts", options: ["--initialMemory", "1"] },
  { folder: "codec", source: "assembly/inflate.ts", target: "src/inflate-wasm.ts", options: [] },
  { folder: "codec", source: "assembly/lzma.ts", target: "src/xz/lzma-wasm.ts", options: [] },
  { folder: "codec", source: "assembly/zstd.ts", target: "src/zstd-wasm.ts", options: [] },
];
const OPTIONS = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--enable", "bulk-memory", "--enable", "simd"];

for (const { folder, source, target, options } of MODULES) {
  const place = `${PACKAGES}${folder}/`;
  let binary;
  const { error, stderr } = await asc.main([source, ...OPTIONS, ...options, "--outFile", "out.wasm"], {
    readFile: (name) => (name === source ? readFileSync(place + source, "utf8") : null),
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
  if (!process.argv.includes("--check")) writeFileSync(place + target, text);
  else if (readFileSync(place + target, "utf8") !== text)
    throw new Error(`${target} is not what ${source} compiles to`);
}

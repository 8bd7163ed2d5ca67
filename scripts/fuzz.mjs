/**
 * `npm run fuzz -- [--minutes N] [--seed N] [--record FILE] [TARGET...]`: bundles the harness of test/fuzz with the
 * packages' sources and runs it. Jazzer.js 4.0.0, which would guide it by coverage, does not load on Debian 12: its
 * prebuilt library asks for glibc 2.38.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "node_modules", ".cache", "guestprobe-fuzz");

/** Packages by their sources, and each file's own address, by which it finds the fixtures. */
const sources = {
  name: "sources",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@guestprobe\// }, ({ path }) => {
      const [, name, entry = "index"] = path.split("/");
      const file = join(root, "packages", name, "src", entry);
      return { path: existsSync(`${file}.ts`) ? `${file}.ts` : join(file, "index.ts") };
    });
    onLoad({ filter: /\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
      loader: "ts",
      resolveDir: dirname(path),
    }));
  },
};

await build({
  entryPoints: ["main", "worker"].map((name) => join(root, "test", "fuzz", `${name}.ts`)),
  outdir: folder,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "bundle",
  external: ["zstddec", "fflate", "hash-wasm", "picocolors", "commander"],
  sourcemap: "inline",
  logLevel: "warning",
  plugins: [sources],
});
const { supervise } = await import(pathToFileURL(join(folder, "main.mjs")).href);
await supervise(pathToFileURL(join(folder, "worker.mjs")));

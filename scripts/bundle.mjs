/**
 * Makes the command that is published, packages/cli/dist, from what tsc made of the packages:
 *
 * - main.js, which starts Node as suits it, and the program from V8's code cache,
 * - command.js, the program, and later.js, what few runs need of it: Node's own loader takes longer for 300 modules than the
 *   program for a small disk, and each page of text that is read takes part of a start. CommonJS, for only such code can be
 *   started from a cache; a verb's modules still run when they are asked for,
 * - worker.js, for the threads that decompress,
 * - LICENSES.txt, of the libraries that are in it.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { linkParts } from "./link-parts.mjs";
import { sampleRuns } from "./sample-runs.mjs";
import { singleNames } from "./single-names.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "packages/cli");
const dist = join(cli, "dist");

/** Commander asks for child_process for a feature that has no use here, and that takes longer to load than all of it. */
const noChildProcess = {
  name: "no-child-process",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[\\/]commander[\\/]/.test(importer) ? { path: "child_process", namespace: "absent" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: "module.exports = {};" }));
  },
};

const COMMON = {
  bundle: true,
  platform: "node",
  // Of a library that has both: what CommonJS exports is known only when it runs.
  mainFields: ["module", "main"],
  target: "node20",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
  plugins: [noChildProcess, singleNames()],
};

/** One CommonJS file of all that `entry` needs; answers the files it is made of. */
async function bundle(entry, name, options = {}) {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: [entry],
    outfile: join(dist, name),
    format: "cjs",
    metafile: true,
    ...options,
  });
  return Object.keys(metafile.inputs);
}

/**
 * The same, in parts: each module is a function, which V8 neither compiles nor keeps in its cache before it runs. The second file has
 * those that common runs never come to, half of the program.
 */
async function bundleInParts(entry, first, second) {
  const options = { ...COMMON, outdir: dist, outbase: root, format: "esm", splitting: true, write: false };
  const { metafile } = await build({ ...options, entryPoints: [entry], minify: false, metafile: true });
  // As entries they stay apart; what a library is made of stays with who asks for it.
  const own = Object.keys(metafile.inputs).filter((path) => path.startsWith("packages/"));
  const split = await build({
    ...options,
    entryPoints: own.map((path) => ({ in: join(root, path), out: partOf(path) })),
    define: { "import.meta.url": "$program.url" },
    metafile: true,
  });
  const within = (folder, path) => relative(folder, path).replaceAll("\\", "/");
  const program = linkParts(
    new Map(split.outputFiles.map(({ path, text }) => [within(dist, path), text])),
    `${partOf(within(root, entry))}.js`,
  );
  const write = (isLater, isAtOnce) => {
    const [text, later] = program.texts(second, isLater, isAtOnce);
    writeFileSync(join(dist, first), text);
    writeFileSync(join(dist, second), later);
  };
  const never = () => false;
  write(never, never);
  const runs = await sampleRuns(join(dist, first));
  const definedBy = runs.map((numbers) => new Set(program.paths.filter((_, number) => numbers.has(number))));
  const isCommon = (path) => definedBy.some((paths) => paths.has(path));
  // A run that comes to one of two modules comes to the other, too.
  const isAtOnce = (path, other) => isCommon(path) && definedBy.every((paths) => !paths.has(path) || paths.has(other));
  write((path) => !isCommon(path), isAtOnce);
  return Object.keys(metafile.inputs);
}

/** What the part of a module is called, without its ending; of a structure, of which there is a file's name and its own. */
const partOf = (path) => path.replace(/\.js(?:\?(\w+))?$/, (_, name) => (name === undefined ? "" : `.${name}`));

/** The licence of each library among these files, as its authors wrote it. */
function licences(inputs) {
  const folders = new Set(inputs.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  const texts = [...folders].sort().map((folder) => {
    const place = join(root, folder);
    const { name, version, license } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
    const file = readdirSync(place).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence file`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(place, file), "utf8").trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

/**
 * The first lines of main.js: for a shell, its script; for Node, a string and a comment. npm and its peers link the command to
 * this very file, so that "$0" leads to it, wherever it is installed. A shell by its name alone, and not its path, is one that
 * npm can start on Windows, too, where there is one.
 */
function launcher() {
  const lines = readFileSync(join(cli, "src/launcher.sh"), "utf8").split("\n");
  const statements = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return ["#!/usr/bin/env sh", `":" //; ${statements.join("; ")}`].join("\n");
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
// The package is of ES modules, and these files are not.
writeFileSync(join(dist, "package.json"), '{ "type": "commonjs" }\n');
const worker = join(root, "packages/codec/dist/node/worker.js");
const inputs = await bundle(worker, "worker.js");
inputs.push(...(await bundleInParts(join(cli, "build/command.js"), "command.js", "later.js")));
const id = createHash("sha256")
  .update(readFileSync(join(dist, "command.js")))
  .update(readFileSync(join(dist, "later.js")))
  .digest("hex")
  .slice(0, 16);
await bundle(join(cli, "build/main.js"), "main.js", {
  banner: { js: launcher() },
  define: { PROGRAM_ID: JSON.stringify(id) },
});
chmodSync(join(dist, "main.js"), 0o755);
writeFileSync(join(dist, "LICENSES.txt"), licences(inputs));

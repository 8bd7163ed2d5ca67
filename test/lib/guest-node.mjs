/**
 * Runs a program for Node inside the emulated guest of `tcg-guest.mjs`, with the modules that it imports: what is written
 * to and read from a mounted file system there is the work of a kernel that the test machine need not have.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { runInGuest } from "./tcg-guest.mjs";

/** Node has its libraries beside it, and unpacks to a hundred megabytes. */
const MEMORY = 1024;

/**
 * Runs `program`, a module of this folder, in a guest with these disks.
 *
 * @param {string} program file name; what it prints is one JSON document
 * @param {{ imports: readonly string[], disks: readonly string[], modules: readonly string[], input: unknown }} options
 *   `imports`: further modules of this folder; `input`: what the program finds as JSON in /input.json
 * @returns {Promise<unknown>} the document
 */
export async function runNodeInGuest(program, { imports, disks, modules, input }) {
  const here = (name) => readFileSync(fileURLToPath(new URL(name, import.meta.url)));
  const files = Object.fromEntries([program, ...imports].map((name) => [`/program/${basename(name)}`, here(name)]));
  const { stdout } = await runInGuest({
    disks,
    tools: [process.execPath],
    modules,
    memory: MEMORY,
    files: { ...files, "/input.json": JSON.stringify(input) },
    script: `${basename(process.execPath)} /program/${program}`,
    timeout: 900,
  });
  return JSON.parse(stdout);
}

import { closeSync, openSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { Script } from "node:vm";
import { EXIT } from "./exit.js";
import { readFully, readOwn, storeOwn } from "./own-cache.js";

/** Bytes in front of the code, a bit for each module of the program that was defined when it was kept. */
const BITS = 128;

/** What a file of the program and its code have to fit in to be read without new memory; what is not touched costs nothing. */
const MEMORY = 2 << 20;

interface ProgramModule {
  exports: unknown;
  /** Numbers of the file's modules that were defined so far; the program sets it. */
  defined?: () => readonly number[];
  /** How the program has a file that lies beside this one. */
  readonly loadBeside: (name: string) => unknown;
}

/**
 * Loads the program as `require` does, with what V8 made of it in earlier runs. Run as a script, its file answers the
 * function that CommonJS's loader would make of it: a function put around the text here would be another copy of it.
 *
 * V8 spends more time on compiling this program than the program on a small disk. So the first run of each verb leaves
 * its compiled code in the user's own cache folder, and later runs start from there; one that comes to modules which none
 * before it came to (another file system) adds their code. It is trusted only when this user owns it and nobody else may
 * write it, for it is run unchecked.
 *
 * @param key Names what will run of the file; functions that others call are not kept for it.
 * @param folder Of the user's own; undefined where there is none.
 */
export function loadCompiled(file: string, key: string, folder: string | undefined): unknown {
  const place = folder === undefined ? undefined : join(folder, `${key}.code`);
  // Both through the same memory: a page of it that the system clears, as it is touched, costs as much as reading four.
  const memory = Buffer.allocUnsafeSlow(MEMORY);
  const source = readText(file, memory);
  const kept = place === undefined ? undefined : readOwn(place, memory);
  const cachedData = kept?.subarray(BITS);
  const script = new Script(source, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const loadBeside = (name: string): unknown =>
    loadCompiled(join(dirname(file), name), `${key}.${parse(name).name}`, folder);
  const module: ProgramModule = { exports: {}, loadBeside };
  if (place !== undefined) {
    const known = Buffer.alloc(BITS);
    if (script.cachedDataRejected !== true) kept?.copy(known);
    process.on("exit", (code) => {
      // A word that is no verb leaves nothing: each has a file of its own, of a megabyte.
      if (code === EXIT.usage) return;
      if (addBits(known, module.defined?.() ?? []))
        storeOwn(place, () => Buffer.concat([known, script.createCachedData()]));
    });
  }
  const wrapper = script.runInThisContext() as (...names: unknown[]) => void;
  wrapper.call(module.exports, module.exports, require, module, file, dirname(file));
  return module.exports;
}

/** All of a file of this program. */
function readText(file: string, memory: Buffer): string {
  const fd = openSync(file, "r");
  try {
    return readFully(fd, memory).toString("latin1");
  } finally {
    closeSync(fd);
  }
}

/** Answers whether any of them was missing. */
function addBits(bits: Uint8Array, numbers: readonly number[]): boolean {
  let isNew = false;
  for (const number of numbers) {
    const before = bits[number >> 3] ?? 0xff;
    const bit = 1 << (number & 7);
    if ((before & bit) !== 0) continue;
    bits[number >> 3] = before | bit;
    isNew = true;
  }
  return isNew;
}

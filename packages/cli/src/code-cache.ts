import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { readOwn, storeOwn } from "./own-cache.js";

const WRAPPER = ["(function (exports, require, module, __filename, __dirname) {", "\n})"] as const;

/**
 * Loads a CommonJS file as `require` does, with what V8 made of it in an earlier run.
 *
 * V8 spends more time on compiling this program than the program on a small disk. So the first run of each verb leaves
 * its compiled code in the user's own cache folder, and later runs start from there. It is trusted only when this user
 * owns it and nobody else may write it, for it is run unchecked.
 *
 * @param key Names what will run of the file; functions that others call are not kept for it.
 * @param folder Of the user's own; undefined where there is none.
 */
export function loadCompiled(file: string, key: string, folder: string | undefined): unknown {
  const source = readFileSync(file, "latin1");
  const place = folder === undefined ? undefined : join(folder, `${key}.code`);
  const cachedData = place === undefined ? undefined : readOwn(place);
  const script = new Script(WRAPPER[0] + source + WRAPPER[1], {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (place !== undefined && (cachedData === undefined || script.cachedDataRejected === true)) {
    process.on("exit", () => storeOwn(place, () => script.createCachedData()));
  }
  const module = { exports: {} };
  const wrapper = script.runInThisContext() as (...names: unknown[]) => void;
  wrapper.call(module.exports, module.exports, require, module, file, dirname(file));
  return module.exports;
}

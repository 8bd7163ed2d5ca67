import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Script } from "node:vm";

/** Names the program's exact text, since V8 compares no more of it than its length; set when it is bundled. */
declare const PROGRAM_ID: string;

const WRAPPER = ["(function (exports, require, module, __filename, __dirname) {", "\n})"] as const;
/** Code of other versions goes once it was not written for this long: milliseconds. */
const STALE = 30 * 24 * 3_600_000;

/**
 * Loads a CommonJS file as `require` does, with what V8 made of it in an earlier run.
 *
 * V8 spends more time on compiling this program than the program on a small disk. So the first run of each verb leaves
 * its compiled code in the user's own cache folder, and later runs start from there. It is trusted only when this user
 * owns it and nobody else may write it, for it is run unchecked. NODE_DISABLE_COMPILE_CACHE turns it off, as it does
 * Node's own cache.
 *
 * @param key Names what will run of the file; functions that others call are not kept for it.
 */
export function loadCompiled(file: string, key: string): unknown {
  const source = readFileSync(file, "latin1");
  const folder = cacheFolder();
  const place = folder === undefined ? undefined : join(folder, `${key}.code`);
  const cachedData = place === undefined ? undefined : readOwn(place);
  const script = new Script(WRAPPER[0] + source + WRAPPER[1], {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (place !== undefined && (cachedData === undefined || script.cachedDataRejected === true)) {
    process.on("exit", () => store(place, script));
  }
  const module = { exports: {} };
  const wrapper = script.runInThisContext() as (...names: unknown[]) => void;
  wrapper.call(module.exports, module.exports, require, module, file, dirname(file));
  return module.exports;
}

/**
 * Undefined where there is none of the user's own: no home, somebody else's home (sudo), switched off, or out of reach
 * behind Node's permission model.
 */
function cacheFolder(): string | undefined {
  const { env } = process;
  if (env.NODE_DISABLE_COMPILE_CACHE || Reflect.has(process, "permission")) return undefined;
  const home = env.HOME === undefined ? env.LOCALAPPDATA : join(env.HOME, ".cache");
  const base = env.XDG_CACHE_HOME || home;
  if (base === undefined) return undefined;
  return join(base, "guestprobe", `${PROGRAM_ID}-${process.version}-${process.arch}`);
}

/** The bytes of a file that only this user can have written. */
function readOwn(path: string): Buffer | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = fstatSync(fd);
      const own = process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0);
      return own && stat.isFile() ? readFileSync(fd) : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** Nothing depends on it, so nothing that goes wrong is told: a full disk, a folder that is not the user's. */
function store(place: string, script: Script): void {
  const folder = dirname(place);
  const partial = `${place}.${process.pid}`;
  try {
    // Another user's home, as sudo may leave it in the environment, is not to be littered.
    if (process.getuid !== undefined && ownerOf(folder) !== process.getuid()) return;
    if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) dropStale(dirname(folder));
    writeFileSync(partial, script.createCachedData(), { flag: "wx", mode: 0o600 });
    renameSync(partial, place);
  } catch {
    try {
      rmSync(partial, { force: true });
    } catch {
      // What kept it from being written keeps it from being removed.
    }
  }
}

/** Who owns a folder, or the nearest one above it that exists. */
function ownerOf(folder: string): number {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat === undefined ? ownerOf(dirname(folder)) : stat.uid;
}

function dropStale(all: string): void {
  for (const name of readdirSync(all)) {
    const other = join(all, name);
    if (Date.now() - lstatSync(other).mtimeMs > STALE) rmSync(other, { recursive: true, force: true });
  }
}

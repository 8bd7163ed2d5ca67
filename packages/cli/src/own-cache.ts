import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Names the program's exact text, so that nothing outlives the code that made it; set when it is bundled. */
declare const PROGRAM_ID: string;

/** What other versions left goes once it was not written for this long: milliseconds. */
const STALE = 30 * 24 * 3_600_000;

/**
 * The folder for what later runs may start from. Undefined where there is none of the user's own: no home, switched off
 * (NODE_DISABLE_COMPILE_CACHE, as for Node's own cache), or out of reach behind Node's permission model.
 */
export function cacheFolder(): string | undefined {
  const { env } = process;
  if (env.NODE_DISABLE_COMPILE_CACHE || Reflect.has(process, "permission")) return undefined;
  const home = env.HOME === undefined ? env.LOCALAPPDATA : join(env.HOME, ".cache");
  const base = env.XDG_CACHE_HOME || home;
  if (base === undefined) return undefined;
  return join(base, "guestprobe", `${PROGRAM_ID}-${process.version}-${process.arch}`);
}

/**
 * The bytes of a file that only this user can have written.
 *
 * @param memory Where they go if they fit.
 */
export function readOwn(path: string, memory?: Buffer): Buffer | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = fstatSync(fd);
      const own = process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0);
      return own && stat.isFile() ? readFully(fd, memory) : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** All bytes of an open file, in this memory if they fit. */
export function readFully(fd: number, memory: Buffer = Buffer.alloc(0)): Buffer {
  let length = 0;
  for (;;) {
    if (length === memory.length) return Buffer.concat([memory, readFileSync(fd)]);
    const count = readSync(fd, memory, length, memory.length - length, null);
    if (count === 0) return memory.subarray(0, length);
    length += count;
  }
}

/**
 * Leaves bytes for later runs. Nothing depends on it, so nothing that goes wrong is told: a full disk, a folder that is
 * not the user's.
 */
export function storeOwn(place: string, make: () => Uint8Array): void {
  const folder = dirname(place);
  const partial = `${place}.${process.pid}`;
  try {
    // Another user's home, as sudo may leave it in the environment, is not to be littered.
    if (process.getuid !== undefined && ownerOf(folder) !== process.getuid()) return;
    if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) dropStale(dirname(folder));
    writeFileSync(partial, make(), { flag: "wx", mode: 0o600 });
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

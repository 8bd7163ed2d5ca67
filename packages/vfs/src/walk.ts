import { ImageError, isImageError, throwIfAborted, turnFor } from "@guestprobe/block";
import type { PathSource } from "./entry-json.js";
import { childPath } from "./path.js";
import type { Dirent, FileSystem, Inode } from "./types.js";

/**
 * Longest path below which a walk goes, in bytes; four times the kernel's PATH_MAX. Each open directory holds its
 * path, so that a deep tree of long names, which fits into a few megabytes of image, would fill gigabytes.
 */
const MAX_PATH = 16_384;

export interface WalkOptions {
  /** Most entries; the walk ends with `limit` after that. Default 10 million. */
  readonly maxEntries?: number;
  /** Most directories inside one another. Default 4096. */
  readonly maxDepth?: number;
  /** Default true. When false, only the entries of the starting directory. */
  readonly recursive?: boolean;
  /** Whether to go below this directory. */
  readonly enter?: (entry: WalkEntry) => boolean;
  readonly signal?: AbortSignal;
}

/** One file of a walk: its inode, the error that reading it met, or both: a directory that breaks off or is not entered. */
export interface WalkEntry extends PathSource {
  /** Made when it is asked for, and kept from then on. `copyPath` makes none. */
  readonly path: Uint8Array;
  /** Directories between this and the start of the walk. */
  readonly depth: number;
  /** What the directory says; undefined for the start of the walk. */
  readonly dirent: Dirent | undefined;
  readonly inode: Inode | undefined;
  readonly error: ImageError | undefined;
  /** Whether this file was given before: a directory is given again, with its error, where its entries break off. */
  readonly isGivenAgain: boolean;
}

/** An entry whose path is not made before somebody asks for it: most are copied to where they are printed. */
class Walked implements WalkEntry {
  readonly depth: number;
  readonly dirent: Dirent | undefined;
  readonly inode: Inode | undefined;
  readonly error: ImageError | undefined;
  /** The path of the directory with a slash behind it; once `#isWhole`, the path itself. */
  #path: Uint8Array;
  #isWhole: boolean;

  constructor(
    path: Uint8Array,
    isWhole: boolean,
    depth: number,
    dirent: Dirent | undefined,
    inode: Inode | undefined,
    error: ImageError | undefined,
  ) {
    this.depth = depth;
    this.dirent = dirent;
    this.inode = inode;
    this.error = error;
    this.#path = path;
    this.#isWhole = isWhole;
  }

  get isGivenAgain(): boolean {
    return false;
  }

  get path(): Uint8Array {
    if (!this.#isWhole) {
      const path = new Uint8Array(this.pathLength);
      this.copyPath(path, 0);
      this.#path = path;
      this.#isWhole = true;
    }
    return this.#path;
  }

  get pathLength(): number {
    const { length } = this.#path;
    return this.#isWhole ? length : length + (this.dirent!.nameLength ?? this.dirent!.name.length);
  }

  copyPath(target: Uint8Array, at: number): number {
    const path = this.#path;
    const end = at + path.length;
    // By hand: paths are short, and a call of `set` takes longer.
    for (let from = 0, to = at; to < end; from += 1, to += 1) target[to] = path[from]!;
    if (this.#isWhole) return end;
    const { dirent } = this;
    if (dirent!.copyName !== undefined) return dirent!.copyName(target, end);
    const { name } = dirent!;
    target.set(name, end);
    return end + name.length;
  }

  /** The same with an error. */
  broken(error: ImageError): Walked {
    return new BrokenOff(this.path, true, this.depth, this.dirent, this.inode, error);
  }
}

class BrokenOff extends Walked {
  override get isGivenAgain(): boolean {
    return true;
  }
}

/**
 * Every file below `start` (given itself first), depth first, in the order of the disk. A file or directory that
 * cannot be read is given with its error and the walk goes on; a directory that contains itself is entered once.
 *
 * @throws ImageError `limit` past `maxEntries`, `aborted`.
 */
export async function* walk(
  start: Inode,
  path: Uint8Array,
  options: WalkOptions = {},
): AsyncGenerator<WalkEntry, void, undefined> {
  for await (const batch of walkBatches(start, path, options)) yield* batch;
}

/** Most entries in one batch of a walk. Their inodes are held together: with 1,024 the collector of young objects copies most of them. */
const BATCH = 256;
/** Entries between two looks at the signal. */
const STRETCH = 64;

/**
 * As `walk`, many entries at a time: as far as they are in memory, and never past a directory that is to be entered,
 * so that `enter` is asked after its entry was given. A walk that yields each file by itself spends more time on that
 * than on the file.
 */
export async function* walkBatches(
  start: Inode,
  path: Uint8Array,
  options: WalkOptions = {},
): AsyncGenerator<readonly WalkEntry[], void, undefined> {
  const { maxEntries = 10_000_000, maxDepth = 4096, recursive = true, enter, signal } = options;
  const first = new Walked(path, true, 0, undefined, start, undefined);
  yield [first];
  if (start.stat.type !== "dir") return;
  let count = 0;
  const open: OpenDirectory[] = [];
  const inside: Inode[] = [];
  // A directory has one name. One that is found again is not entered again: loops, and hostile trees in which each
  // directory is named twice and the number of paths doubles at every level, end here.
  const entered = new Set<string>();
  const descend = (entry: Walked, inode: Inode): void => {
    const batches = inode.entries(signal)[Symbol.asyncIterator]();
    open.push({ entry, prefix: childPath(entry.path, NO_NAME), batches, batch: [], at: 0 });
    inside.push(inode);
    entered.add(identity(inode));
  };
  let ready: WalkEntry[] = [];
  try {
    descend(first, start);
    while (open.length > 0) {
      const turn = turnFor(signal);
      if (turn !== undefined) await turn;
      throwIfAborted(signal);
      const top = open[open.length - 1]!;
      const directory = inside[inside.length - 1]!;
      if (top.at >= top.batch.length || ready.length >= BATCH) {
        if (ready.length > 0) yield ready;
        ready = [];
      }
      if (top.at >= top.batch.length) {
        try {
          const { done, value } = await top.batches.next();
          if (!done) {
            top.batch = value;
            top.at = 0;
            continue;
          }
        } catch (error) {
          yield [top.entry.broken(asImageError(error))];
        }
        open.pop();
        inside.pop();
        continue;
      }
      for (const stop = Math.min(top.batch.length, top.at + STRETCH); top.at < stop; ) {
        const start = top.at;
        let inode = takeFiles(top, directory, ready, Math.min(stop, start + maxEntries - count));
        count += top.at - start;
        if (top.at >= stop) break;
        count += 1;
        if (count > maxEntries) {
          if (ready.length > 0) yield ready;
          throw new ImageError("limit", `more than ${maxEntries} entries`);
        }
        const dirent = top.batch[top.at]!;
        top.at += 1;
        let error: ImageError | undefined;
        try {
          inode ??= await directory.child(dirent, signal);
        } catch (cause) {
          error = asImageError(cause);
        }
        const depth = top.entry.depth + 1;
        if (inode?.stat.type !== "dir") {
          ready.push(new Walked(top.prefix, false, depth, dirent, inode, error));
          continue;
        }
        const below = childPath(top.entry.path, dirent.name);
        const isTooDeep = open.length >= maxDepth || below.length > MAX_PATH;
        const entry = new Walked(below, true, depth, dirent, inode, whyNotEntered(inode, entered, isTooDeep));
        ready.push(entry);
        if (!recursive || entry.error !== undefined) continue;
        yield ready;
        ready = [];
        if (!(enter?.(entry) ?? true)) continue;
        descend(entry, inode);
        break;
      }
    }
  } finally {
    // Also when the caller stops early: a directory left half read may hold on to something.
    for (const { batches } of open) await batches.return?.();
  }
}

interface OpenDirectory {
  readonly entry: Walked;
  /** Its path with a slash behind it. */
  readonly prefix: Uint8Array;
  readonly batches: AsyncIterator<readonly Dirent[]>;
  batch: readonly Dirent[];
  at: number;
}

/**
 * Gives entries of a batch, up to `stop`, whose inodes are there at once; answers the directory that it ends before, if it is one.
 * By itself, since V8 has compiled these lines long before all of a walk.
 */
function takeFiles(top: OpenDirectory, directory: Inode, ready: WalkEntry[], stop: number): Inode | undefined {
  const { batch, prefix } = top;
  const depth = top.entry.depth + 1;
  for (; top.at < stop; top.at += 1) {
    const dirent = batch[top.at]!;
    let inode: Inode | undefined;
    let error: ImageError | undefined;
    try {
      inode = directory.childNow?.(dirent);
      if (inode === undefined) return undefined;
    } catch (cause) {
      error = asImageError(cause);
    }
    if (inode?.stat.type === "dir") return inode;
    ready.push(new Walked(prefix, false, depth, dirent, inode, error));
  }
  return undefined;
}

const NO_NAME = new Uint8Array(0);

const identity = (inode: Inode): string => `${inode.subvolume ?? ""}:${inode.stat.ino}`;

function whyNotEntered(inode: Inode, entered: ReadonlySet<string>, tooDeep: boolean): ImageError | undefined {
  if (inode.stat.type !== "dir" || inode.standsFor !== undefined) return undefined;
  if (entered.has(identity(inode))) {
    return new ImageError("corrupt", `directory ${inode.stat.ino} has a second name`, { offset: inode.offset });
  }
  return tooDeep ? new ImageError("limit", "directories are nested too deep", { offset: inode.offset }) : undefined;
}

function asImageError(error: unknown): ImageError {
  if (!isImageError(error) || error.code === "aborted") throw error;
  return error;
}

/** Every file of the volume, from its root. */
export async function* walkAll(fs: FileSystem, options: WalkOptions = {}): AsyncGenerator<WalkEntry, void, undefined> {
  const batches = walkBatches(await fs.root(options.signal), Uint8Array.of(0x2f), options);
  for await (const batch of batches) yield* batch;
}

import { ImageError, isImageError, throwIfAborted, turnFor } from "@guestprobe/block";
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

/** One file of a walk: its inode, or the error that reading it met or both, when a directory breaks off. */
export interface WalkEntry {
  readonly path: Uint8Array;
  /** Directories between this and the start of the walk. */
  readonly depth: number;
  /** What the directory says; undefined for the start of the walk. */
  readonly dirent: Dirent | undefined;
  readonly inode: Inode | undefined;
  readonly error: ImageError | undefined;
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
  const first: WalkEntry = { path, depth: 0, dirent: undefined, inode: start, error: undefined };
  yield [first];
  if (start.stat.type !== "dir") return;
  let count = 0;
  const open: { entry: WalkEntry; batches: AsyncIterator<readonly Dirent[]>; batch: readonly Dirent[]; at: number }[] =
    [];
  const inside: Inode[] = [];
  // A directory has one name. One that is found again is not entered again: loops, and hostile trees in which each
  // directory is named twice and the number of paths doubles at every level, end here.
  const entered = new Set<string>();
  const descend = (entry: WalkEntry, inode: Inode): void => {
    open.push({ entry, batches: inode.entries(signal)[Symbol.asyncIterator](), batch: [], at: 0 });
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
          yield [{ ...top.entry, error: asImageError(error) }];
        }
        open.pop();
        inside.pop();
        continue;
      }
      const parent = top.entry.path;
      const depth = top.entry.depth + 1;
      for (const stop = Math.min(top.batch.length, top.at + STRETCH); top.at < stop; ) {
        const dirent = top.batch[top.at]!;
        top.at += 1;
        count += 1;
        if (count > maxEntries) {
          if (ready.length > 0) yield ready;
          throw new ImageError("limit", `more than ${maxEntries} entries`);
        }
        const below = childPath(parent, dirent.name);
        let inode: Inode | undefined;
        let error: ImageError | undefined;
        try {
          inode = directory.childNow?.(dirent) ?? (await directory.child(dirent, signal));
        } catch (cause) {
          error = asImageError(cause);
        }
        if (inode?.stat.type !== "dir") {
          ready.push({ path: below, depth, dirent, inode, error });
          continue;
        }
        const isTooDeep = open.length >= maxDepth || below.length > MAX_PATH;
        const entry: WalkEntry = { path: below, depth, dirent, inode, error: whyNotEntered(inode, entered, isTooDeep) };
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

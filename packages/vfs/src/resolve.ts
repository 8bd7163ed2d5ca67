import { decodeText, ImageError } from "@guestprobe/block";
import { hasTrailingSlash, isAbsolutePath, joinPath, type PathLike, pathBytes, splitPath } from "./path.js";
import type { FileSystem, Inode } from "./types.js";

/** What differs between the programs that walk paths. */
export interface WalkPolicy {
  /** How many symbolic links one walk may follow. */
  readonly maxSymlinks: number;
  /** Whether "file/" names a regular file. */
  readonly slashAfterFile: boolean;
  /** Whether an empty path or link target names the directory it starts from. */
  readonly emptyPath: boolean;
  /** Whether ".." in the root of a subvolume (btrfs) stays there. Default false: it leads out of it. */
  readonly staysInSubvolume?: boolean;
}

/** path_resolution(7): forty links, and a trailing slash means a directory. */
export const LINUX_WALK: WalkPolicy = { maxSymlinks: 40, slashAfterFile: false, emptyPath: false };

/** GRUB 2, grub-core/fs/fshelp.c: the eighth link is one too many; a trailing slash is dropped. */
export const GRUB_WALK: WalkPolicy = { maxSymlinks: 7, slashAfterFile: true, emptyPath: true };

export interface ResolveOptions {
  /** Default `LINUX_WALK`. */
  readonly policy?: WalkPolicy;
  /** Whether a link in the last place is followed. Default true. */
  readonly followLast?: boolean;
  /** Looks up one name of a directory; by default its own `lookup`. For callers that remember answers or add rules. */
  readonly lookup?: (directory: Inode, name: Uint8Array, signal?: AbortSignal) => Promise<Inode | undefined>;
  readonly signal?: AbortSignal;
}

export interface Resolved {
  readonly inode: Inode;
  /** Where the walk ended: absolute on its volume, without links, "." and "..". */
  readonly path: Uint8Array;
}

/** Longest path and link target, as the kernel's PATH_MAX; bounds what a chain of links may build up. */
const PATH_MAX = 4096;
/** Components left to walk; a chain of long links must not multiply them. */
const MAX_PENDING = 16 * PATH_MAX;

/**
 * Walks `path` from the root. Links, absolute ones too, stay on this volume; ".." above the root stays there. Answers
 * undefined when a name does not exist.
 *
 * @throws ImageError `not-a-directory` for a component that is none, `symlink-loop` past the policy's limit,
 * `limit` for links that are too long, `invalid-argument` for a path that does not begin with "/".
 */
export async function resolve(
  fs: FileSystem,
  path: PathLike,
  options: ResolveOptions = {},
): Promise<Resolved | undefined> {
  const { policy = LINUX_WALK, followLast = true, lookup = lookupItself, signal } = options;
  if (!isAbsolutePath(path)) {
    throw new ImageError("invalid-argument", `"${decodeText(pathBytes(path))}" does not begin with "/"`);
  }
  let current = await fs.root(signal);
  const root = current;
  /** The directories walked through, so that ".." needs no lookup and cannot be lied about by the disk. */
  let parents: Inode[] = [];
  let names: Uint8Array[] = [];
  // Reversed, so that the next component is a cheap pop.
  const pending = splitPath(path).reverse();
  let mustBeDirectory = hasTrailingSlash(path);
  let links = 0;

  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (current.stat.type !== "dir") throw notDirectory(names, fs);
    if (isDot(name)) continue;
    if (isDotDot(name)) {
      if (policy.staysInSubvolume && parents.at(-1)?.subvolume !== current.subvolume) continue;
      current = parents.pop() ?? root;
      names.pop();
      continue;
    }
    const found = await lookup(current, name, signal);
    if (found === undefined) return undefined;
    const isLast = pending.length === 0;
    if (found.stat.type !== "symlink" || (isLast && !followLast && !mustBeDirectory)) {
      parents.push(current);
      names.push(name);
      current = found;
      continue;
    }
    links += 1;
    if (links > policy.maxSymlinks) {
      throw new ImageError(
        "symlink-loop",
        `more than ${policy.maxSymlinks} symbolic links on the way to ${show(path)}`,
        {
          format: fs.kind,
          offset: found.offset,
        },
      );
    }
    const target = await found.readLink(signal);
    if (target.length === 0 && !policy.emptyPath) return undefined;
    if (target.length > PATH_MAX || pending.length > MAX_PENDING) {
      throw new ImageError("limit", `a link on the way to ${show(path)} has a target of ${target.length} bytes`, {
        format: fs.kind,
        offset: found.offset,
      });
    }
    if (isLast && hasTrailingSlash(target)) mustBeDirectory = true;
    pending.push(...splitPath(target).reverse());
    if (isAbsolutePath(target)) {
      current = root;
      parents = [];
      names = [];
    }
  }
  if (mustBeDirectory && current.stat.type !== "dir" && !policy.slashAfterFile) throw notDirectory(names, fs);
  return { inode: current, path: joinPath(names) };
}

/**
 * As `resolve`, for callers to whom a missing file is an error.
 *
 * @throws ImageError `not-found`, and what `resolve` throws.
 */
export async function open(fs: FileSystem, path: PathLike, options: ResolveOptions = {}): Promise<Inode> {
  const found = await resolve(fs, path, options);
  if (found === undefined) throw new ImageError("not-found", `${show(path)} does not exist`, { format: fs.kind });
  return found.inode;
}

const lookupItself: NonNullable<ResolveOptions["lookup"]> = (directory, name, signal) => directory.lookup(name, signal);
const isDot = (name: Uint8Array): boolean => name.length === 1 && name[0] === 0x2e;
const isDotDot = (name: Uint8Array): boolean => name.length === 2 && name[0] === 0x2e && name[1] === 0x2e;
const show = (path: PathLike): string => decodeText(pathBytes(path));

function notDirectory(names: readonly Uint8Array[], fs: FileSystem): ImageError {
  return new ImageError("not-a-directory", `${show(joinPath(names))} is not a directory`, { format: fs.kind });
}

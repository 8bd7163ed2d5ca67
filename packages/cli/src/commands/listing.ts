import { findingFromError, ImageError } from "@guestprobe/block";
import { childPath, type Dirent, type Inode, type Stat } from "@guestprobe/vfs";
import type { Context } from "../context.js";
import { imageErrorOnly } from "../output/output.js";
import { StatRows } from "./stat-rows.js";

/** A name of a directory, with what stat says of it or why that cannot be read. */
export interface ListedFile {
  readonly name: Uint8Array;
  readonly stat: Stat | undefined;
  /** Of directories and links, which a listing goes on with: of a large directory the others would fill memory. */
  readonly inode: Inode | undefined;
  readonly error: ImageError | undefined;
}

/** Files of a directory, held in columns: as objects, those of a large one would take ten times as much memory. */
export class Listing implements Iterable<ListedFile> {
  #names = new Uint8Array(1024);
  /** Where each name ends. */
  readonly #ends: number[] = [];
  readonly #stats = new StatRows();
  readonly #inodes = new Map<number, Inode>();
  /** Of which there is no stat; the error where that is why. */
  readonly #errors = new Map<number, ImageError | undefined>();
  #order: Uint32Array | undefined;

  get length(): number {
    return this.#ends.length;
  }

  add(name: Uint8Array, inode: Inode | undefined, error: ImageError | undefined): void {
    const index = this.#ends.length;
    const start = this.#start(index);
    const end = start + name.length;
    if (end > this.#names.length) {
      const more = new Uint8Array(2 * end);
      more.set(this.#names);
      this.#names = more;
    }
    this.#names.set(name, start);
    this.#ends.push(end);
    if (inode === undefined) {
      this.#errors.set(index, error);
      return;
    }
    const { stat } = inode;
    this.#stats.set(index, stat);
    if (stat.type === "dir" || stat.type === "symlink") this.#inodes.set(index, inode);
  }

  /** Byte order of the names, from now on. */
  sort(): void {
    this.#order = Uint32Array.from(this.#ends.keys()).sort((a, b) => this.#compare(a, b));
  }

  *[Symbol.iterator](): Generator<ListedFile, void, undefined> {
    for (let n = 0; n < this.#ends.length; n += 1) {
      const index = this.#order?.[n] ?? n;
      const isKnown = !this.#errors.has(index);
      yield {
        name: this.#names.subarray(this.#start(index), this.#ends[index]),
        stat: isKnown ? this.#stats.get(index) : undefined,
        inode: this.#inodes.get(index),
        error: this.#errors.get(index),
      };
    }
  }

  #start(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }

  #compare(a: number, b: number): number {
    const names = this.#names;
    const from = this.#start(a);
    const shift = this.#start(b) - from;
    const lengthA = this.#ends[a]! - from;
    const lengthB = this.#ends[b]! - from - shift;
    const end = from + Math.min(lengthA, lengthB);
    for (let at = from; at < end; at += 1) if (names[at] !== names[at + shift]) return names[at]! - names[at + shift]!;
    return lengthA - lengthB;
  }
}

/**
 * The names of a directory in byte order, each with its inode; those that begin with a dot where `all` is set. What cannot
 * be read becomes a finding, and the rest is listed all the same.
 */
export async function listDirectory(
  context: Context,
  device: string,
  path: Uint8Array,
  directory: Inode,
  all: boolean,
): Promise<Listing> {
  const files = new Listing();
  const tell = (error: ImageError, where: Uint8Array): void =>
    context.out.log.report(findingFromError(error, { device, path: where }));
  const add = (dirent: Dirent, inode: Inode | undefined, error: ImageError | undefined): void => {
    if (error !== undefined) tell(error, childPath(path, dirent.name));
    if (all || dirent.name[0] !== DOT) files.add(dirent.name, inode, error);
  };
  /** Adds names from one on whose inodes are there at once; answers the first of the others. */
  const addNow = (batch: readonly Dirent[], from: number): number => {
    let at = from;
    for (; at < batch.length; at += 1) {
      const dirent = batch[at]!;
      let inode: Inode | undefined;
      let error: ImageError | undefined;
      try {
        inode = directory.childNow?.(dirent);
      } catch (cause) {
        error = imageErrorOnly(cause);
      }
      if (inode === undefined && error === undefined) break;
      context.watch.countEntry();
      add(dirent, inode, error);
    }
    return at;
  };
  try {
    for await (const batch of directory.entries(context.watch.signal)) {
      for (let at = addNow(batch, 0); at < batch.length; at = addNow(batch, at + 1)) {
        const dirent = batch[at]!;
        context.watch.countEntry();
        let inode: Inode | undefined;
        let error: ImageError | undefined;
        try {
          inode = await directory.child(dirent);
        } catch (cause) {
          error = imageErrorOnly(cause);
        }
        add(dirent, inode, error);
      }
    }
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (context.watch.ended(error)) throw error;
    tell(error, path);
  }
  files.sort();
  return files;
}

/** Longest path below which a listing goes, in bytes, as a walk does: a deep tree of long names would fill a disk. */
const MAX_PATH = 16_384;

const DOT = 0x2e;
const SLASH = 0x2f;
/** Names in an absolute path: none in "/". */
const componentsOf = (path: Uint8Array): number =>
  path.length === 1 ? 0 : path.reduce((count, byte) => count + (byte === SLASH ? 1 : 0), 0);

/**
 * Which directories a listing was in. A directory has one name: one that is found again is a loop or a lie, and is told,
 * not entered; so is one nested too deep.
 */
export class Entered {
  readonly #seen = new Set<string>();
  readonly #above: number;

  /** @param start Path of the directory that the listing begins with. */
  constructor(start: Uint8Array) {
    this.#above = componentsOf(start);
  }

  /** Whether to enter; answers true once for each directory. */
  enter(context: Context, device: string, path: Uint8Array, inode: Inode): boolean {
    const { offset } = inode;
    const key = `${inode.subvolume ?? ""}:${inode.stat.ino}`;
    let error: ImageError | undefined;
    if (path.length > MAX_PATH || context.watch.isTooDeep(componentsOf(path) - this.#above + 1))
      error = new ImageError("limit", "directories are nested too deep", { offset });
    else if (this.#seen.has(key)) {
      // What stands for a directory that Linux shows empty shares its number with others of its kind.
      if (inode.standsFor !== undefined) return true;
      error = new ImageError("corrupt", `directory ${inode.stat.ino} has a second name`, { offset });
    }
    this.#seen.add(key);
    if (error !== undefined) context.out.log.report(findingFromError(error, { device, path }));
    return error === undefined;
  }
}

/** As `readTarget`, and a link that cannot be read becomes a finding. */
export async function readTargetOrTell(
  context: Context,
  device: string,
  path: Uint8Array,
  inode: Inode | undefined,
): Promise<{ target: Uint8Array | undefined; error: ImageError | undefined }> {
  const link = await readTarget(inode);
  if (link.error !== undefined) context.out.log.report(findingFromError(link.error, { device, path }));
  return link;
}

/** The target of a symbolic link, if it is one and can be read. */
export async function readTarget(
  inode: Inode | undefined,
): Promise<{ target: Uint8Array | undefined; error: ImageError | undefined }> {
  if (inode?.stat.type !== "symlink") return { target: undefined, error: undefined };
  try {
    return { target: await inode.readLink(), error: undefined };
  } catch (cause) {
    return { target: undefined, error: imageErrorOnly(cause) };
  }
}

import { type BlockDevice, equalBytes, isImageError } from "@guestprobe/block";
import { type Entry, toEntry } from "./entry.js";
import { filePieces, readFile } from "./file.js";
import { resolve } from "./resolve.js";
import type { Dirent, FileSystem, Inode } from "./types.js";
import { walkAll } from "./walk.js";

/** What a volume must read as, from the kernel or the format's reference tool: never from a reader of this toolkit. */
export interface ExpectedVolume {
  readonly kind: string;
  /** UTF-8. */
  readonly label: string;
  readonly uuid: string | null;
  /** Every file from the root down, in any order. An entry has the keys that its source knows; they are compared. */
  readonly entries: readonly Partial<Entry>[];
}

export interface ConformanceOptions {
  /** The device that `fs` was opened on; for a volume of several, all of them in their order. */
  readonly devices: readonly BlockDevice[];
  /** Lower-case hexadecimal SHA-256 of what the pieces hold together. */
  readonly sha256: (pieces: AsyncIterable<Uint8Array>) => Promise<string>;
  /** Keys of an entry that are not compared. Default: none. */
  readonly ignore?: readonly (keyof Entry)[];
  /** Largest file whose content is read in every way, not only hashed. Default 4 MiB. */
  readonly maxThorough?: number;
  /** A device is missing, so that some extents lie nowhere and are rebuilt. Default false. */
  readonly isDegraded?: boolean;
}

/** Default of `ConformanceOptions.maxThorough`. */
const MAX_THOROUGH = 4 << 20;

/** One requirement that every reader meets. `run` throws an Error that says what differs. */
export interface ConformanceCase {
  readonly name: string;
  run(fs: FileSystem): Promise<void>;
}

/** The suite that every file-system package runs on each of its fixtures. */
export function conformanceCases(expected: ExpectedVolume, options: ConformanceOptions): readonly ConformanceCase[] {
  const { maxThorough = MAX_THOROUGH } = options;
  const key = (entry: Partial<Entry>): string => entry.pathHex ?? entry.path ?? "";
  return [
    {
      name: "kind, label and UUID",
      async run(fs) {
        same("kind", fs.kind, expected.kind);
        same("label", new TextDecoder().decode(fs.label), expected.label);
        same("uuid", fs.uuid ?? null, expected.uuid);
      },
    },
    {
      name: "every path, type, mode, owner, size, time, link target and content",
      async run(fs) {
        const wanted = new Map(expected.entries.map((entry) => [key(entry), entry]));
        for await (const { path, inode, dirent, error } of walkAll(fs)) {
          if (error !== undefined) throw error;
          if (inode === undefined) continue;
          checkDirent(show(path), dirent, inode);
          const entry = await readEntry(path, inode, options.sha256);
          const want = wanted.get(key(entry));
          if (want === undefined) throw new Error(`${entry.path}: not on the volume`);
          wanted.delete(key(entry));
          for (const [name, value] of Object.entries(want)) {
            if (options.ignore?.includes(name as keyof Entry)) continue;
            same(`${entry.path}: ${name}`, entry[name as keyof Entry], value);
          }
        }
        const missing = wanted.keys().next();
        if (!missing.done) throw new Error(`${missing.value}: missing (${wanted.size} in all)`);
      },
    },
    {
      name: "lookup finds each name, and only those",
      async run(fs) {
        for await (const { path, inode } of walkAll(fs)) {
          if (inode === undefined) continue;
          const again = await resolve(fs, path, { followLast: false });
          same(`lookup of ${show(path)}`, again?.inode.stat.ino, inode.stat.ino);
          same(`path of ${show(path)}`, again && show(again.path), show(path));
          if (inode.stat.type === "dir") await checkAbsentNames(show(path), inode);
        }
      },
    },
    {
      name: "an inode is found by its number",
      async run(fs) {
        const root = await fs.root();
        for await (const { path, inode } of walkAll(fs)) {
          // Numbers are unique within a subvolume, and `inode` knows those of the root's.
          if (inode === undefined || inode.subvolume !== root.subvolume) continue;
          const again = await fs.inode(inode.stat.ino);
          same(`inode ${inode.stat.ino}, ${show(path)}`, toEntry({ path, inode: again }), toEntry({ path, inode }));
        }
        await rejects("an inode number past any volume", fs.inode(Number.MAX_SAFE_INTEGER), "not-found");
      },
    },
    {
      name: "reading in pieces, at odd offsets, past the end, whole and as a stream is the same",
      async run(fs) {
        for await (const { path, inode } of walkAll(fs)) {
          if (inode?.stat.type !== "file" || inode.stat.size > maxThorough) continue;
          await checkReads(show(path), inode);
        }
      },
    },
    {
      name: "extents cover each file and lead to its bytes",
      async run(fs) {
        for await (const { path, inode } of walkAll(fs)) {
          if (inode?.stat.type !== "file") continue;
          await checkExtents(show(path), inode, options);
        }
      },
    },
    {
      name: "operations that do not fit the type are refused by name",
      async run(fs) {
        for await (const { path, inode } of walkAll(fs)) {
          if (inode === undefined) continue;
          const { type } = inode.stat;
          if (type === "dir") {
            await rejects(`read of ${show(path)}`, inode.read(0, 1), "is-a-directory");
          } else {
            await rejects(`lookup in ${show(path)}`, inode.lookup(Uint8Array.of(0x61)), "not-a-directory");
            await rejects(`entries of ${show(path)}`, drain(inode.entries()), "not-a-directory");
          }
          if (type === "char" || type === "block" || type === "fifo" || type === "socket") {
            await rejects(`read of ${show(path)}`, inode.read(0, 1), "invalid-argument");
          }
          if (type !== "file") same(`readNow of ${show(path)}`, inode.readNow?.(0, 1, new Uint8Array(1)), undefined);
          if (type !== "symlink") await rejects(`readLink of ${show(path)}`, inode.readLink(), "not-a-symlink");
        }
      },
    },
    {
      name: "an aborted signal stops every operation",
      async run(fs) {
        const signal = AbortSignal.abort();
        await rejects("root", fs.root(signal), "aborted");
        for await (const { path, inode } of walkAll(fs)) {
          if (inode === undefined) continue;
          const { type, size } = inode.stat;
          if (type === "dir") {
            await rejects(`lookup in ${show(path)}`, inode.lookup(Uint8Array.of(0x61), signal), "aborted");
            await rejects(`entries of ${show(path)}`, drain(inode.entries(signal)), "aborted");
          }
          if (type === "file" && size > 0) {
            await rejects(`read of ${show(path)}`, inode.read(0, 1, signal), "aborted");
            await rejects(`extents of ${show(path)}`, drain(inode.extents(signal)), "aborted");
          }
          if (type === "symlink") await rejects(`readLink of ${show(path)}`, inode.readLink(signal), "aborted");
        }
      },
    },
  ];
}

/** One file as the manifest prints it, its link target and hash read. */
export async function readEntry(path: Uint8Array, inode: Inode, sha256: ConformanceOptions["sha256"]): Promise<Entry> {
  return toEntry({
    path,
    inode,
    target: inode.stat.type === "symlink" ? await inode.readLink() : undefined,
    sha256: inode.stat.type === "file" ? await sha256(filePieces(inode)) : undefined,
  });
}

/** What the directory says of a file, where it says it. Across the edge of a subvolume it may name another number. */
function checkDirent(path: string, dirent: Dirent | undefined, inode: Inode): void {
  if (dirent === undefined) return;
  if (dirent.type !== undefined) same(`${path}: type in its directory`, dirent.type, inode.stat.type);
  if (inode.subvolume === undefined) same(`${path}: number in its directory`, dirent.ino, inode.stat.ino);
}

/** Names that a sloppy comparison would find: one too long, one cut short, none at all like it. */
async function checkAbsentNames(path: string, directory: Inode): Promise<void> {
  const names: Uint8Array[] = [];
  for await (const batch of directory.entries()) names.push(...batch.map((dirent) => dirent.name));
  // Some formats match without regard to case, and drop dots and blanks at the end.
  const fold = (name: Uint8Array): string =>
    show(name)
      .toLowerCase()
      .replace(/[. ]+$/, "");
  const present = new Set(names.map(fold));
  const absent: Uint8Array[] = [new TextEncoder().encode("no such name \u{1f50d}")];
  for (const name of names.slice(0, 64)) absent.push(name.subarray(0, -1), Uint8Array.of(...name, 0x7e));
  for (const name of absent) {
    if (fold(name) === "" || present.has(fold(name))) continue;
    const found = await directory.lookup(name);
    if (found !== undefined) throw new Error(`${path}: lookup finds "${show(name)}", which it does not hold`);
  }
}

async function checkReads(path: string, inode: Inode): Promise<void> {
  const { size } = inode.stat;
  const whole = await readFile(inode);
  same(`${path}: size`, whole.length, size);
  for (const step of [509, 4096, 65537]) {
    // At most 64 reads of each step, spread over the file: from the start, the middle and the end.
    const stride = Math.max(step, Math.ceil(size / 64));
    for (let at = 0; at < size; at += stride) {
      const piece = await inode.read(at, step);
      if (!equalBytes(piece, whole.subarray(at, at + step))) throw new Error(`${path}: ${step} bytes at ${at} differ`);
      const again = await inode.read(at, step, undefined, new Uint8Array(step).fill(0xdb));
      if (!equalBytes(again, piece)) throw new Error(`${path}: ${step} bytes at ${at} differ in memory to spare`);
      checkNow(path, inode, at, piece);
    }
  }
  checkNow(path, inode, 0, whole);
  const outside = [
    [0, size + 1],
    [size, 1],
    [-1, Math.min(size, 2)],
    [0.5, 1],
  ] as const;
  for (const [at, length] of outside) {
    const got = inode.readNow?.(at, length, new Uint8Array(length));
    same(`${path}: ${length} bytes from byte ${at}, at once`, got, undefined);
  }
  same(`${path}: bytes at the end`, (await inode.read(size, 10)).length, 0);
  same(`${path}: bytes far past the end`, (await inode.read(size + 1e9, 10)).length, 0);
  if (size > 0) same(`${path}: bytes across the end`, (await inode.read(size - 1, 10)).length, 1);
  for (const reuse of [false, true]) {
    let at = Math.floor(size / 3);
    for await (const piece of filePieces(inode, { start: at, reuse })) {
      if (!equalBytes(piece, whole.subarray(at, at + piece.length))) throw new Error(`${path}: the stream differs`);
      at += piece.length;
    }
    same(`${path}: the end of the stream`, at, size);
  }
}

/** What is read without waiting, where it can be, is what is read otherwise. */
function checkNow(path: string, inode: Inode, at: number, expected: Uint8Array): void {
  const now = inode.readNow?.(at, expected.length, new Uint8Array(expected.length).fill(0xdb));
  if (now !== undefined && !equalBytes(now, expected)) throw new Error(`${path}: byte ${at} on, at once, differs`);
}

async function checkExtents(
  path: string,
  inode: Inode,
  { devices, maxThorough = MAX_THOROUGH, isDegraded = false }: ConformanceOptions,
): Promise<void> {
  let end = 0;
  let checked = 0;
  for await (const batch of inode.extents()) {
    for (const extent of batch) {
      same(`${path}: start of the extent after byte ${end}`, extent.logical, end);
      if (extent.length <= 0) throw new Error(`${path}: an extent of ${extent.length} bytes at byte ${end}`);
      end = extent.logical + extent.length;
      const isStored = !isDegraded && (extent.kind === "data" || extent.kind === "encoded");
      if (isStored && extent.physical === undefined) {
        throw new Error(`${path}: the ${extent.kind} at ${extent.logical} lies nowhere`);
      }
      if (extent.kind === "encoded" && extent.encoding === undefined) {
        throw new Error(`${path}: the encoding at ${extent.logical} has no name`);
      }
      if (checked >= maxThorough || extent.encoding !== undefined) continue;
      const length = Math.min(extent.length, 65536);
      checked += length;
      const content = await inode.read(extent.logical, length);
      same(`${path}: bytes read at ${extent.logical}`, content.length, length);
      if (extent.kind === "hole" || extent.kind === "unwritten") {
        if (content.some((byte) => byte !== 0))
          throw new Error(`${path}: a ${extent.kind} at ${extent.logical} has data`);
      } else if (extent.physical !== undefined) {
        const stored = await devices[extent.device ?? 0]?.read(extent.physical, length);
        if (stored === undefined || !equalBytes(stored, content)) {
          throw new Error(`${path}: byte ${extent.logical} does not lie at byte ${extent.physical} of the device`);
        }
      }
    }
  }
  same(`${path}: end of the last extent`, end, inode.stat.size);
}

async function drain(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of batches);
}

async function rejects(what: string, promise: Promise<unknown>, code: string): Promise<void> {
  try {
    await promise;
  } catch (error) {
    if (isImageError(error)) return same(`${what}: code`, error.code, code);
    throw error;
  }
  throw new Error(`${what}: was not refused`);
}

function same(what: string, got: unknown, want: unknown): void {
  const [left, right] = [JSON.stringify(got), JSON.stringify(want)];
  if (left !== right) throw new Error(`${what}: ${left}, expected ${right}`);
}

const show = (path: Uint8Array): string => new TextDecoder().decode(path);

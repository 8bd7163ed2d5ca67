import { encodeText } from "@guestprobe/block";

const SLASH = 0x2f;
const DOT = 0x2e;

/** A path of any encoding; a string stands for its UTF-8 bytes. */
export type PathLike = string | Uint8Array;

export function pathBytes(path: PathLike): Uint8Array {
  return typeof path === "string" ? encodeText(path) : path;
}

/** The components between slashes, empty ones left out. "." and ".." are kept: only a walk can resolve them. */
export function splitPath(path: PathLike): Uint8Array[] {
  const data = pathBytes(path);
  const parts: Uint8Array[] = [];
  for (let start = 0, at = 0; at <= data.length; at += 1) {
    if (at < data.length && data[at] !== SLASH) continue;
    if (at > start) parts.push(data.subarray(start, at));
    start = at + 1;
  }
  return parts;
}

/** The absolute path of these components. */
export function joinPath(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 0) return Uint8Array.of(SLASH);
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    joined[at] = SLASH;
    joined.set(part, at + 1);
    at += part.length + 1;
  }
  return joined;
}

/** `name` below the directory `parent`. */
export function childPath(parent: Uint8Array, name: Uint8Array): Uint8Array {
  const start = parent.length === 1 && parent[0] === SLASH ? 0 : parent.length;
  const joined = new Uint8Array(start + 1 + name.length);
  joined.set(parent);
  joined[start] = SLASH;
  // By hand: names are short, and a call of `set` takes longer.
  for (let from = 0, at = start + 1; from < name.length; from += 1, at += 1) joined[at] = name[from]!;
  return joined;
}

/** Whether a file can have this name: it is not empty, and has no slash and no NUL. */
export function isPossibleName(name: Uint8Array): boolean {
  return isPossibleNameAt(name, 0, name.length);
}

/** The same of the bytes `from` to `end` of a block. */
export function isPossibleNameAt(block: Uint8Array, from: number, end: number): boolean {
  // By hand: names are short, and two calls of `includes` take longer.
  for (let at = from; at < end; at += 1) {
    const byte = block[at];
    if (byte === SLASH || byte === 0) return false;
  }
  return end > from;
}

/** Whether a name is "." or "..", which each directory has and readers leave out. */
export function isDots(name: Uint8Array): boolean {
  return isDotsAt(name, 0, name.length);
}

/** The same of the bytes `from` to `end` of a block. */
export function isDotsAt(block: Uint8Array, from: number, end: number): boolean {
  const length = end - from;
  return length <= 2 && length > 0 && block[from] === DOT && (length === 1 || block[from + 1] === DOT);
}

/** Whether a directory can have an entry of this name: `isPossibleName`, and not `isDots`. */
export function isUsableName(name: Uint8Array): boolean {
  return isPossibleName(name) && !isDots(name);
}

export function hasTrailingSlash(path: PathLike): boolean {
  const data = pathBytes(path);
  return data.length > 1 && data[data.length - 1] === SLASH;
}

export function isAbsolutePath(path: PathLike): boolean {
  return pathBytes(path)[0] === SLASH;
}

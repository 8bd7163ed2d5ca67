import { decodeText, decodeTextStrict, type ErrorCode, type ImageError, toHex } from "@guestprobe/block";
import type { DeviceNumber, FileType, Inode } from "./types.js";

/**
 * One file as JSON: what `stat`, `ls --json` and each line of `manifest` print. Numbers that may pass 2^53 and times
 * are decimal strings; text from the guest that is not valid UTF-8 has its bytes beside it under `...Hex`.
 */
export interface Entry {
  readonly path: string;
  readonly pathHex?: string;
  readonly type: FileType | null;
  /** Four octal digits. */
  readonly mode: string | null;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly size: number | null;
  readonly nlink: number | null;
  readonly ino: string | null;
  readonly mtimeNs: string | null;
  readonly atimeNs: string | null;
  readonly ctimeNs: string | null;
  readonly crtimeNs: string | null;
  readonly target: string | null;
  readonly targetHex?: string;
  readonly rdev: DeviceNumber | null;
  readonly sha256: string | null;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** `{ [key]: text }`, with `{ [keyHex]: hex }` beside it when the text had to be repaired. */
export function textPair<K extends string>(
  key: K,
  data: Uint8Array,
): { [P in K]: string } & { [P in `${K}Hex`]?: string } {
  const exact = decodeTextStrict(data);
  const pair = exact === undefined ? { [key]: decodeText(data), [`${key}Hex`]: toHex(data) } : { [key]: exact };
  return pair as { [P in K]: string } & { [P in `${K}Hex`]?: string };
}

export interface EntryParts {
  readonly path: Uint8Array;
  readonly inode: Pick<Inode, "stat"> | undefined;
  /** Content of a symbolic link. */
  readonly target?: Uint8Array | undefined;
  /** Lower-case hexadecimal digest of a regular file. */
  readonly sha256?: string | undefined;
  readonly error?: ImageError | undefined;
}

/** The JSON of one file. `target` and `sha256` are read by the caller, who decides what they may cost. */
export function toEntry(parts: EntryParts): Entry {
  const { inode, error } = parts;
  const path = decodeTextStrict(parts.path);
  const target = parts.target === undefined ? null : decodeTextStrict(parts.target);
  const stat = inode?.stat;
  // One literal, which V8 makes in one go: with keys spread into it, it takes ten times as long.
  const entry: Entry = {
    path: path ?? "",
    type: stat?.type ?? null,
    mode: stat === undefined ? null : octal(stat.mode),
    uid: stat?.uid ?? null,
    gid: stat?.gid ?? null,
    size: stat?.size ?? null,
    nlink: stat?.nlink ?? null,
    ino: stat?.ino.toString() ?? null,
    mtimeNs: stat?.mtimeNs.toString() ?? null,
    atimeNs: stat?.atimeNs.toString() ?? null,
    ctimeNs: stat?.ctimeNs.toString() ?? null,
    crtimeNs: stat?.crtimeNs?.toString() ?? null,
    target: target ?? null,
    rdev: stat?.rdev ?? null,
    sha256: parts.sha256 ?? null,
  };
  if (path !== undefined && target !== undefined && error === undefined) return entry;
  const { path: _path, target: _target, rdev, sha256, ...rest } = entry;
  return {
    ...textPair("path", parts.path),
    ...rest,
    ...(parts.target === undefined ? { target: null } : textPair("target", parts.target)),
    rdev,
    sha256,
    ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
  };
}

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

import { statSync } from "node:fs";
import { UsageError } from "./exit.js";

/** What the words after a verb are. */
export interface Arguments {
  readonly images: readonly string[];
  readonly paths: readonly string[];
}

const isPath = (word: string): boolean => word.startsWith("(") || word.startsWith("/");

function isHostFile(word: string): boolean {
  const stat = statSync(word, { throwIfNoEntry: false });
  return stat !== undefined && (stat.isFile() || stat.isBlockDevice());
}

/**
 * Tells images from one path behind them. The last word is the path when it looks like one; an image alone means its
 * root directory.
 */
export function imagesThenPath(words: readonly string[]): { images: readonly string[]; path: string } {
  const last = words[words.length - 1];
  if (last === undefined) throw new UsageError("no IMAGE is given");
  if (words.length > 1 && isPath(last)) return { images: words.slice(0, -1), path: last };
  return { images: words, path: "/" };
}

/**
 * Tells images from an optional path behind them, where an absolute word may be either: it is an image when a file of
 * that name exists on the host. `(DEVICE)/path` is always a path.
 */
export function imagesThenOptionalPath(words: readonly string[]): {
  images: readonly string[];
  path: string | undefined;
} {
  const last = words[words.length - 1];
  if (last === undefined) throw new UsageError("no IMAGE is given");
  if (words.length > 1 && isPath(last) && !(last.startsWith("/") && isHostFile(last))) {
    return { images: words.slice(0, -1), path: last };
  }
  return { images: words, path: undefined };
}

/** Tells images, paths and the directory on the host: `cp IMAGE... PATH... DEST`. */
export function imagesPathsDestination(words: readonly string[]): Arguments & { destination: string } {
  const destination = words[words.length - 1];
  const inner = words.slice(0, -1);
  if (destination === undefined || inner.length < 2) {
    throw new UsageError("cp needs an IMAGE, a PATH and a DEST", ["guestprobe cp guest.img /etc/fstab out/"]);
  }
  // The first word is an image and the last before DEST a path; between them a path ends the images.
  let first = inner.length - 1;
  for (let at = 1; at < inner.length - 1; at += 1) {
    const word = inner[at]!;
    if (isPath(word) && !(word.startsWith("/") && isHostFile(word))) {
      first = at;
      break;
    }
  }
  const paths = inner.slice(first);
  const wrong = paths.find((path) => !isPath(path));
  if (wrong !== undefined) {
    throw new UsageError(`"${wrong}" is not a path in the guest: it begins neither with "/" nor with "(DEVICE)"`);
  }
  return { images: inner.slice(0, first), paths, destination };
}

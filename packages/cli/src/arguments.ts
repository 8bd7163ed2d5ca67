import { type Stats, statSync } from "node:fs";
import { ImageError } from "@guestprobe/block";
import { UsageError } from "./exit.js";

/** What the words after a verb are. */
export interface Arguments {
  readonly images: readonly string[];
  readonly paths: readonly string[];
}

const isPath = (word: string): boolean => word.startsWith("(") || word.startsWith("/");

/** What a word names on the host; undefined for nothing, and for a name that the host cannot even look up. */
function hostStat(word: string): Stats | undefined {
  try {
    return statSync(word, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

export const isOnHost = (word: string): boolean => hostStat(word) !== undefined;

export function isHostFile(word: string): boolean {
  const stat = hostStat(word);
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
  if (words.length > 1 && !isOnHost(last)) {
    const reason = `${last}: no such file; a path in the guest begins with "/" or "(DEVICE)"`;
    throw new ImageError("io", reason);
  }
  return { images: words, path: "/" };
}

/** Whether the guest of these images has a file of this path. */
export type GuestHas = (images: readonly string[], path: string) => Promise<boolean>;

/**
 * Whether a word behind these images is a path. `(DEVICE)/path` always is; an absolute word may be an image too, when
 * such a file exists on the host, and then the guest decides: /etc/fstab is on both, /srv/disk1.img only on one.
 */
async function isPathAfter(images: readonly string[], word: string, guestHas: GuestHas): Promise<boolean> {
  if (!isPath(word)) return false;
  return word.startsWith("(") || !isHostFile(word) || guestHas(images, word);
}

/** Tells images from an optional path behind them. */
export async function imagesThenOptionalPath(
  words: readonly string[],
  guestHas: GuestHas,
): Promise<{ images: readonly string[]; path: string | undefined }> {
  const last = words[words.length - 1];
  if (last === undefined) throw new UsageError("no IMAGE is given");
  const before = words.slice(0, -1);
  if (before.length > 0 && (await isPathAfter(before, last, guestHas))) return { images: before, path: last };
  return { images: words, path: undefined };
}

/** Tells images, paths and the directory on the host: `cp IMAGE... PATH... DEST`. */
export async function imagesPathsDestination(
  words: readonly string[],
  guestHas: GuestHas,
): Promise<Arguments & { destination: string }> {
  const destination = words[words.length - 1];
  const inner = words.slice(0, -1);
  if (destination === undefined || inner.length < 2) {
    throw new UsageError("cp needs an IMAGE, a PATH and a DEST", ["guestprobe cp guest.img /etc/fstab out/"]);
  }
  // The first word is an image and the last before DEST a path; between them a path ends the images.
  let first = inner.length - 1;
  for (let at = 1; at < inner.length - 1; at += 1) {
    if (await isPathAfter(inner.slice(0, at), inner[at]!, guestHas)) {
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

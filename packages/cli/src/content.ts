import { ImageError } from "@guestprobe/block";
import { filePieces, type Inode } from "@guestprobe/vfs";
import type { Context } from "./context.js";
import type { Volume } from "./guest.js";

/** A file may be sparse, and so larger than its volume; past both of these its size is more likely to be a lie. */
const LARGEST = 64 * 2 ** 30;
const TIMES_ITS_VOLUME = 16;

/**
 * Refuses a file whose size is beyond belief: a damaged size would make a reader produce zeros for hours.
 *
 * @throws ImageError `limit`
 */
export function checkSize({ limits }: Context, volume: Volume, { stat, offset }: Inode): void {
  const most = limits.file ?? Math.max(LARGEST, TIMES_ITS_VOLUME * volume.block.size);
  if (stat.type !== "file" || stat.size <= most) return;
  const reason = `a file of ${stat.size} bytes, and no more than ${most} are read of one (--limit-file)`;
  throw new ImageError("limit", reason, { offset });
}

/**
 * The content of a file in pieces; each is good until the next is asked for.
 *
 * @throws ImageError `limit`, and what reading it throws.
 */
export async function* contentOf(context: Context, volume: Volume, inode: Inode): AsyncGenerator<Uint8Array> {
  checkSize(context, volume, inode);
  for await (const piece of filePieces(inode, { signal: context.watch.signal, reuse: true })) {
    context.watch.check();
    yield piece;
  }
}

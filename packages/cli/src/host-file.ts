import { closeSync, openSync, readSync } from "node:fs";
import { ImageError } from "@guestprobe/block";
import { systemReason } from "@guestprobe/block/node";

const PIECE = 64 << 10;

/**
 * A small file of the host that is read whole: a script, a configuration, a loader. A pipe will do; a device without an
 * end does not fill memory.
 *
 * @throws ImageError `io`, and `limit` past so many bytes.
 */
export function readHostFile(path: string, most: number): Uint8Array {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    const fd = openSync(path, "r");
    try {
      for (;;) {
        const piece = Buffer.allocUnsafe(PIECE);
        const got = readSync(fd, piece, 0, PIECE, null);
        length += got;
        if (got === 0 || length > most) break;
        pieces.push(piece.subarray(0, got));
      }
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new ImageError("io", `${path}: ${systemReason(cause)}`, { cause });
  }
  if (length > most) throw new ImageError("limit", `${path}: more than ${most} bytes`);
  return Buffer.concat(pieces);
}

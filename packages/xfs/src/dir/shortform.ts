import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { StoredDirent } from "@guestprobe/vfs";
import { xfs_dir2_sf_hdr } from "../layout/dir.js";
import { type DecodedEntries, type DirectoryEntry, entryType } from "./entry.js";

/**
 * Entries of a directory that lies inside its inode. "Short Form Directories", XFS Algorithms & Data Structures.
 *
 * @param fork The data fork.
 * @param size The directory's size in bytes: where its last entry ends.
 * @param at Where the fork lies: bytes from the start of the device.
 */
export function decodeShortForm(fork: Uint8Array, size: number, at: number, hasFtype: boolean): DecodedEntries {
  const entries: DirectoryEntry[] = [];
  const broken = (reason: string, offset: number): DecodedEntries => ({
    entries,
    problem: new ImageError("corrupt", reason, { format: "xfs", structure: "xfs_dir2_sf_hdr", offset: at + offset }),
  });
  if (size > fork.length || size < xfs_dir2_sf_hdr.$size) {
    return broken(`a directory of ${size} bytes in ${fork.length} bytes of its inode`, 0);
  }
  const view = viewOf(fork);
  const wide = xfs_dir2_sf_hdr.i8count(view, 0) !== 0;
  const inoSize = wide ? 8 : 4;
  const count = xfs_dir2_sf_hdr.count(view, 0);
  let offset = 2 + inoSize;
  for (let index = 0; index < count; index += 1) {
    // Length of the name, two bytes of place, name, type, inode.
    const nameLength = offset + 3 <= size ? fork[offset]! : 0;
    const nameEnd = offset + 3 + nameLength;
    const inoAt = nameEnd + (hasFtype ? 1 : 0);
    if (nameLength === 0 || inoAt + inoSize > size) {
      return broken(`entry ${index} of ${count} passes the directory's ${size} bytes, or has no name`, offset);
    }
    const hi = wide ? view.getUint32(inoAt) : 0;
    const ino = hi * 2 ** 32 + view.getUint32(inoAt + inoSize - 4);
    const type = entryType(hasFtype ? fork[nameEnd] : undefined);
    entries.push(new StoredDirent(fork, offset + 3, nameLength, ino, type, offset));
    offset = inoAt + inoSize;
  }
  return { entries, problem: undefined };
}

import type { ImageError } from "@guestprobe/block";
import { FILE_TYPE_OF_DIRENT, type FileType, type StoredDirent } from "@guestprobe/vfs";

/** An entry as it is stored, "." and ".." included. `ref` is the byte of the structure that it was decoded from. */
export type DirectoryEntry = StoredDirent<number>;

/** The sound entries of one structure, and what was wrong with the first of the others. */
export interface DecodedEntries {
  readonly entries: readonly DirectoryEntry[];
  readonly problem: ImageError | undefined;
}

/** The type that an entry records. */
export function entryType(code: number | undefined): FileType | undefined {
  return code === undefined ? undefined : FILE_TYPE_OF_DIRENT[code];
}

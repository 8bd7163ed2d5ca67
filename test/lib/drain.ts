import { isImageError } from "@guestprobe/block";
import { type FileSystem, walkAll } from "@guestprobe/vfs";

/** What a damaged volume may still have: bounds, so that a file of a claimed exabyte does not take for ever to read. */
const MAX_FILE = 1 << 20;
const MAX_EXTENT_BATCHES = 20_000;

export interface DrainOptions {
  /** Files and directories visited; all of them unless given. */
  readonly entries?: number;
  /** Bytes read of one file. */
  readonly fileBytes?: number;
}

export interface Drained {
  /** Files that were read without an error. */
  sound: number;
  /** Codes of the errors, each with whether it names a place. */
  readonly errors: { readonly code: string; readonly message: string; readonly offset: number | undefined }[];
}

/**
 * Does with a volume all that can be done: lists it, reads the start and the end of each file, its extents, links and
 * attributes. Anything thrown that is no ImageError is thrown on.
 */
export async function drain(fs: FileSystem, options: DrainOptions = {}): Promise<Drained> {
  const { entries = Number.POSITIVE_INFINITY, fileBytes = MAX_FILE } = options;
  let visited = 0;
  const drained: Drained = { sound: 0, errors: [] };
  const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isImageError(error)) throw error;
      drained.errors.push({ code: error.code, message: error.message, offset: error.offset });
      return false;
    }
  };
  await attempt(async () => {
    for await (const { inode, error } of walkAll(fs)) {
      visited += 1;
      if (visited > entries) break;
      if (error !== undefined) drained.errors.push({ code: error.code, message: error.message, offset: error.offset });
      if (inode === undefined) continue;
      const { type, size } = inode.stat;
      let isSound = await attempt(() => inode.xattrs());
      if (type === "symlink") isSound = (await attempt(() => inode.readLink())) && isSound;
      if (type === "dir") isSound = (await attempt(() => inode.lookup(new TextEncoder().encode("no such")))) && isSound;
      if (type === "file") {
        isSound = (await attempt(() => inode.read(0, fileBytes))) && isSound;
        isSound = (await attempt(() => inode.read(Math.max(0, size - 10), 10))) && isSound;
        isSound =
          (await attempt(async () => {
            let batches = 0;
            for await (const _ of inode.extents()) {
              batches += 1;
              if (batches >= MAX_EXTENT_BATCHES) break;
            }
          })) && isSound;
      }
      if (isSound) drained.sound += 1;
    }
  });
  return drained;
}

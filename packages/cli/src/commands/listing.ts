import { compareBytes, findingFromError, ImageError } from "@guestprobe/block";
import { childPath, type Inode, plainStat, type Stat } from "@guestprobe/vfs";
import type { Context } from "../context.js";
import { imageErrorOnly } from "../output/output.js";

/** A name of a directory, with what stat says of it or why that cannot be read. */
export interface ListedFile {
  readonly name: Uint8Array;
  readonly stat: Stat | undefined;
  /** Of directories and links, which a listing goes on with: of a large directory the others would fill memory. */
  readonly inode: Inode | undefined;
  readonly error: ImageError | undefined;
}

/**
 * The names of a directory in byte order, each with its inode. What cannot be read becomes a finding, and the rest is
 * listed all the same.
 */
export async function listDirectory(
  context: Context,
  device: string,
  path: Uint8Array,
  directory: Inode,
): Promise<readonly ListedFile[]> {
  const files: ListedFile[] = [];
  const tell = (error: ImageError, where: Uint8Array): void =>
    context.out.log.report(findingFromError(error, { device, path: where }));
  try {
    for await (const batch of directory.entries(context.watch.signal)) {
      for (const dirent of batch) {
        context.watch.countEntry();
        let inode: Inode | undefined;
        let error: ImageError | undefined;
        try {
          inode = directory.childNow?.(dirent) ?? (await directory.child(dirent));
        } catch (cause) {
          error = imageErrorOnly(cause);
          tell(error, childPath(path, dirent.name));
        }
        files.push(listed(dirent.name, inode, error));
      }
    }
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (context.watch.ended(error)) throw error;
    tell(error, path);
  }
  return files.sort((a, b) => compareBytes(a.name, b.name));
}

/** One file of a listing. */
export function listed(name: Uint8Array, inode: Inode | undefined, error: ImageError | undefined): ListedFile {
  const type = inode?.stat.type;
  return {
    name,
    stat: inode && plainStat(inode.stat),
    inode: type === "dir" || type === "symlink" ? inode : undefined,
    error,
  };
}

/** Longest path below which a listing goes, in bytes, as a walk does: a deep tree of long names would fill a disk. */
const MAX_PATH = 16_384;

const SLASH = 0x2f;
const componentsOf = (path: Uint8Array): number => path.reduce((count, byte) => count + (byte === SLASH ? 1 : 0), 0);

/**
 * Which directories a listing was in. A directory has one name: one that is found again is a loop or a lie, and is told,
 * not entered; so is one nested too deep.
 */
export class Entered {
  readonly #seen = new Set<string>();

  /** Whether to enter; answers true once for each directory. */
  enter(context: Context, device: string, path: Uint8Array, inode: Inode): boolean {
    const { offset } = inode;
    const key = `${inode.subvolume ?? ""}:${inode.stat.ino}`;
    let error: ImageError | undefined;
    if (path.length > MAX_PATH || context.watch.isTooDeep(componentsOf(path)))
      error = new ImageError("limit", "directories are nested too deep", { offset });
    else if (this.#seen.has(key)) {
      // What stands for a directory that Linux shows empty shares its number with others of its kind.
      if (inode.standsFor !== undefined) return true;
      error = new ImageError("corrupt", `directory ${inode.stat.ino} has a second name`, { offset });
    }
    this.#seen.add(key);
    if (error !== undefined) context.out.log.report(findingFromError(error, { device, path }));
    return error === undefined;
  }
}

/** As `readTarget`, and a link that cannot be read becomes a finding. */
export async function readTargetOrTell(
  context: Context,
  device: string,
  path: Uint8Array,
  inode: Inode | undefined,
): Promise<{ target: Uint8Array | undefined; error: ImageError | undefined }> {
  const link = await readTarget(inode);
  if (link.error !== undefined) context.out.log.report(findingFromError(link.error, { device, path }));
  return link;
}

/** The target of a symbolic link, if it is one and can be read. */
export async function readTarget(
  inode: Inode | undefined,
): Promise<{ target: Uint8Array | undefined; error: ImageError | undefined }> {
  if (inode?.stat.type !== "symlink") return { target: undefined, error: undefined };
  try {
    return { target: await inode.readLink(), error: undefined };
  } catch (cause) {
    return { target: undefined, error: imageErrorOnly(cause) };
  }
}

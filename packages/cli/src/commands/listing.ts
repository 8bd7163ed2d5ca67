import { compareBytes, findingFromError, type ImageError } from "@guestprobe/block";
import { childPath, type Inode } from "@guestprobe/vfs";
import type { Context } from "../context.js";
import { imageErrorOnly } from "../output/output.js";

/** A name of a directory, with its inode or why that cannot be read. */
export interface ListedFile {
  readonly name: Uint8Array;
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
    for await (const batch of directory.entries()) {
      for (const dirent of batch) {
        context.watch.countEntry();
        let inode: Inode | undefined;
        let error: ImageError | undefined;
        try {
          inode = await directory.child(dirent);
        } catch (cause) {
          error = imageErrorOnly(cause);
          tell(error, childPath(path, dirent.name));
        }
        files.push({ name: dirent.name, inode, error });
      }
    }
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (context.watch.ended(error)) throw error;
    tell(error, path);
  }
  return files.sort((a, b) => compareBytes(a.name, b.name));
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

/** The same work by the npm package ext2fs, e2fsprogs compiled to WebAssembly; over ext4 alone. */
import { closeSync, openSync, readSync } from "node:fs";

/** Runs `work` over the promises of its file system, which begins at byte `start` of the image. */
async function withVolume(image, work, start = 0) {
  const { withMountedDisk } = (await import("ext2fs")).default;
  const file = openSync(image, "r");
  const disk = {
    read: async (buffer, at, length, offset) => ({ bytesRead: readSync(file, buffer, at, length, offset), buffer }),
    // It writes the time of access into inodes that it reads: dropped, for the image is the others' too.
    write: async (buffer, _at, length) => ({ bytesWritten: length, buffer }),
    discard: async () => {},
    flush: async () => {},
  };
  try {
    return await withMountedDisk(disk, start, ({ promises }) => work(promises));
  } finally {
    closeSync(file);
  }
}

/** The whole content of one file: how many bytes. */
export function readByExt2fs(image, path) {
  return withVolume(image, async (fs) => {
    const handle = await fs.open(path, "r");
    const buffer = Buffer.allocUnsafe(1 << 20);
    let bytes = 0;
    for (let got = -1; got !== 0; bytes += got)
      ({ bytesRead: got } = await handle.read(buffer, 0, buffer.length, bytes));
    await handle.close();
    return bytes;
  });
}

/** Every entry of a volume with its inode: how many there are, the root not among them. */
export function listByExt2fs(image) {
  return withVolume(image, async (fs) => {
    const below = async (folder) => {
      let count = 0;
      for (const name of await fs.readdir(folder)) {
        const path = `${folder}/${name}`;
        count += 1;
        if ((await fs.lstat(path)).isDirectory()) count += await below(path);
      }
      return count;
    };
    return below("");
  });
}

/** Looks for files, as a search does: how many there are. */
export function probeByExt2fs(image, start, paths) {
  const isThere = (fs, path) =>
    fs.stat(path).then(
      () => 1,
      () => 0,
    );
  const probe = async (fs) => {
    let hits = 0;
    for (const path of paths) hits += await isThere(fs, path);
    return hits;
  };
  return withVolume(image, probe, start);
}

/** What guestprobe does in the process of the benchmark; each call opens the image anew. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { cachedDevice, countReads } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { btrfs, btrfsWith } from "@guestprobe/btrfs";
import { workerDecompressor } from "@guestprobe/codec/node";
import { ext } from "@guestprobe/ext";
import { BOOT_PROBE_PATHS, GrubSearch } from "@guestprobe/grub";
import { squashfs, squashfsWith } from "@guestprobe/squashfs";
import { filePieces, openFileSystem, resolve, walkBatches } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";

const FORMATS = [ext, xfs, btrfs, squashfs];
/** The same for large files, which are decoded across threads: started once, as a program would that reads many. */
const threads = { decompressor: workerDecompressor() };
const THREADED = [ext, xfs, btrfsWith(threads), squashfsWith(threads)];

async function withImage(image, work) {
  const file = await openFile(image, { blocking: true });
  try {
    const counted = countReads(file);
    return { answer: await work(cachedDevice(counted)), ...counted.stats };
  } finally {
    await file.close();
  }
}

/** The eight boot paths over one disk: how many hits, and what was read. */
export function probe(image) {
  return withImage(image, async (device) => {
    const search = new GrubSearch([{ name: "xen/xvda", device }], {
      openVolume: (volume) => openFileSystem(volume, FORMATS),
    });
    let hits = 0;
    for (const name of BOOT_PROBE_PATHS) hits += (await search.search({ by: "file", name })).hits.length;
    return hits;
  });
}

/** Every entry of a volume with its path, mode and size, as `find -printf "%s %m %p"` writes them: how many there are. */
export function list(image) {
  return withImage(image, async (device) => {
    const fs = await openFileSystem(device, FORMATS);
    const written = new Uint8Array(1 << 16);
    let count = 0;
    let shown = 0;
    let at = 0;
    for await (const batch of walkBatches(await fs.root(), Uint8Array.of(0x2f))) {
      for (const entry of batch) {
        if (entry.error !== undefined) throw entry.error;
        const { size, mode } = entry.inode.stat;
        shown += size + mode;
        if (at + entry.pathLength > written.length) at = 0;
        at = entry.copyPath(written, at);
        count += 1;
      }
    }
    if (!(shown > count && at > 0)) throw new Error("sizes and paths are missing");
    return count;
  });
}

/** The whole content of one file: how many bytes, and their hash where it is asked for. */
export function read(image, path, hashed = false) {
  return withImage(image, async (device) => {
    const fs = await openFileSystem(device, THREADED);
    const { inode } = await resolve(fs, path);
    const hash = hashed ? createHash("sha256") : undefined;
    let bytes = 0;
    for await (const piece of filePieces(inode, { reuse: true })) {
      bytes += piece.length;
      hash?.update(piece);
    }
    return hash === undefined ? bytes : hash.digest("hex");
  });
}

/** The same program over a file of the host: what the kernel's driver is measured by. */
export function readHost(path, hashed = false) {
  const file = openSync(path, "r");
  const buffer = Buffer.allocUnsafe(1 << 20);
  const hash = hashed ? createHash("sha256") : undefined;
  let bytes = 0;
  try {
    for (let got = -1; got !== 0; bytes += got) {
      got = readSync(file, buffer, 0, buffer.length, null);
      hash?.update(buffer.subarray(0, got));
    }
  } finally {
    closeSync(file);
  }
  return hash === undefined ? bytes : hash.digest("hex");
}

/** Trees for squashfs and the volumes that mksquashfs makes of them: for the fixtures and the differential suite. */
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pattern, writeTree } from "./ext-tree.mjs";
import { kernelView, run } from "./kernel-view.mjs";

/** The times of volume and root, so that the same tree gives the same bytes. */
const TIME = "1700000000";

/** All that `writeTree` has, and what is squashfs's own: block boundaries, machine code, noise, sparse blocks, ids. */
export function writeSquashTree(root, blockSize) {
  writeTree(root, { blockSize: 4096, big: 2 << 20 });
  const at = (...parts) => join(root, ...parts);
  mkdirSync(at("blocks"));
  for (const size of [blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 2 * blockSize + 100]) {
    writeFileSync(at("blocks", `${size}`), pattern(size, size));
  }
  // x86 code, for the branch converter; and what does not compress, so that it is stored as it is.
  copyFileSync("/bin/bash", at("blocks/code"));
  writeFileSync(at("blocks/noise"), noise(3 * blockSize + 777));
  writeFileSync(at("blocks/noise-tail"), noise(500));
  const sparse = openSync(at("blocks/sparse"), "w");
  writeSync(sparse, pattern(10_000, 1), 0, 10_000, 5 * blockSize + 17);
  writeSync(sparse, noise(blockSize), 0, blockSize, 9 * blockSize);
  ftruncateSync(sparse, 40 * blockSize + 5);
  closeSync(sparse);
  symlinkSync("t".repeat(4095), at("links/page"));
  // Long names fill metadata blocks with few entries, which is what makes mksquashfs write an index.
  mkdirSync(at("index"));
  for (let n = 0; n < 600; n += 1) writeFileSync(at("index", `${"long-".repeat(20)}${n}`), `${n}`);
}

/** Bytes that no compressor makes smaller, the same each time. */
export function noise(length) {
  const data = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let n = 0; n < length; n += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[n] = state;
  }
  return data;
}

/** Makes `image` of the tree. Each of `options` is as mksquashfs takes it. */
export function makeSquashfs(root, image, options) {
  run("mksquashfs", [root, image, "-noappend", "-quiet", "-no-progress", "-mkfs-time", TIME, ...options]);
}

/** What unsquashfs unpacks into `target`, without what the host makes up: inode numbers, sizes of directories, clocks. */
export function unpackedView(image, target) {
  run("unsquashfs", ["-quiet", "-no-progress", "-dest", target, image]);
  const entries = kernelView(target).map((entry) => {
    const { ino: _ino, atimeNs: _atime, ctimeNs: _ctime, crtimeNs: _crtime, ...rest } = entry;
    const { size: _size, nlink: _nlink, ...directory } = rest;
    return entry.type === "dir" ? directory : rest;
  });
  rmSync(target, { recursive: true });
  return entries;
}

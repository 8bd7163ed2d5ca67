/**
 * Builds btrfs images with mkfs.btrfs and the kernel, and shows them as the kernel does. Plain JavaScript, for the
 * tests and for the scripts in test/make.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelView, run } from "./kernel-view.mjs";

/**
 * @typedef {object} VolumeOptions
 * @property {number} [count] Devices.
 * @property {number} [mib] Size of each.
 * @property {readonly string[]} [args] For mkfs.btrfs.
 */

/**
 * Makes `count` sparse files and a volume over them.
 *
 * @param {string} folder
 * @param {VolumeOptions} options
 */
export function makeVolume(folder, { count = 1, mib = 128, args = [] }) {
  mkdirSync(folder, { recursive: true });
  const images = Array.from({ length: count }, (_, n) => join(folder, `disk${n + 1}.img`));
  for (const image of images) {
    closeSync(openSync(image, "w"));
    truncateSync(image, mib * 2 ** 20);
  }
  run("mkfs.btrfs", ["-q", "-f", ...args, ...images]);
  return images;
}

/**
 * Mounts the volume on `images`, calls `use` with the mount point, and unmounts whatever happens.
 *
 * @template T
 * @param {readonly string[]} images
 * @param {readonly string[]} options
 * @param {(point: string) => T} use
 * @returns {T}
 */
export function withBtrfs(images, options, use) {
  const point = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-"));
  const loops = [];
  try {
    for (const image of images) loops.push(run("losetup", ["--find", "--show", image]).trim());
    const devices = loops.map((loop) => `device=${loop}`);
    run("mount", ["-t", "btrfs", "-o", [...devices, ...options].join(","), loops[0], point]);
    try {
      return use(point);
    } finally {
      run("umount", [point]);
    }
  } finally {
    for (const loop of loops) run("losetup", ["--detach", loop]);
    // The kernel remembers devices by their volume; the next test uses the same loop devices for another.
    for (const loop of loops) if (existsSync(loop)) forget(loop);
    rmdirSync(point);
  }
}

function forget(loop) {
  try {
    run("btrfs", ["device", "scan", "--forget", loop]);
  } catch {
    // Not known any more, which is what was wanted.
  }
}

/** What the kernel shows, without the times of placeholders, which are those of the moment. */
export function btrfsView(point, options = {}) {
  return kernelView(point, options).map((entry) => {
    if (entry.ino !== "2") return entry;
    const { mtimeNs, atimeNs, ctimeNs, crtimeNs, ...rest } = entry;
    return rest;
  });
}

/** Bytes that look random and are the same each time. */
export function noise(seed, length) {
  const pieces = [];
  for (let n = 0, made = 0; made < length; n += 1, made += 64) {
    pieces.push(createHash("sha512").update(`${seed}:${n}`).digest());
  }
  return Buffer.concat(pieces).subarray(0, length);
}

/** Text that compresses well, each line another. */
export function prose(seed, length) {
  const lines = [];
  for (let n = 0, made = 0; made < length; n += 1) {
    const line = `${seed} line ${n}: ${(n * 2654435761) % 1000003} all work and no play makes a dull guest\n`;
    lines.push(line);
    made += line.length;
  }
  return Buffer.from(lines.join("").slice(0, length));
}

/** Overwrites part of a file in place. */
function patch(path, offset, data) {
  const file = openSync(path, "r+");
  writeSync(file, data, 0, data.length, offset);
  closeSync(file);
}

/** Files of every kind that a subvolume can hold, below `base`: one that does not compress and one that does. */
export function populate(base, { noiseSize = 70_001, proseSize = 400_003 } = {}) {
  const at = (...names) => join(base, ...names);
  mkdirSync(at("etc", "deep", "er"), { recursive: true });
  writeFileSync(at("empty"), "");
  writeFileSync(at("inline"), "a few bytes\n");
  writeFileSync(at("etc", "inline.txt"), prose("inline", 1800));
  writeFileSync(at("etc", "noise"), noise("noise", noiseSize));
  writeFileSync(at("etc", "prose"), prose("prose", proseSize));
  run("sync", ["-f", base]);
  // Bookends: parts of compressed and plain extents live on beside what replaced them.
  for (const [name, make, size] of [
    ["prose", prose, proseSize],
    ["noise", noise, noiseSize],
  ]) {
    patch(at("etc", name), 12_288, make("patch", 4096));
    run("sync", ["-f", base]);
    patch(at("etc", name), Math.floor(size / 2), make("patch 2", Math.floor(size / 7)));
    run("sync", ["-f", base]);
  }
  run("cp", ["--reflink=always", at("etc", "prose"), at("shared")]);
  patch(at("shared"), Math.floor(proseSize / 3), noise("shared", 5000));
  // A sparse file, an unwritten range, and a hole behind the last extent.
  const sparse = openSync(at("sparse"), "w");
  writeSync(sparse, noise("s1", 5000), 0, 5000, 1_000_000);
  writeSync(sparse, prose("s2", 9000), 0, 9000, 3_000_001);
  closeSync(sparse);
  truncateSync(at("sparse"), 5_000_000);
  run("fallocate", ["-l", "300000", at("unwritten")]);
  patch(at("unwritten"), 100_000, noise("u", 4097));
  writeFileSync(at("inline.tail"), "");
  run("fallocate", ["-n", "-l", "200000", at("inline.tail")]);
  patch(at("inline.tail"), 0, noise("t", 3000));
  run("ln", ["-s", "etc/inline.txt", at("link")]);
  run("ln", ["-s", `/${"x".repeat(3000)}`, at("long link")]);
  run("mknod", [at("null"), "c", "1", "3"]);
  run("mknod", [at("disk"), "b", "259", "70000"]);
  run("mkfifo", [at("pipe")]);
  run("ln", [at("inline"), at("etc", "deep", "hard")]);
  run("ln", [at("inline"), at("etc", "hard too")]);
  writeFileSync(Buffer.concat([Buffer.from(at("bytes ")), Buffer.of(0xff, 0xfe, 0x0a)]), "not UTF-8");
  writeFileSync(at("n".repeat(255)), "the longest name");
  run("setfattr", ["-n", "user.comment", "-v", "hello", at("inline")]);
  run("setfattr", ["-n", "user.big", "-v", "v".repeat(3000), at("inline")]);
  run("setfattr", ["-n", "trusted.empty", at("etc")]);
  run("chmod", ["6711", at("etc", "noise")]);
  run("chown", ["70000:65534", at("etc", "prose")]);
  run("touch", ["-h", "-d", "1966-06-06 06:06:06.123456789 UTC", at("link")]);
  run("touch", ["-d", "2222-02-02 02:02:02.000000001 UTC", at("etc", "noise")]);
}

/** Three levels of subvolumes and snapshots of them; a snapshot shows placeholders for what lay inside its source. */
export function populateSubvolumes(point) {
  const btrfs = (...args) => run("btrfs", ["subvolume", ...args]);
  const at = (...names) => join(point, ...names);
  btrfs("create", at("one"));
  mkdirSync(at("one", "dir"));
  writeFileSync(at("one", "file"), "in one");
  btrfs("create", at("one", "dir", "two"));
  writeFileSync(at("one", "dir", "two", "file"), prose("two", 30_000));
  btrfs("create", at("one", "dir", "two", "three"));
  writeFileSync(at("one", "dir", "two", "three", "file"), "in three");
  btrfs("snapshot", at("one"), at("snapshot"));
  btrfs("snapshot", "-r", at("one", "dir", "two"), at("one", "read-only"));
  btrfs("snapshot", at("one"), at("again"));
  patch(at("snapshot", "file"), 0, Buffer.from("IN"));
  writeFileSync(at("one", "file2"), "after the snapshot");
}

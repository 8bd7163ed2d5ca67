/**
 * What the Linux kernel shows of a mounted file system, in the shape of the manifest: the expected values of the
 * fixtures and of the differential suite. Plain JavaScript, so that the scripts in test/make can use it too.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, lstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, readSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** By S_IFMT of st_mode. */
const TYPES = new Map([
  [0o100000, "file"],
  [0o040000, "dir"],
  [0o120000, "symlink"],
  [0o020000, "char"],
  [0o060000, "block"],
  [0o010000, "fifo"],
  [0o140000, "socket"],
]);

/** Runs a tool; its output is the answer, its failure an error with what it printed. */
export function run(command, args, options = {}) {
  return execFileSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 30,
    ...options,
  });
}

/**
 * The entries of the directory `root`, itself first, as `manifest` would print them (without `device`).
 *
 * @param {string} root
 * @param {{ hash?: boolean, skip?: readonly string[] }} options
 */
export function kernelView(root, { hash = true, skip = [] } = {}) {
  const entries = [];
  const base = Buffer.from(root);
  const visit = (real, path) => {
    const stat = lstatSync(real, { bigint: true });
    entries.push(entryOf(real, path, stat, hash));
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(real, { encoding: "buffer" })) {
      const below = Buffer.concat([path.length === 1 ? Buffer.alloc(0) : path, Buffer.from("/"), name]);
      if (skip.includes(below.toString())) continue;
      visit(Buffer.concat([real, Buffer.from("/"), name]), below);
    }
  };
  visit(base, Buffer.from("/"));
  return entries;
}

function entryOf(real, path, stat, hash) {
  const type = TYPES.get(Number(stat.mode & 0o170000n));
  const isDevice = type === "char" || type === "block";
  return {
    ...textPair("path", path),
    type,
    mode: Number(stat.mode & 0o7777n)
      .toString(8)
      .padStart(4, "0"),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    nlink: Number(stat.nlink),
    ino: stat.ino.toString(),
    mtimeNs: stat.mtimeNs.toString(),
    atimeNs: stat.atimeNs.toString(),
    ctimeNs: stat.ctimeNs.toString(),
    crtimeNs: stat.birthtimeNs === 0n ? null : stat.birthtimeNs.toString(),
    ...(type === "symlink" ? textPair("target", readlinkSync(real, { encoding: "buffer" })) : { target: null }),
    // makedev(3): the major number's low 12 bits lie above the minor's low 8.
    rdev: isDevice
      ? {
          major: Number(((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & 0xfffff000n)),
          minor: Number((stat.rdev & 0xffn) | ((stat.rdev >> 12n) & 0xffffff00n)),
        }
      : null,
    ...(hash ? { sha256: type === "file" ? hashFile(real) : null } : {}),
  };
}

function textPair(key, data) {
  const text = data.toString("utf8");
  return Buffer.from(text).equals(data) ? { [key]: text } : { [key]: text, [`${key}Hex`]: data.toString("hex") };
}

const buffer = Buffer.allocUnsafe(1 << 20);

function hashFile(path) {
  const hash = createHash("sha256");
  const fd = openSync(path, "r");
  try {
    for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer)) hash.update(buffer.subarray(0, got));
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

/** Mounts `image` through a loop device, calls `use` with the mount point, and unmounts whatever happens. */
export function withMount(image, options, use) {
  const point = mkdtempSync(join(tmpdir(), "guestprobe-mount-"));
  try {
    run("mount", ["-o", ["loop", ...options].join(","), image, point]);
    try {
      return use(point);
    } finally {
      run("umount", [point]);
    }
  } finally {
    rmdirSync(point);
  }
}

/** The extended attributes of a file as the kernel shows them: name to value in hexadecimal. */
export function kernelXattrs(path) {
  const text = run("getfattr", ["-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", path]);
  return Object.fromEntries([...text.matchAll(/^([^#=\n]+)=0x([0-9a-f]*)$/gm)].map(([, name, value]) => [name, value]));
}

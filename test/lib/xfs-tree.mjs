/** Makes XFS volumes and fills them: for the fixtures and for the differential suite. Plain JavaScript, as both need. */
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { run } from "./kernel-view.mjs";

/** mkfs.xfs refuses volumes below 300 MB, but for its own test suite, which it knows by these variables. */
const SMALL = { TEST_DIR: "/", TEST_DEV: "/", QA_CHECK_FS: "1" };

/**
 * A volume of `size` bytes in the sparse file `image`, made with these further arguments of mkfs.xfs.
 *
 * @param {string} image
 * @param {number} size
 * @param {readonly string[]} [args]
 */
export function makeXfs(image, size, args = []) {
  rmSync(image, { force: true });
  closeSync(openSync(image, "w"));
  truncateSync(image, size);
  run("mkfs.xfs", ["-q", "-f", ...args, image], { env: { ...process.env, ...SMALL } });
}

/** Text of which no two lines are the same, nor any two files: wrong bytes show, and images compress. */
export function text(length, seed = 1) {
  const lines = [];
  for (let at = 0, line = 0; at < length; line += 1) {
    lines.push(`file ${seed} line ${line} ${"=".repeat((line * 5) % 40)}\n`);
    at += lines[line].length;
  }
  return Buffer.from(lines.join("").slice(0, length));
}

/** A name whose length, between 9 and 29 bytes, depends on its number. */
const entryName = (index) => `entry-${index}-${"x".repeat(1 + ((index * 7) % 19))}`;

/** A directory of `count` entries: files of their own at first, then further names of one file. */
export function makeDirectory(path, count) {
  mkdirSync(path);
  const files = Math.min(count, 5);
  for (let index = 0; index < files; index += 1) writeFileSync(join(path, entryName(index)), text(index * 700, index));
  for (let index = files; index < count; index += 1) linkSync(join(path, entryName(0)), join(path, entryName(index)));
}

/** A file of `count` extents with as many holes between them. */
export function makeFragmented(path, count, step) {
  const fd = openSync(path, "w");
  for (let index = 0; index < count; index += 1) writeSync(fd, `extent ${index}`, index * 2 * step);
  closeSync(fd);
}

/**
 * Puts every kind of file below `root`: a mounted volume, or a folder for `mkfs.xfs -p`.
 *
 * @param {string} root
 * @param {{ directories?: readonly number[], extents?: number, blockSize?: number, odd?: boolean }} [options]
 */
export function fill(root, { directories = [0, 5, 50], extents = 100, blockSize = 4096, odd = true } = {}) {
  const at = (name) => join(root, name);
  mkdirSync(at("dirs"));
  for (const count of directories) makeDirectory(at(`dirs/${count}`), count);
  mkdirSync(at("links"));
  for (const length of LINKS) symlinkSync("../files/".padEnd(length, "t").slice(0, length), at(`links/${length}`));
  mkdirSync(at("files"));
  for (const size of [0, 1, 511, 512, 4095, 4096, 4097, 70_000]) writeFileSync(at(`files/${size}`), text(size, size));
  makeFragmented(at("files/fragmented"), extents, blockSize);
  writeFileSync(at("files/sparse"), "");
  truncateSync(at("files/sparse"), 20_000_001);
  run("mkfifo", [at("files/fifo")]);
  run("mknod", [at("files/char"), "c", "511", "262143"]);
  run("mknod", [at("files/block"), "b", "8", "17"]);
  if (odd) writeFileSync(at("files/odd \u00e9\u{1f600}\n"), "odd");
  if (odd) writeFileSync(Buffer.concat([Buffer.from(`${root}/files/`), Buffer.of(0xff, 0xfe, 0x20)]), "not UTF-8");
  writeFileSync(at(`files/${"n".repeat(255)}`), "longest name");
  chmodSync(at("files/512"), 0o4751);
  chownSync(at("files/512"), 70_000, 80_000);
  utimesSync(at("files/511"), -1_000_000.5, -2_000_000_000.25);
  lutimesSync(at("links/9"), 1_000_000_000, 1_234_567_890.123);
}

/** Lengths of link targets, around what fits an inode of 256 or 512 bytes and a block of 512. */
const LINKS = [1, 9, 59, 60, 155, 156, 157, 335, 336, 337, 455, 456, 457, 911, 912, 913, 1022, 1023];

/** What only a mounted volume can be given: unwritten and shared extents, attributes of every form, flags. */
export function fillMounted(root, { reflink = true, manyAttrs = 300 } = {}) {
  const at = (name) => join(root, name);
  run("xfs_io", ["-f", "-c", "falloc 0 200k", "-c", "pwrite -q 64k 8k", "-c", "truncate 180k", at("files/unwritten")]);
  run("xfs_io", ["-f", "-c", "falloc -k 0 1m", "-c", "pwrite -q 0 3000", at("files/past-end")]);
  run("xfs_io", ["-f", "-c", "pwrite -q 1m 128k", "-c", "falloc 4m 64k", "-c", "truncate 9m", at("files/sparse-end")]);
  if (reflink) {
    run("cp", ["--reflink=always", at("files/70000"), at("files/shared")]);
    run("xfs_io", ["-c", "pwrite -q 8192 100", at("files/shared")]);
    run("xfs_io", ["-c", `reflink ${at("files/70000")} 0 65536 65536`, at("files/shared")]);
  }
  mkdirSync(at("attrs"));
  for (const name of ["none", "short", "leaf", "remote", "many", "acl", "removed"])
    writeFileSync(at(`attrs/${name}`), name);
  const set = (file, name, value) => run("setfattr", ["-n", name, "-v", value, at(`attrs/${file}`)]);
  set("short", "user.a", "b");
  set("short", "user.empty", "");
  set("short", "trusted.t", "trusted value");
  set("short", "security.s", "security value");
  for (const index of [1, 2, 3]) set("leaf", `user.leaf${index}`, "v".repeat(index * 200));
  for (const length of [1000, 4000, 20_000, 65_536]) {
    set("remote", `user.remote${length}`, `0s${text(length, length).toString("base64")}`);
  }
  for (let index = 0; index < manyAttrs; index += 1) set("many", `user.many-${index}`, `value ${index} `.repeat(8));
  run("setfacl", ["-m", "u:1234:rw,g:77:r", at("attrs/acl")]);
  run("setfacl", ["-d", "-m", "u:1234:rw", at("attrs")]);
  set("removed", "user.big", "x".repeat(900));
  run("setfattr", ["-x", "user.big", at("attrs/removed")]);
  run("chattr", ["+A", at("attrs/none")]);
}

/**
 * The folder `root` in the language of `mkfs.xfs -p`, which fills volumes that no kernel at hand mounts. Names hold
 * neither spaces nor colons; further names of a file become files of their own.
 */
export function prototype(root) {
  const lines = ["boot", "0 0", "d--755 0 0"];
  const visit = (folder) => {
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const bits = `${stat.mode & 0o4000 ? "u" : "-"}${stat.mode & 0o2000 ? "g" : "-"}`;
      const permissions = (stat.mode & 0o777).toString(8).padStart(3, "0");
      const entry = (type, ...rest) =>
        lines.push([name, `${type}${bits}${permissions}`, stat.uid, stat.gid, ...rest].join(" "));
      const [major, minor] = [(stat.rdev >> 8) & 0xfff, (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00)];
      if (stat.isFile()) entry("-", path);
      else if (stat.isSymbolicLink()) entry("l", readlinkSync(path));
      else if (stat.isFIFO()) entry("p");
      else if (stat.isCharacterDevice()) entry("c", major, minor);
      else if (stat.isBlockDevice()) entry("b", major, minor);
      else {
        entry("d");
        visit(path);
        lines.push("$");
      }
    }
  };
  visit(root);
  return `${[...lines, "$"].join("\n")}\n`;
}

/**
 * Makes a volume that holds a copy of the folder `root`.
 *
 * @param {string} image
 * @param {number} size
 * @param {string} root
 * @param {readonly string[]} [args]
 */
export function makeXfsFrom(image, size, root, args = []) {
  const file = `${image}.proto`;
  writeFileSync(file, prototype(root));
  try {
    makeXfs(image, size, ["-p", file, ...args]);
  } finally {
    rmSync(file);
  }
}

/** What a volume made from the folder `root` must read as: times, inode and link numbers are its own. */
export function withoutOwnNumbers(entries) {
  return entries.map(({ path, type, mode, uid, gid, size, target, rdev, sha256 }) => ({
    path,
    type,
    // The root's mode and owner are those of the prototype.
    ...(path === "/" ? {} : { mode, uid, gid }),
    ...(type === "dir" ? {} : { size }),
    target,
    rdev,
    sha256,
  }));
}

/**
 * A tree of files that has something of everything, written through the kernel into a mounted ext volume: for the
 * fixtures and the differential suite. Plain JavaScript, so that the scripts in test/make can use it too.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { run } from "./kernel-view.mjs";

/** Bytes that tell where they belong, the same each time: lines of 16 with the seed and their number. */
export function pattern(length, seed = 1) {
  const lines = Array.from({ length: Math.ceil(length / 16) }, (_, n) => `${`${seed} ${n}`.padEnd(15)}\n`);
  return Buffer.from(lines.join("")).subarray(0, length);
}

/** Files, links, devices, names, owners, modes, times, attributes and holes below `root`. */
export function writeTree(root, { blockSize = 4096, attributes = true, big = 3 << 20 } = {}) {
  const at = (...parts) => join(root, ...parts);
  mkdirSync(at("boot/grub"), { recursive: true });
  writeFileSync(at("boot/grub/grub.cfg"), "set timeout=5\nmenuentry linux { linux /boot/vmlinuz }\n");
  writeFileSync(at("boot/vmlinuz"), pattern(big, 7));
  writeFileSync(at("empty"), "");
  for (const size of [
    1,
    59,
    60,
    61,
    100,
    160,
    blockSize - 1,
    blockSize,
    blockSize + 1,
    12 * blockSize,
    13 * blockSize,
  ]) {
    writeFileSync(at(`size-${size}`), pattern(size, size));
  }

  mkdirSync(at("links"));
  writeFileSync(at("links/file"), "linked\n");
  linkSync(at("links/file"), at("links/hard"));
  symlinkSync("file", at("links/fast"));
  symlinkSync("x".repeat(59), at("links/longest-fast"));
  symlinkSync("x".repeat(60), at("links/shortest-slow"));
  symlinkSync(`/${"y".repeat(Math.min(blockSize, 4096) - 3)}`, at("links/longest"));
  symlinkSync("/boot/grub", at("links/absolute"));

  mkdirSync(at("nodes"));
  run("mknod", [at("nodes/null"), "c", "1", "3"]);
  run("mknod", [at("nodes/wide"), "b", "300", "70000"]);
  run("mkfifo", [at("nodes/fifo")]);

  mkdirSync(at("names"));
  writeFileSync(at("names", "n".repeat(255)), "long");
  writeFileSync(at("names", "\u00e9t\u00e9 \u{1f40b} \\ \" '\n"), "odd");
  writeFileSync(Buffer.concat([Buffer.from(at("names/")), Buffer.from([0x66, 0xff, 0xfe, 0x80])]), "not UTF-8");

  mkdirSync(at("owners"));
  writeFileSync(at("owners/wide"), "32-bit ids");
  chownSync(at("owners/wide"), 100_000, 4_000_000_000);
  symlinkSync("nowhere", at("owners/link"));
  lchownSync(at("owners/link"), 65_536, 65_537);
  writeFileSync(at("owners/setuid"), "");
  chmodSync(at("owners/setuid"), 0o6755);
  mkdirSync(at("owners/sticky"));
  chmodSync(at("owners/sticky"), 0o1777);

  mkdirSync(at("holes"));
  writeHoles(at("holes/sparse"), blockSize, 40);
  writeFileSync(at("holes/all"), "");
  truncateSync(at("holes/all"), 10 * blockSize + 17);
  writeFileSync(at("holes/tail"), pattern(blockSize, 3));
  truncateSync(at("holes/tail"), 5 * blockSize);
  const past = openSync(at("holes/past-single-indirect"), "w");
  writeSync(past, pattern(blockSize, 4), 0, blockSize, (12 + blockSize / 4 + 5) * blockSize);
  // With larger blocks the third level begins at 4 GiB: hashing that takes minutes.
  const triple = 12 + blockSize / 4 + (blockSize / 4) ** 2;
  if (blockSize === 1024) writeSync(past, pattern(100, 5), 0, 100, (triple + 3) * blockSize);
  closeSync(past);

  mkdirSync(at("many"));
  for (let n = 0; n < 300; n += 1) writeFileSync(at("many", `file number ${n}`), `${n}\n`);
  // Bytes above 127: their hash depends on whether they count as signed.
  for (let n = 0; n < 100; n += 1) writeFileSync(at("many", `\u00fcber \u00e4 ${n}`), "");

  mkdirSync(at("deep"));
  let path = at("deep");
  for (let n = 0; n < 40; n += 1) {
    path = join(path, `d${n}`);
    mkdirSync(path);
  }
  writeFileSync(join(path, "bottom"), "bottom\n");

  if (attributes) writeAttributes(at("attributes"));
}

/** Every other block written, so that each is an extent of its own. */
export function writeHoles(path, blockSize, count) {
  const fd = openSync(path, "w");
  for (let n = 0; n < count; n += 1) writeSync(fd, pattern(blockSize, n + 1), 0, blockSize, 2 * n * blockSize);
  ftruncateSync(fd, 2 * count * blockSize);
  closeSync(fd);
}

function writeAttributes(folder) {
  mkdirSync(folder);
  const file = join(folder, "file");
  writeFileSync(file, "attributes");
  const set = (name, value, path = file) => run("setfattr", ["-h", "-n", name, "-v", value, path]);
  set("user.small", "value");
  set("user.empty", "");
  set("user.binary", "0x00ff00ff");
  set("trusted.note", "for root");
  set("security.selinux", "system_u:object_r:boot_t:s0");
  set("user.large", `0x${"ab".repeat(700)}`);
  run("setfacl", ["-m", "u:1000:rw,g:2000:r,m::rw", file]);
  mkdirSync(join(folder, "dir"));
  run("setfacl", ["-d", "-m", "u:1000:rwx", join(folder, "dir")]);
  symlinkSync("file", join(folder, "link"));
  set("trusted.link", "on a link", join(folder, "link"));
}

/** Times on both sides of 1970, 2038 and 2106, some with nanoseconds, as far as `extra` says the volume holds them. */
export function writeTimes(folder, { wide }) {
  mkdirSync(folder);
  const dates = ["1901-12-14 00:00:00", "1969-12-31 23:59:59", "1970-01-01 00:00:00", "2038-01-19 03:14:07"];
  if (wide)
    dates.push("1950-06-01 12:00:00.123456789", "2038-01-19 03:14:08", "2106-02-07 06:28:16.5", "2446-05-10 22:38:55");
  for (const [n, date] of dates.entries()) {
    const path = join(folder, `time-${n}`);
    writeFileSync(path, date);
    run("touch", ["-d", `${date} UTC`, path]);
  }
}

/**
 * Builds the btrfs fixtures: CASE.img.gz, and CASE.json with what the kernel shows of the volume. Needs root for loop
 * mounts, btrfs-progs and attr. The ids of subvolumes and the times of inodes are the kernel's, and new with each run.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { btrfsView, makeVolume, noise, populate, populateSubvolumes, prose, withBtrfs } from "../lib/btrfs-image.mjs";
import { kernelXattrs, run } from "../lib/kernel-view.mjs";

const target = fileURLToPath(new URL("../fixtures/btrfs/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-btrfs-"));
const uuid = (number) => `c0ffee00-6274-4666-8000-00000000000${number}`;
const small = { noiseSize: 20_001, proseSize: 300_003 };

/** `fill` is a list of mounts: the options of each, and what is done there. */
function build(number, name, { mib, args, fill }) {
  const images = makeVolume(join(scratch, name), { mib, args: ["-U", uuid(number), "-L", name, ...args] });
  for (const [options, use] of fill) withBtrfs(images, options, use);
  const expected = withBtrfs(images, ["ro", "noatime", "subvolid=5"], (point) => {
    const entries = btrfsView(point);
    const attributed = ["/inline", "/etc", "/empty"].filter((path) => entries.some((entry) => entry.path === path));
    const listed = run("btrfs", ["subvolume", "list", "-p", point]).trim().split("\n");
    return {
      kind: "btrfs",
      label: name,
      uuid: uuid(number),
      subvolumes: listed.flatMap((line) => {
        const found = /^ID (\d+) gen \d+ parent (\d+) top level \d+ path (.*)$/.exec(line);
        return found ? [{ id: Number(found[1]), parent: Number(found[2]), path: `/${found[3]}` }] : [];
      }),
      defaultSubvolume: Number(/^ID (\d+)/.exec(run("btrfs", ["subvolume", "get-default", point]))[1]),
      xattrs: Object.fromEntries(attributed.map((path) => [path, kernelXattrs(point + path)])),
      entries,
    };
  });
  writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(images[0]), { level: 9 }));
  const lines = expected.entries.map((entry) => JSON.stringify(entry));
  const head = JSON.stringify({ ...expected, entries: undefined }).slice(0, -1);
  writeFileSync(`${target}${name}.json`, `${head},"entries":[\n${lines.join(",\n")}\n]}\n`);
}

/** A mirror of two devices: both as they were last, and the second as it was before the last change. */
function buildMirror() {
  const folder = fileURLToPath(new URL("../fixtures/btrfs-mirror/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const args = ["-U", uuid(4), "-L", "mirror", "--mixed", "-m", "raid1", "-d", "raid1"];
  const images = makeVolume(join(scratch, "mirror"), { count: 2, mib: 96, args });
  withBtrfs(images, ["compress=no"], (point) => {
    mkdirSync(join(point, "dir"));
    writeFileSync(join(point, "dir/before"), noise("before", 20_001));
  });
  const before = readFileSync(images[1]);
  withBtrfs(images, ["compress=no"], (point) => writeFileSync(join(point, "dir/after"), noise("after", 30_001)));
  const entries = withBtrfs(images, ["ro", "noatime"], (point) => btrfsView(point));
  for (const [name, bytes] of [
    ["one", readFileSync(images[0])],
    ["two", readFileSync(images[1])],
    ["two-before", before],
  ]) {
    writeFileSync(`${folder}${name}.gz`, gzipSync(bytes, { level: 9 }));
  }
  writeFileSync(
    `${folder}expected.json`,
    `${JSON.stringify({ kind: "btrfs", label: "mirror", uuid: uuid(4), entries }, null, 1)}\n`,
  );
}

mkdirSync(target, { recursive: true });
try {
  buildMirror();
  // Every node is there twice, and so is the superblock.
  build(1, "dup-zstd", {
    mib: 110,
    args: ["-m", "dup", "--csum", "xxhash"],
    fill: [[["compress-force=zstd"], (point) => populate(point, small)]],
  });
  build(2, "lzo-zlib", {
    mib: 16,
    args: ["--mixed", "--csum", "blake2", "-O", "^no-holes"],
    fill: [
      [["compress=lzo"], (point) => populate(point, small)],
      [
        ["compress=zlib"],
        (point) => {
          writeFileSync(join(point, "zlib"), prose("zlib", 150_001));
          writeFileSync(join(point, "zlib.inline"), prose("zlib inline", 1500));
        },
      ],
    ],
  });
  // As the installer of a distribution lays out a root: nothing at the top level but subvolumes.
  build(3, "subvolumes", {
    mib: 48,
    args: ["-m", "single"],
    fill: [
      [
        [],
        (point) => {
          populateSubvolumes(point);
          for (const name of ["@", "@home"]) run("btrfs", ["subvolume", "create", join(point, name)]);
          mkdirSync(join(point, "@/boot/grub"), { recursive: true });
          mkdirSync(join(point, "@/boot/xen"));
          writeFileSync(join(point, "@/boot/grub/grub.cfg"), "menuentry guest { true }\n");
          writeFileSync(join(point, "@/boot/xen/pvboot-x86_64.elf"), noise("elf", 9000));
          writeFileSync(join(point, "@home/user"), "at home");
          mkdirSync(join(point, "grub"));
          writeFileSync(join(point, "grub/menu.lst"), "title guest\n");
          run("btrfs", ["subvolume", "set-default", join(point, "@")]);
        },
      ],
    ],
  });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The benchmark's images, made by the real tools and kept between runs. Making them needs root, for loop mounts. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTree } from "./tree.mjs";

const run = (command, ...args) => execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });

/** How each kind of volume is made from the tree, and its size. */
const MKFS = {
  ext4: ["mke2fs", "-q", "-F", "-t", "ext4", "-N", "131072"],
  xfs: ["mkfs.xfs", "-q", "-f"],
  btrfs: ["mkfs.btrfs", "-q", "-f"],
};
const VOLUME_SIZE = "1G";

/** Kinds of volume that hold the whole tree; each is an image of its own. */
export const MOUNTED = ["ext4", "xfs", "btrfs", "btrfs-zstd"];
export const SQUASHED = ["squashfs-gzip", "squashfs-xz", "squashfs-zstd"];

/** Larger images are sparse, and read by nobody but us. */
const FILLED_MAX = 2 ** 31 - 1;

export class Images {
  #folder;

  constructor(folder) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  get folder() {
    return this.#folder;
  }

  /** The path of something in the folder, which `make` puts there unless an earlier run did, and which the system's cache holds. */
  kept(name, make) {
    const path = join(this.#folder, name);
    if (!existsSync(path)) {
      const partial = `${path}.partial`;
      rmSync(partial, { recursive: true, force: true });
      process.stderr.write(`bench: making ${name}\n`);
      make(partial);
      renameSync(partial, path);
    }
    fillCache(path);
    return path;
  }

  /** The plain files from which the volumes are made. */
  tree() {
    return this.kept("tree", (path) => makeTree(path));
  }

  /** A volume that holds the whole tree. */
  volume(kind) {
    const tree = this.tree();
    return this.kept(`${kind}.img`, (path) => {
      if (kind.startsWith("squashfs")) {
        run("mksquashfs", tree, path, "-noappend", "-quiet", "-no-progress", "-comp", kind.slice("squashfs-".length));
        return;
      }
      const options = kind === "btrfs-zstd" ? ["compress=zstd"] : [];
      makeVolume(path, VOLUME_SIZE, kind.replace("-zstd", ""), options, (mountPoint) =>
        run("cp", "-a", `${tree}/.`, mountPoint),
      );
    });
  }

  /** A copy of a volume, for a tool that refuses one that is mounted. */
  unmounted(kind) {
    const image = this.volume(kind);
    return this.kept(`${kind}-copy.img`, (path) => run("cp", "--sparse=always", image, path));
  }

  /** A sparse disk of 1 GiB with ext4, XFS and btrfs, where each of the eight boot paths is a miss but one or two. */
  threeVolumes() {
    return this.kept("three.img", (path) => {
      const kinds = ["ext4", "xfs", "btrfs"];
      const mib = 1 << 20;
      const table = [
        "label: dos",
        ...kinds.map((_, n) => `start=${2048 + n * 339 * 2048}, size=${339 * 2048}, type=83`),
      ];
      run("truncate", "-s", "1G", path);
      execFileSync("sfdisk", ["-q", path], { input: table.join("\n") });
      for (const [n, kind] of kinds.entries()) {
        const volume = `${path}.${kind}`;
        makeVolume(volume, String(339 * mib), kind, [], (mountPoint) => bootFiles(mountPoint, n));
        run("dd", `if=${volume}`, `of=${path}`, "bs=1M", `seek=${1 + n * 339}`, "conv=notrunc,sparse", "status=none");
        rmSync(volume);
      }
    });
  }

  /** An ext4 volume of `gib` GiB, sparse, with `entries` files in one directory beside the boot files. */
  grown(gib, entries) {
    return this.kept(`grown-${gib}-${entries}.img`, (path) => {
      makeVolume(path, `${gib}G`, "ext4", [], (mountPoint) => {
        bootFiles(mountPoint, 0);
        mkdirSync(join(mountPoint, "many"));
        for (let n = 0; n < entries; n += 1) writeFileSync(join(mountPoint, `many/entry-${n}`), "");
      });
    });
  }
}

/**
 * Has the system's cache hold a file as reading it left it there, in huge pages where the kernel has such. What writing
 * leaves lies in single pages, which are copied at half the speed, as does what was dropped meanwhile and read again a little at a
 * time: the mounts' own files are read, never written. So each task begins with it.
 */
function fillCache(path) {
  const stat = statSync(path);
  if (!stat.isFile() || stat.size > FILLED_MAX) return;
  run("sync", path);
  run("dd", `if=${path}`, "iflag=nocache", "count=0");
  run("dd", `if=${path}`, "of=/dev/null", "bs=1M");
}

/** Boot files as three guests might have them: one of a Xen host's, one of GRUB's, one legacy. */
function bootFiles(mountPoint, n) {
  const files = [
    ["boot/xen/pvboot-x86_64.elf", "boot/grub/grub.cfg"],
    ["boot/grub/grub.cfg", "boot/grub/menu.lst"],
    ["grub/grub.cfg", "boot/xen/pvboot-i386.elf"],
  ][n];
  for (const file of [...files, "boot/vmlinuz", "etc/fstab", "usr/bin/true"]) {
    mkdirSync(join(mountPoint, file, ".."), { recursive: true });
    writeFileSync(join(mountPoint, file), `${file}\n`);
  }
}

function makeVolume(path, size, kind, mountOptions, fill) {
  run("truncate", "-s", size, path);
  run(MKFS[kind][0], ...MKFS[kind].slice(1), path);
  withMount(path, ["-o", ["loop", ...mountOptions].join(",")], fill);
}

/** Runs `work` with the image mounted, and takes the mount away whatever happens. */
export function withMount(image, options, work) {
  const mountPoint = `${image}.mnt`;
  mkdirSync(mountPoint, { recursive: true });
  run("mount", ...options, image, mountPoint);
  let promise;
  const leave = () => {
    run("umount", mountPoint);
    rmSync(mountPoint, { recursive: true });
  };
  try {
    promise = work(mountPoint);
  } catch (error) {
    leave();
    throw error;
  }
  if (promise instanceof Promise) return promise.finally(leave);
  leave();
  return promise;
}

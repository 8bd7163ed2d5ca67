// A real Debian guest, installed as its administrator would: debootstrap, a kernel, grub-xen and a menu.lst for pv-grub.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const GUEST_UUID = "6a1d8b1e-5c3f-4d61-9d0b-2b7d1f3c9e11";

/**
 * What is done inside the guest. Its disk is attached under the name that it has under Xen, in a mount namespace of its own,
 * so that grub-install and update-grub write what they would write there; the files of the host stay as they are.
 */
const INSTALL = `
set -e
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3
mknod -m 444 /dev/urandom c 1 9
mknod /dev/xvda b "$MAJOR" "$MINOR"
mkdir -p /dev/disk/by-uuid
ln -s ../../xvda "/dev/disk/by-uuid/$UUID"
mount /dev/xvda "$ROOT"
mount --bind /dev "$ROOT/dev"
mount -t proc proc "$ROOT/proc"
mount -t sysfs sys "$ROOT/sys"
cp "$MENU_PACKAGE" "$ROOT/root/menu.deb"
chroot "$ROOT" grub-install --target=x86_64-xen
chroot "$ROOT" update-grub
chroot "$ROOT" dpkg -i /root/menu.deb
rm "$ROOT/root/menu.deb"
umount -R "$ROOT"
`;

const run = (command, args, options = {}) =>
  execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26, ...options }).toString();

/**
 * The guest's disk: a file system over all of it, as `xvda`. It takes two minutes to make, and is kept for the next test.
 *
 * @returns Path of the image; whoever changes it takes a copy.
 */
export function debianGuest() {
  const folder = join(tmpdir(), "guestprobe-debian-guest");
  const image = join(folder, "guest.img");
  if (existsSync(image)) return image;
  mkdirSync(folder, { recursive: true });
  const tree = join(folder, "tree");
  rmSync(tree, { recursive: true, force: true });
  run("debootstrap", ["--variant=minbase", "--include=linux-image-amd64,grub-xen", "bookworm", tree]);
  for (const file of readdirSync(join(tree, "var/cache/apt/archives"))) {
    if (file.endsWith(".deb")) rmSync(join(tree, "var/cache/apt/archives", file));
  }
  writeFileSync(join(tree, "etc/fstab"), `UUID=${GUEST_UUID} / ext4 errors=remount-ro 0 1\n`);
  writeFileSync(join(tree, "etc/hostname"), "guest\n");
  mkdirSync(join(tree, "etc/default/grub.d"), { recursive: true });
  // Guests of hosters have a serial console, and a short wait.
  const settings = ["GRUB_TIMEOUT=1", 'GRUB_CMDLINE_LINUX="console=hvc0"', "GRUB_TERMINAL=console"];
  writeFileSync(join(tree, "etc/default/grub.d/guest.cfg"), `${settings.join("\n")}\n`);
  const made = `${image}.part`;
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-U", GUEST_UUID, "-d", tree, made, "1400M"]);
  rmSync(tree, { recursive: true });
  install(folder, made);
  renameSync(made, image);
  return image;
}

function install(folder, image) {
  for (const file of readdirSync(folder)) if (file.endsWith(".deb")) rmSync(join(folder, file));
  run("apt-get", ["download", "pv-grub-menu"], { cwd: folder });
  const menuPackage = readdirSync(folder).find((file) => file.endsWith(".deb"));
  const root = join(folder, "mount");
  mkdirSync(root, { recursive: true });
  const loop = run("losetup", ["-f", "--show", image]).trim();
  try {
    const [major, minor] = run("lsblk", ["-ndo", "MAJ:MIN", loop]).trim().split(":");
    run("unshare", ["--mount", "sh", "-c", INSTALL], {
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        DEBIAN_FRONTEND: "noninteractive",
        LC_ALL: "C",
        ROOT: root,
        UUID: GUEST_UUID,
        MAJOR: major,
        MINOR: minor,
        MENU_PACKAGE: join(folder, menuPackage),
      },
    });
  } finally {
    run("losetup", ["-d", loop]);
  }
  run("e2fsck", ["-fp", image]);
}

/** Puts a file into an ext4 image in place of the one that is there; undefined removes it. */
export function replaceFile(image, path, content) {
  const source = `${image}.file`;
  const commands = [`rm ${path}`];
  if (content !== undefined) {
    writeFileSync(source, content);
    commands.push(`write ${source} ${path}`);
  }
  execFileSync("debugfs", ["-w", "-f", "-", image], {
    input: `${commands.join("\n")}\n`,
    stdio: ["pipe", "pipe", "pipe"],
  });
  rmSync(source, { force: true });
}

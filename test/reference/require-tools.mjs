/** Says which tools of the differential suite this machine lacks, and in which Debian package each is. */
import { accessSync, constants } from "node:fs";

const TOOLS = {
  mke2fs: "e2fsprogs",
  debugfs: "e2fsprogs",
  sfdisk: "fdisk",
  sgdisk: "gdisk",
  "mkfs.btrfs": "btrfs-progs",
  btrfstune: "btrfs-progs",
  mount: "mount",
  blockdev: "util-linux",
  "mkfs.xfs": "xfsprogs",
  xfs_db: "xfsprogs",
  xfs_io: "xfsprogs",
  xfs_logprint: "xfsprogs",
  getfattr: "attr",
  setfacl: "acl",
  "grub-fstest": "grub-common",
  "grub-script-check": "grub-common",
  "grub-emu": "grub-emu",
  "/usr/lib/grub-xen/grub-x86_64-xen.bin": "grub-xen-host",
  "grub-file": "grub-common",
  "grub-mkimage": "grub-common",
  "/usr/lib/grub/x86_64-xen/linux.mod": "grub-xen-bin",
  readelf: "binutils",
  lz4: "lz4",
  lzop: "lzop",
  script: "bsdutils",
  debootstrap: "debootstrap",
  unshare: "util-linux",
  mksquashfs: "squashfs-tools",
  unsquashfs: "squashfs-tools",
  dash: "dash",
  busybox: "busybox",
  mksh: "mksh",
  python3: "python3",
  strace: "strace",
  losetup: "mount",
  mdadm: "mdadm",
  "mkfs.fat": "dosfstools",
  cpio: "cpio",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  go: "golang-go",
  "/usr/share/gocode/src/github.com/klauspost/compress/zstd/decoder.go": "golang-github-klauspost-compress-dev",
  xz: "xz-utils",
  mcopy: "mtools",
  xorriso: "xorriso",
  genisoimage: "genisoimage",
  zstd: "zstd",
  bzip2: "bzip2",
  parted: "parted",
  "/usr/lib/grub/i386-pc/grub-bios-setup": "grub-pc-bin",
  "/usr/lib/syslinux/mbr/mbr.bin": "syslinux-common",
  "/usr/lib/ISOLINUX/isolinux.bin": "isolinux",
  syslinux: "syslinux",
  extlinux: "extlinux",
  isohybrid: "syslinux-utils",
  "install-mbr": "mbr",
  mkswap: "util-linux",
  blkid: "util-linux",
  "mkfs.ntfs": "ntfs-3g",
  "mkfs.vfat": "dosfstools",
  "mkfs.exfat": "exfatprogs",
  "mkfs.reiserfs": "reiserfsprogs",
  "mkfs.reiser4": "reiser4progs",
  "mkfs.f2fs": "f2fs-tools",
  "mkfs.erofs": "erofs-utils",
  "mkfs.jfs": "jfsutils",
  makefs: "makefs",
  mkudffs: "udftools",
  "mkfs.nilfs2": "nilfs-tools",
  "mkfs.minix": "util-linux",
  "mkfs.cramfs": "util-linux",
  "mkfs.bfs": "util-linux",
  genromfs: "genromfs",
  "make-bcache": "bcache-tools",
  "mkfs.ocfs2": "ocfs2-tools",
  "mkfs.gfs2": "gfs2-utils",
  hformat: "hfsutils",
  mkapfs: "apfsprogs",
  "mkfs.ubifs": "mtd-utils",
  ubinize: "mtd-utils",
  drbdmeta: "drbd-utils",
  cryptsetup: "cryptsetup-bin",
  veritysetup: "cryptsetup-bin",
  pvcreate: "lvm2",
};

const folders = [...new Set([...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"])];
const exists = (path) => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};
const missing = Object.entries(TOOLS).filter(
  ([tool]) => !(tool.startsWith("/") ? exists(tool) : folders.some((folder) => exists(`${folder}/${tool}`))),
);
for (const [tool, name] of missing) console.error(`missing: ${tool} (Debian package ${name})`);
if (process.getuid?.() !== 0) {
  console.error("missing: root, which loop mounts need");
  process.exitCode = 1;
}
if (missing.length > 0) {
  console.error(`install them with: apt-get install ${[...new Set(missing.map(([, name]) => name))].join(" ")}`);
  process.exitCode = 1;
}

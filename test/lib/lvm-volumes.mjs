/**
 * Logical volumes of every type as the real LVM and the real kernel make them, and two guests as distributions install
 * them: written to and read back by the kernel of an emulated guest, in one boot.
 */
import { mkdirSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./kernel-view.mjs";
import { LVM_MODULES, MD_MODULES, runInGuest } from "./tcg-guest.mjs";
import { makeXfsFrom } from "./xfs-tree.mjs";

const MIB = 1 << 20;
const LETTERS = "abcdefghij";

const CONF = `devices { use_devicesfile=0 scan=["/dev"] obtain_device_list_from_udev=0 }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
global { thin_check_executable="" thin_repair_executable="" cache_check_executable="" cache_repair_executable="" }
backup { backup=0 archive=0 }
`;

const WITH_PARITY = [
  ...["raid4", "raid5", "raid5_n", "raid5_ls", "raid5_rs", "raid5_la", "raid5_ra"],
  ...["raid6", "raid6_zr", "raid6_nr", "raid6_nc", "raid6_n_6", "raid6_ls_6", "raid6_rs_6", "raid6_la_6", "raid6_ra_6"],
];

/** Logical volumes of "vg", over six physical volumes, with how lvcreate makes each. */
export const LVM_PLAIN = [
  ["linear", "-L 3M"],
  ["striped", "-L 6M -i3 -I16"],
  ["mirror", "--type mirror -m1 --mirrorlog core -L 2M"],
  ["raid1", "--type raid1 -m2 -L 1536k"],
  ...["raid0", "raid0_meta", ...WITH_PARITY].map((type) => [type, `--type ${type} -i3 -I16 -L 1536k`]),
  ["raid10", "--type raid10 -m1 -i2 -I16 -L 2M"],
];

/** Those that are made by more than one command. */
export const LVM_SPECIAL = [
  ...["thin", "thinsnap", "thinext", "origin", "snap", "merging"],
  ...["cachevol", "cachepool", "writecache", "stale1", "stale5", "zero"],
];

/** Each volume that holds a file system has this file: its name, and the order of those that GRUB finds, can be told. */
export const LVM_FILE = "/boot/grub/grub.cfg";

const SCRIPT = `
P="/dev/vda /dev/vdb /dev/vdc /dev/vdd /dev/vde /dev/vdf"
show() { echo "$1 $(blockdev --getsize64 $2) $(sha256sum <$2 | cut -d ' ' -f 1)"; }
lv() { lvm lvcreate -q -y -Wn -Zn "$@" >&2; }
# Of a kind that has nothing to be wiped.
virtual() { lvm lvcreate -q -y "$@" >&2; }
# A file system on old bytes: what it does not write to is not zero.
fill() {
  dd if=/dev/urandom of=$1 bs=64k count=\${2:-24} conv=notrunc 2>/dev/null || true
  /usr/sbin/mke2fs -q -F -b 1024 -O ^has_journal,^resize_inode -d /tree $1 >&2
}
lvm pvcreate -q --metadatasize 4m $P >&2
lvm vgcreate -q -s 512k vg $P >&2
${LVM_PLAIN.map(([name, options]) => `lv ${options} -n ${name} vg\nfill /dev/vg/${name}`).join("\n")}

virtual -L 8M --type thin-pool -c 64k -n pool vg
virtual -V 32M --thinpool pool -n thin vg
fill /dev/vg/thin 40
lv -L 3M -n extorigin vg
fill /dev/vg/extorigin
lvm lvchange -q -pr vg/extorigin >&2
lvm lvchange -q -an vg/extorigin >&2
virtual -s --thinpool vg/pool -n thinext vg/extorigin
dd if=/dev/urandom of=/dev/vg/thinext bs=64k seek=30 count=2 conv=notrunc 2>/dev/null
virtual -s -kn -n thinsnap vg/thin
dd if=/dev/urandom of=/dev/vg/thin bs=64k seek=90 count=5 conv=notrunc 2>/dev/null

lv -L 4M -n origin vg
fill /dev/vg/origin
virtual -s -L 2M -c 4k -n snap vg/origin
dd if=/dev/urandom of=/dev/vg/origin bs=64k seek=40 count=4 conv=notrunc 2>/dev/null
dd if=/dev/urandom of=/dev/vg/snap bs=64k seek=50 count=3 conv=notrunc 2>/dev/null
lv -L 2M -n merging vg
fill /dev/vg/merging
virtual -s -L 2M -c 8k -n tomerge vg/merging
dd if=/dev/urandom of=/dev/vg/merging bs=64k seek=20 count=4 conv=notrunc 2>/dev/null

lv -L 4M -n fast vg /dev/vdf
lv -L 4M -n cachevol vg /dev/vda
fill /dev/vg/cachevol
lvm lvconvert -q -y --type cache --cachevol fast vg/cachevol >&2
lv -L 4M -n cachepool vg /dev/vda
fill /dev/vg/cachepool
lvm lvcreate -q -y --type cache-pool -L 8M -n cpool vg /dev/vdf >&2
lvm lvconvert -q -y --type cache --cachepool cpool vg/cachepool >&2
lv -an -L 4M -n wfast vg /dev/vdf
lv -L 4M -n writecache vg /dev/vda
fill /dev/vg/writecache
lvm lvchange -q -an vg/writecache >&2
lvm lvconvert -q -y --type writecache --cachevol wfast vg/writecache >&2
lvm lvchange -q -ay vg/writecache >&2
virtual --type zero -L 1M -n zero vg

# A copy of it would be missed while the volumes are away.
lv --type raid1 -m1 -L 2M -n stale1 vg /dev/vda /dev/vdb
lv --type raid5 -i2 -I16 -L 2M -n stale5 vg /dev/vda /dev/vdb /dev/vdc
fill /dev/vg/stale1
fill /dev/vg/stale5
sync
lvm lvchange -q -an vg/stale1 vg/stale5 >&2
AWAY='devices { filter=["r|/dev/vdb|"] }'
lvm lvchange -q -ay --activationmode degraded --config "$AWAY" vg/stale1 vg/stale5 >&2
dd if=/dev/urandom of=/dev/vg/stale1 bs=64k seek=10 count=4 conv=notrunc 2>/dev/null
dd if=/dev/urandom of=/dev/vg/stale5 bs=64k seek=10 count=4 conv=notrunc 2>/dev/null
sync
for name in ${[...LVM_PLAIN.map(([name]) => name), ...LVM_SPECIAL].filter((name) => name !== "merging").join(" ")}; do
  show "$name" /dev/vg/$name
done
show merging /dev/vg/tomerge
lvm lvchange -q -an --config "$AWAY" vg/stale1 vg/stale5 >&2
# Held open, the origin is merged when it is next active: the text says so from now on.
exec 3</dev/vg/merging
lvm lvconvert -q -y --merge vg/tomerge >&2
exec 3<&-
lvm vgchange -q -an vg >&2

# GPT, EFI, XFS for /boot, and LVM with XFS as Red Hat's installer makes it.
lvm pvcreate -q /dev/vdg3 >&2
lvm vgcreate -q -s 1m rhel_guest-1 /dev/vdg3 >&2
lv -L 8M -n swap rhel_guest-1
lv -L 40M -n root rhel_guest-1
mkswap /dev/rhel_guest-1/swap >&2
dd if=/dev/vdj of=/dev/rhel_guest-1/root bs=1M count=32 2>/dev/null
sync
show rhel-root /dev/rhel_guest-1/root
lvm vgchange -q -an rhel_guest-1 >&2

# MBR, a mirror for /boot, and LVM on another, as Debian's installer makes it.
mdadm --create /dev/md0 --run --quiet --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --name=guest:0 /dev/vdh1 /dev/vdi1 >&2
mdadm --create /dev/md1 --run --quiet --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --name=guest:1 /dev/vdh2 /dev/vdi2 >&2
/usr/sbin/mke2fs -q -F -t ext4 -d /debian-boot /dev/md0 >&2
lvm pvcreate -q /dev/md1 >&2
lvm vgcreate -q -s 1m deb-vg /dev/md1 >&2
lv -L 12M -n root deb-vg
/usr/sbin/mke2fs -q -F -t ext4 -d /debian-root /dev/deb-vg/root >&2
sync
show debian-root /dev/deb-vg/root
show debian-boot /dev/md0
lvm vgchange -q -an deb-vg >&2
mdadm --stop --quiet /dev/md0 /dev/md1
`;

const BOOT_UUID = "6b5d0f7e-0f55-4f7c-9d2c-9f2c6a1b0b00";
const FSTAB_RHEL = `/dev/mapper/rhel_guest--1-root / xfs defaults 0 0
UUID=${BOOT_UUID} /boot xfs defaults 0 0
/dev/mapper/rhel_guest--1-swap none swap defaults 0 0
`;
const FSTAB_DEBIAN = `/dev/mapper/deb--vg-root / ext4 errors=remount-ro 0 1
/dev/md0 /boot ext4 defaults 0 2
`;

/** What lies on the guests, by volume: path to content. */
export const LVM_GUESTS = {
  "rhel-boot": { "/grub/grub.cfg": "set timeout=1\n", "/xen/pvboot-x86_64.elf": "no kernel\n" },
  "rhel-root": { "/etc/fstab": FSTAB_RHEL, [LVM_FILE]: "echo stale\n", "/boot/grub/menu.lst": "title old\n" },
  "debian-boot": { "/grub/grub.cfg": "set timeout=2\n", "/grub/menu.lst": "title boot\n" },
  "debian-root": { "/etc/fstab": FSTAB_DEBIAN, [LVM_FILE]: "echo under the mount point\n" },
};

/**
 * Makes the volumes on new disks in `folder`.
 *
 * @param {string} folder
 * @returns the disks: six of "vg", that of the Red Hat-like guest, two of the Debian-like one; and what the
 *   kernel read of each volume
 */
export async function makeLvmVolumes(folder) {
  const disk = (name, size) => {
    const path = join(folder, `${name}.img`);
    writeFileSync(path, "");
    truncateSync(path, size * MIB);
    return path;
  };
  const vg = Array.from({ length: 6 }, (_, index) => disk(`vg${index}`, 128));
  const rhel = disk("rhel", 128);
  const sfdisk = (path, script) => run("sfdisk", ["-q", path], { input: script, stdio: "pipe" });
  sfdisk(rhel, "label: gpt\nstart=2048,size=16M,type=uefi\nsize=32M\ntype=lvm\n");
  const esp = disk("esp", 16);
  run("mkfs.fat", ["-n", "EFI", esp]);
  const boot = disk("boot", 32);
  makeXfsFrom(boot, 32 * MIB, treeOf(folder, LVM_GUESTS["rhel-boot"]), ["-m", `uuid=${BOOT_UUID}`]);
  const root = disk("root", 32);
  makeXfsFrom(root, 32 * MIB, treeOf(folder, LVM_GUESTS["rhel-root"]));
  put(rhel, 1, readFileSync(esp));
  put(rhel, 17, readFileSync(boot));
  const debian = [disk("debian0", 64), disk("debian1", 64)];
  for (const path of debian) sfdisk(path, "label: dos\nstart=2048,size=24M,type=fd,bootable\ntype=fd\n");
  const disks = [...vg, rhel, ...debian, root];
  if (disks.length !== LETTERS.length) throw new Error("the script names the disks by their letters");
  const files = { "/etc/lvm/lvm.conf": CONF, [`/tree${LVM_FILE}`]: "set timeout=0\n" };
  for (const name of ["debian-boot", "debian-root"]) {
    for (const [path, content] of Object.entries(LVM_GUESTS[name])) files[`/${name}${path}`] = content;
  }
  const { stdout } = await runInGuest({
    disks,
    tools: ["lvm", "mdadm", "mke2fs"],
    modules: [...LVM_MODULES, ...MD_MODULES, "dm-zero"],
    files,
    script: SCRIPT,
    timeout: 900,
  });
  const read = new Map();
  for (const [, name, size, sha256] of stdout.matchAll(/^(\S+) ([0-9]+) ([0-9a-f]{64})$/gm)) {
    read.set(name, { size: Number(size), sha256 });
  }
  return { vg, rhel, debian, read };
}

function treeOf(folder, files) {
  const root = mkdtempSync(join(folder, "tree-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Writes `data` into a file from MiB `at` on. */
function put(path, at, data) {
  run("dd", [`of=${path}`, "bs=1M", `seek=${at}`, "conv=notrunc"], { input: data, stdio: ["pipe", "pipe", "pipe"] });
}

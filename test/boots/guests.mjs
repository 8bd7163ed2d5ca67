// Builds the guest disks of the real boots: small file trees with a kernel, a ramdisk and boot files, on ext4 or XFS,
// on logical volumes too, below a DOS table, a GPT or none.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { makeKernels, unpackPackage } from "./kernels.mjs";

const run = (command, args, options = {}) =>
  execFileSync(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
const MIB = 1 << 20;

/** MiB; mkfs.xfs wants 300 at least. */
const sizeOf = (fs) => (fs === "xfs" ? 320 : 96);

/** A UUID by number, so that disks are the same each time. */
export const uuid = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** A ramdisk of one program that says so and waits. */
function makeInitrd(work) {
  const path = join(work, "initrd.img");
  if (existsSync(path)) return path;
  const root = join(work, "initrd");
  mkdirSync(join(root, "bin"), { recursive: true });
  for (const folder of ["proc", "dev"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(unpackPackage(work, "busybox-static"), "bin/busybox"), join(root, "bin/busybox"));
  writeFileSync(
    join(root, "init"),
    "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs d /dev\n/bin/busybox mount -t proc p /proc\n" +
      'exec </dev/hvc0 >/dev/hvc0 2>&1\necho "GUEST RAMDISK REACHED"\nwhile :; do /bin/busybox sleep 60; done\n',
  );
  chmodSync(join(root, "init"), 0o755);
  const archive = run("sh", ["-c", "find . | sort | cpio -o -H newc --quiet --reproducible | gzip -9n"], { cwd: root });
  writeFileSync(path, archive);
  return path;
}

/** A GRUB for the guest, as grub-install leaves it in /boot/xen; `more` are modules for what its disks are made of. */
function makePvboot(work, arch, prefix, more = []) {
  const path = join(work, ["pvboot", `${arch}${prefix.replaceAll("/", "_")}`, ...more].join("-").concat(".elf"));
  if (existsSync(path)) return path;
  const config = `${path}.cfg`;
  writeFileSync(config, `search.file ${prefix}/grub.cfg root\nset prefix=($root)${prefix}\n`);
  run("grub-mkimage", [
    "-O",
    `${arch}-xen`,
    "-p",
    prefix,
    "-c",
    config,
    "-o",
    path,
    ...more,
    ..."normal search search_fs_file search_fs_uuid search_label part_msdos part_gpt ext2 xfs linux multiboot configfile echo test gzio xzio lzopio legacycfg sleep boot minicmd loadenv"
      .split(" ")
      .filter((module) => existsSync(`/usr/lib/grub/${arch}-xen/${module}.mod`)),
  ]);
  return path;
}

export const grubCfg = ({ boot = "/boot", root = `UUID=${uuid(1)}`, extra = "", kernels = ["vmlinuz"], mark = "" }) =>
  `set timeout=1\n${extra}${kernels
    .map(
      (kernel) =>
        `menuentry 'Guest ${kernel}' {\n\tlinux ${boot}/${kernel} root=${root} ro console=hvc0 panic=0${mark}\n\tinitrd ${boot}/initrd.img\n}\n`,
    )
    .join("")}`;

export const menuLst = `default 0
timeout 1

title Guest
root (hd0,0)
kernel /boot/vmlinuz root=UUID=${uuid(1)} ro console=hvc0 panic=0
initrd /boot/initrd.img
`;

/** Writes a tree: values are texts, Buffers, or `{ copy: path }`. */
function writeTree(root, files) {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (content?.copy !== undefined) copyFileSync(content.copy, join(root, path));
    else writeFileSync(join(root, path), content);
  }
}

function makeFs(image, { fs, files, number = 1 }, work) {
  const tree = join(work, "tree");
  writeTree(tree, files);
  rmSync(image, { force: true });
  writeFileSync(image, "");
  truncateSync(image, sizeOf(fs) * MIB);
  const env = { ...process.env, E2FSPROGS_FAKE_TIME: "1600000000", SOURCE_DATE_EPOCH: "1600000000" };
  if (fs === "xfs") {
    const proto = join(work, "proto");
    writeFileSync(proto, protoFile(tree));
    run("mkfs.xfs", ["-q", "-f", "-m", `uuid=${uuid(number)}`, "-p", proto, image], { env });
  } else {
    run("mke2fs", ["-q", "-F", "-t", "ext4", "-U", uuid(number), "-E", `hash_seed=${uuid(99)}`, "-d", tree, image], {
      env,
    });
  }
}

/** A prototype file of mkfs.xfs for a tree. */
function protoFile(tree) {
  const lines = ["/stand/not-used", "0 0", "d--755 0 0"];
  const list = (folder) => {
    const names = run("ls", ["-A1", folder])
      .toString()
      .split("\n")
      .filter((name) => name !== "");
    for (const name of names) {
      const path = join(folder, name);
      if (run("stat", ["-c", "%F", path]).toString().trim() === "directory") {
        lines.push(`${name} d--755 0 0`);
        list(path);
        lines.push("$");
      } else lines.push(`${name} ---644 0 0 ${path}`);
    }
  };
  list(tree);
  return `${lines.join("\n")}\n$\n`;
}

const DOS_TYPES = { linux: "83", lvm: "8e" };
const GPT_TYPES = {
  linux: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
  lvm: "E6D6D379-F507-44C2-A23C-238F2A3DF928",
};

/** What a partition takes, MiB. A group keeps one for its label and metadata, and is rounded up to extents of 4. */
const sizeOfPart = ({ fs, lvm }) =>
  lvm === undefined
    ? sizeOf(fs)
    : Math.ceil((1 + lvm.volumes.reduce((sum, each) => sum + sizeOf(each.fs), 0)) / 4 + 1) * 4;

/** A partition of a disk: a file system, or a volume group. */
function makePart(image, part, work) {
  if (part.lvm === undefined) makeFs(image, part, work);
  else makeGroup(image, part, work);
}

/**
 * A volume group of one disk. The tools write their metadata without device-mapper, which the machine may lack; what the
 * volumes hold is then written where the metadata says that they lie.
 */
function makeGroup(image, part, work) {
  const { group, volumes } = part.lvm;
  rmSync(image, { force: true });
  writeFileSync(image, "");
  truncateSync(image, sizeOfPart(part) * MIB);
  const loop = run("losetup", ["-f", "--show", image]).toString().trim();
  const lvm = (...words) =>
    run("lvm", [
      ...words,
      "--driverloaded",
      "n",
      "--config",
      `devices { filter=["a|^${loop}$|","r|.*|"] use_devicesfile=0 }`,
    ])
      .toString()
      .trim();
  let places;
  try {
    lvm("pvcreate", "-q", "--uuid", LVM_UUID, "--norestorefile", loop);
    lvm("vgcreate", "-q", "-s", "4m", group, loop);
    for (const { name, fs } of volumes) {
      lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", `${sizeOf(fs)}m`, "-n", name, group);
    }
    const columns = ["-o", "lv_name,seg_pe_ranges", "--noheadings", "--separator", "|", group];
    const start = Number(lvm("pvs", "-o", "pe_start", "--noheadings", "--units", "b", "--nosuffix", loop));
    places = new Map(
      lvm("lvs", ...columns)
        .split("\n")
        .map((line) => line.trim().split("|"))
        .map(([name, range]) => [name, start + Number(/:([0-9]+)-/.exec(range)[1]) * 4 * MIB]),
    );
  } finally {
    run("losetup", ["-d", loop]);
  }
  const disk = openSync(image, "r+");
  for (const volume of volumes) {
    const piece = join(work, "volume.img");
    makeFs(piece, volume, work);
    writeSync(disk, readFileSync(piece), 0, undefined, places.get(volume.name));
  }
  closeSync(disk);
}

const LVM_UUID = "Guestp-robe-Boot-Boot-Boot-Boot-Groups";

function makeDisk(image, { table, parts }, work) {
  if (table === undefined) return makePart(image, parts[0], work);
  const sizes = parts.map(sizeOfPart);
  rmSync(image, { force: true });
  writeFileSync(image, "");
  truncateSync(image, (sizes.reduce((sum, size) => sum + size, 0) + 2) * MIB);
  const types = table === "gpt" ? GPT_TYPES : DOS_TYPES;
  const label = table === "gpt" ? `label: gpt\nlabel-id: ${uuid(50)}\n` : "label: dos\nlabel-id: 0x12345678\n";
  let start = 1;
  const lines = parts.map((part, index) => {
    const type = part.lvm === undefined ? types.linux : types.lvm;
    const line = `start=${start}MiB, size=${sizes[index]}MiB, type=${type}${table === "gpt" ? `, uuid=${uuid(60 + index)}` : ""}`;
    start += sizes[index];
    return line;
  });
  run("sfdisk", ["-q", image], { input: `${label}${lines.join("\n")}\n` });
  start = 1;
  const disk = openSync(image, "r+");
  for (const [index, part] of parts.entries()) {
    const piece = join(work, "piece.img");
    makePart(piece, part, work);
    writeSync(disk, readFileSync(piece), 0, undefined, start * MIB);
    start += sizes[index];
  }
  closeSync(disk);
}

/** All disks, made once: case -> [{ path, vdev }]. */
export function makeGuests(work, cases) {
  mkdirSync(join(work, "disks"), { recursive: true });
  const parts = {
    kernels: Object.fromEntries(Object.entries(makeKernels(work)).map(([name, copy]) => [name, { copy }])),
    initrd: { copy: makeInitrd(work) },
    pvboot: (arch, prefix, more) => ({ copy: makePvboot(work, arch, prefix, more) }),
  };
  const guests = new Map();
  for (const each of cases) {
    const disks = each.disks(parts).map((disk, index) => {
      const path = join(work, "disks", `${each.name}-${index}.img`);
      if (!existsSync(path)) makeDisk(path, disk, work);
      return { path, vdev: disk.vdev ?? `xvd${"abcd"[index]}` };
    });
    guests.set(each.name, disks);
  }
  return guests;
}

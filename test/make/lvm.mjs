/**
 * Builds the LVM fixtures: CASE.img.gz, and CASE.json with what the real GRUB finds on it and what LVM says of its volumes.
 * LVM writes its metadata without the kernel's part of it; the volumes, all linear, are then filled where LVM put them.
 * Needs root for loop devices, lvm2, xfsprogs, dosfstools, e2fsprogs, fdisk and grub-emu.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { run } from "../lib/kernel-view.mjs";
import { makeXfsFrom } from "../lib/xfs-tree.mjs";

const target = fileURLToPath(new URL("../fixtures/lvm/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-lvm-"));
const MIB = 1 << 20;
const BOOT_UUID = "6b5d0f7e-0f55-4f7c-9d2c-9f2c6a1b0b01";

const PATHS = [
  ...["/boot/xen/pvboot-x86_64.elf", "/xen/pvboot-x86_64.elf", "/boot/xen/pvboot-i386.elf", "/xen/pvboot-i386.elf"],
  ...["/boot/grub/grub.cfg", "/grub/grub.cfg", "/boot/grub/menu.lst", "/grub/menu.lst"],
];

function disk(name, size, table) {
  const path = join(scratch, `${name}.img`);
  writeFileSync(path, "");
  truncateSync(path, size * MIB);
  if (table !== undefined) run("sfdisk", ["-q", path], { input: table, stdio: "pipe" });
  return path;
}

function tree(files) {
  const root = mkdtempSync(join(scratch, "tree-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

function xfs(size, files, args = []) {
  const path = disk(`xfs-${size}`, size);
  makeXfsFrom(path, size * MIB, tree(files), args);
  return readFileSync(path);
}

function ext2(size, files) {
  const path = disk(`ext2-${size}`, size);
  run("mke2fs", ["-q", "-F", "-t", "ext2", "-d", tree(files), path]);
  return readFileSync(path);
}

const put = (path, at, data) =>
  run("dd", [`of=${path}`, "bs=64k", `seek=${at / 65536}`, "conv=notrunc"], {
    input: data,
    stdio: ["pipe", "pipe", "pipe"],
  });

/**
 * Makes a group with linear volumes on the bytes of `path` from MiB `at` on, and fills them; answers what LVM says of it.
 *
 * @param {readonly (readonly [name: string, size: string, content: Uint8Array])[]} volumes
 */
function makeGroup(path, at, size, group, volumes) {
  const args = ["--find", "--show", "--offset", String(at * MIB), "--sizelimit", String(size * MIB), path];
  const device = run("losetup", args).trim();
  const config = `devices { filter=["a|^${device}$|","r|.*|"] use_devicesfile=0 } global { activation=0 } backup { backup=0 archive=0 }`;
  const lvm = (command, ...more) => run("lvm", [command, "--config", config, ...more]);
  try {
    lvm("pvcreate", "-q", device);
    lvm("vgcreate", "-q", "-s", "1m", group, device);
    for (const [name, bytes] of volumes) lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", bytes, "-n", name, group);
    const start = Number(lvm("pvs", "--noheadings", "--nosuffix", "--units", "b", "-o", "pe_start", device));
    const fields = "lv_name,lv_uuid,vg_uuid,lv_size,seg_pe_ranges,lv_dm_path";
    const report = lvm("lvs", "--reportformat", "json", "--nosuffix", "--units", "b", "-o", fields, group);
    const found = JSON.parse(report).report[0].lv;
    for (const [name, , content] of volumes) {
      const extent = Number(/:(\d+)-/.exec(found.find((lv) => lv.lv_name === name).seg_pe_ranges)[1]);
      put(path, at * MIB + start + extent * MIB, content);
    }
    return found.map(({ lv_name, lv_uuid, vg_uuid, lv_size, lv_dm_path }) => ({
      name: lv_name,
      aliases: [`lvmid/${vg_uuid}/${lv_uuid}`],
      bytes: Number(lv_size),
      linux: lv_dm_path,
    }));
  } finally {
    run("losetup", ["-d", device]);
  }
}

/** What the real GRUB prints for each `search -f`, all in one run. */
function grubSearch(path, files) {
  writeFileSync(join(scratch, "map"), `(hd0) ${path}\n`);
  const lines = files.map((file, index) => `echo "@${index}@"\nsearch -f ${file}\necho`);
  writeFileSync(join(scratch, "grub.cfg"), `${lines.join("\n")}\necho @end@\nexit\n`);
  const emu = `stty cols 20000; grub-emu -m ${join(scratch, "map")} -d ${scratch} -r host`;
  const output = run("script", ["-qec", emu, "/dev/null"], { input: "", stdio: "pipe" }).replace(
    /\u001b\[[0-9;]*m|\r/g,
    "",
  );
  if (!output.includes("@end@")) throw new Error(`grub-emu did not come to its end:\n${output}`);
  return files.map((_, index) => {
    const [printed = ""] = (output.split(`@${index}@\n`)[1] ?? "").split("\n");
    return printed.startsWith(" ")
      ? printed
          .trim()
          .split(" ")
          .filter((device) => device !== "host")
      : [];
  });
}

function save(name, path, volumes) {
  const again = (file) => file.replace(/\/([^/]*)$/, "/./$1");
  const asked = [...PATHS, ...PATHS.map(again)];
  const found = grubSearch(path, asked);
  // As the first that GRUB does, before it has looked for groups.
  const [first] = grubSearch(path, [PATHS[4]]);
  writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(path), { level: 9 }));
  writeFileSync(
    `${target}${name}.json`,
    `${JSON.stringify({ volumes, first, search: asked.map((file, index) => [file, found[index]]) }, undefined, 1)}\n`,
  );
}

mkdirSync(target, { recursive: true });
try {
  // GPT, EFI, XFS for /boot, and LVM with XFS as Red Hat's installer makes it.
  const rhel = disk("rhel", 64, "label: gpt\nstart=2048,size=4M,type=uefi\nsize=16M\ntype=lvm\n");
  const esp = disk("esp", 4);
  run("mkfs.fat", ["-n", "EFI", esp]);
  put(rhel, 1 * MIB, readFileSync(esp));
  const boot = { "/grub/grub.cfg": "set timeout=1\n", "/xen/pvboot-x86_64.elf": "no kernel\n" };
  put(rhel, 5 * MIB, xfs(16, boot, ["-m", `uuid=${BOOT_UUID}`]));
  const fstab =
    `/dev/mapper/rhel_guest--1-root / xfs defaults 0 0\nUUID=${BOOT_UUID} /boot xfs defaults 0 0\n` +
    "/dev/mapper/rhel_guest--1-swap none swap defaults 0 0\n";
  const root = xfs(16, {
    "/etc/fstab": fstab,
    "/boot/grub/grub.cfg": "echo under the mount point\n",
    "/boot/grub/menu.lst": "title old\n",
  });
  const swap = disk("swap", 2);
  run("mkswap", [swap]);
  const volumes = [
    ["swap", "2m", readFileSync(swap)],
    ["root", "18m", root],
  ];
  save("rhel", rhel, makeGroup(rhel, 21, 42, "rhel_guest-1", volumes));

  // Volumes enough to tell an order, beside a partition with the same files.
  const order = disk("order", 16, "label: dos\nstart=2048,size=2M\ntype=8e\n");
  const same = { "/boot/grub/grub.cfg": "set timeout=0\n", "/grub/menu.lst": "title\n" };
  put(order, 1 * MIB, ext2(1, same));
  const names = ["b", "a", "d-1", "c"].map((name) => [name, "1m", ext2(1, same)]);
  save("order", order, makeGroup(order, 3, 13, "vg", names));
} finally {
  rmSync(scratch, { recursive: true });
}

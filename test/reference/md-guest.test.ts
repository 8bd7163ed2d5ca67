/** A guest as Debian's installer leaves it on two disks: /boot on a mirror, and LVM on another one. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice } from "@guestprobe/block";
import type { SearchQuery } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { assembleVolumes } from "@guestprobe/volume";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { guestprobe } from "../lib/cli.js";
import { grubEmuSearch } from "../lib/grub-emu.js";
import { run } from "../lib/kernel-view.mjs";
import { LVM_MODULES, MD_MODULES, runInGuest } from "../lib/tcg-guest.mjs";

const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), "md-guest-"));
afterAll(() => rmSync(folder, { recursive: true }));

const disks = ["hd0", "hd1"].map((name) => ({ name, file: join(folder, `${name}.img`) }));
const CFG = "set default=0\nmenuentry 'Debian' {\n  linux /vmlinuz root=/dev/mapper/debian--vg-root\n}\n";
const FSTAB = "/dev/mapper/debian--vg-root / ext4 errors=remount-ro 0 1\n/dev/md0 /boot ext4 defaults 0 2\n";
const LVM_CONF = `
devices { use_devicesfile=0 scan=["/dev"] filter=["a|/dev/md|", "r|.*|"] }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
backup { backup=0 archive=0 }
`;

/** SHA-256 of each device as the guest's kernel read it. */
const hashes = new Map<string, string>();
beforeAll(async () => {
  for (const { file } of disks) {
    writeFileSync(file, new Uint8Array(80 * MIB));
    run("sfdisk", ["-q", file], { input: "label: dos\n,20M,fd,*\n,,fd\n", stdio: "pipe" });
  }
  const { stdout } = await runInGuest({
    disks: disks.map(({ file }) => file),
    tools: ["mdadm", "lvm", "mkfs.ext4"],
    modules: [...MD_MODULES, ...LVM_MODULES],
    files: { "/etc/lvm/lvm.conf": LVM_CONF, "/cfg": CFG, "/fstab": FSTAB },
    timeout: 600,
    script: `
      mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 /dev/vda1 /dev/vdb1
      mdadm --create /dev/md1 --run --assume-clean --level=1 --raid-devices=2 /dev/vda2 /dev/vdb2
      mkfs.ext4 -q -L boot /dev/md0
      mount -t ext4 /dev/md0 /mnt
      mkdir /mnt/grub
      cp /cfg /mnt/grub/grub.cfg
      umount /mnt
      lvm pvcreate -q /dev/md1
      lvm vgcreate -q debian-vg /dev/md1
      lvm lvcreate -q -y -Zn -n root -L 24M debian-vg
      lvm lvcreate -q -y -Zn -n swap_1 -L 8M debian-vg
      mkfs.ext4 -q -L root /dev/mapper/debian--vg-root
      mount -t ext4 /dev/mapper/debian--vg-root /mnt
      mkdir -p /mnt/etc /mnt/boot/grub
      cp /fstab /mnt/etc/fstab
      cp /cfg /mnt/boot/grub/old.cfg
      umount /mnt
      mkswap /dev/mapper/debian--vg-swap_1 >/dev/null
      for name in md0 md1 mapper/debian--vg-root mapper/debian--vg-swap_1; do
        echo "$name $(sha256sum </dev/$name)"
      done
      lvm vgchange -q -an debian-vg
      mdadm --stop /dev/md1
      mdadm --stop /dev/md0
    `,
  });
  for (const [, name, hash] of stdout.matchAll(/^(\S+) ([0-9a-f]{64})/gm)) hashes.set(name!, hash!);
}, 660_000);

/** What is made of the disks and their partitions. */
async function assembled() {
  const members = [];
  for (const { name, file } of disks) {
    const device = bufferDevice(readFileSync(file));
    const { partitions } = await readPartitions(device);
    members.push({ name, device });
    for (const part of partitions) members.push({ name: `${name},msdos${part.number}`, device: part.device! });
  }
  return assembleVolumes(members);
}

test("each disk, member and volume is named as blkid names it", async () => {
  for (const { file } of disks) await expectAsBlkidHasIt(file);
  const copy = join(folder, "volume");
  for (const { device } of (await assembled()).volumes) {
    writeFileSync(copy, await device.read(0, device.size));
    await expectAsBlkidHasIt(copy);
  }
});

test("the bytes of arrays and of logical volumes on one are those that the kernel read", async () => {
  const { volumes, unread } = await assembled();
  expect(unread).toEqual([]);
  expect(volumes.map(({ name }) => name).sort()).toEqual([
    "lvm/debian--vg-root",
    "lvm/debian--vg-swap_1",
    "md/0",
    "md/1",
  ]);
  for (const { device, linuxNames } of volumes) {
    const linux = linuxNames.map((name) => name.replace("/dev/", "")).find((name) => hashes.has(name));
    const hash = createHash("sha256")
      .update(await device.read(0, device.size))
      .digest("hex");
    expect(`${linux} ${hash}`).toBe(`${linux} ${hashes.get(linux!)}`);
  }
  expect(hashes.size).toBe(4);
});

const QUERIES: SearchQuery[] = [
  { by: "file", name: "/grub/grub.cfg" },
  { by: "file", name: "/boot/grub/grub.cfg" },
  { by: "file", name: "/etc/fstab" },
  { by: "file", name: "/lost+found" },
  { by: "file", name: "/boot/grub/old.cfg" },
  // The command asks for files first.
  { by: "label", name: "boot" },
  { by: "label", name: "root" },
];

/** What the command answers, in the form of grub-emu's helper. */
async function answers(images: readonly { name: string; file: string }[]): Promise<string[][]> {
  const flags = QUERIES.flatMap(({ by, name }) => [by === "file" ? "-f" : "-l", String(name)]);
  const files = images.map(({ file }) => file);
  const as = images.map(({ name }) => name).join(",");
  const { out } = await guestprobe(["search", "--json", "--as", as, ...flags, ...files]);
  const document = JSON.parse(out) as { search: { by: string; name: string; hits: { device: string }[] }[] };
  return QUERIES.map(({ by, name }) =>
    document.search.find((entry) => entry.by === by && entry.name === name)!.hits.map(({ device }) => device),
  );
}

test("search answers as grub-emu does, with both disks and with either", async () => {
  for (const images of [disks, disks.slice(0, 1), disks.slice(1)]) {
    const theirs = grubEmuSearch(images, QUERIES);
    expect(await answers(images)).toEqual(theirs);
    expect(theirs[0]).toEqual(["md/0"]);
    expect(theirs[2]).toEqual(["lvm/debian--vg-root"]);
  }
});

test("files are read through the arrays, and a missing disk is told", async () => {
  const images = disks.map(({ file }) => file);
  const boot = await guestprobe(["cat", ...images, "(md/0)/grub/grub.cfg"]);
  expect([boot.code, boot.out]).toEqual([0, CFG]);
  const root = await guestprobe(["cat", images[1]!, "(lvm/debian--vg-root)/etc/fstab"]);
  expect([root.code, root.out]).toEqual([0, FSTAB]);
  const lint = await guestprobe(["lint", "--json", images[0]!]);
  const codes = (JSON.parse(lint.out) as { findings: { code: string }[] }).findings.map(({ code }) => code);
  expect(codes.filter((code) => code.startsWith("md-"))).toEqual(["md-degraded", "md-degraded"]);
});

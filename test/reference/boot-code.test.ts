import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, countReads, sliceDevice } from "@guestprobe/block";
import { type BootCode, identifyBootCode } from "@guestprobe/signature";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../lib/kernel-view.mjs";

const folder = mkdtempSync(join(tmpdir(), "guestprobe-boot-code-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MIB = 1 << 20;
const PART = { first: 2048, sectors: 28_000 };
const GRUB = "/usr/lib/grub/i386-pc";

function blank(name: string, size: number): string {
  const file = join(folder, name);
  writeFileSync(file, "");
  truncateSync(file, size);
  return file;
}

async function codeOf(file: string): Promise<BootCode | undefined> {
  return identifyBootCode(bufferDevice(readFileSync(file)));
}

/**
 * Has the real grub-bios-setup install GRUB on a disk with one partition: into the gap behind the MBR, and into the boot
 * sector of the partition.
 */
function installGrub(prefix: string): string {
  const disk = blank("grub.img", 16 * MIB);
  execFileSync("sfdisk", ["-q", disk], { input: `label: dos\n${PART.first},${PART.sectors},83,*\n` });
  const whole = run("losetup", ["--find", "--show", disk]).trim();
  const offset = ["--offset", String(PART.first * 512), "--sizelimit", String(PART.sectors * 512)];
  const part = run("losetup", ["--find", "--show", ...offset, disk]).trim();
  const point = join(folder, "mount");
  try {
    run("mke2fs", ["-q", "-F", part]);
    mkdirSync(point);
    run("mount", [part, point]);
    try {
      const boot = join(point, "grub");
      mkdirSync(boot);
      cpSync(join(GRUB, "boot.img"), join(boot, "boot.img"));
      const modules = ["biosdisk", "part_msdos", "ext2"];
      run("grub-mkimage", ["-O", "i386-pc", "-p", prefix, "-o", join(boot, "core.img"), ...modules]);
      run("sync", []);
      const map = join(folder, "device.map");
      writeFileSync(map, `(hd0) ${whole}\n(hd1) ${part}\n`);
      const setup = join(GRUB, "grub-bios-setup");
      run(setup, ["--skip-fs-probe", "--directory", boot, "--device-map", map, "(hd0)"]);
      run(setup, ["--skip-fs-probe", "--force", "--directory", boot, "--device-map", map, "(hd1)"]);
    } finally {
      run("umount", [point]);
    }
  } finally {
    for (const loop of [part, whole]) run("losetup", ["--detach", loop]);
  }
  return disk;
}

describe("GRUB 2, installed by grub-bios-setup", () => {
  const prefix = "(,msdos1)/boot/grub";
  const disk = installGrub(prefix);
  const bytes = readFileSync(disk);
  const device = bufferDevice(bytes);

  test("in the gap behind the MBR, with its Reed-Solomon code", async () => {
    expect(await identifyBootCode(device)).toEqual({
      kind: "grub2",
      title: "GRUB 2",
      drive: undefined,
      next: 512,
      prefix,
    });
    // diskboot.img is what lies there.
    const diskboot = readFileSync(join(GRUB, "diskboot.img"));
    expect(bytes.subarray(512, 512 + 0x1e8).equals(diskboot.subarray(0, 0x1e8))).toBe(true);
  });

  test("in the boot sector of a volume, by lists of blocks", async () => {
    const part = sliceDevice(device, PART.first * 512, PART.sectors * 512);
    // To grub-bios-setup, the volume was a disk of its own: its sectors count from there.
    const code = await identifyBootCode(part);
    expect(code).toMatchObject({ kind: "grub2", prefix });
    const start = Buffer.from(await part.read(code!.next!, 16));
    expect(start.equals(readFileSync(join(GRUB, "diskboot.img")).subarray(0, 16))).toBe(true);
  });

  test("a core image that was overwritten: the loader is named, the prefix is not known", async () => {
    for (const [from, to] of [
      [1024, 4096],
      [512, 1024],
      [0x5c, 0x64],
    ] as const) {
      const copy = Uint8Array.from(bytes);
      copy.fill(0xff, from, to);
      const counted = countReads(bufferDevice(copy));
      expect(await identifyBootCode(counted)).toMatchObject({ kind: "grub2", prefix: undefined });
      expect(counted.stats.reads).toBeLessThanOrEqual(50);
    }
  });

  test("what varies is not looked at: table, disk signature, drive", async () => {
    const copy = Uint8Array.from(bytes);
    copy.fill(0xa5, 0x1b8, 0x1fe);
    copy[0x64] = 0x81;
    expect(await identifyBootCode(bufferDevice(copy))).toMatchObject({ kind: "grub2", drive: 0x81, next: 512, prefix });
  });
});

describe("other loaders, as their tools write them", () => {
  const mbr = (name: string, source: string): string => {
    const file = blank(name, MIB);
    const bytes = readFileSync(file);
    readFileSync(source).copy(bytes, 0);
    bytes.writeUInt16LE(0xaa55, 510);
    writeFileSync(file, bytes);
    return file;
  };
  test.each([
    ["syslinux-mbr", "mbr.bin"],
    ["syslinux-mbr", "altmbr.bin"],
    ["syslinux-gptmbr", "gptmbr.bin"],
  ])("%s from %s", async (kind, name) => {
    expect(await codeOf(mbr(name, `/usr/lib/syslinux/mbr/${name}`))).toMatchObject({ kind });
  });
  test("syslinux on FAT", async () => {
    const file = blank("syslinux.img", 64 * MIB);
    run("mkfs.vfat", ["-F", "16", file]);
    expect(await codeOf(file)).toMatchObject({ kind: "not-bootable" });
    run("syslinux", ["--install", file]);
    expect(await codeOf(file)).toMatchObject({ kind: "syslinux" });
  });
  test("extlinux on ext4", async () => {
    const file = blank("extlinux.img", 16 * MIB);
    run("mke2fs", ["-q", "-F", "-t", "ext4", "-O", "^64bit,^metadata_csum", file]);
    const loop = run("losetup", ["--find", "--show", file]).trim();
    const point = join(folder, "extlinux");
    mkdirSync(point);
    try {
      run("mount", [loop, point]);
      try {
        run("extlinux", ["--install", point]);
      } finally {
        run("umount", [point]);
      }
    } finally {
      run("losetup", ["--detach", loop]);
    }
    expect(await codeOf(file)).toMatchObject({ kind: "extlinux" });
  });
  test("isohybrid", async () => {
    const tree = join(folder, "iso");
    mkdirSync(tree);
    copyFileSync("/usr/lib/ISOLINUX/isolinux.bin", join(tree, "isolinux.bin"));
    copyFileSync("/usr/lib/syslinux/modules/bios/ldlinux.c32", join(tree, "ldlinux.c32"));
    const file = join(folder, "hybrid.iso");
    const boot = ["-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"];
    run("genisoimage", ["-quiet", ...boot, "-o", file, tree]);
    expect(await codeOf(file)).toBeUndefined();
    run("isohybrid", [file]);
    expect(await codeOf(file)).toMatchObject({ kind: "isohybrid" });
  });
  test("Debian's mbr, parted, and an empty table", async () => {
    const own = blank("install-mbr.img", MIB);
    run("install-mbr", ["--force", own]);
    expect(await codeOf(own)).toMatchObject({ kind: "install-mbr" });
    const parted = blank("parted.img", 8 * MIB);
    run("parted", ["-s", parted, "mklabel", "msdos"]);
    expect(await codeOf(parted)).toMatchObject({ kind: "parted" });
    const empty = blank("empty.img", 8 * MIB);
    execFileSync("sfdisk", ["-q", empty], { input: "label: dos\n" });
    expect(await codeOf(empty)).toMatchObject({ kind: "none" });
  });
  test("no mark of a boot sector, no code: zeros, and a volume of ext4", async () => {
    expect(await codeOf(blank("zeros.img", MIB))).toBeUndefined();
    expect(await codeOf(blank("tiny.img", 100))).toBeUndefined();
  });
});

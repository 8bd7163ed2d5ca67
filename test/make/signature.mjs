/**
 * Builds test/fixtures/superblock: of each sample of the tools that blkid names, the sectors that are looked at to name it, and
 * what blkid says of the whole. Builds test/fixtures/boot-code: a disk on which grub-bios-setup put GRUB, up to its
 * partition. Run it as root, after a build: node test/make/signature.mjs
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { identify } from "@guestprobe/signature";
import { build } from "esbuild";
import { run } from "../lib/kernel-view.mjs";

const SECTOR = 512;
const MIB = 1 << 20;
const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "signature-"));

async function samples() {
  const bundle = join(folder, "samples.mjs");
  const source = fileURLToPath(new URL("../lib/signature-samples.ts", import.meta.url));
  await build({ entryPoints: [source], outfile: bundle, bundle: true, platform: "node", format: "esm" });
  return import(pathToFileURL(bundle).href);
}

function blkid(file) {
  const answer = {};
  for (const key of ["TYPE", "LABEL", "UUID", "USAGE", "VERSION"]) {
    const { stdout } = spawnSync("blkid", ["-p", "-o", "value", "-s", key, file], { encoding: "utf8" });
    if (stdout !== "") answer[key] = stdout.replace(/\n$/, "");
  }
  return answer;
}

/** The sectors that are read to name the device, but for those of zeros: place in bytes, and what is there. */
async function lookedAt(bytes) {
  const sectors = {};
  const device = {
    size: bytes.length,
    async read(offset, length) {
      for (let at = offset - (offset % SECTOR); at < offset + length; at += SECTOR) {
        const sector = bytes.subarray(at, at + SECTOR);
        if (sector.some((byte) => byte !== 0)) sectors[at] = sector.toString("base64");
      }
      return bytes.subarray(offset, offset + length);
    },
  };
  await identify(device);
  return sectors;
}

async function superblocks() {
  const target = join(fixtures, "superblock");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const { makeSample, SIGNATURE_SAMPLES } = await samples();
  for (const sample of SIGNATURE_SAMPLES) {
    const file = makeSample(sample, folder);
    const expected = blkid(file);
    if (expected.TYPE === undefined) continue;
    const bytes = readFileSync(file);
    const kept = { expected, size: bytes.length, sectors: await lookedAt(bytes) };
    writeFileSync(join(target, `${sample.name}.json.gz`), gzipSync(JSON.stringify(kept), { level: 9 }));
    for (const name of [file, join(folder, sample.name)]) rmSync(name, { force: true });
  }
}

function bootCode() {
  const target = join(fixtures, "boot-code");
  mkdirSync(target, { recursive: true });
  const disk = join(folder, "grub.img");
  const prefix = "(,msdos1)/boot/grub";
  writeFileSync(disk, "");
  truncateSync(disk, 4 * MIB);
  execFileSync("sfdisk", ["-q", disk], { input: "label: dos\nlabel-id: 0x00c0ffee\n2048,6144,83,*\n" });
  const whole = run("losetup", ["--find", "--show", disk]).trim();
  const part = run("losetup", ["--find", "--show", "--offset", String(MIB), disk]).trim();
  const point = join(folder, "mount");
  mkdirSync(point);
  try {
    run("mke2fs", ["-q", "-F", part]);
    run("mount", [part, point]);
    try {
      const grub = "/usr/lib/grub/i386-pc";
      cpSync(join(grub, "boot.img"), join(point, "boot.img"));
      run("grub-mkimage", ["-O", "i386-pc", "-p", prefix, "-o", join(point, "core.img"), "biosdisk", "part_msdos"]);
      run("sync", []);
      const map = join(folder, "device.map");
      writeFileSync(map, `(hd0) ${whole}\n(hd1) ${part}\n`);
      run(join(grub, "grub-bios-setup"), ["--skip-fs-probe", "--directory", point, "--device-map", map, "(hd0)"]);
    } finally {
      run("umount", [point]);
    }
  } finally {
    for (const loop of [part, whole]) run("losetup", ["--detach", loop]);
  }
  writeFileSync(join(target, "grub2.img.gz"), gzipSync(readFileSync(disk).subarray(0, MIB), { level: 9 }));
  writeFileSync(join(target, "grub2.json"), `${JSON.stringify({ prefix }, null, 2)}\n`);
}

try {
  await superblocks();
  bootCode();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Builds the XFS fixtures: CASE.img.gz, and CASE.json with what the volume must read as, from the kernel's view, from
 * the folder a version 4 volume was made of (the kernel at hand mounts none), or from GRUB's. Needs root for loop
 * mounts, xfsprogs, attr, acl and grub-common.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { grubView } from "../lib/grub-fstest.mjs";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { fill, fillMounted, makeXfs, makeXfsFrom, text, withoutOwnNumbers } from "../lib/xfs-tree.mjs";

const target = fileURLToPath(new URL("../fixtures/xfs/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-xfs-"));
const image = join(scratch, "volume.img");
const MIB = 1 << 20;
const uuid = (number) => `6b5d0f7e-0f55-4f7c-9d2c-9f2c6a1b000${number}`;
const ATTRS = ["short", "leaf", "remote", "many", "acl", "removed"].map((name) => `/attrs/${name}`);

function save(name, expected, file = image) {
  writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(file), { level: 9 }));
  const lines = expected.entries.map((entry) => JSON.stringify(brief(entry)));
  const head = JSON.stringify({ ...expected, entries: undefined }).slice(0, -1);
  writeFileSync(`${target}${name}.json`, `${head},"entries":[\n${lines.join(",\n")}\n]}\n`);
}

/** Values of attributes by their SHA-256: they may be long. */
function hashed(attrs) {
  const hash = (hex) => createHash("sha256").update(Buffer.from(hex, "hex")).digest("hex");
  return Object.fromEntries(Object.entries(attrs).map(([name, hex]) => [name, hash(hex)]));
}

/** Further names of one file in a large directory need not repeat what the first says. */
function brief(entry) {
  const { path, type, ino } = entry;
  return /^\/dirs\/\d{3,}\/entry-\d{2,}-/.test(path) ? { path, type, ino } : entry;
}

function mounted(name, number, size, args, options) {
  makeXfs(image, size, ["-m", `uuid=${uuid(number)}`, "-L", name, ...args]);
  withMount(image, ["nouuid"], (root) => {
    fill(root, options);
    fillMounted(root, { manyAttrs: 60, ...options });
  });
  const expected = withMount(image, ["ro", "nouuid"], (root) => ({
    kind: "xfs",
    label: name,
    uuid: uuid(number),
    entries: kernelView(root),
    xattrs: Object.fromEntries(ATTRS.map((path) => [path, hashed(kernelXattrs(`${root}${path}`))])),
  }));
  save(name, expected);
}

/** Copied while the newest changes were in the log alone: GRUB sees the volume as it was before them. */
function dirty(name, number) {
  makeXfs(image, 16 * MIB, ["-m", `uuid=${uuid(number)}`, "-L", name]);
  withMount(image, ["nouuid"], (root) => {
    mkdirSync(join(root, "boot/grub"), { recursive: true });
    writeFileSync(join(root, "boot/grub/grub.cfg"), text(3000, 1));
    writeFileSync(join(root, "boot/vmlinuz-old"), text(9000, 2));
  });
  const copy = join(scratch, "copy.img");
  withMount(image, ["nouuid"], (root) => {
    writeFileSync(join(root, "boot/vmlinuz-new"), text(12_000, 3));
    writeFileSync(join(root, "boot/grub/grub.cfg.new"), text(3500, 4));
    renameSync(join(root, "boot/grub/grub.cfg.new"), join(root, "boot/grub/grub.cfg"));
    rmSync(join(root, "boot/vmlinuz-old"));
    run("xfs_io", ["-c", "fsync", join(root, "boot/grub")]);
    copyFileSync(image, copy);
  });
  save(name, { kind: "xfs", label: name, uuid: uuid(number), entries: grubView(copy) }, copy);
}

try {
  mkdirSync(target, { recursive: true });
  mounted("v5-4k", 1, 20 * MIB, [], { directories: [0, 5, 50, 150, 600], extents: 60 });
  const small = ["-b", "size=1024", "-n", "size=4096", "-m", "rmapbt=1", "-i", "nrext64=1"];
  mounted("v5-1k", 2, 24 * MIB, small, { directories: [0, 5, 50, 150, 600], extents: 600, blockSize: 1024 });
  const source = join(scratch, "source");
  mkdirSync(source);
  fill(source, { directories: [0, 5, 50, 150, 600], extents: 60, blockSize: 512, odd: false });
  const old = ["-m", "crc=0", "-d", "agcount=1", "-b", "size=512", "-n", "ftype=0,size=4096", "-L", "v4-512"];
  makeXfsFrom(image, 28 * MIB, source, old);
  run("xfs_db", ["-x", "-c", `uuid ${uuid(3)}`, image]);
  const entries = withoutOwnNumbers(kernelView(source));
  save("v4-512", { kind: "xfs", label: "v4-512", uuid: uuid(3), entries });
  dirty("v5-dirty", 4);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/**
 * Builds test/fixtures/iso9660: volumes by genisoimage and xorriso, with what Linux shows of them, mounted inside an emulated
 * guest. Needs root (device nodes), genisoimage, xorriso, util-linux and qemu-system-x86.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { guestViews } from "../lib/guest-view.mjs";
import { genisoimage, ISO_MODULES, writeIsoTree, xorrisofs } from "../lib/iso-images.mjs";

const target = fileURLToPath(new URL("../fixtures/iso9660/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-iso9660-"));
const at = (name) => join(scratch, name);

const BOOTABLE = [
  ...["-b", "boot/vmlinuz", "-no-emul-boot", "-boot-load-size", "4"],
  ...["-eltorito-alt-boot", "-e", "EFI/BOOT/BOOTX64.EFI", "-no-emul-boot", "-isohybrid-gpt-basdat"],
];
/** `files`: the tree without links and devices, which a plain volume cannot have. */
const CASES = {
  plain: (image) => genisoimage(at("files"), image),
  level3: (image) => genisoimage(at("files"), image, "-iso-level", "3", "-l", "-allow-lowercase", "-relaxed-filenames"),
  rr: (image) => genisoimage(at("tree"), image, "-R"),
  joliet: (image) => genisoimage(at("files"), image, "-J"),
  both: (image) => genisoimage(at("tree"), image, "-R", "-J"),
  xrr: (image) => xorrisofs(at("tree"), image),
  xboth: (image) => xorrisofs(at("tree"), image, "-J", ...BOOTABLE),
};

const blkid = (image, key) => {
  const line = execFileSync("blkid", ["-p", "-o", "value", "-s", key, image], { encoding: "utf8" });
  return line.trim();
};

try {
  for (const name of ["tree", "files"]) mkdirSync(at(name));
  writeIsoTree(at("tree"));
  writeIsoTree(at("files"), { nodes: false });
  const images = Object.entries(CASES).map(([name, make]) => {
    make(at(`${name}.iso`));
    return { image: at(`${name}.iso`), type: "iso9660", options: "utf8" };
  });
  const views = await guestViews(images, ISO_MODULES);
  mkdirSync(target, { recursive: true });
  for (const [index, name] of Object.keys(CASES).entries()) {
    const { image } = images[index];
    const expected = {
      kind: "iso9660",
      label: blkid(image, "LABEL"),
      uuid: blkid(image, "UUID"),
      entries: views[index],
    };
    writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(image), { level: 9 }));
    writeFileSync(`${target}${name}.json`, `${JSON.stringify(expected)}\n`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}

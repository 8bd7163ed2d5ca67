/** Trees and ISO 9660 volumes made of them by xorriso and genisoimage, for the fixtures and the differential suite. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pattern } from "./ext-tree.mjs";

const TIME = 1_700_000_000;
/** The same bytes each time: xorriso takes its clock from here. */
const ENVIRONMENT = { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", SOURCE_DATE_EPOCH: `${TIME}` };

const run = (command, ...args) =>
  execFileSync(command, args, { env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26 });

/** Files, names, links, devices, deep directories, boot files; `many` entries in one directory; a sparse file of `huge`. */
export function writeIsoTree(root, { many = 0, huge = 0, nodes = true, longLink = false } = {}) {
  const at = (...parts) => join(root, ...parts);
  mkdirSync(at("boot/grub"), { recursive: true });
  writeFileSync(at("boot/grub/grub.cfg"), "set timeout=5\n");
  writeFileSync(at("boot/vmlinuz"), pattern(70_000, 7));
  writeFileSync(at("empty"), "");
  mkdirSync(at("empty.dir"));
  for (const size of [1, 2047, 2048, 2049]) writeFileSync(at(`size-${size}`), pattern(size, size));
  mkdirSync(at("Names"));
  const names = [
    "UPPER.TXT",
    "lower.txt",
    "Mixed Case.text",
    "two.dots.txt",
    ".hidden",
    "noext",
    "a+b=c;d,e[f].txt",
    "ümlaut",
  ];
  for (const [n, name] of [...names, "日本", "n".repeat(64)].entries()) writeFileSync(at("Names", name), `${n}`);
  mkdirSync(at("EFI/BOOT"), { recursive: true });
  writeFileSync(at("EFI/BOOT/BOOTX64.EFI"), pattern(5000, 64));
  if (nodes) {
    mkdirSync(at("nodes"));
    run("mknod", at("nodes/null"), "c", "1", "3");
    run("mknod", at("nodes/wide"), "b", "8", "17");
    run("mkfifo", at("nodes/fifo"));
    mkdirSync(at("links"));
    for (const [name, target] of Object.entries({
      relative: "../boot/grub",
      absolute: "/boot/grub/grub.cfg",
      parents: "../../../..",
      dots: "./././x",
      slash: "/",
      // genisoimage writes fields that no reader understands for a target of this length.
      ...(longLink ? { long: `${"component-of-a-path/".repeat(40)}end` } : {}),
      "long-component": "y".repeat(240),
    })) {
      symlinkSync(target, at("links", name));
    }
    writeFileSync(at(`long-${"x".repeat(240)}`), "a name that needs a continuation area\n");
    writeFileSync(at("setuid"), "");
    chmodSync(at("setuid"), 0o6711);
    let deep = at("deep");
    for (let n = 0; n < 12; n += 1) deep = join(deep, `level${n}`);
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, "bottom"), "reached\n");
  }
  if (many > 0) {
    mkdirSync(at("many"));
    for (let n = 0; n < many; n += 1) writeFileSync(at("many", `entry-number-${n}`), n % 100 === 0 ? `${n}` : "");
  }
  if (huge > 0) {
    const fd = openSync(at("huge"), "w");
    ftruncateSync(fd, huge);
    for (const place of [0, 2 ** 31, 2 ** 32 - 5, huge - 100]) writeSync(fd, pattern(100, place % 1000), 0, 100, place);
    closeSync(fd);
  }
  for (const name of ["empty", "boot/vmlinuz"]) utimesSync(at(name), TIME - 1000, TIME - 2000);
}

/** A volume by genisoimage. */
export const genisoimage = (root, image, ...options) =>
  run("genisoimage", "-quiet", "-input-charset", "utf-8", "-V", "A LABEL", ...options, "-o", image, root);

/** A volume by xorriso's emulation of mkisofs. */
export const xorrisofs = (root, image, ...options) =>
  run("xorriso", "-as", "mkisofs", "-quiet", "-V", "A_LABEL", ...options, "-o", image, root);

/** What Linux needs to mount one with names in UTF-8. */
export const ISO_MODULES = ["isofs", "nls_utf8", "nls_ascii"];

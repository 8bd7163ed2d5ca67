/**
 * A tree for FAT volumes: names of all kinds, sizes round the cluster, fragmented files, a directory of thousands. Plain
 * JavaScript, and without other modules: it also runs inside an emulated guest.
 */
import { closeSync, mkdirSync, openSync, rmSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Bytes that tell where they belong, the same each time. */
function content(length, seed) {
  const lines = Array.from({ length: Math.ceil(length / 16) }, (_, n) => `${`${seed} ${n}`.padEnd(15)}\n`);
  return Buffer.from(lines.join("")).subarray(0, length);
}

/** Names of all kinds that FAT can hold. */
export const FAT_NAMES = [
  "lower.txt",
  "UPPER.TXT",
  "Mixed.Txt",
  "lower.EXT",
  "UPPER.ext",
  "NOEXT",
  "noext",
  ".hidden",
  "two.dots.txt",
  "with blank.txt",
  " leading blank",
  "a+b=c;d,e[f].txt",
  "tilde~1.txt",
  "LONGNA~1.TXT",
  "long name that shares its start one.txt",
  "long name that shares its start two.txt",
  "thirteen char",
  "twenty-six characters long",
  "ÄÖÜ umlaut.txt",
  "Çedille",
  "日本語の名前.txt",
  "emoji \u{1f50d} beyond the plane",
  "e\u0301 combining",
  `${"n".repeat(251)}.txt`,
  "ü".repeat(255),
  "\u{1f50d}".repeat(127),
];

/** @param {{ clusterSize: number, many?: number, fragments?: number, big?: number }} options */
export function writeFatTree(root, { clusterSize, many = 0, fragments = 20, big = 200_000 }) {
  const at = (...parts) => join(root, ...parts);
  mkdirSync(at("boot/grub"), { recursive: true });
  writeFileSync(at("boot/grub/grub.cfg"), "set timeout=5\n");
  writeFileSync(at("boot/vmlinuz"), content(big, 7));
  writeFileSync(at("empty"), "");
  mkdirSync(at("empty.dir"));
  mkdirSync(at("sizes"));
  for (const size of [1, clusterSize - 1, clusterSize, clusterSize + 1, 3 * clusterSize]) {
    writeFileSync(at("sizes", `${size}`), content(size, size));
  }
  mkdirSync(at("Names"));
  for (const [n, name] of FAT_NAMES.entries()) writeFileSync(at("Names", name), `${n}`);
  mkdirSync(at("EFI/BOOT"), { recursive: true });
  writeFileSync(at("EFI/BOOT/BOOTX64.EFI"), content(5000, 64));

  // Two files that grow in turn, and one that goes into the holes left by others.
  mkdirSync(at("fragmented"));
  const pair = ["one", "two"].map((name) => openSync(at("fragmented", name), "w"));
  for (let n = 0; n < fragments; n += 1) for (const fd of pair) writeSync(fd, content(clusterSize, n));
  for (const fd of pair) closeSync(fd);
  for (let n = 0; n < fragments; n += 1) writeFileSync(at("fragmented", `hole-${n}`), content(clusterSize, n));
  for (let n = 0; n < fragments; n += 2) rmSync(at("fragmented", `hole-${n}`));
  writeFileSync(at("fragmented/in the holes"), content(Math.floor(clusterSize * fragments * 0.7), 9));

  mkdirSync(at("times"));
  for (const [n, seconds] of [315_532_800, 951_868_800, 4_354_819_198, 1_700_000_001].entries()) {
    writeFileSync(at("times", `t${n}`), "");
    utimesSync(at("times", `t${n}`), seconds, seconds);
  }
  let deep = at("deep");
  for (let n = 0; n < 12; n += 1) deep = join(deep, `level ${n}`);
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "bottom"), "reached\n");
  if (many === 0) return;
  mkdirSync(at("many"));
  for (let n = 0; n < many; n += 1) writeFileSync(at("many", `entry number ${n}`), n % 100 === 0 ? `${n}` : "");
}

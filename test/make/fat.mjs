/**
 * Builds test/fixtures/fat: volumes made by mkfs.fat and filled by Linux's vfat, with what Linux shows of them. Both happen
 * inside an emulated guest, which takes minutes. Needs dosfstools and qemu-system-x86.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { runNodeInGuest } from "../lib/guest-node.mjs";

const target = fileURLToPath(new URL("../fixtures/fat/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-fat-"));

const CASES = [
  { name: "fat12", bits: 12, perCluster: 4, size: "4M" },
  { name: "fat16", bits: 16, perCluster: 4, size: "20M" },
  { name: "fat32", bits: 32, perCluster: 1, size: "40M", many: 300 },
];

try {
  const disks = CASES.map(({ name, bits, perCluster, size }) => {
    const image = join(scratch, `${name}.img`);
    execFileSync("truncate", ["-s", size, image]);
    execFileSync("mkfs.fat", ["-F", `${bits}`, "-s", `${perCluster}`, "-n", "LABEL", "-i", "1234abcd", image]);
    return image;
  });
  const views = await runNodeInGuest("guest-fat.mjs", {
    imports: ["kernel-view.mjs", "fat-tree.mjs"],
    disks,
    modules: ["vfat", "nls_cp437", "nls_ascii", "nls_utf8"],
    input: CASES.map(({ perCluster, many }) => ({ tree: { clusterSize: 512 * perCluster, many } })),
  });
  mkdirSync(target, { recursive: true });
  for (const [index, { name }] of CASES.entries()) {
    // Linux makes inode numbers of vfat up as it goes.
    const entries = views[index].map(({ ino: _ino, ...entry }) => entry);
    const expected = { kind: "vfat", label: "LABEL", uuid: "1234-ABCD", entries };
    writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(disks[index]), { level: 9 }));
    writeFileSync(`${target}${name}.json`, `${JSON.stringify(expected)}\n`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}

/**
 * Builds test/fixtures/squashfs: a volume for each compressor and each way of laying a volume out, with what the Linux
 * kernel shows of it (unsquashfs, for lzma). Needs root, squashfs-tools, attr.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { pattern } from "../lib/ext-tree.mjs";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { makeSquashfs, noise, unpackedView } from "../lib/squashfs-images.mjs";

const TIME = 1_700_000_000;
const target = fileURLToPath(new URL("../fixtures/squashfs/", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-make-squashfs-"));
const at = (...parts) => join(scratch, "tree", ...parts);

/** A little of everything: the volumes are committed. */
function writeTree() {
  mkdirSync(at("boot/grub"), { recursive: true });
  writeFileSync(at("boot/grub/grub.cfg"), "set timeout=5\n");
  writeFileSync(at("boot/vmlinuz"), pattern(30_000, 7));
  writeFileSync(at("empty"), "");
  writeFileSync(at("block"), pattern(4096, 2));
  writeFileSync(at("block-and-tail"), pattern(4096 + 700, 3));
  writeFileSync(at("noise"), noise(5000));
  const sparse = openSync(at("sparse"), "w");
  writeSync(sparse, pattern(5000, 1), 0, 5000, 9000);
  ftruncateSync(sparse, 40_000);
  closeSync(sparse);
  linkSync(at("block"), at("hard-link"));
  symlinkSync("boot/grub", at("link"));
  mkdirSync(at("nodes"));
  run("mknod", [at("nodes/null"), "c", "1", "3"]);
  run("mknod", [at("nodes/wide"), "b", "300", "70000"]);
  run("mkfifo", [at("nodes/fifo")]);
  writeFileSync(Buffer.concat([Buffer.from(at("nodes/")), Buffer.from([0x66, 0xff, 0x80])]), "not UTF-8");
  mkdirSync(at("index"));
  for (let n = 0; n < 70; n += 1) writeFileSync(at("index", `${"long-".repeat(36)}${n}`), "");
  writeFileSync(at("owned"), "");
  chownSync(at("owned"), 100_000, 4_000_000_000);
  chmodSync(at("owned"), 0o6755);
  for (const [name, value] of [
    ["user.small", "value"],
    ["trusted.note", "for root"],
    ["security.capability", "0x0000000200200000000000000000000000000000"],
    ["user.large", `0x${"ab".repeat(700)}`],
  ]) {
    run("setfattr", ["-n", name, "-v", value, at("boot/vmlinuz")]);
  }
  // The same long value twice: the second is stored as a reference.
  run("setfattr", ["-n", "user.large", "-v", `0x${"ab".repeat(700)}`, at("owned")]);
  run("setfattr", ["-h", "-n", "trusted.link", "-v", "on a link", at("link")]);
}

const CASES = {
  gzip: ["-comp", "gzip"],
  lzma: ["-comp", "lzma"],
  lzo: ["-comp", "lzo"],
  xz: ["-comp", "xz"],
  lz4hc: ["-comp", "lz4", "-Xhc"],
  zstd: ["-comp", "zstd"],
  "no-fragments": ["-comp", "gzip", "-no-fragments", "-no-exports"],
  "always-fragments": ["-comp", "gzip", "-always-use-fragments"],
  plain: ["-comp", "gzip", "-noI", "-noD", "-noF", "-noX"],
};

try {
  writeTree();
  mkdirSync(target, { recursive: true });
  for (const [name, options] of Object.entries(CASES)) {
    const image = join(scratch, "volume.squashfs");
    makeSquashfs(at(), image, [...options, "-b", "4096", "-all-time", String(TIME)]);
    const view =
      name === "lzma"
        ? { entries: unpackedView(image, join(scratch, "unpacked")) }
        : withMount(image, ["ro"], (point) => ({
            entries: kernelView(point),
            xattrs: Object.fromEntries(
              ["/boot/vmlinuz", "/owned", "/link", "/empty"].map((path) => [path, kernelXattrs(join(point, path))]),
            ),
          }));
    writeFileSync(`${target}${name}.img.gz`, gzipSync(readFileSync(image), { level: 9 }));
    writeFileSync(`${target}${name}.json`, `${JSON.stringify({ kind: "squashfs", label: "", uuid: null, ...view })}\n`);
  }
} finally {
  rmSync(scratch, { recursive: true });
}

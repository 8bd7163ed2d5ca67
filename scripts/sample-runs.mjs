/**
 * What common runs of the command come to: they decide which modules stand in its first file, and which of them take each
 * other's names at once. Nothing breaks when a run is missing here, but its start takes longer.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A whole disk, and sound volumes of each file system that Linux boots from; and where in them, and a file there. */
const DISK = ["sample/guest.img", "(xen/xvda,msdos2)", "/boot/grub/grub.cfg"];
const VOLUMES = [
  ["ext/ext4-1k", "/boot/vmlinuz"],
  ["xfs/v5-4k", "/files/70000"],
  ["btrfs/dup-zstd", "/etc/prose"],
  ["squashfs/gzip", "/boot/vmlinuz"],
  ["squashfs/xz", "/boot/vmlinuz"],
  ["squashfs/zstd", "/boot/vmlinuz"],
];
const commandLines = ([image, device, file]) => [
  ["search", image],
  ["ls", "-l", image, `${device}/`],
  ["find", image, `${device}/`],
  ["cat", image, device + file],
  ["manifest", image],
];

/** Runs the command, and writes to file descriptor 3 what the program defined. */
const CHILD = `
  const [file, ...words] = process.argv.slice(1);
  process.on("exit", () => require("node:fs").writeSync(3, JSON.stringify(require.cache[file].defined())));
  require(file).run(words).then((code) => { process.exitCode = code; });`;

/**
 * Numbers of the modules that each run defined, of a program all of whose modules are in one file, as `linkParts` makes it.
 *
 * @param {string} program Path of the file.
 * @returns {Promise<Set<number>[]>}
 */
export async function sampleRuns(program) {
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: _options, ...env } = process.env;
  const scratch = mkdtempSync(join(tmpdir(), "guestprobe-build-"));
  const definedBy = (words) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, ["-e", CHILD, program, ...words], {
        env,
        stdio: ["ignore", "ignore", "inherit", "pipe"],
      });
      let text = "";
      child.stdio[3].on("data", (data) => {
        text += data;
      });
      child.on("error", reject);
      child.on("close", (code) => {
        // A volume without boot files ends a search with 1.
        if (code === 0 || (code === 1 && words[0] === "search")) resolve(new Set(JSON.parse(text)));
        else reject(new Error(`guestprobe ${words.join(" ")} ended with ${code}`));
      });
    });
  try {
    const images = VOLUMES.map(([name, file], n) => {
      const image = join(scratch, `${n}.img`);
      writeFileSync(image, gunzipSync(readFileSync(join(root, "test/fixtures", `${name}.img.gz`))));
      return [image, "", file];
    });
    const waiting = [[join(root, DISK[0]), ...DISK.slice(1)], ...images].flatMap(commandLines);
    const runs = [];
    const work = async () => {
      for (let words = waiting.pop(); words !== undefined; words = waiting.pop()) runs.push(await definedBy(words));
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    return runs;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The most memory that commands take, each in a process of its own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { main } from "./command.mjs";

const atEnd = fileURLToPath(new URL("peak.cjs", import.meta.url));
const MIB = 1 << 20;

/** Most MiB of resident memory; with worker threads, which decompress, each of them has its own heap. */
const LIMIT = 150;
const LIMIT_THREADED = 400;

/** Runs each command once: what it took, beside what it may take. */
export async function memory(images) {
  const search = (image) => ["search", image];
  const cases = [
    ["search, three volumes", search(images.threeVolumes()), LIMIT],
    ["search, 1 GiB", search(images.grown(1, 1_000)), LIMIT],
    ["search, sparse 1 TiB", search(images.grown(1024, 1_000)), LIMIT],
    ["manifest, sparse 1 TiB", ["manifest", images.grown(1024, 1_000)], LIMIT],
    ["find, 70,000 entries", ["find", "-0", images.volume("ext4"), "/"], LIMIT],
    ["ls -lR, 70,000 entries", ["ls", "-lR", images.volume("ext4"), "/"], LIMIT],
    ["ls -lR, the same on XFS", ["ls", "-lR", images.volume("xfs"), "/"], LIMIT],
    ["ls -lR, the same on btrfs", ["ls", "-lR", images.volume("btrfs"), "/"], LIMIT],
    ["ls -lR --json, 70,000 entries", ["ls", "-lR", "--json", images.volume("ext4"), "/"], LIMIT],
    ["find --json, 70,000 entries", ["find", "--json", images.volume("ext4"), "/"], LIMIT],
    ["tree --json, 70,000 entries", ["tree", "--json", images.volume("ext4"), "/"], LIMIT],
    ["manifest, 20,000 files", ["manifest", images.volume("ext4"), "/small"], LIMIT],
    ["manifest, the same on btrfs", ["manifest", images.volume("btrfs"), "/small"], LIMIT],
    ["manifest, the same on squashfs", ["manifest", images.volume("squashfs-gzip"), "/small"], LIMIT],
    ["cat, 256 MiB", ["cat", images.volume("ext4"), "/large"], LIMIT],
    ["cat, 256 MiB of btrfs zstd", ["cat", images.volume("btrfs-zstd"), "/large"], LIMIT_THREADED],
    ["cat, 256 MiB of squashfs gzip", ["cat", images.volume("squashfs-gzip"), "/large"], LIMIT_THREADED],
    ["cat, 256 MiB of squashfs xz", ["cat", images.volume("squashfs-xz"), "/large"], LIMIT_THREADED],
  ];
  const rows = [];
  for (const [what, words, limit] of cases) {
    const mib = Math.ceil((await peakOf(words)) / MIB);
    rows.push({ what, mib, limit, met: mib < limit });
  }
  return rows;
}

/** Bytes. */
function peakOf(words) {
  return new Promise((resolve, reject) => {
    // By a shell that forks: the peak of a process begins with that of the one it was made from.
    const child = spawn("sh", ["-c", '"$@"; exit $?', "sh", main, ...words], {
      env: { ...process.env, NODE_OPTIONS: `--require=${JSON.stringify(atEnd)}` },
      stdio: ["ignore", "ignore", "inherit", "pipe"],
    });
    let text = "";
    child.stdio[3].on("data", (data) => {
      text += data;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Number(text));
      else reject(new Error(`guestprobe ${words.join(" ")} ended with ${code}`));
    });
  });
}

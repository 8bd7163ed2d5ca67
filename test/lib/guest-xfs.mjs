/**
 * Runs in the emulated guest (see `guest-node.mjs`): fills volumes of XFS version 4, mounts each anew, read-only, and prints
 * what the kernel shows of them.
 */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { kernelView, run } from "./kernel-view.mjs";
import { fill } from "./xfs-tree.mjs";

const POINT = "/tmp/point";

function mounted(device, options, use) {
  run("mount", ["-t", "xfs", "-o", options, device, POINT]);
  try {
    return use();
  } finally {
    run("umount", [POINT]);
  }
}

/** Room that is reserved and not written to: all of a file, round what is written, past the end. */
function reserve(root) {
  const at = (name) => `${root}/${name}`;
  mkdirSync(at("reserved"));
  const reserved = (name, from, length) => {
    writeFileSync(at(`reserved/${name}`), "", { flag: "a" });
    run("fallocate", ["-o", `${from}`, "-l", `${length}`, at(`reserved/${name}`)]);
  };
  reserved("all", 0, 204_800);
  reserved("round", 0, 204_800);
  run("dd", ["if=/proc/self/exe", `of=${at("reserved/round")}`, "bs=4k", "seek=16", "count=3", "conv=notrunc"]);
  truncateSync(at("reserved/round"), 180_001);
  reserved("behind", 1_048_576, 65_536);
}

process.umask(0o022);
mkdirSync(POINT);
const volumes = JSON.parse(readFileSync("/input.json", "utf8"));
const views = volumes.map((options, index) => {
  const device = `/dev/vd${String.fromCharCode(0x61 + index)}`;
  mounted(device, "rw", () => {
    fill(POINT, options);
    reserve(POINT);
  });
  console.error(device, "filled", process.uptime());
  return mounted(device, "ro", () => kernelView(POINT));
});
writeFileSync(1, JSON.stringify(views));

/**
 * Runs in the emulated guest (see `guest-node.mjs`): writes a tree into each vfat volume that asks for one, mounts all of
 * them anew, read-only, and prints what the kernel shows.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { writeFatTree } from "./fat-tree.mjs";
import { kernelView } from "./kernel-view.mjs";

/** Names in UTF-8, times as they are stored, and what Debian's kernel does by default said aloud. */
const OPTIONS = "codepage=437,iocharset=ascii,utf8,tz=UTC,shortname=mixed,umask=022";

process.umask(0o022);
const volumes = JSON.parse(readFileSync("/input.json", "utf8"));
const views = volumes.map(({ tree }, index) => {
  const device = `/dev/vd${String.fromCharCode(0x61 + index)}`;
  const mounted = (mode, use) => {
    mkdirSync("/tmp/point", { recursive: true });
    execFileSync("mount", ["-t", "vfat", "-o", `${mode},${OPTIONS}`, device, "/tmp/point"]);
    try {
      return use();
    } finally {
      execFileSync("umount", ["/tmp/point"]);
    }
  };
  if (tree !== undefined) mounted("rw", () => writeFatTree("/tmp/point", tree));
  return mounted("ro", () => kernelView("/tmp/point"));
});
writeFileSync(1, JSON.stringify(views));

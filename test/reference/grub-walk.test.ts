import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GRUB_WALK, resolve } from "@guestprobe/vfs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dir, file, link, memoryFs, type Node, text } from "../../packages/vfs/test/lib/memory-fs.js";
import { run } from "../lib/kernel-view.mjs";

const tree = dir({
  f: file("content of f"),
  boot: dir({
    grub: dir({ "grub.cfg": file("menu"), up: link(".."), abs: link("/boot/grub/grub.cfg"), out: link("/../../f") }),
    g: link("grub"),
    "g-slash": link("grub/"),
  }),
  "to-f": link("f"),
  "to-f-slash": link("f/"),
  "f-dot": link("f/."),
  dangling: link("none"),
  self: link("self"),
  here: link("."),
  l0: file("end of the chain"),
});
for (let n = 1; n <= 8; n += 1) tree.dir.push([`l${n}`, link(`l${n - 1}`)]);

const GRUB = "grub-fstest";

let folder: string;
const image = (): string => join(folder, "image");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-grub-walk-"));
  const build = (node: Node, path: string): void => {
    if ("dir" in node) {
      mkdirSync(path);
      for (const [name, below] of node.dir) build(below, join(path, name as string));
    } else if ("link" in node) symlinkSync(node.link as string, path);
    else if ("file" in node) writeFileSync(path, node.file);
  };
  build(tree, join(folder, "tree"));
  run("mke2fs", ["-q", "-t", "ext4", "-d", join(folder, "tree"), image(), "2M"]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the real GRUB makes of a path: the content of the file, or its error in our words. */
function grub(path: string): string {
  const { status, stdout, stderr } = spawnSync(GRUB, [image(), "cat", `(loop0)${path}`], {
    encoding: "utf8",
    timeout: 10_000,
  });
  if (status === 0 && stderr === "") return stdout;
  if (stderr.includes("not a regular file")) return "dir";
  if (stderr.includes("not a directory")) return "not-a-directory";
  if (stderr.includes("too deep nesting of symlinks")) return "symlink-loop";
  if (stderr.includes("not found")) return "undefined";
  throw new Error(`grub-fstest: ${status} ${stderr}`);
}

async function ours(path: string): Promise<string> {
  try {
    const found = await resolve(memoryFs(tree), path, { policy: GRUB_WALK });
    if (found === undefined) return "undefined";
    const { type, size } = found.inode.stat;
    return type === "dir" ? "dir" : text(await found.inode.read(0, size));
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const paths = ["/", "//", "/f", "/f/", "/f//", "/f/.", "/f/..", "/f/x", "/F", "/none", "/none/..", "/none/x", "/./f"];
paths.push("/../f", "/boot/../../f", "//boot//./grub/../grub/grub.cfg", "/boot/grub/grub.cfg/", "/boot", "/boot/");
paths.push("/boot/g/grub.cfg", "/boot/g-slash/grub.cfg", "/boot/g", "/boot/grub/up/g/up/g/grub.cfg", "/boot/g/../../f");
paths.push("/boot/grub/abs", "/boot/grub/out", "/boot/grub/abs/x", "/to-f", "/to-f/", "/to-f-slash", "/to-f-slash/x");
paths.push("/f-dot", "/dangling", "/dangling/", "/dangling/x", "/self", "/self/x", "/l6", "/l7", "/l8", "/l7/x");
paths.push(`${"/here".repeat(7)}/f`, `${"/here".repeat(8)}/f`, "/here/l6", "/here/l7", "/boot/...", "/here/..");

test.each(paths)("%s is to GRUB_WALK what it is to GRUB", async (path) => {
  expect(await ours(path)).toBe(grub(path));
});

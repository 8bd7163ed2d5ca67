/** The README of each package: its example, run as a reader would copy it, prints what stands below it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-readmes-"));
/** The files that the examples open, under the names they give them. */
const FILES: Readonly<Record<string, string>> = {
  "volume.ext4": "ext/ext4-1k.img",
  "volume.xfs": "xfs/v5-4k.img",
  "volume.btrfs": "btrfs/subvolumes.img",
  "volume.squashfs": "squashfs/gzip.img",
  "volume.fat": "fat/fat32.img",
  "disc.iso": "iso9660/rr.img",
  "volume.hfsplus": "signature/hfsplus.img",
  "rhel.img": "lvm/rhel.img",
  "guest.qcow2": "image/qcow2-zstd",
};
const packages = readdirSync(join(root, "packages"));

beforeAll(() => {
  for (const [name, fixture] of Object.entries(FILES))
    writeFileSync(join(scratch, name), gunzipSync(readFileSync(join(root, `test/fixtures/${fixture}.gz`))));
  const sample = join(root, "sample/guest.img");
  symlinkSync(sample, join(scratch, "guest.img"));
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
  const pvboot = ["cat", sample, "(hd0,msdos2)/boot/xen/pvboot-x86_64.elf"];
  const { stdout } = spawnSync(process.execPath, [join(root, "packages/cli/dist/main.js"), ...pvboot]);
  writeFileSync(join(scratch, "pvboot-x86_64.elf"), stdout);
});
afterAll(() => rmSync(scratch, { recursive: true }));

const readmeOf = (name: string): string => readFileSync(join(root, "packages", name, "README.md"), "utf8");

describe.each(packages)("%s", (name) => {
  test("what it links to is there, and it has the licence with it", () => {
    const folder = join(root, "packages", name);
    const readme = readmeOf(name);
    for (const [, link] of readme.matchAll(/\]\((\.[^)]+)\)/g))
      expect(existsSync(join(folder, link!)), link).toBe(true);
    expect(readFileSync(join(folder, "LICENSE"), "utf8")).toBe(readFileSync(join(root, "LICENSE"), "utf8"));
    const { name: called } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string };
    expect(readme.startsWith(`# ${called}\n`)).toBe(true);
  });
});

// The command's has no program in it.
describe.each(packages.filter((name) => name !== "cli"))("%s", (name) => {
  test("its example prints what it says", () => {
    const [, example, printed] = /```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/.exec(readmeOf(name))!;
    const node = spawnSync(process.execPath, ["--input-type=module"], {
      cwd: scratch,
      input: example,
      encoding: "utf8",
    });
    expect(node.stderr).toBe("");
    expect(node.stdout).toBe(printed);
  });
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, decodeText, type Feature, isImageError } from "@guestprobe/block";
import { EXT_COMPAT, EXT_INCOMPAT, EXT_RO_COMPAT, ext } from "@guestprobe/ext";
import { GRUB_EXT2_FEATURES } from "@guestprobe/grub";
import { open, openFileSystem, readFile } from "@guestprobe/vfs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectSection, markdownTable } from "../lib/generated.js";
import { run, withMount } from "../lib/kernel-view.mjs";

/**
 * What the kernel, GRUB and this toolkit do with each feature of ext2, ext3 and ext4: a volume that has it is made by
 * e2fsprogs, and all three are asked for the same file. The table in docs/support.md is what came out.
 */
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-support-"));
const tree = join(scratch, "tree");
const CONTENT = "what the file holds\n";
beforeAll(() => {
  mkdirSync(tree);
  writeFileSync(join(tree, "probe"), CONTENT);
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Features that mke2fs takes with others only, or not together with a default. */
const WITH: Record<string, string> = {
  meta_bg: "meta_bg,^resize_inode",
  uninit_bg: "uninit_bg,^metadata_csum",
  journal_dev: "journal_dev",
  needs_recovery: "has_journal",
};
/** Features that mke2fs does not know: debugfs sets the bit in a volume that is sound otherwise. */
const BY_DEBUGFS = new Set([
  "imagic_inodes",
  "lazy_bg",
  "snapshot_bitmap",
  "dir_prealloc",
  "compression",
  "needs_recovery",
  "dirdata",
  "btree_dir",
  "snapshot",
  "replica",
  "read-only",
  "shared_blocks",
  "orphan_present",
]);
/** What the kernel's build decides: a kernel without the option refuses, and says nothing about Linux as such. */
const KERNEL_OPTION: Record<string, string> = {
  casefold: "reads with CONFIG_UNICODE",
  encrypt: "reads, keys with CONFIG_FS_ENCRYPTION",
  verity: "reads, verifies with CONFIG_FS_VERITY",
};

type Answer = "reads" | "refuses" | "other content";

function makeVolume(set: "compat" | "incompat" | "ro_compat", feature: Feature): string {
  const image = join(scratch, "volume.img");
  rmSync(image, { force: true });
  writeFileSync(image, "");
  truncateSync(image, 16 << 20);
  const { name, bit } = feature;
  if (name === "journal_dev") {
    run("mke2fs", ["-q", "-F", "-O", "journal_dev", image]);
    return image;
  }
  const asked = BY_DEBUGFS.has(name) ? (WITH[name] ?? "none") : (WITH[name] ?? name);
  const features = asked === "none" ? [] : ["-O", asked];
  // Blocks of 4 KiB: the one case in which GRUB reads bigalloc.
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-b", "4096", ...features, "-d", tree, image]);
  if (BY_DEBUGFS.has(name)) setBit(image, set, bit);
  return image;
}

/** Sets a feature bit by its number, and lets debugfs mend the superblock's checksum. */
function setBit(image: string, set: "compat" | "incompat" | "ro_compat", bit: number): void {
  const data = readFileSync(image);
  const at = 1024 + { compat: 0x5c, incompat: 0x60, ro_compat: 0x64 }[set];
  const value = (data.readUInt32LE(at) | bit) >>> 0;
  run("debugfs", ["-w", "-R", `set_super_value feature_${set} ${value}`, image]);
}

function kernelAnswer(image: string): Answer {
  try {
    return withMount(image, ["ro", "noload"], (point: string): Answer => {
      return readFileSync(join(point, "probe"), "utf8") === CONTENT ? "reads" : "other content";
    });
  } catch {
    return "refuses";
  }
}

function grubAnswer(image: string): Answer {
  try {
    return run("grub-fstest", [image, "cat", "(loop0)/probe"]) === CONTENT ? "reads" : "other content";
  } catch {
    return "refuses";
  }
}

async function ourAnswer(image: string): Promise<Answer> {
  try {
    const fs = await openFileSystem(bufferDevice(readFileSync(image)), [ext]);
    if (fs === undefined) return "refuses";
    return decodeText(await readFile(await open(fs, "/probe"))) === CONTENT ? "reads" : "other content";
  } catch (error) {
    if (!isImageError(error, "unsupported")) throw error;
    return "refuses";
  }
}

test("each feature, asked of the kernel, GRUB and guestprobe", async () => {
  const rows: string[][] = [];
  const sets = [
    ["compat", EXT_COMPAT],
    ["incompat", EXT_INCOMPAT],
    ["ro_compat", EXT_RO_COMPAT],
  ] as const;
  for (const [set, features] of sets) {
    for (const feature of features) {
      const image = makeVolume(set, feature);
      const data = readFileSync(image);
      const word = data.readUInt32LE(1024 + { compat: 0x5c, incompat: 0x60, ro_compat: 0x64 }[set]);
      // The volume has what its row is about: mke2fs drops silently what it cannot combine.
      if (feature.name !== "orphan_present") expect((word & feature.bit) >>> 0, feature.name).toBe(feature.bit);
      const [kernel, grub, ours] = [kernelAnswer(image), grubAnswer(image), await ourAnswer(image)];
      expect(ours, `${feature.name}: the table says "${feature.verdict}"`).toBe(
        feature.verdict === "refuse" ? "refuses" : "reads",
      );
      const gate = GRUB_EXT2_FEATURES.find((row) => row.set === set && row.bit === feature.bit);
      const expected = gate === undefined || (set === "incompat" && gate.verdict === "refuse") ? undefined : "reads";
      if (gate?.verdict === "refuse") expect(grub, `${feature.name}: GRUB`).toBe("refuses");
      else if (expected !== undefined) expect(grub, `${feature.name}: GRUB`).toBe(expected);
      rows.push([
        set,
        `\`${feature.name}\``,
        `0x${feature.bit.toString(16)}`,
        KERNEL_OPTION[feature.name] ?? kernel,
        grub,
        ours,
        feature.why,
      ]);
    }
  }
  const titles = ["set", "feature", "bit", "Linux", "GRUB 2.06", "guestprobe", "what guestprobe does with it"];
  expectSection("support.md", "ext", markdownTable(titles, rows));
});

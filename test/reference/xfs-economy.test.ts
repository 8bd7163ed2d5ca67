import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, type Finding } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { GRUB_WALK, readFile, resolve } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withMount } from "../lib/kernel-view.mjs";
import { makeDirectory, makeXfs, makeXfsFrom, text } from "../lib/xfs-tree.mjs";

const PATHS = ["boot/xen", "xen"]
  .flatMap((folder) => [`/${folder}/pvboot-x86_64.elf`, `/${folder}/pvboot-i386.elf`])
  .concat(["boot/grub", "grub"].flatMap((folder) => [`/${folder}/grub.cfg`, `/${folder}/menu.lst`]));

const folder = mkdtempSync(join(tmpdir(), "guestprobe-xfs-economy-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A guest's /boot; with `crowded`, among 100,000 entries. */
function fillBoot(root: string, crowded: boolean): void {
  const boot = join(root, "boot");
  if (crowded) makeDirectory(boot, 100_000);
  for (const path of ["boot/grub", "boot/xen", "etc", "usr", "var"]) mkdirSync(join(root, path), { recursive: true });
  for (let index = 0; index < 40; index += 1) writeFileSync(join(boot, `file-${index}`), text(5000, index));
  writeFileSync(join(root, "boot/grub/grub.cfg"), text(9000));
}

interface Probe {
  readonly found: readonly string[];
  readonly reads: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/** Opens the volume, looks at its log, and asks for the eight paths, with nothing in memory before. */
async function probe(image: string): Promise<Probe> {
  await using file = await openFile(image);
  const counted = countReads(file);
  const findings: Finding[] = [];
  const device = cachedDevice(counted);
  if (!(await xfs.probe(device))) throw new Error("not recognised");
  const fs = await xfs.open(device, { report: (finding) => findings.push(finding) });
  const found: string[] = [];
  for (const path of PATHS) if ((await resolve(fs, path, { policy: GRUB_WALK })) !== undefined) found.push(path);
  const { reads, bytes } = counted.stats;
  const config = await resolve(fs, "/boot/grub/grub.cfg");
  expect(config && Buffer.from(await readFile(config.inode))).toEqual(text(9000));
  return { found, reads, bytes, findings };
}

const variants = [
  { name: "version 5, 4 KiB blocks", args: [] },
  { name: "version 5, 1 KiB blocks", args: ["-b", "size=1024", "-n", "size=4096"] },
  { name: "version 5, 16 KiB directory blocks, 4 KiB sectors", args: ["-n", "size=16384", "-s", "size=4096"] },
];

describe.each(variants)("xfs read economy: $name", ({ args }) => {
  const plain = join(folder, "plain.img");
  const crowded = join(folder, "crowded.img");
  let few: Probe;
  let many: Probe;

  beforeAll(async () => {
    for (const image of [plain, crowded]) {
      makeXfs(image, 2 * 2 ** 30, args);
      withMount(image, [], (root: string) => fillBoot(root, image === crowded));
      // A second mount, so that the log's newest record is not its first.
      withMount(image, [], (root: string) => renameSync(join(root, "etc"), join(root, "etc.old")));
    }
    few = await probe(plain);
    many = await probe(crowded);
  });

  it("eight paths cost at most 16 reads and 1 MiB", () => {
    expect(few.found).toEqual(["/boot/grub/grub.cfg"]);
    expect(few.findings).toEqual([]);
    expect(few.reads).toBeLessThanOrEqual(16);
    expect(few.bytes).toBeLessThanOrEqual(1 << 20);
  });

  it("and at most 8 more with /boot/grub among 100,000 entries", () => {
    expect(many.found).toEqual(["/boot/grub/grub.cfg"]);
    expect(many.findings).toEqual([]);
    expect(many.reads).toBeLessThanOrEqual(few.reads + 8);
    expect(many.reads).toBeLessThanOrEqual(16 + 8);
    expect(many.bytes).toBeLessThanOrEqual(1 << 20);
  });
});

it("version 4: eight paths cost at most 16 reads and 1 MiB", async () => {
  const image = join(folder, "v4.img");
  const source = join(folder, "source");
  mkdirSync(source);
  fillBoot(source, false);
  makeXfsFrom(image, 2 * 2 ** 30, source, ["-m", "crc=0"]);
  const { found, reads, bytes, findings } = await probe(image);
  expect(found).toEqual(["/boot/grub/grub.cfg"]);
  expect(findings).toEqual([]);
  expect(reads).toBeLessThanOrEqual(16);
  expect(bytes).toBeLessThanOrEqual(1 << 20);
});

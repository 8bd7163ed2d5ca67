/** The gate for ISO 9660 against grub-fstest: what it lets through GRUB reads, with its label and UUID, and its case rules. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, decodeText } from "@guestprobe/block";
import { DEFAULT_GRUB_VERSION, GrubSearch, iso9660Gate } from "@guestprobe/grub";
import { iso9660 } from "@guestprobe/iso9660";
import { openFileSystem } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grubRead } from "../lib/grub-fstest.mjs";
import { genisoimage, writeIsoTree, xorrisofs } from "../lib/iso-images.mjs";

const KINDS: Record<string, (root: string, image: string) => unknown> = {
  plain: (root, image) => genisoimage(root, image),
  level3: (root, image) => genisoimage(root, image, "-iso-level", "3", "-l", "-allow-lowercase", "-relaxed-filenames"),
  "rock ridge": (root, image) => genisoimage(root, image, "-R"),
  joliet: (root, image) => genisoimage(root, image, "-J"),
  both: (root, image) => genisoimage(root, image, "-R", "-J"),
  xorriso: (root, image) => xorrisofs(root, image, "-J"),
};
let folder = "";
const image = (kind: string): string => join(folder, `${kind}.iso`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-iso-gate-"));
  mkdirSync(join(folder, "tree"));
  writeIsoTree(join(folder, "tree"), { nodes: false });
  for (const [kind, make] of Object.entries(KINDS)) make(join(folder, "tree"), image(kind));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What GRUB says of the device: `ls -l` prints label and UUID. */
function grubDevice(path: string): { label: string; uuid: string | undefined } | undefined {
  const line = execFileSync("grub-fstest", [path, "ls", "--", "-l", "(loop0)"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (!line.includes("Filesystem type iso9660")) return undefined;
  // No label and an empty one are printed alike.
  return { label: /Label `([^']*)'/.exec(line)?.[1] ?? "", uuid: /UUID ([^ ]+)/.exec(line)?.[1] };
}

/** Lets both judge the volume with these bytes changed. */
async function agree(kind: string, changes: readonly (readonly [at: number, bytes: string])[]): Promise<string> {
  const data = readFileSync(image(kind));
  for (const [at, bytes] of changes) Buffer.from(bytes, "latin1").copy(data, at);
  const changed = join(folder, "changed.iso");
  writeFileSync(changed, data);
  const verdict = await iso9660Gate.probe(bufferDevice(new Uint8Array(data)), DEFAULT_GRUB_VERSION);
  const ours =
    verdict.verdict === "accept"
      ? { label: decodeText(verdict.label ?? new Uint8Array(0)), uuid: verdict.uuid }
      : undefined;
  expect(ours).toEqual(grubDevice(changed));
  return verdict.verdict;
}

const PVD = 16 * 2048;
const SECOND = PVD + 2048;

describe.each(Object.keys(KINDS))("%s", (kind) => {
  test("as it was made: taken", async () => expect(await agree(kind, [])).toBe("accept"));

  test.each<[string, (readonly [number, string])[]]>([
    ["no magic", [[PVD + 1, "CD002"]]],
    ["another label", [[PVD + 40, "x y z"]]],
    ["a label that a NUL ends", [[PVD + 42, "\0"]]],
    ["no label", [[PVD + 40, " ".repeat(32)]]],
    ["no date", [[PVD + 830, "\0".repeat(17)]]],
    ["a date of zeros", [[PVD + 830, "0".repeat(16)]]],
    ["the second descriptor has no magic", [[SECOND + 1, "XXXXX"]]],
    ["another version", [[PVD + 6, "\x02"]]],
    ["blocks of 1024 bytes", [[PVD + 128, "\0\x04\x04\0"]]],
  ])("%s", async (_, changes) => {
    await agree(kind, changes);
  });

  test.each([
    "/boot/grub/grub.cfg",
    "/BOOT/GRUB/GRUB.CFG",
    "/Boot/grub/grub.cfg",
    "/boot/grub/grub.cfg;1",
    "/boot/grub/grub.cfg.",
    "/boot/./grub/../grub/grub.cfg",
    "/boot/grub/grub.cfg/",
    "/names/upper.txt",
    "/Names/UPPER.TXT",
    "/Names/Mixed Case.text",
    "/names/mixed_ca.tex",
    "/NAMES/MIXED_CA.TEX",
    "/names/noext",
    "/Names/noext",
    "/names/noext.",
    "/boot/grub",
  ])("search finds %s as GRUB does", async (path) => {
    const { read, size } = bufferDevice(new Uint8Array(readFileSync(image(kind))));
    const search = new GrubSearch([{ name: "hd0", device: { read, size } }], {
      openVolume: (device) => openFileSystem(device, [iso9660]),
    });
    const { hits } = await search.search({ by: "file", name: path });
    expect(hits.length > 0).toBe(grubRead(image(kind), path) !== undefined);
  });
});

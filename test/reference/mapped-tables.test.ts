/** Partition tables inside of an array and of a logical volume: named, listed and searched as the real GRUB does. */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SearchQuery } from "@guestprobe/grub";
import { afterAll, beforeAll, expect, test } from "vitest";
import { guestprobe } from "../lib/cli.js";
import { grubEmuScript, grubEmuSearch } from "../lib/grub-emu.js";
import { DiskMaker } from "../lib/guest-disk.js";
import { run } from "../lib/kernel-view.mjs";
import { makeGroup } from "../lib/lvm-group.mjs";
import { superblock1 } from "../lib/md-superblocks.js";

const MIB = 1 << 20;
const SECTOR = 512;
const folder = mkdtempSync(join(tmpdir(), "guestprobe-mapped-tables-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

/** A disk of 12 MiB with two file systems, in logical partitions or by GPT. */
function partitioned(label: "dos" | "gpt", where: string): string {
  const volumes = new Map([
    [1 * MIB, make.ext({ tree: { [`in-${where}`]: "first", both: "" } })],
    [6 * MIB, make.ext({ tree: { [`second-in-${where}`]: "second", both: "" } })],
  ]);
  const lines = {
    dos: ["label: dos", "2048,4096,L", "10240,10240,Ex", "12288,4096,L"],
    gpt: ["label: gpt", "2048,4096,L", "12288,4096,L"],
  };
  return make.disk(12 * MIB, lines[label], volumes);
}

/** One of two members of a mirror, with this content, by version 1.2. */
function memberOf(content: string, number: number): string {
  const size = statSync(content).size / SECTOR;
  // Some sectors are left over behind the data: what ends with the array does not end with its disk.
  const member = new Uint8Array(MIB + (size + 128) * SECTOR);
  member.set(superblock1({ data_offset: MIB / SECTOR, data_size: size, size, dev_number: number }), 4096);
  member.set(readFileSync(content), MIB);
  return make.write(member, "member");
}

/** The disks of the guest, in order. */
let images: string[] = [];
beforeAll(() => {
  const group = make.file("group");
  makeGroup(group, "vg", [{ name: "guest", file: partitioned("dos", "lvm") }]);
  const content = partitioned("gpt", "md");
  images = [group, memberOf(content, 0), memberOf(content, 1)];
});

/** As GRUB lists them, the array by the name that its superblock has. */
const NAMES = ["lvm/vg-guest,msdos1", "lvm/vg-guest,msdos5", "md/boot,gpt1", "md/boot,gpt2"];
const QUERIES: readonly SearchQuery[] = ["/in-lvm", "/second-in-lvm", "/in-md", "/second-in-md", "/both"].map(
  (name) => ({
    by: "file",
    name,
  }),
);

test("mdadm takes the member for what it is", () => {
  const shown = run("mdadm", ["--examine", "--export", images[1]!]);
  expect(shown).toMatch(/^MD_LEVEL=raid1$/m);
  expect(shown).toMatch(/^MD_NAME=host:boot$/m);
});

test("GRUB lists these names, and finds the files there", () => {
  const disks = images.map((file, index) => ({ name: `hd${index}`, file }));
  const listed = [...grubEmuScript(disks, "ls").matchAll(/\(((?:lvm|md)\/[^)]*,[^)]*)\)/g)].map(([, name]) => name!);
  expect(listed.sort()).toEqual(NAMES);
  expect(grubEmuSearch(disks, QUERIES)).toEqual([...NAMES.map((name) => [name]), expect.arrayContaining(NAMES)]);
});

test("search answers the same, in GRUB's order", async () => {
  const disks = images.map((file, index) => ({ name: `hd${index}`, file }));
  const files = QUERIES.flatMap(({ name }) => ["-f", String(name)]);
  const { code, out, err } = await guestprobe(["search", "--json", "--as", "hd0,hd1,hd2", ...files, ...images]);
  expect(code, err).toBe(0);
  const { search } = JSON.parse(out) as { search: { hits: { device: string }[] }[] };
  expect(search.map(({ hits }) => hits.map(({ device }) => device))).toEqual(grubEmuSearch(disks, QUERIES));
});

test("parts and inspect show the tables and what the partitions hold; a file is read from each", async () => {
  for (const verb of ["parts", "inspect"]) {
    const { code, out } = await guestprobe([verb, "--json", ...images]);
    expect(code, verb).toBe(0);
    const { mapped } = JSON.parse(out) as {
      mapped: {
        device: string;
        tables: { kind: string }[];
        partitions: { device: string; start: number; fs: unknown }[];
      }[];
    };
    expect(mapped.map(({ device, tables }) => [device, tables[0]!.kind])).toEqual([
      ["md/boot", "gpt"],
      ["lvm/vg-guest", "mbr"],
    ]);
    const rows = mapped.flatMap(({ partitions }) => partitions).filter(({ fs }) => fs !== null);
    expect(rows.map(({ device, start }) => [device, start]).sort()).toEqual(
      NAMES.map((name, index) => [name, index % 2 === 0 ? MIB : 6 * MIB]),
    );
  }
  for (const [index, content] of ["first", "second", "first", "second"].entries()) {
    const where = index < 2 ? "lvm" : "md";
    const path = `(${NAMES[index]})/${content === "first" ? "" : "second-"}in-${where}`;
    expect(await guestprobe(["cat", ...images, path])).toMatchObject({ code: 0, out: content });
  }
});

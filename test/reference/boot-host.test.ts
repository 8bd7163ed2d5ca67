import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHostImage } from "@guestprobe/boot";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../lib/cli.js";
import { grubEmuScript } from "../lib/grub-emu.js";
import { DiskMaker, type Node } from "../lib/guest-disk.js";
import { makeGroup } from "../lib/lvm-group.mjs";

const IMAGES = ["x86_64-xen", "i386-xen", "i386-xen_pvh"] as const;
const pathOf = (name: string): string => `/usr/lib/grub-xen/grub-${name}.bin`;
const folder = mkdtempSync(join(tmpdir(), "boot-host-"));
afterAll(() => rmSync(folder, { recursive: true }));
const disks = new DiskMaker(folder);

const succeeds = (command: string, args: readonly string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
};

interface HostDocument {
  readonly arch: string;
  readonly platform: string;
  readonly notes: Record<string, unknown>;
  readonly modulesAt: number;
  readonly modules: readonly string[];
  readonly prefix: string;
  readonly config: string;
  readonly script: string;
  readonly objects: readonly { readonly type: string; readonly offset: number; readonly bytes: number }[];
}

const host = async (file: string): Promise<HostDocument> => {
  const { out, code, err } = await guestprobe(["host", "--json", file]);
  expect(code, err).toBe(0);
  return JSON.parse(out) as HostDocument;
};

describe("Debian's images", () => {
  for (const name of IMAGES) {
    test(`${name}: segments and notes as readelf has them`, async () => {
      const file = pathOf(name);
      const segments = execFileSync("readelf", ["-lW", file], { stdio: "pipe" }).toString();
      const loads = [...segments.matchAll(/LOAD\s+(0x[0-9a-f]+)/g)].map((match) => Number(match[1]));
      const { modulesAt, notes, arch, platform } = await host(file);
      expect(modulesAt).toBe(loads[1]);
      const shown = execFileSync("readelf", ["-nW", file], { stdio: "pipe" }).toString();
      const types = [...shown.matchAll(/^\s+Xen\s+0x[0-9a-f]+\s+Unknown note type: \(0x([0-9a-f]+)\)/gm)].map((match) =>
        Number.parseInt(match[1]!, 16),
      );
      const byType: Readonly<Record<number, string>> = {
        1: "entry",
        3: "virtBase",
        5: "xenVersion",
        6: "guestOs",
        8: "loader",
        18: "phys32Entry",
      };
      for (const type of types) expect(notes, `note ${type}`).toHaveProperty(byType[type]!);
      expect(types.length).toBeGreaterThan(0);
      // grub-file says which loader takes it.
      expect(succeeds("grub-file", ["--is-x86_64-xen-domu", file])).toBe(platform === "xen" && arch === "x86_64");
      expect(succeeds("grub-file", ["--is-i386-xen-pae-domu", file])).toBe(platform === "xen" && arch === "i386");
    });
  }

  test("the 32-bit image's last note is cut off, and read", async () => {
    expect((await host(pathOf("i386-xen"))).notes).toMatchObject({ paeMode: "yes", truncated: true });
  });

  test("modules, memdisk, configuration and prefix", async () => {
    const at = { "x86_64-xen": [204, 0x202e77], "i386-xen": [204, 0x174e57], "i386-xen_pvh": [206, 0x17c12b] } as const;
    for (const name of IMAGES) {
      const shown = await host(pathOf(name));
      const [count, memdisk] = at[name];
      expect(shown.modules).toHaveLength(count);
      expect(shown.prefix).toBe("(memdisk)/boot/grub");
      expect(shown.config.trim()).toBe("normal (memdisk)/grub.cfg");
      // Offsets of objects are of their headers there, and of their content here.
      expect(shown.objects.find(({ type }) => type === "memdisk")).toEqual({
        type: "memdisk",
        offset: memdisk + 8,
        bytes: 10240,
      });
      const object = shown.objects.find(({ type }) => type === "memdisk")!;
      const tar = readFileSync(pathOf(name)).subarray(object.offset, object.offset + object.bytes);
      expect(execFileSync("tar", ["-xO", "grub.cfg"], { input: tar }).toString()).toBe(shown.script);
    }
  });
});

test("an image by grub-mkimage: configuration and prefix as given", () => {
  const config = join(folder, "early.cfg");
  const image = join(folder, "made.elf");
  writeFileSync(config, "search.file /boot/grub/grub.cfg root\n");
  execFileSync("grub-mkimage", [
    "-O",
    "x86_64-xen",
    "-p",
    "/boot/grub",
    "-c",
    config,
    "-o",
    image,
    "search_fs_file",
    "linux",
  ]);
  const made = parseHostImage(readFileSync(image));
  expect(made).toMatchObject({
    arch: "x86_64",
    platform: "xen",
    prefix: "/boot/grub",
    config: "search.file /boot/grub/grub.cfg\n".replace("\n", " root\n"),
  });
  expect(made.modules.map(({ name }) => name)).toContain("linux");
});

/** Files of a file system by path. */
type Files = { readonly [path: string]: Node };
/** Logical volumes of a group over the whole disk, in the order of their creation. */
interface Group {
  readonly group: string;
  readonly volumes: readonly { readonly name: string; readonly files: Files }[];
}
/** Trees for one disk: partition number -> files; 0 is a file system over the whole disk. */
type Parts = Readonly<Record<number, Files>>;
type Layout = readonly (Parts | Group)[];
const CFG = "true\n";
const ELF = "/boot/xen/pvboot-x86_64.elf";
const GRUB = "/boot/grub/grub.cfg";
const LAYOUTS: Readonly<Record<string, Layout>> = {
  "one partition": [{ 1: { [GRUB]: CFG } }],
  "two partitions": [{ 1: { [GRUB]: CFG }, 2: { [GRUB]: CFG } }],
  "three partitions, the last without": [{ 1: { [GRUB]: CFG }, 2: { [GRUB]: CFG }, 3: { "/x": "" } }],
  "whole disk": [{ 0: { [GRUB]: CFG } }],
  "whole disk and a second disk": [{ 0: { "/grub/grub.cfg": CFG } }, { 1: { [GRUB]: CFG } }],
  "two disks": [{ 1: { [GRUB]: CFG } }, { 1: { [GRUB]: CFG } }],
  "second disk only": [{ 1: { "/x": "" } }, { 2: { [GRUB]: CFG } }],
  "separate /boot": [{ 1: { "/grub/grub.cfg": CFG }, 2: { "/etc/fstab": "" } }],
  "both places": [{ 1: { "/grub/grub.cfg": CFG }, 2: { [GRUB]: CFG } }],
  "broken ELF, then grub.cfg": [{ 1: { [ELF]: "no ELF file", [GRUB]: CFG } }],
  "empty ELF, then grub.cfg elsewhere": [{ 1: { [ELF]: "" }, 2: { [GRUB]: CFG } }],
  "ELFs on two partitions": [{ 1: { [ELF]: "" }, 2: { [ELF]: "" } }],
  "ELF in the other place": [{ 1: { "/xen/pvboot-x86_64.elf": "" }, 2: { [GRUB]: CFG } }],
  "both ELFs": [{ 1: { [ELF]: "", "/boot/xen/pvboot-i386.elf": "", [GRUB]: CFG } }],
  "the other width only": [{ 1: { "/boot/xen/pvboot-i386.elf": "" } }],
  "an empty grub.cfg": [{ 1: { [GRUB]: "" }, 2: { "/grub/grub.cfg": CFG } }],
  "a link to grub.cfg": [{ 1: { [GRUB]: { link: "../real.cfg" }, "/boot/real.cfg": CFG } }],
  "a link that leads nowhere": [{ 1: { [GRUB]: { link: "gone" } }, 2: { "/grub/grub.cfg": CFG } }],
  "an absolute link": [{ 1: { [GRUB]: { link: "/etc/grub.cfg" }, "/etc/grub.cfg": CFG } }],
  "a directory of that name": [{ 1: { [GRUB]: { dir: true } }, 2: { [GRUB]: CFG } }],
  "/boot as a link": [{ 1: { "/boot": { link: "." }, "/grub/grub.cfg": CFG } }],
  nothing: [{ 1: { "/x": "" } }],
  "a logical volume": [{ group: "vg0", volumes: [{ name: "root", files: { [GRUB]: CFG } }] }],
  "two logical volumes": [
    {
      group: "guest-vg",
      volumes: [
        { name: "a", files: { [GRUB]: CFG } },
        { name: "b-2", files: { [GRUB]: CFG } },
      ],
    },
  ],
  "ELF on a volume, grub.cfg on a partition too": [
    { 1: { [GRUB]: CFG } },
    { group: "vg0", volumes: [{ name: "root", files: { [ELF]: "", [GRUB]: CFG } }] },
  ],
  "ELF on a partition, grub.cfg on a volume too": [
    { group: "vg0", volumes: [{ name: "root", files: { [GRUB]: CFG } }] },
    { 1: { [ELF]: "", [GRUB]: CFG } },
  ],
  "separate /boot, root on a volume": [
    { 1: { "/grub/grub.cfg": CFG, "/xen/pvboot-x86_64.elf": "" } },
    { group: "vg0", volumes: [{ name: "root", files: { "/etc/fstab": "", [GRUB]: CFG } }] },
  ],
};

/** Bytes; whole extents. */
const VOLUME = 8 << 20;

function makeVolumes({ group, volumes }: Group): string {
  const image = disks.file();
  const made = volumes.map(({ name, files }) => {
    const file = disks.file();
    writeFileSync(file, disks.ext({ tree: files }));
    truncateSync(file, VOLUME);
    return { name, file };
  });
  makeGroup(image, group, made);
  return image;
}

function makeDisk(parts: Layout[number]): string {
  if ("group" in parts) return makeVolumes(parts as Group);
  const whole = parts[0];
  if (whole !== undefined) {
    const file = disks.file();
    writeFileSync(file, disks.ext({ tree: whole }));
    return file;
  }
  const numbers = Object.keys(parts).map(Number);
  const last = Math.max(...numbers);
  const lines = Array.from({ length: last }, (_, index) => `start=${2048 + index * 4096}, size=4096, type=83`);
  const volumes = new Map(
    numbers.map((number) => [(2048 + (number - 1) * 4096) * 512, disks.ext({ tree: parts[number]! })]),
  );
  return disks.disk((2048 + last * 4096) * 512, ["label: dos", ...lines], volumes);
}

describe("the images' own scripts over guests, beside the real GRUB", () => {
  for (const [name, layout] of Object.entries(LAYOUTS)) {
    test(name, async () => {
      const files = layout.map(makeDisk);
      for (const image of IMAGES) {
        const { script } = await host(pathOf(image));
        // grub-emu has no loader; nothing here can be loaded either, so every step is taken.
        const printed = grubEmuScript(
          files.map((file, index) => ({ name: `hd${index}`, file })),
          `function multiboot { true; }\n${script}`,
        );
        const expected = [...printed.matchAll(/(?:Chainloading|Reading) (\((?:hd|lvm\/)[^\n]*)/g)].map((match) =>
          match[1]!.trimEnd(),
        );
        const { out } = await guestprobe([
          "boot",
          "--json",
          "--host",
          pathOf(image),
          "--as",
          files.map((_, index) => `hd${index}`).join(","),
          ...files,
        ]);
        const [verdict] = (
          JSON.parse(out) as {
            verdicts: {
              answer: string;
              attempts: { kind: string; ok: boolean; device: string; path: string; file: string }[];
            }[];
          }
        ).verdicts;
        const hits = verdict!.attempts.filter(
          ({ kind, ok, file }) => kind === "search" && ok && file === "(memdisk)/grub.cfg",
        );
        expect(
          hits.map(({ device, path }) => `(${device})${path}`),
          image,
        ).toEqual(expected);
        expect(verdict!.answer).toBe("no");
      }
    });
  }
});

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockDevice, bufferDevice, cachedDevice, type Finding } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { ext } from "@guestprobe/ext";
import { BOOT_PROBE_PATHS, GrubSearch, grubMapped, type SearchQuery } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { openFileSystem } from "@guestprobe/vfs";
import { assembleVolumes, type VolumeMember } from "@guestprobe/volume";
import { xfs } from "@guestprobe/xfs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { guestprobe } from "../lib/cli.js";
import { grubEmuSearch } from "../lib/grub-emu.js";
import { LVM_FILE, LVM_GUESTS, LVM_PLAIN, LVM_SPECIAL, makeLvmVolumes } from "../lib/lvm-volumes.mjs";

const folder = mkdtempSync(join(tmpdir(), "lvm-volumes-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What LVM and the kernel made and read. */
let made: Awaited<ReturnType<typeof makeLvmVolumes>>;
beforeAll(async () => {
  made = await makeLvmVolumes(folder);
}, 600_000);

/** Disks under GRUB's names, with their partitions as members. */
async function membersOf(disks: readonly { readonly name: string; readonly file: string }[]) {
  const members: VolumeMember[] = [];
  const whole: VolumeMember[] = [];
  for (const { name, file } of disks) {
    const device = cachedDevice(await openFile(file));
    whole.push({ name, device });
    members.push({ name, device });
    const { partitions } = await readPartitions(device);
    for (const part of partitions) {
      if (part.device === undefined) continue;
      members.push({ name: `${name},${part.table === "gpt" ? "gpt" : "msdos"}${part.number}`, device: part.device });
    }
  }
  return { members, whole };
}
const named = (files: readonly string[]) => files.map((file, index) => ({ name: `hd${index}`, file }));

async function assemble(members: readonly VolumeMember[]) {
  const findings: Finding[] = [];
  const assembled = await assembleVolumes(members, { report: (entry) => findings.push(entry) });
  return { ...assembled, findings, volumeOf: (name: string) => assembled.volumes.find((each) => each.name === name) };
}

async function hashOf(device: BlockDevice): Promise<string> {
  const hash = createHash("sha256");
  const piece = 1 << 20;
  for (let at = 0; at < device.size; at += piece) hash.update(await device.read(at, Math.min(piece, device.size - at)));
  return hash.digest("hex");
}

/** Physical volumes of "vg" that each volume can do without, one at a time: all that hold none of its bytes, and spares. */
const SPARED: Readonly<Record<string, number>> = { mirror: 1, raid1: 2, raid10: 1, stale1: 0 };
const sparedOf = (name: string): number => SPARED[name] ?? (/^raid[45]/.test(name) ? 1 : /^raid6/.test(name) ? 2 : 0);

test("each disk and each partition is named as blkid names it", async () => {
  for (const disk of [...made.vg, made.rhel, ...made.debian]) await expectAsBlkidHasIt(disk);
});

describe("bytes of a logical volume are those that the kernel read", () => {
  test.each([...LVM_PLAIN.map(([name]) => name), ...LVM_SPECIAL])("%s", async (name) => {
    const { members } = await membersOf(named(made.vg));
    const { volumeOf } = await assemble(members);
    const volume = volumeOf(`lvm/vg-${name}`);
    expect({ size: volume?.device.size, sha256: volume && (await hashOf(volume.device)) }).toEqual(made.read.get(name));
  });

  test.each(LVM_PLAIN.map(([name]) => name).filter((name) => sparedOf(name!) > 0))(
    "%s without as many physical volumes as it can spare",
    async (name) => {
      const { members } = await membersOf(named(made.vg));
      const whole = (await assemble(members)).volumeOf(`lvm/vg-${name}`)!;
      const spared = sparedOf(name!);
      for (const [index, first] of whole.members.entries()) {
        const second = whole.members[(index + 1) % whole.members.length]!;
        const lost = spared > 1 ? [first, second] : [first];
        const rest = members.filter((member) => !lost.includes(member.name));
        const { volumeOf, findings } = await assemble(rest);
        const volume = volumeOf(`lvm/vg-${name}`);
        expect([lost, volume && (await hashOf(volume.device))]).toEqual([lost, made.read.get(name!)?.sha256]);
        const own = findings.filter(({ device }) => device === `lvm/vg-${name}`).map(({ code }) => code);
        expect(own).toEqual(["lvm-raid-degraded"]);
      }
    },
  );

  test("images that were away are left out, and told", async () => {
    const { members } = await membersOf(named(made.vg));
    const { volumeOf, findings } = await assemble(members);
    for (const name of ["stale1", "stale5"]) await hashOf(volumeOf(`lvm/vg-${name}`)!.device);
    const stale = findings
      .filter(({ code }) => code === "lvm-raid-stale")
      .map(({ device, message }) => [device, message]);
    expect(stale).toEqual([
      ["lvm/vg-stale1", "stale1_rimage_1 holds old data; the others are read"],
      ["lvm/vg-stale5", "stale5_rimage_1 holds old data; the others are read"],
    ]);
  });

  test("volumes of the two guests", async () => {
    const { members } = await membersOf(named([made.rhel, ...made.debian]));
    const { volumeOf } = await assemble(members);
    const names = {
      "rhel-root": "lvm/rhel_guest--1-root",
      "debian-root": "lvm/deb--vg-root",
      "debian-boot": "md/0",
    };
    for (const [key, name] of Object.entries(names)) {
      const volume = volumeOf(name);
      expect([name, volume && (await hashOf(volume.device))]).toEqual([name, made.read.get(key)?.sha256]);
    }
    expect(volumeOf("lvm/deb--vg-root")?.members).toEqual(["md/1"]);
  });
});

const file = (name: string, more: Partial<SearchQuery> = {}): SearchQuery => ({ by: "file", name, ...more });

describe("search", () => {
  const search = async (disks: readonly { name: string; file: string }[], queries: readonly SearchQuery[]) => {
    const { members, whole } = await membersOf(disks);
    const assembled = await assembleVolumes(members);
    const mapped = grubMapped(assembled);
    const session = new GrubSearch(whole, {
      mapped: mapped.disks,
      hiddenMapped: mapped.hidden,
      openVolume: (device) => openFileSystem(device, [ext, xfs]),
    });
    const results = [];
    for (const query of queries) results.push(await session.search(query));
    return results;
  };
  const queries = (name: string): SearchQuery[] => [
    file(name),
    // Another spelling, which no cache knows.
    file(name.replace(/\/([^/]*)$/, "/./$1")),
    file(`/.${name}`, { stopAtFirst: true }),
    file(`/./.${name}`, { hints: ["lvm/vg-raid5"] }),
  ];

  test.each([
    ["one group over six disks", () => named(made.vg)],
    ["the same disks the other way round", () => named([...made.vg].reverse())],
    ["without one of them", () => named(made.vg.slice(1))],
    ["the Red Hat-like guest", () => named([made.rhel])],
    ["the Debian-like guest", () => named(made.debian)],
    ["half of the Debian-like guest", () => named(made.debian.slice(1))],
    ["all of them", () => named([...made.debian, ...made.vg, made.rhel])],
  ])("the order of hits on a first and on a later search equals grub-emu's: %s", async (_, disksOf) => {
    const asked = queries(LVM_FILE);
    const results = await search(disksOf(), asked);
    expect(results.map(({ hits }) => hits.map(({ device }) => device))).toEqual(grubEmuSearch(disksOf(), asked));
  });

  test.each([
    ["the Red Hat-like guest", () => named([made.rhel])],
    ["the Debian-like guest", () => named(made.debian)],
  ])("the eight boot paths as grub-emu finds them: %s", async (_, disksOf) => {
    const asked = BOOT_PROBE_PATHS.map((name) => file(name));
    const found = (await search(disksOf(), asked)).map(({ hits }) => hits.map(({ device }) => device));
    expect(found).toEqual(grubEmuSearch(disksOf(), asked));
    expect(found.flat().length).toBeGreaterThan(2);
  });

  test("what GRUB does not read is hidden, with the reason", async () => {
    const [result] = await search(named(made.vg), [file(LVM_FILE)]);
    const hidden = Object.fromEntries(result!.hidden.map(({ device, reason, code }) => [device, [code, reason]]));
    const code = "grub-volume-refused";
    expect(hidden["lvm/vg-thin"]).toEqual([code, "GRUB reads no volumes of type thin"]);
    expect(hidden["lvm/vg-snap"]).toEqual([code, "GRUB reads no snapshots"]);
    expect(hidden["lvm/vg-raid5_n"]).toEqual([code, "GRUB reads no volumes of type raid5_n"]);
    expect(hidden["lvm/vg-cachevol"]?.[1]).toMatch(/type cache\+CACHE_USES_CACHEVOL/);
    // Whatever holds the file is found or hidden: all but "zero", and the thin snapshot's external origin too.
    expect(result!.hits.length + result!.hidden.length).toBe(LVM_PLAIN.length + LVM_SPECIAL.length - 1 + 1);
  });
});

describe("the command line", () => {
  const paths = () => [made.rhel];

  test.each([
    ["(lvm/rhel_guest--1-root)/etc/fstab", () => [made.rhel], LVM_GUESTS["rhel-root"]["/etc/fstab"]],
    ["/etc/fstab", () => [made.rhel], LVM_GUESTS["rhel-root"]["/etc/fstab"]],
    ["(xen/xvda,gpt2)/grub/grub.cfg", () => [made.rhel], LVM_GUESTS["rhel-boot"]["/grub/grub.cfg"]],
    ["(lvm/deb--vg-root)/etc/fstab", () => made.debian, LVM_GUESTS["debian-root"]["/etc/fstab"]],
    ["(md/0)/grub/menu.lst", () => made.debian, LVM_GUESTS["debian-boot"]["/grub/menu.lst"]],
  ])("cat %s", async (path, images, content) => {
    const got = await guestprobe(["cat", ...images(), path]);
    expect([got.code, got.out]).toEqual([0, content]);
  });

  test("inspect lists what was put together", async () => {
    const got = await guestprobe(["inspect", "--json", ...paths()]);
    const { mapped } = JSON.parse(got.out) as { mapped: Record<string, unknown>[] };
    expect(mapped).toMatchObject([
      {
        device: "lvm/rhel_guest--1-swap",
        kind: "lvm2",
        members: ["xen/xvda,gpt3"],
        layout: "linear",
        fs: { kind: "swap", readable: false },
      },
      {
        device: "lvm/rhel_guest--1-root",
        bytes: 40 << 20,
        linuxNames: ["/dev/mapper/rhel_guest--1-root", "/dev/rhel_guest-1/root"],
        fs: { kind: "xfs" },
      },
    ]);
  });
});

test("a copy of a text whose checksum is wrong is passed over", async () => {
  const data = new Uint8Array(readFileSync(made.rhel));
  const place = Buffer.from(data.buffer).indexOf("rhel_guest-1 {");
  data[Buffer.from(data.buffer).lastIndexOf("seqno = ") + 8] = 0x39;
  writeFileSync(join(folder, "damaged.img"), data);
  const { partitions } = await readPartitions(bufferDevice(data));
  const { findings, volumes } = await assemble([{ name: "pv", device: partitions[2]!.device! }]);
  expect(place).toBeGreaterThan(0);
  expect(findings.map(({ code }) => code)).toEqual(["lvm-metadata-area"]);
  expect(volumes).toHaveLength(2);
});

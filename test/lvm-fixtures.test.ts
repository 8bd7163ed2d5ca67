import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, cachedDevice, countReads, type Finding } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { GrubSearch, grubMapped } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { openFileSystem } from "@guestprobe/vfs";
import { assembleVolumes } from "@guestprobe/volume";
import { xfs } from "@guestprobe/xfs";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "./lib/cli.js";
import { fixtures } from "./lib/fixtures.js";

interface Expected {
  /** What LVM says of the volumes. */
  readonly volumes: readonly { name: string; aliases: readonly string[]; bytes: number; linux: string }[];
  /** What grub-emu finds in its first search, for /boot/grub/grub.cfg. */
  readonly first: readonly string[];
  /** What it finds in these searches, one after the other. */
  readonly search: readonly (readonly [string, readonly string[]])[];
}

const folder = mkdtempSync(join(tmpdir(), "lvm-fixtures-"));
afterAll(() => rmSync(folder, { recursive: true }));

const found = fixtures("lvm");
const imageOf = (name: string): Uint8Array => found.find((each) => each.name === name)!.image();
/** The fixture as a file. */
function fileOf(name: string): string {
  const path = join(folder, `${name}.img`);
  writeFileSync(path, imageOf(name));
  return path;
}

for (const fixture of found) {
  describe(`LVM fixture ${fixture.name}`, async () => {
    const expected = fixture.expected as unknown as Expected;
    const counted = countReads(bufferDevice(fixture.image()));
    const disk = cachedDevice(counted);
    const findings: Finding[] = [];
    const { partitions } = await readPartitions(disk);
    const members = partitions.map(({ number, table, device }) => ({
      name: `hd0,${table === "gpt" ? "gpt" : "msdos"}${number}`,
      device: device!,
    }));
    const before = counted.stats.reads;
    const assembled = await assembleVolumes([{ name: "hd0", device: disk }, ...members], {
      report: (entry) => findings.push(entry),
    });
    const reads = counted.stats.reads - before;

    test("volumes are as LVM says", () => {
      expect(findings).toEqual([]);
      const volumes = assembled.volumes.map(({ aliases, device, linuxNames }) => ({
        aliases,
        bytes: device.size,
        linux: linuxNames[0],
      }));
      const sorted = expected.volumes.map(({ aliases, bytes, linux }) => ({ aliases, bytes, linux }));
      expect(volumes).toHaveLength(sorted.length);
      expect(volumes).toEqual(expect.arrayContaining(sorted));
    });

    test("putting them together takes few reads", () => {
      expect(reads).toBeLessThanOrEqual(4 * members.length + 6 + 4 * expected.volumes.length);
    });

    const session = (): GrubSearch => {
      const { disks, hidden } = grubMapped(assembled);
      return new GrubSearch([{ name: "hd0", device: disk }], {
        mapped: disks,
        hiddenMapped: hidden,
        openVolume: (device) => openFileSystem(device, [ext, xfs]),
      });
    };

    test("a first search finds what grub-emu finds, in its order", async () => {
      const { hits } = await session().search({ by: "file", name: "/boot/grub/grub.cfg" });
      expect(hits.map(({ device }) => device)).toEqual(expected.first);
    });

    test("so do searches one after the other", async () => {
      const run = session();
      for (const [name, devices] of expected.search) {
        const { hits } = await run.search({ by: "file", name });
        expect([name, hits.map(({ device }) => device)]).toEqual([name, devices]);
      }
    });
  });
}

describe("the command line on a guest that has its root on LVM", () => {
  const rhel = fileOf("rhel");

  test("files by GRUB's name, by GRUB's name by UUID, and by path alone", async () => {
    const alias = (found.find(({ name }) => name === "rhel")!.expected as unknown as Expected).volumes[0]!.aliases[0];
    for (const path of ["(lvm/rhel_guest--1-root)/etc/fstab", `(${alias})/etc/fstab`, "/etc/fstab"]) {
      const { code, out } = await guestprobe(["cat", rhel, path]);
      expect([code, out.split("\n")[0]]).toEqual([0, "/dev/mapper/rhel_guest--1-root / xfs defaults 0 0"]);
    }
  });

  test("inspect: what lies where, and what is on it", async () => {
    const { out } = await guestprobe(["inspect", rhel]);
    expect(out).toMatch(/\(xen\/xvda,gpt3\).*Linux LVM/);
    expect(out).toMatch(/\(lvm\/rhel_guest--1-root\) +18\.0 MiB +LVM linear on \(xen\/xvda,gpt3\) +xfs/);
    expect(out).toMatch(/\(lvm\/rhel_guest--1-swap\) .* swap/);
    expect(out).toContain("  (lvm/rhel_guest--1-root)/boot/grub/grub.cfg");
  });

  test.each(["inspect", "parts"])("%s --json", async (verb) => {
    const { out } = await guestprobe([verb, "--json", rhel]);
    const { mapped } = JSON.parse(out) as { mapped: unknown };
    expect(mapped).toMatchObject([
      { device: "lvm/rhel_guest--1-swap", kind: "lvm2", members: ["xen/xvda,gpt3"], bytes: 2 << 20 },
      {
        device: "lvm/rhel_guest--1-root",
        kind: "lvm2",
        members: ["xen/xvda,gpt3"],
        bytes: 18 << 20,
        fs: { kind: "xfs" },
      },
    ]);
  });

  test("the verdict follows root= and fstab to the logical volumes", async () => {
    const { out } = await guestprobe(["lint", "--json", rhel]);
    const codes = (JSON.parse(out) as { findings: { code: string; message: string }[] }).findings;
    expect(codes.filter(({ message }) => /\/dev\/mapper|fstab/.test(message))).toEqual([]);
  });

  test("a name that is none lists those that are", async () => {
    const { code, err } = await guestprobe(["ls", rhel, "(lvm/none)/"]);
    expect(code).toBe(2);
    expect(err).toContain("(lvm/rhel_guest--1-root)");
  });
});

/** GRUB's drivers on the committed volumes: what they accept, the label and UUID they tell, the names they find. */
import { bufferDevice, cachedDevice, decodeText, encodeText, sliceDevice } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import {
  btrfsGate,
  DEFAULT_GRUB_VERSION,
  fatGate,
  type Gate,
  GrubSearch,
  iso9660Gate,
  type SearchQuery,
  xfsGate,
} from "@guestprobe/grub";
import { iso9660 } from "@guestprobe/iso9660";
import { squashfs } from "@guestprobe/squashfs";
import { openFileSystem } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { describe, expect, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";

const FORMATS = [btrfs, ext, fat, iso9660, squashfs, xfs];
const named = (format: string, name: string) => fixtures(format).find((one) => one.name === name)!;
const judge = (gate: Gate, image: Uint8Array) => gate.probe(bufferDevice(image), DEFAULT_GRUB_VERSION);

const gates: [string, Gate][] = [
  ["btrfs", btrfsGate],
  ["fat", fatGate],
  ["iso9660", iso9660Gate],
];

describe.each(gates)("%s", (format, gate) => {
  test.each(fixtures(format).map((one) => [one.name, one] as const))("%s is accepted", async (_, one) => {
    const verdict = await judge(gate, one.image());
    if (verdict.verdict !== "accept") throw new Error(JSON.stringify(verdict));
    // blkid's, which had it from the same fields.
    expect(verdict.uuid).toBe(one.expected.uuid);
    if (format !== "iso9660") expect(decodeText(verdict.label!)).toBe(one.expected.label);
  });

  test.each(fixtures(format).map((one) => [one.name, one] as const))("%s is found by its file", async (_, one) => {
    const files = one.expected.entries.flatMap(({ type, path }) =>
      type === "file" && path !== undefined && /^[\x20-\x7e]+$/.test(path) ? [path] : [],
    );
    expect(files.length).toBeGreaterThan(0);
    for (const path of files.slice(0, 5)) {
      const { hits } = await grub({ vm: one.image() }).search({ by: "file", name: path });
      expect(
        hits.map(({ device }) => device),
        path,
      ).toEqual(["vm"]);
    }
  });

  test("bytes of nothing are not its own", async () => {
    expect(await judge(gate, new Uint8Array(1 << 20))).toEqual({ verdict: "not-mine" });
    expect(await judge(gate, new Uint8Array(100))).toEqual({ verdict: "not-mine" });
  });
});

function grub(images: Readonly<Record<string, Uint8Array>>): GrubSearch {
  const disks = Object.entries(images).map(([name, image]) => ({ name, device: bufferDevice(image) }));
  return new GrubSearch(disks, { openVolume: (device) => openFileSystem(cachedDevice(device), FORMATS) });
}
const devices = async (run: GrubSearch, query: SearchQuery): Promise<string[]> =>
  (await run.search(query)).hits.map(({ device }) => device);

describe("search", () => {
  const run = grub({
    iso: named("iso9660", "plain").image(),
    rock: named("iso9660", "rr").image(),
    joliet: named("iso9660", "joliet").image(),
    fat: named("fat", "fat16").image(),
    sub: named("btrfs", "subvolumes").image(),
  });

  test("the case of a name counts by what the volume tells of it", async () => {
    expect(await devices(run, { by: "file", name: "/boot/grub/grub.cfg" })).toEqual(["iso", "rock", "joliet", "fat"]);
    expect(await devices(run, { by: "file", name: "/BOOT/GRUB/GRUB.CFG" })).toEqual(["iso", "fat"]);
    expect(await devices(run, { by: "file", name: "/efi/Boot/BootX64.efi" })).toEqual(["iso", "fat"]);
  });

  test("a long name of FAT in any case, its short name never", async () => {
    expect(await devices(run, { by: "file", name: "/NAMES/long NAME that shares its start ONE.txt" })).toEqual(["fat"]);
    expect(await devices(run, { by: "file", name: "/Names/LONGNA~2.TXT" })).toEqual([]);
  });

  test("by label and by UUID, the case of its letters apart", async () => {
    expect(await devices(run, { by: "label", name: "LABEL" })).toEqual(["fat"]);
    expect(await devices(run, { by: "label", name: "label" })).toEqual([]);
    expect(await devices(run, { by: "uuid", name: "1234-abcd" })).toEqual(["fat"]);
    expect(await devices(run, { by: "uuid", name: "C0FFEE00-6274-4666-8000-000000000003" })).toEqual(["sub"]);
  });

  test("what lies in the default subvolume is there, and GRUB does not begin there", async () => {
    const { hits, hidden } = await run.search({ by: "file", name: "/boot/xen/pvboot-x86_64.elf" });
    expect(hits).toEqual([]);
    expect(hidden.map(({ device, path }) => [device, decodeText(path!)])).toEqual([
      ["sub", "/@/boot/xen/pvboot-x86_64.elf"],
    ]);
    expect(hidden[0]!.reason).toContain("the default subvolume @");
    expect(await devices(run, { by: "file", name: "/@/boot/xen/pvboot-x86_64.elf" })).toEqual(["sub"]);
  });
});

describe("ISO 9660 descriptors as the driver reads them (fs/iso9660.c)", () => {
  const iso = (change: (view: DataView, bytes: Uint8Array) => void, name = "plain") => {
    const bytes = named("iso9660", name).image();
    change(new DataView(bytes.buffer), bytes);
    return judge(iso9660Gate, bytes);
  };
  const PRIMARY = 16 * 2048;

  test("the label ends at blanks, or at a NUL before them", async () => {
    const label = async (text: string) => {
      const verdict = await iso((_, bytes) => bytes.set(encodeText(text.padEnd(32)), PRIMARY + 40));
      return verdict.verdict === "accept" && decodeText(verdict.label!);
    };
    expect(await label("TWO WORDS  ")).toBe("TWO WORDS");
    expect(await label("CUT\0OFF")).toBe("CUT");
    expect(await label("")).toBe("");
  });

  test("Joliet's label where there is no Rock Ridge; the other where there is", async () => {
    const verdicts = await Promise.all(["joliet", "both"].map((name) => iso(() => {}, name)));
    expect(verdicts.map((one) => one.verdict === "accept" && decodeText(one.label!))).toEqual(["A LABEL", "A LABEL"]);
    const changed = await Promise.all(
      ["joliet", "both"].map((name) => iso((view) => view.setUint8(17 * 2048 + 41, 0x5a), name)),
    );
    // Which of the two descriptors is Joliet's differs by tool: a changed letter shows in the one that is read.
    expect(changed.map((one) => one.verdict)).toEqual(["accept", "accept"]);
  });

  test("a date of zeros is no UUID", async () => {
    expect(await iso((_, bytes) => bytes.fill(0, PRIMARY + 830, PRIMARY + 846))).toMatchObject({ uuid: undefined });
  });

  test.each<[string, (view: DataView, bytes: Uint8Array) => void, string]>([
    ["no descriptor ends the set", (_, bytes) => bytes.fill(0, 17 * 2048, 18 * 2048), "do not end"],
    ["no primary one", (view) => view.setUint8(PRIMARY, 7), "no primary volume descriptor"],
    ["a root past the device", (view) => view.setUint32(PRIMARY + 158, 1 << 20, true), "lies past the device"],
    [
      "UDF beside it",
      (view, bytes) => {
        bytes.set(encodeText("NSR02"), 18 * 2048 + 1);
        view.setUint16(256 * 2048, 2, true);
      },
      "takes the volume",
    ],
  ])("%s", async (_, change, reason) => {
    const bytes = named("iso9660", "plain").image();
    // Room for UDF's anchor.
    const larger = new Uint8Array(Math.max(bytes.length, 300 * 2048));
    larger.set(bytes);
    change(new DataView(larger.buffer), larger);
    expect(await judge(iso9660Gate, larger)).toMatchObject({
      verdict: "refuse",
      error: "bad-fs",
      reason: expect.stringContaining(reason) as string,
    });
  });
});

describe("FAT as the driver mounts it (fs/fat.c, grub_fat_mount)", () => {
  const mounted = (change: (view: DataView, bytes: Uint8Array) => void, name = "fat16") => {
    const bytes = named("fat", name).image();
    change(new DataView(bytes.buffer), bytes);
    return judge(fatGate, bytes);
  };

  test.each<[string, string, (view: DataView) => void, string]>([
    ["no reserved sectors", "fat16", (view) => view.setUint16(14, 0, true), "no reserved sectors"],
    ["no table", "fat16", (view) => view.setUint8(16, 0), "no table"],
    ["a table of no sectors", "fat32", (view) => view.setUint32(36, 0, true), "a table of no sectors"],
    ["a volume of no sectors", "fat32", (view) => view.setUint32(32, 0, true), "a volume of no sectors"],
    [
      "no clusters",
      "fat32",
      (view) => view.setUint32(32, view.getUint16(14, true) + view.getUint8(16) * view.getUint32(36, true), true),
      "no clusters",
    ],
    ["table 5 of 2", "fat32", (view) => view.setUint16(40, 0x85, true), "table 5 is active, there are 2"],
    ["a later version of FAT32", "fat32", (view) => view.setUint16(42, 1, true), "of a later version"],
    ["another media byte", "fat16", (view) => view.setUint8(21, 0xe8), "media byte"],
    ["a root past the device", "fat32", (view) => view.setUint32(44, 0x0fff_0000, true), "cannot be read"],
    ["a table past the volume", "fat16", (view) => view.setUint16(14, 0xfff0, true), ""],
  ])("%s: refused", async (_, name, change, reason) => {
    const verdict = await mounted(change, name);
    expect(verdict).toMatchObject({ verdict: "refuse", reason: expect.stringContaining(reason) as string });
  });

  test.each([
    ["a sector size that is no power of two", (view: DataView) => view.setUint16(11, 600, true)],
    ["clusters that are no power of two", (view: DataView) => view.setUint8(13, 3)],
  ])("%s: no FAT at all", async (_, change) => {
    expect(await mounted(change)).toEqual({ verdict: "not-mine" });
  });

  test("the label is the first entry that is one, before the end mark", async () => {
    // fat16: one reserved sector count, two tables, then the root directory.
    const root = (view: DataView): number =>
      (view.getUint16(14, true) + view.getUint8(16) * view.getUint16(22, true)) * view.getUint16(11, true);
    const label = async (change: (view: DataView, bytes: Uint8Array, at: number) => void) => {
      const verdict = await mounted((view, bytes) => change(view, bytes, root(view)));
      return verdict.verdict === "accept" && verdict.label && decodeText(verdict.label);
    };
    expect(await label(() => {})).toBe("LABEL");
    expect(await label((_, bytes, at) => bytes.set(encodeText("NEW NAME   "), at))).toBe("NEW NAME");
    // 0x05 stands for the letter that else marks a deleted entry.
    expect(await label((_, bytes, at) => bytes.set([0x05, 0x41, 0x20], at))).toBe("\ufffdA EL");
    expect(await label((view, _, at) => view.setUint8(at, 0))).toBe(undefined);
    expect(await label((view, _, at) => view.setUint8(at, 0xe5))).toBe(undefined);
  });
});

describe("XFS superblocks as the driver reads them (fs/xfs.c)", () => {
  const patched = async (name: string, change: (view: DataView) => void) => {
    const bytes = named("xfs", name).image();
    change(new DataView(bytes.buffer));
    return judge(xfsGate, bytes);
  };
  const refused = (reason: string) => ({ verdict: "refuse", error: "bad-fs", reason: expect.stringContaining(reason) });

  test("version 4: directories of version 1, and bits that it does not know", async () => {
    expect((await patched("v4-512", () => {})).verdict).toBe("accept");
    const version = 100;
    const bits = (change: (value: number) => number) => (view: DataView) =>
      view.setUint16(version, change(view.getUint16(version)));
    expect(
      await patched(
        "v4-512",
        bits((value) => value & ~0x2000),
      ),
    ).toMatchObject(refused("directories of version 1"));
    expect(
      await patched(
        "v4-512",
        bits((value) => (value & ~0xf) | 3),
      ),
    ).toMatchObject(refused("version 3"));
    expect(
      await patched(
        "v4-512",
        bits((value) => value | 0x4000),
      ),
    ).toMatchObject(refused("does not read"));
  });

  test("version 5: an incompatible bit that it does not know, blocks of 2^8 bytes", async () => {
    expect(await patched("v5-1k", (view) => view.setUint32(216, 0x8000_0000))).toMatchObject(refused("0x80000000"));
    expect(await patched("v5-1k", (view) => view.setUint8(120, 8))).toMatchObject(refused("blocks of 2^8"));
  });

  test("a device that ends inside the superblock", async () => {
    const device = sliceDevice(bufferDevice(named("xfs", "v5-1k").image()), 0, 400);
    expect((await xfsGate.probe(device, DEFAULT_GRUB_VERSION)).verdict).toBe("not-mine");
  });
});

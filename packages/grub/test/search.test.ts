import { type BlockDevice, bufferDevice, ImageError } from "@guestprobe/block";
import {
  type Gate,
  GRUB_VERSIONS,
  type GrubDisk,
  type GrubMachineOptions,
  GrubSearch,
  listDisk,
} from "@guestprobe/grub";
import type { FileSystem } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { type EntrySpec, putGpt, putMbr } from "../../partition/test/build.js";
import { fakeVolume } from "./fake-volume.js";

const CFG = { boot: { "grub.cfg": "x" } };

function disk(name: string, ...entries: EntrySpec[]): GrubDisk {
  const image = new Uint8Array(400 * 512);
  if (entries.length > 0) putMbr(image, entries);
  return { name, device: bufferDevice(image) };
}
const part = (start: number, more: EntrySpec = {}): EntrySpec => ({ start, sectors: 10, ...more });

/** A run of GRUB where each named device holds `CFG`, or what is given for it. */
function grub(
  disks: readonly GrubDisk[],
  volumes: { readonly [name: string]: FileSystem | ImageError },
  options: Partial<GrubMachineOptions> = {},
): GrubSearch {
  return new GrubSearch(disks, {
    gates: [],
    ...options,
    async openVolume(_device, name) {
      const volume = volumes[name];
      if (volume instanceof ImageError) throw volume;
      return volume;
    },
  });
}
const holding = (...names: string[]) => Object.fromEntries(names.map((name) => [name, fakeVolume(CFG)]));
const hits = async (run: GrubSearch, name = "/boot/grub.cfg", more = {}): Promise<string[]> =>
  (await run.search({ by: "file", name, ...more })).hits.map((hit) => hit.device);

describe("order", () => {
  const disks = [disk("xen/xvda", part(10), part(30)), disk("xen/xvdb")];
  const lvm = [disk("lvm/vg-a"), disk("lvm/vg-b")];
  const all = holding("xen/xvda,msdos1", "xen/xvda,msdos2", "xen/xvdb", "lvm/vg-a", "lvm/vg-b");

  test("logical volumes come last until a search has gone through all disks, then first", async () => {
    const run = grub(disks, all, { mapped: lvm });
    const plain = ["xen/xvda,msdos2", "xen/xvda,msdos1", "xen/xvdb"];
    expect(await hits(run, "/boot/grub.cfg")).toEqual([...plain, "lvm/vg-a", "lvm/vg-b"]);
    expect(await hits(run, "/boot/./grub.cfg")).toEqual(["lvm/vg-a", "lvm/vg-b", ...plain]);
  });

  test("a search that ends at a plain disk does not find them", async () => {
    const run = grub(disks, all, { mapped: lvm });
    expect(await hits(run, "/boot/grub.cfg", { stopAtFirst: true })).toEqual(["xen/xvda,msdos2"]);
    expect(await hits(run, "/boot//grub.cfg", { stopAtFirst: true })).toEqual(["xen/xvda,msdos2"]);
    expect(await hits(run, "/none", { stopAtFirst: true })).toEqual([]);
    expect(await hits(run, "/boot/./grub.cfg", { stopAtFirst: true })).toEqual(["lvm/vg-a"]);
  });

  test("a hint at one finds all of them", async () => {
    const run = grub(disks, all, { mapped: lvm });
    expect(await hits(run, "/none", { hints: ["lvm/none"], stopAtFirst: true })).toEqual([]);
    expect(await hits(run, "/boot/grub.cfg", { stopAtFirst: true })).toEqual(["lvm/vg-a"]);
  });

  test("hdN counts Xen's disks by number, wherever they stand", async () => {
    const mixed = [disk("xen/xvdb"), disk("xen/sda"), disk("xen/xvda", part(10)), disk("xen/hdc")];
    const run = grub(mixed, holding("xen/xvda,msdos1"));
    const names = await Promise.all(["hd0", "hd1", "hd2", "hd2,1", "hd3", "hd4"].map((name) => run.openDevice(name)));
    expect(names.map((device) => device?.name)).toEqual([
      "xen/sda",
      "xen/hdc",
      "xen/xvda",
      "xen/xvda,msdos1",
      "xen/xvdb",
      undefined,
    ]);
    expect(await hits(run, "/boot/grub.cfg", { hints: ["hd2,1"] })).toEqual(["hd2,1", "xen/xvda,msdos1"]);
  });

  test("other names of a mapped device", async () => {
    const run = grub([], holding("lvm/vg-a"), { mapped: [{ ...lvm[0]!, aliases: ["lvmid/x/y"] }] });
    expect((await run.openDevice("lvmid/x/y"))?.name).toBe("lvm/vg-a");
  });
});

describe("partitions inside partitions", () => {
  const outer = new Uint8Array(400 * 512);
  putGpt(outer, { count: 4, entries: [{ slot: 1, first: 10, last: 109 }] });
  const inner = new Uint8Array(100 * 512);
  putMbr(inner, [part(20), part(40), part(95)]);
  outer.set(inner, 10 * 512);
  const disks = [{ name: "hd0", device: bufferDevice(outer) }];
  const volumes = holding("hd0,gpt1,msdos1", "hd0,gpt1,msdos2");

  test("they come before the one they lie in, those that pass its end not at all", async () => {
    const { devices } = await listDisk(disks[0]!);
    expect(devices.map(({ name, start }) => [name, start / 512])).toEqual([
      ["hd0", 0],
      ["hd0,gpt1,msdos2", 50],
      ["hd0,gpt1,msdos1", 30],
      ["hd0,gpt1", 10],
    ]);
  });

  test("a version that opens them hits, one that does not tells", async () => {
    const open = grub(disks, volumes, { version: GRUB_VERSIONS["2.12"] });
    expect(await hits(open)).toEqual(["hd0,gpt1,msdos2", "hd0,gpt1,msdos1"]);
    expect(await hits(open, "/boot/./grub.cfg", { hints: ["hd0,gpt1,"], stopAtFirst: true })).toEqual([
      "hd0,gpt1,msdos1",
    ]);
    const { hits: none, hidden } = await grub(disks, volumes).search({ by: "file", name: "/boot/grub.cfg" });
    expect(none).toEqual([]);
    expect(hidden.map(({ device, code }) => [device, code])).toEqual([
      ["hd0,gpt1,msdos2", "grub-nested-name"],
      ["hd0,gpt1,msdos1", "grub-nested-name"],
    ]);
  });

  test("an MBR in an MBR partition counts for MINIX alone", async () => {
    const nested = (type: number): BlockDevice => {
      const image = new Uint8Array(400 * 512);
      putMbr(image, [{ start: 100, sectors: 200, type }]);
      putMbr(image, [part(150)], { lba: 100 });
      return bufferDevice(image);
    };
    const names = async (type: number) =>
      (await listDisk({ name: "hd0", device: nested(type) })).devices.map(({ name, start }) => [name, start / 512]);
    expect(await names(0x83)).toEqual([
      ["hd0", 0],
      ["hd0,msdos1", 100],
    ]);
    // Its sectors count from the start of the disk.
    expect(await names(0x81)).toEqual([
      ["hd0", 0],
      ["hd0,msdos1,msdos1", 150],
      ["hd0,msdos1", 100],
    ]);
  });

  test("tables nested in one another without end stay bounded", async () => {
    const image = new Uint8Array(4000 * 512);
    // Every sector is a table whose partitions begin a sector further on.
    for (let lba = 0; lba < 3999; lba += 1) {
      putMbr(
        image,
        [1, 2, 3, 4].map(() => ({ start: lba + 1, sectors: 3000, type: 0x81 })),
        { lba },
      );
    }
    const { devices } = await listDisk({ name: "hd0", device: bufferDevice(image) });
    expect(devices.length).toBeLessThanOrEqual(4097);
  });
});

describe("what keeps GRUB from a volume", () => {
  const gateOf = (verdict: Awaited<ReturnType<Gate["probe"]>>, driver = "fake"): Gate => ({
    driver,
    kinds: [driver],
    probe: async () => verdict,
  });
  const accept = { verdict: "accept", label: undefined, uuid: undefined } as const;
  const one = [disk("hd0")];
  const search = async (gates: readonly Gate[], volume: FileSystem | ImageError = fakeVolume(CFG)) => {
    const result = await grub(one, { hd0: volume }, { gates }).search({ by: "file", name: "/boot/grub.cfg" });
    return {
      hits: result.hits.length,
      hidden: result.hidden.map(({ code, reason }) => [code, reason]),
      unknown: result.unknown.map(({ error }) => error.code),
    };
  };

  test("its driver refuses", async () => {
    const refuse = { verdict: "refuse", error: "bad-fs", reason: "too new" } as const;
    expect(await search([gateOf(refuse)])).toMatchObject({ hits: 0, hidden: [["grub-feature-refused", "too new"]] });
  });

  test("its driver sees nothing: the first superblock is gone", async () => {
    expect(await search([gateOf({ verdict: "not-mine" })])).toMatchObject({
      hits: 0,
      hidden: [["grub-no-superblock", expect.any(String)]],
    });
  });

  test("another driver takes the device", async () => {
    expect(await search([gateOf(accept, "other"), gateOf(accept)])).toMatchObject({
      hits: 0,
      hidden: [["grub-other-driver", expect.stringContaining("other")]],
    });
  });

  test("an error other than bad-fs and out-of-range keeps later drivers from being asked", async () => {
    const refuse = (error: "bad-fs" | "out-of-range" | "not-implemented") =>
      gateOf({ verdict: "refuse", error, reason: error }, "other");
    expect((await search([refuse("bad-fs"), gateOf(accept)])).hits).toBe(1);
    expect((await search([refuse("out-of-range"), gateOf(accept)])).hits).toBe(1);
    expect(await search([refuse("not-implemented"), gateOf(accept)])).toMatchObject({
      hits: 0,
      hidden: [["grub-feature-refused", "not-implemented"]],
    });
  });

  test("what cannot be read here is unknown, never a no; a refusal by GRUB is a no", async () => {
    const broken = new ImageError("unsupported", "too new for us");
    expect(await search([gateOf(accept)], broken)).toEqual({ hits: 0, hidden: [], unknown: ["unsupported"] });
    expect(await search([], broken)).toEqual({ hits: 0, hidden: [], unknown: ["unsupported"] });
    const refuse = { verdict: "refuse", error: "bad-fs", reason: "too new" } as const;
    expect(await search([gateOf(refuse)], broken)).toEqual({ hits: 0, hidden: [], unknown: [] });
    const damaged = fakeVolume({ boot: { fail: true } });
    expect(await search([gateOf(accept)], damaged)).toEqual({ hits: 0, hidden: [], unknown: ["corrupt"] });
  });

  test("one bad volume does not hide the sound ones", async () => {
    const disks = [disk("hd0", part(10), part(30), part(50))];
    const run = grub(disks, {
      ...holding("hd0,msdos1", "hd0,msdos3"),
      "hd0,msdos2": new ImageError("corrupt", "a wreck", { offset: 1024 }),
    });
    const result = await run.search({ by: "file", name: "/boot/grub.cfg" });
    expect(result.hits.map((hit) => hit.device)).toEqual(["hd0,msdos3", "hd0,msdos1"]);
    expect(result.unknown).toMatchObject([{ device: "hd0,msdos2", error: { code: "corrupt", offset: 1024 } }]);
  });
});

test("an abort ends the search with that error", async () => {
  const aborted = new ImageError("aborted", "stop");
  await expect(grub([disk("hd0")], { hd0: aborted }).search({ by: "label", name: "x" })).rejects.toBe(aborted);
});

test("hostile GPT headers: GRUB's view stays bounded", async () => {
  for (const [at, value] of [
    [72, 0xffff_ffff_ffff_ffffn],
    [72, 0n],
    [80, 0xffff_ffff_0000_0080n],
    [80, 0x0000_0000_ffff_ffffn],
    [80, 0xffff_ffff_ffff_ffffn],
  ] as const) {
    const image = new Uint8Array(400 * 512);
    putGpt(image, {
      entries: [{ slot: 1, first: 50, last: 60 }],
      edit: (header) => header.setBigUint64(at, value, true),
    });
    const { devices } = await listDisk({ name: "hd0", device: bufferDevice(image) });
    expect(devices.length).toBeLessThanOrEqual(4097);
  }
});

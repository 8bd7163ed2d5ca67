import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, countReads, crc32cRaw, type Finding } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { btrfs } from "@guestprobe/btrfs";
import { resolve } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeVolume, noise, populate, populateSubvolumes, withBtrfs } from "../lib/btrfs-image.mjs";
import { buildVolume, checkVolume, type KernelVolume, kernelVolume, withOpened } from "../lib/btrfs-volume.js";
import { run } from "../lib/kernel-view.mjs";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-vol-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

describe("damaged copies", () => {
  /** Byte offsets of all blocks of the image that say they are the node at this logical address. */
  function copiesOf(image: Buffer, logical: number): number[] {
    const places: number[] = [];
    for (let at = 0x10_0000; at < image.length; at += 4096) {
      if (image.readBigUInt64LE(at + 0x30) === BigInt(logical)) places.push(at);
    }
    return places;
  }

  /** Logical address of the first node of a tree, as btrfs-progs says. */
  const rootOf = (image: string, tree: string): number =>
    Number(/^(?:leaf|node) (\d+) /m.exec(run("btrfs", ["inspect-internal", "dump-tree", "-t", tree, image]))![1]);

  let volume: KernelVolume;
  beforeAll(() => {
    volume = buildVolume(join(folder, "dup"), { mib: 160 }, (point) => populate(point));
  });

  /** A copy of the volume with `change` done to it, and the codes and places of findings. */
  async function afterChange(change: (image: Buffer) => void, checksums?: "require") {
    const image = readFileSync(volume.images[0]!);
    change(image);
    const path = join(folder, "changed.img");
    writeFileSync(path, image);
    const findings: Finding[] = [];
    const report = (finding: Finding): void => void findings.push(finding);
    await checkVolume({ ...volume, images: [path] }, { verify: true, report, ...(checksums ? { checksums } : {}) });
    return findings.map(({ code, offset }) => ({ code, offset }));
  }

  for (const tree of ["chunk", "root", "5", "csum"]) {
    it(`one bad copy of the first node of tree ${tree}: the same answer, one finding`, async () => {
      const logical = rootOf(volume.images[0]!, tree);
      const [first, second] = copiesOf(readFileSync(volume.images[0]!), logical);
      const change = (at: number) => (image: Buffer) => image.fill(0x5a, at + 200, at + 201);
      expect(await afterChange(change(first!))).toEqual([{ code: "btrfs-bad-copy", offset: first }]);
      expect(await afterChange((image) => image.fill(0, first, first! + 16384))).toEqual([
        { code: "btrfs-bad-copy", offset: first },
      ]);
      // The second copy is not read as long as the first is sound.
      expect(await afterChange(change(second!), "require")).toEqual([]);
    });
  }

  it("both copies fail their checksum: read with a finding, or refused where checksums are required", async () => {
    const logical = rootOf(volume.images[0]!, "5");
    const places = copiesOf(readFileSync(volume.images[0]!), logical);
    expect(places).toHaveLength(2);
    // A byte of the stored checksum itself: nothing else is wrong.
    const change = (image: Buffer): void => {
      for (const at of places) image[at] = image[at]! ^ 1;
    };
    expect(await afterChange(change)).toEqual([{ code: "btrfs-bad-block", offset: places[0] }]);
    await expect(afterChange(change, "require")).rejects.toThrow(/fails its checksum/);
  });

  it("the superblock is damaged: its copy is used", async () => {
    expect(await afterChange((image) => image.fill(0xff, 0x1_0100, 0x1_0110))).toEqual([
      { code: "btrfs-super-copy", offset: 0x1_0000 },
      { code: "btrfs-super-copy", offset: 0x400_0000 },
    ]);
    expect(await afterChange((image) => image.fill(0, 0x1_0000, 0x1_1000))).toEqual([
      { code: "btrfs-super-copy", offset: 0x400_0000 },
    ]);
  });

  for (const [profile, count, damaged] of [
    ["raid1", 2, 1],
    ["raid10", 4, 1],
    ["raid5", 3, 1],
    ["raid6", 5, 2],
  ] as const) {
    it(`${profile}: ${damaged} of ${count} devices hold garbage, verified reading finds the sound bytes`, async () => {
      const args = ["-d", profile, "-m", profile];
      const sound = buildVolume(join(folder, `garbage-${profile}`), { count, mib: 160, args }, (point) => {
        populate(point);
        writeFileSync(join(point, "rows"), noise("rows", 1_500_000));
      });
      for (const path of sound.images.slice(0, damaged)) {
        const image = readFileSync(path);
        // Everything but the superblocks.
        for (let at = 0x10_0000; at < image.length; at += 0x1_0000) {
          if (at !== 0x400_0000) noise(`${path}${at}`, 4096).copy(image, at + 4096 * ((at / 0x1_0000) % 16));
        }
        writeFileSync(path, image);
      }
      // Where a file lies is where its first copy lies, which holds garbage here.
      const codes = await checkVolume(sound, { verify: true }, "extents cover each file and lead to its bytes");
      expect(new Set(codes)).toEqual(new Set(["btrfs-bad-copy"]));
    });
  }
});

describe("subvolumes", () => {
  let images: string[];
  /** What btrfs-progs lists: id, parent and path of each. */
  let listed: { id: number; parent: number; path: string }[];
  beforeAll(() => {
    images = makeVolume(join(folder, "subvolumes"), { mib: 160 });
    listed = withBtrfs(images, [], (point) => {
      populate(point);
      populateSubvolumes(point);
      run("btrfs", ["subvolume", "delete", join(point, "again")]);
      run("btrfs", ["subvolume", "set-default", join(point, "one", "dir", "two")]);
      const lines = run("btrfs", ["subvolume", "list", "-p", point]).trim().split("\n");
      return lines.map((line) => {
        const [, id, parent, path] = /^ID (\d+) gen \d+ parent (\d+) top level \d+ path (.*)$/.exec(line)!;
        return { id: Number(id), parent: Number(parent), path: `/${path}` };
      });
    });
  });

  it("are listed as btrfs-progs lists them, the default one marked", async () => {
    await withOpened(images, {}, async ({ fs }) => {
      const [top, ...list] = await fs.subvolumes();
      expect(top).toMatchObject({ id: 5, parent: undefined, path: Uint8Array.of(0x2f), isDefault: false });
      expect(list.map(({ id, parent, path }) => ({ id, parent, path: text(path) }))).toEqual(listed);
      const two = listed.find(({ path }) => path === "/one/dir/two")!;
      expect(list.filter((one) => one.isDefault).map((one) => one.id)).toEqual([two.id]);
      expect(await fs.defaultSubvolume()).toBe(two.id);
      const snapshot = list.find(({ path }) => text(path) === "/one/read-only")!;
      expect(snapshot).toMatchObject({ readOnly: true, parentUuid: list.find(({ id }) => id === two.id)!.uuid });
    });
  });

  it("each one opens by id and by path, and shows what the kernel shows", async () => {
    for (const { id, path } of listed) {
      const volume = kernelVolume(images, id);
      for (const subvol of [String(id), path, path.slice(1)]) {
        expect(await checkVolume(volume, { subvol, verify: true })).toEqual([]);
      }
    }
  });

  it("default, top, and what is no subvolume", async () => {
    const two = listed.find(({ path }) => path === "/one/dir/two")!;
    await withOpened(images, { subvol: "default" }, async ({ fs }) => {
      expect(fs.subvolume).toBe(two.id);
      expect((await fs.openSubvolume(5)).subvolume).toBe(5);
      await expect(fs.openSubvolume(7)).rejects.toMatchObject({ code: "not-found" });
    });
    await withOpened(images, { subvol: "top" }, async ({ fs }) => expect(fs.subvolume).toBe(5));
    for (const subvol of ["4096", "nowhere", "one/dir", "one/file", "snapshot/dir/two"]) {
      await expect(withOpened(images, { subvol }, async () => {})).rejects.toMatchObject({ code: "not-found" });
    }
  });
});

describe("large and rare", () => {
  it("50,000 entries, names with one hash, thousands of hard links", async () => {
    const hash = (name: string): number => crc32cRaw(new TextEncoder().encode(name), 0xffff_fffe);
    const byHash = new Map<number, string>();
    let twins: string[] = [];
    for (let n = 0; twins.length === 0; n += 1) {
      const name = `twin ${n.toString(36)} ${(n * 7919).toString(3)}`;
      const other = byHash.get(hash(name));
      if (other !== undefined) twins = [other, name];
      byHash.set(hash(name), name);
    }
    const volume = buildVolume(join(folder, "large"), { mib: 512, args: ["-n", "4096"] }, (point) => {
      mkdirSync(join(point, "dir"));
      for (let n = 0; n < 50_000; n += 1) writeFileSync(join(point, "dir", `entry number ${n}`), "");
      for (const name of twins) writeFileSync(join(point, name), name);
      mkdirSync(join(point, "links"));
      for (let n = 0; n < 3000; n += 1) linkSync(join(point, twins[0]!), join(point, "links", `link ${n}`));
    });
    expect(volume.entries.length).toBe(53_005);
    expect(volume.entries.find(({ path }) => path === `/${twins[0]}`)!.nlink).toBe(3001);
    expect(await checkVolume(volume)).toEqual([]);
  });

  it("a changed metadata UUID", async () => {
    const images = makeVolume(join(folder, "uuid"), { mib: 160 });
    withBtrfs(images, [], (point) => populate(point));
    run("btrfstune", ["-m", images[0]!]);
    const volume = kernelVolume(images);
    expect(await checkVolume(volume, { verify: true })).toEqual([]);
    await withOpened(images, {}, async ({ fs }) => expect(fs.features).toContain("metadata_uuid"));
  });

  it("flags as lsattr shows them", async () => {
    const images = makeVolume(join(folder, "flags"), { mib: 160 });
    const flags = { i: "immutable", a: "append", C: "nocow", d: "nodump", A: "noatime", c: "compress", S: "sync" };
    withBtrfs(images, [], (point) => {
      for (const letter of Object.keys(flags)) {
        writeFileSync(join(point, letter), "");
        run("chattr", [`+${letter}`, join(point, letter)]);
      }
    });
    await withOpened(images, {}, async ({ fs }) => {
      for (const [letter, name] of Object.entries(flags)) {
        expect((await resolve(fs, `/${letter}`))?.inode.flags, letter).toContain(name);
      }
    });
  });

  it("a log tree is told, and the last commit is what is shown", async () => {
    const images = makeVolume(join(folder, "log"), { mib: 160 });
    const copy = join(folder, "log", "copy.img");
    withBtrfs(images, ["commit=300"], (point) => {
      writeFileSync(join(point, "before"), "committed");
      run("sync", ["-f", point]);
      writeFileSync(join(point, "after"), "only in the log");
      run("sync", [join(point, "after")]);
      copyFileSync(images[0]!, copy);
    });
    await withOpened([copy], {}, async ({ fs, findings }) => {
      expect(findings.map(({ code }) => code)).toEqual(["btrfs-log-tree"]);
      expect(await resolve(fs, "/before")).toBeDefined();
      expect(await resolve(fs, "/after")).toBeUndefined();
    });
  });
});

describe("what a probe costs", () => {
  const paths = ["/boot/xen", "/xen", "/boot/grub", "/grub"].flatMap((place) =>
    (place.endsWith("xen") ? ["pvboot-x86_64.elf", "pvboot-i386.elf"] : ["grub.cfg", "menu.lst"]).map(
      (file) => `${place}/${file}`,
    ),
  );

  for (const args of [[], ["-n", "4096"]]) {
    it(`eight paths, ${args.join(" ") || "default"}: at most 24 reads and 1 MiB`, async () => {
      const images = makeVolume(join(folder, `probe${args.join("")}`), { mib: 400, args });
      withBtrfs(images, [], (point) => {
        // Enough beside the boot files for trees of some levels.
        for (const name of ["usr", "boot", "boot/xen", "boot/grub", "xen"]) mkdirSync(join(point, name));
        for (let n = 0; n < 5000; n += 1)
          writeFileSync(join(point, "usr", `${n} ${"long name ".repeat(20)}`), "content");
        writeFileSync(join(point, "boot/xen/pvboot-x86_64.elf"), noise("elf", 100_000));
        writeFileSync(join(point, "boot/grub/grub.cfg"), "configuration");
        run("btrfs", ["subvolume", "create", join(point, "@home")]);
      });
      const file = await openFile(images[0]!);
      const counted = countReads(file);
      const device = cachedDevice(counted);
      const fs = await btrfs.open(device);
      const found: string[] = [];
      for (const path of paths) if (await resolve(fs, path)) found.push(path);
      expect(found).toEqual(["/boot/xen/pvboot-x86_64.elf", "/boot/grub/grub.cfg"]);
      expect(counted.stats.reads).toBeLessThanOrEqual(24);
      expect(counted.stats.bytes).toBeLessThanOrEqual(1 << 20);
      await file.close();
    });
  }
});

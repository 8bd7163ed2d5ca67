import {
  type BlockDevice,
  bufferDevice,
  cachedDevice,
  countReads,
  decodeText,
  FindingLog,
  toHex,
} from "@guestprobe/block";
import { btrfs, isBtrfs } from "@guestprobe/btrfs";
import { type Extent, open, openFileSystem, readFile, resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { describe, expect, it } from "vitest";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

interface Expected extends ExpectedVolume {
  readonly subvolumes: readonly { readonly id: number; readonly parent: number; readonly path: string }[];
  readonly defaultSubvolume: number;
  readonly xattrs: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

for (const fixture of fixtures("btrfs")) {
  describe(`btrfs fixture ${fixture.name}`, () => {
    const device = bufferDevice(fixture.image());
    const expected = fixture.expected as Expected;
    const findings = new FindingLog();
    const opened = btrfs.open(cachedDevice(device), { verify: true, report: findings.report });

    for (const { name, run } of conformanceCases(expected, { devices: [device], sha256 })) {
      it(name, async () => run(await opened));
    }

    it("the same under each checksum policy", async () => {
      for (const checksums of ["require", "ignore"] as const) {
        const fs = await btrfs.open(device, { checksums });
        let files = 0;
        let atOnce = 0;
        for await (const { inode, error } of walkAll(fs)) {
          expect(error).toBeUndefined();
          files += 1;
          if (inode?.stat.type !== "file") continue;
          const content = await readFile(inode);
          const now = inode.readNow?.(0, content.length, new Uint8Array(content.length));
          if (now === undefined) continue;
          expect(Buffer.compare(now, content)).toBe(0);
          atOnce += 1;
        }
        expect(files).toBe(expected.entries.length);
        expect(atOnce).toBeGreaterThan(0);
      }
    });

    it("what has one plain extent is read at once, whatever leaf that is in", async () => {
      const readNow: BlockDevice["readNow"] = (offset, length, into) => {
        into.set(device.peek!(offset, length)!);
        return into;
      };
      let plain = 0;
      for await (const { inode } of walkAll(await btrfs.open({ ...device, readNow }))) {
        if (inode?.stat.type !== "file" || inode.stat.size === 0) continue;
        const extents: Extent[] = [];
        for await (const batch of inode.extents()) extents.push(...batch);
        const [{ kind, encoding }] = extents as [Extent];
        if (extents.length > 1 || (kind !== "data" && kind !== "inline") || encoding !== undefined) continue;
        const now = inode.readNow?.(0, inode.stat.size, new Uint8Array(inode.stat.size));
        expect(now).toEqual(await readFile(inode));
        plain += 1;
      }
      expect(plain).toBeGreaterThan(0);
    });

    it("extended attributes", async () => {
      for (const [path, wanted] of Object.entries(expected.xattrs)) {
        const got = await (await open(await opened, path)).xattrs();
        expect(Object.fromEntries(got.map(({ name, value }) => [decodeText(name), toHex(value)])), path).toEqual(
          wanted,
        );
      }
    });

    it("subvolumes and the default one, and each as a root of its own", async () => {
      const fs = await opened;
      const [top, ...rest] = await fs.subvolumes();
      expect(top?.id).toBe(5);
      const brief = rest.map(({ id, parent, path }) => ({ id, parent, path: path && decodeText(path) }));
      expect(brief).toEqual(expected.subvolumes);
      expect(await fs.defaultSubvolume()).toBe(expected.defaultSubvolume);
      for (const { id, path } of expected.subvolumes) {
        const view = await fs.openSubvolume(id);
        const inside = expected.entries.filter((entry) => entry.path?.startsWith(`${path}/`));
        let files = 0;
        for await (const { path: below, inode } of walkAll(view)) {
          if (inode === undefined || below.length === 1) continue;
          expect(inside.find((entry) => entry.path === path + decodeText(below))?.ino).toBe(String(inode.stat.ino));
          files += 1;
        }
        expect(files).toBe(inside.length);
      }
    });

    it("an inode by its number", async () => {
      const fs = await opened;
      const file = expected.entries.find((entry) => entry.path === "/inline");
      if (file !== undefined) expect((await fs.inode(Number(file.ino))).stat.size).toBe(file.size);
      for (const ino of [0, 255, 99_999, -1, 0.5, Number.MAX_SAFE_INTEGER]) {
        await expect(fs.inode(ino)).rejects.toMatchObject({ code: "not-found" });
      }
    });

    it("is found by its magic, and by that of the copy alone", async () => {
      const image = fixture.image();
      const found = await openFileSystem(bufferDevice(image), [btrfs]);
      expect(found !== undefined && isBtrfs(found)).toBe(true);
      image.fill(0, 0x1_0000, 0x1_1000);
      const again = await openFileSystem(bufferDevice(image), [btrfs]);
      expect(again?.kind).toBe(image.length > 0x400_1000 ? "btrfs" : undefined);
      await expect(btrfs.open(bufferDevice(new Uint8Array(1 << 20)))).rejects.toMatchObject({
        code: "not-this-format",
        field: "magic",
        offset: 0x1_0040,
      });
    });

    it("nothing is found wrong", () => expect(findings.findings).toEqual([]));
  });
}

describe("which subvolume is the root", () => {
  const fixture = fixtures("btrfs").find(({ name }) => name === "subvolumes")!;
  const device = bufferDevice(fixture.image());
  const has = async (path: string, subvol?: string): Promise<boolean> =>
    (await resolve(await btrfs.open(device, subvol === undefined ? {} : { subvol }), path)) !== undefined;

  it("the top level, where GRUB begins, has no /boot; the default subvolume, where Linux does, has it", async () => {
    expect(await has("/boot/grub/grub.cfg")).toBe(false);
    expect(await has("/@/boot/grub/grub.cfg")).toBe(true);
    for (const subvol of ["default", "@", "/@", "262"]) expect(await has("/boot/grub/grub.cfg", subvol)).toBe(true);
    expect(await has("/user", "@home")).toBe(true);
  });

  it("a name that is no subvolume", async () => {
    for (const subvol of ["nothing", "one/dir", "one/file", "300", "1", "snapshot/dir/two", ""]) {
      const opened = btrfs.open(device, { subvol });
      if (subvol === "") expect((await opened).subvolume).toBe(5);
      else await expect(opened, subvol).rejects.toMatchObject({ code: "not-found" });
    }
  });

  it("a snapshot has an empty directory where its source has a subvolume", async () => {
    const fs = await btrfs.open(device);
    const place = await open(fs, "/snapshot/dir/two");
    expect(place.stat).toMatchObject({ type: "dir", mode: 0o755, ino: 2, size: 0, nlink: 1 });
    expect(place.subvolume).toBe(257);
    expect(await resolve(fs, "/snapshot/dir/two/file")).toBeUndefined();
  });

  it("eight boot paths cost at most 24 reads and 1 MiB", async () => {
    const counted = countReads(device);
    const { peek: _, ...below } = counted;
    const fs = await btrfs.open(cachedDevice(below));
    for (const folder of ["/boot/xen", "/xen", "/boot/grub", "/grub"]) {
      const files = folder.endsWith("xen") ? ["pvboot-x86_64.elf", "pvboot-i386.elf"] : ["grub.cfg", "menu.lst"];
      for (const file of files) await resolve(fs, `${folder}/${file}`);
    }
    expect(counted.stats.reads).toBeGreaterThan(3);
    expect(counted.stats.reads).toBeLessThanOrEqual(24);
    expect(counted.stats.bytes).toBeLessThanOrEqual(1 << 20);
  });
});

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isImageError } from "@guestprobe/block";
import { filePieces, walkAll } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noise, populate, prose, withBtrfs } from "../lib/btrfs-image.mjs";
import { buildVolume, checkVolume, kernelVolume, withOpened } from "../lib/btrfs-volume.js";
import { run } from "../lib/kernel-view.mjs";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-deg-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const profiles: readonly { readonly name: string; readonly count: number; readonly mayMiss: number }[] = [
  { name: "raid1", count: 2, mayMiss: 1 },
  { name: "raid1c3", count: 3, mayMiss: 2 },
  { name: "raid1c4", count: 4, mayMiss: 3 },
  { name: "raid10", count: 4, mayMiss: 1 },
  { name: "raid5", count: 2, mayMiss: 1 },
  { name: "raid5", count: 4, mayMiss: 1 },
  { name: "raid6", count: 3, mayMiss: 2 },
  { name: "raid6", count: 6, mayMiss: 2 },
];

/** The ways to choose `size` of the numbers below `count`. */
function choices(count: number, size: number): number[][] {
  if (size === 0) return [[]];
  return choices(count, size - 1).flatMap((some) =>
    Array.from({ length: count }, (_, n) => n)
      .filter((n) => n > (some.at(-1) ?? -1))
      .map((n) => [...some, n]),
  );
}

describe("devices are missing, the bytes are the same", () => {
  for (const { name, count, mayMiss } of profiles) {
    it(`${name} of ${count} devices with up to ${mayMiss} missing`, async () => {
      const volume = buildVolume(
        join(folder, `${name}-${count}`),
        { count, mib: 160, args: ["-d", name, "-m", name], mount: ["compress=zstd"] },
        (point) => {
          populate(point);
          // Many rows of stripes, so that each device holds data and parity of some.
          writeFileSync(join(point, "rows"), noise("rows", 3_000_001));
        },
      );
      for (let missing = 1; missing <= mayMiss; missing += 1) {
        const all = choices(count, missing);
        // All of the ways to miss one, and some of the ways to miss more: first, last, and in between.
        const some = missing === 1 ? all : all.filter((_, n) => n % Math.ceil(all.length / 5) === 0);
        for (const gone of some) {
          const images = volume.images.filter((_, n) => !gone.includes(n));
          const codes = await checkVolume({ ...volume, images }, { verify: true });
          expect(codes, `without ${gone}`).toEqual(gone.map(() => "btrfs-member-missing"));
        }
      }
    });
  }

  it("raid0 says what is missing, and reads what is there", async () => {
    const volume = buildVolume(
      join(folder, "raid0"),
      { count: 2, mib: 160, args: ["-d", "raid0", "-m", "raid1"] },
      (point) => {
        writeFileSync(join(point, "small"), "inline");
        writeFileSync(join(point, "large"), noise("large", 1_000_000));
      },
    );
    await withOpened(volume.images.slice(0, 1), {}, async ({ fs, findings }) => {
      expect(findings.map((finding) => finding.code)).toEqual(["btrfs-member-needed"]);
      expect(findings[0]!.message).toMatch(
        /^device 2 \(.*\) was not given; without it, parts of 1 raid0 data chunk cannot be read$/,
      );
      const results: Record<string, string> = {};
      for await (const { path, inode } of walkAll(fs)) {
        if (inode?.stat.type !== "file") continue;
        const key = new TextDecoder().decode(path);
        try {
          let length = 0;
          for await (const piece of filePieces(inode)) length += piece.length;
          results[key] = `${length} bytes`;
        } catch (error) {
          results[key] = isImageError(error) ? `${error.code}: ${error.reason}` : String(error);
        }
      }
      expect(results["/small"]).toBe("6 bytes");
      expect(results["/large"]).toMatch(/^io: logical address \d+ needs device 2, which was not given$/);
    });
  });
});

describe("which devices are members", () => {
  it("the volume opens on any of its devices, others are passed over", async () => {
    const [one, other] = ["members", "strangers"].map((name) =>
      buildVolume(join(folder, name), { count: 2, mib: 160, args: ["-d", "raid0", "-m", "raid1"] }, (point) =>
        populate(point),
      ),
    );
    const images = [one!.images[1]!, other!.images[0]!, one!.images[0]!];
    expect(await checkVolume({ ...one!, images }, { verify: true })).toEqual([]);
  });

  it("a device that missed the latest changes is recognised, whichever is first", async () => {
    const volume = buildVolume(
      join(folder, "stale"),
      { count: 2, mib: 160, args: ["-d", "raid1", "-m", "raid1"] },
      (point) => writeFileSync(join(point, "file"), prose("old", 200_000)),
    );
    const old = `${volume.images[0]}.old`;
    copyFileSync(volume.images[0]!, old);
    withBtrfs(volume.images, [], (point) => writeFileSync(join(point, "file"), prose("new", 300_000)));
    const now = kernelVolume(volume.images);
    for (const images of [
      [old, volume.images[1]!],
      [volume.images[1]!, old],
    ]) {
      const codes = await checkVolume({ ...now, images }, { verify: true });
      expect(codes[0]).toBe("btrfs-member-stale");
      expect(new Set(codes)).toEqual(new Set(["btrfs-member-stale"]));
    }
  });

  it("a seed below a volume that grew on it", async () => {
    const seed = buildVolume(join(folder, "seed"), { mib: 160, args: ["-m", "single"] }, (point) => populate(point));
    run("btrfstune", ["-S", "1", seed.images[0]!]);
    const sprout = join(folder, "seed", "sprout.img");
    run("truncate", ["-s", "160M", sprout]);
    const loop = run("losetup", ["--find", "--show", sprout]).trim();
    try {
      withBtrfs(seed.images, [], (point) => {
        run("btrfs", ["device", "add", "-f", loop, point]);
        run("mount", ["-o", "remount,rw", point]);
        writeFileSync(join(point, "above"), "written after the seed");
      });
    } finally {
      run("losetup", ["--detach", loop]);
    }
    const images = [sprout, seed.images[0]!];
    const both = kernelVolume(images);
    expect(both.uuid).not.toBe(seed.uuid);
    expect(await checkVolume(both, { verify: true })).toEqual([]);
    await withOpened(images, {}, async ({ fs }) => {
      expect(fs.devices.map(({ isSeed, index }) => ({ isSeed, index }))).toEqual([
        { isSeed: true, index: 1 },
        { isSeed: false, index: 0 },
      ]);
    });
    expect(await checkVolume(kernelVolume(seed.images), { verify: true })).toEqual([]);
  });
});

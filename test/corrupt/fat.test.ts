/** FAT: one thing of a sound volume is made to lie; what must come of it, and where it is said to be. */
import { bufferDevice, FindingLog, isImageError } from "@guestprobe/block";
import { fat } from "@guestprobe/fat";
import { fat_boot_sector as bs, fat32_boot_sector as bs32, fat_dir_entry } from "@guestprobe/fat/layout";
import { type FileSystem, readFile, resolve, walkAll } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";

const [fat12, fat16, fat32] = ["fat12", "fat16", "fat32"].map((name) =>
  fixtures("fat")
    .find((fixture) => fixture.name === name)!
    .image(),
) as [Uint8Array, Uint8Array, Uint8Array];

type Patch = (view: DataView) => void;

function patched(image: Uint8Array, patch: Patch): Uint8Array {
  const copy = image.slice();
  patch(new DataView(copy.buffer));
  return copy;
}

async function open(image: Uint8Array): Promise<{ fs: FileSystem; log: FindingLog }> {
  const log = new FindingLog();
  return { fs: await fat.open(bufferDevice(image), { report: log.report }), log };
}

const codes = (log: FindingLog): string[] => [...new Set(log.findings.map(({ code }) => code))].sort();
const u8 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint8(at, value);
const u16 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint16(at, value, true);
const u32 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint32(at, value, true);

/** Where things lie on the fixtures, by their boot sectors. */
function geometry(image: Uint8Array) {
  const view = new DataView(image.buffer);
  const fatStart = bs.BPB_RsvdSecCnt(view, 0) * 512;
  const fatSize = (bs.BPB_FATSz16(view, 0) || bs32.BPB_FATSz32(view, 0)) * 512;
  const dataStart = fatStart + 2 * fatSize + bs.BPB_RootEntCnt(view, 0) * 32;
  const clusterSize = bs.BPB_SecPerClus(view, 0) * 512;
  return { fatStart, fatSize, dataStart, clusterSize, cluster: (n: number) => dataStart + (n - 2) * clusterSize };
}

/** Where the entry of a file lies, and the clusters of its content. */
async function locate(image: Uint8Array, path: string): Promise<{ entry: number; clusters: number[] }> {
  const { fs } = await open(image);
  const { inode } = (await resolve(fs, path))!;
  const { dataStart, clusterSize } = geometry(image);
  const clusters: number[] = [];
  for await (const batch of inode.extents()) {
    for (const { physical, length } of batch) {
      const first = (physical! - dataStart) / clusterSize + 2;
      for (let n = 0; n * clusterSize < length; n += 1) clusters.push(first + n);
    }
  }
  return { entry: inode.offset!, clusters };
}

describe("boot sector", () => {
  test.each<[string, Patch, code: string, field: string]>([
    ["BPB_BytsPerSec 0", u16(11, 0), "corrupt", "BPB_BytsPerSec"],
    ["BPB_BytsPerSec 513", u16(11, 513), "corrupt", "BPB_BytsPerSec"],
    ["BPB_BytsPerSec 8192", u16(11, 8192), "corrupt", "BPB_BytsPerSec"],
    ["BPB_SecPerClus 0", u8(13, 0), "corrupt", "BPB_SecPerClus"],
    ["BPB_SecPerClus 3", u8(13, 3), "corrupt", "BPB_SecPerClus"],
    ["BPB_SecPerClus 255", u8(13, 255), "corrupt", "BPB_SecPerClus"],
    ["BPB_RsvdSecCnt 0", u16(14, 0), "corrupt", "BPB_RsvdSecCnt"],
    ["BPB_RsvdSecCnt 65535", u16(14, 65_535), "corrupt", "BPB_TotSec32"],
    ["BPB_NumFATs 0", u8(16, 0), "corrupt", "BPB_NumFATs"],
    ["BPB_RootEntCnt 1", u16(17, 1), "corrupt", "BPB_RootEntCnt"],
    ["BPB_Media 0", u8(21, 0), "corrupt", "BPB_Media"],
    ["BPB_Media 0xf7", u8(21, 0xf7), "corrupt", "BPB_Media"],
    ["no sectors of a table", u16(22, 0), "corrupt", "BPB_TotSec32"],
    ["no sectors at all", (v) => [u16(19, 0)(v), u32(32, 0)(v)], "corrupt", "BPB_TotSec32"],
    ["one sector", u16(19, 1), "corrupt", "BPB_TotSec32"],
    ["exFAT", (v) => new Uint8Array(v.buffer).set(Buffer.from("EXFAT   "), 3), "unsupported", "BS_OEMName"],
  ])("%s: %s", async (_, patch, code, field) => {
    const error: unknown = await fat.open(bufferDevice(patched(fat12, patch))).catch((reason: unknown) => reason);
    if (!isImageError(error)) throw error;
    expect(error.code).toBe(code);
    expect(error.field).toBe(field);
    expect(error.format).toBe("vfat");
    expect(error.offset).toBeDefined();
  });

  test.each<[string, Uint8Array, Patch]>([
    ["zeros", fat12, (v) => new Uint8Array(v.buffer, 0, 512).fill(0)],
    ["neither fields nor a name", fat12, (v) => [u16(11, 0)(v), u8(54, 0)(v)]],
    ["NTFS", fat12, (v) => [u16(14, 0)(v), u8(16, 0)(v), u16(22, 0)(v), u8(54, 0)(v)]],
  ])("%s is no FAT volume", async (_, image, patch) => {
    const device = bufferDevice(patched(image, patch));
    expect(await fat.probe(device)).toBe(false);
    await expect(fat.open(device)).rejects.toMatchObject({ code: "not-this-format" });
  });

  test("a device that ends in the boot sector", async () => {
    for (const length of [0, 1, 511]) {
      const device = bufferDevice(fat12.slice(0, length));
      expect(await fat.probe(device)).toBe(false);
      await expect(fat.open(device)).rejects.toMatchObject({ code: "not-this-format" });
    }
  });

  test.each<[string, Uint8Array, Patch, readonly string[]]>([
    ["dirty, FAT12", fat12, u8(37, 1), ["fat-dirty"]],
    ["dirty, FAT32", fat32, u8(65, 1), ["fat-dirty"]],
    ["dirty by the second entry, FAT16", fat16, (v) => u16(geometry(fat16).fatStart + 2, 0x7fff)(v), ["fat-dirty"]],
    [
      "dirty by the second entry, FAT32",
      fat32,
      (v) => u32(geometry(fat32).fatStart + 4, 0x07ff_ffff)(v),
      ["fat-dirty"],
    ],
    ["errors met", fat16, (v) => u16(geometry(fat16).fatStart + 2, 0xbfff)(v), ["fat-medium-errors"]],
    ["media byte not in the table", fat12, (v) => u8(geometry(fat12).fatStart, 0)(v), ["fat-odd-first-entry"]],
    ["FSInfo without signature", fat32, u32(512, 0), ["fat-odd-fsinfo"]],
    ["FSInfo counts too much", fat32, u32(512 + 488, 0x7fff_ffff), ["fat-odd-fsinfo"]],
    ["FSInfo's sector is past all", fat32, u16(48, 0xffff), []],
    ["the copy of the boot sector differs", fat32, u32(6 * 512 + 67, 1), ["fat-boot-sectors-differ"]],
    [
      "the copy of the boot sector is gone",
      fat32,
      (v) => new Uint8Array(v.buffer, 3072, 512).fill(0),
      ["fat-boot-sectors-differ"],
    ],
    ["another table is active", fat32, u16(40, 0x81), ["fat-active-copy"]],
    ["another label", fat32, u8(71, 0x58), ["fat-labels-differ"]],
    // The root directory is looked for right behind the tables.
    ["a short table", fat12, u16(22, 1), ["fat-labels-differ", "fat-short-table"]],
  ])("%s: read, with a finding", async (_, image, patch, wanted) => {
    const { log } = await open(patched(image, patch));
    for (const { code, offset } of log.findings) expect(offset, code).toBeDefined();
    expect(codes(log)).toEqual([...wanted]);
  });

  test("FAT32 without its boot sector: shown through the copy", async () => {
    const image = patched(fat32, (v) => new Uint8Array(v.buffer, 0, 512).fill(0));
    expect(await fat.probe(bufferDevice(image))).toBe(false);
    expect(await fat.probeBackup!(bufferDevice(image))).toBe(true);
    const { fs, log } = await open(image);
    expect(codes(log)).toEqual(["fat-backup-boot-sector"]);
    expect((await resolve(fs, "/boot/grub/grub.cfg"))?.inode.stat.type).toBe("file");
  });

  test("the image cut short", async () => {
    const { log } = await open(fat12.slice(0, fat12.length / 2));
    expect(log.findings[0]).toMatchObject({ code: "fat-truncated", offset: bs.$fields.BPB_TotSec32.offset });
  });
});

describe("chains", () => {
  const PATH = "/boot/vmlinuz";
  const { fatStart, fatSize } = geometry(fat16);
  const entryAt = (cluster: number, copy = 0): number => fatStart + copy * fatSize + cluster * 2;
  /** FAT16 with the entry of one cluster changed in both tables. */
  const linked = (cluster: number, value: number): Uint8Array =>
    patched(fat16, (view) => {
      for (const copy of [0, 1]) view.setUint16(entryAt(cluster, copy), value, true);
    });

  test.each<[string, (clusters: number[]) => number, RegExp]>([
    ["back to its start", (clusters) => clusters[0]!, /loop/],
    ["to itself", (clusters) => clusters[10]!, /loop/],
    ["to a free cluster", () => 0, /free/],
    ["to cluster 1", () => 1, /cluster 1,/],
    ["to the mark of a bad cluster", () => 0xfff7, /bad/],
    ["past the last cluster", () => 0xffef, /cluster 65519,/],
  ])("a chain that leads %s", async (_, target, reason) => {
    const { clusters } = await locate(fat16, PATH);
    const image = linked(clusters[10]!, target(clusters));
    const { fs } = await open(image);
    const { inode } = (await resolve(fs, PATH))!;
    const { clusterSize } = geometry(image);
    const sound = await readFile((await resolve((await open(fat16)).fs, PATH))!.inode);
    // What lies before the damage is read.
    expect(await inode.read(0, 11 * clusterSize)).toEqual(sound.subarray(0, 11 * clusterSize));
    const error: unknown = await inode.read(0, 12 * clusterSize).catch((cause: unknown) => cause);
    if (!isImageError(error)) throw error;
    expect(error.code).toBe("corrupt");
    expect(error.offset).toBe(entryAt(clusters[10]!));
    expect(error.reason).toMatch(reason);
    const { errors, sound: others } = await drain(fs);
    expect(errors.length).toBeGreaterThan(0);
    expect(others).toBe((await drain((await open(fat16)).fs)).sound - 1);
  });

  test("a chain that ends before its file does", async () => {
    const { clusters, entry } = await locate(fat16, PATH);
    const { fs } = await open(linked(clusters[3]!, 0xffff));
    await expect((await resolve(fs, PATH))!.inode.read(0, 100_000)).rejects.toMatchObject({
      code: "corrupt",
      offset: entry,
    });
  });

  test("a chain that goes on after its file ends", async () => {
    const { entry } = await locate(fat16, PATH);
    const { fs, log } = await open(patched(fat16, u32(entry + fat_dir_entry.$fields.DIR_FileSize.offset, 1000)));
    await readFile((await resolve(fs, PATH))!.inode);
    expect(log.findings).toMatchObject([{ code: "fat-long-chain", offset: entry + 28 }]);
  });

  test.each([0, 1, 0xffff])("a file that begins at cluster %i", async (first) => {
    const { entry } = await locate(fat16, PATH);
    const { fs } = await open(patched(fat16, u16(entry + 26, first)));
    const error = { code: "corrupt", field: "DIR_FstClusLO", offset: entry + 26 };
    await expect((await resolve(fs, PATH))!.inode.read(0, 1)).rejects.toMatchObject(error);
  });

  test("two files that share a cluster", async () => {
    const [one, two] = await Promise.all(["/fragmented/one", "/fragmented/two"].map((path) => locate(fat16, path)));
    const image = linked(one!.clusters[5]!, two!.clusters[6]!);
    const { fs, log } = await open(image);
    await drain(fs);
    expect(log.findings.filter(({ code }) => code === "fat-crossed-chains")).toMatchObject([
      { offset: entryAt(two!.clusters[6]!) },
    ]);
  });

  test("the copies of the table differ", async () => {
    const { clusters } = await locate(fat16, PATH);
    const { fs, log } = await open(patched(fat16, u16(entryAt(clusters[2]!, 1), 0)));
    await drain(fs);
    expect(log.findings).toMatchObject([{ code: "fat-copies-differ", offset: entryAt(clusters[2]!, 1) }]);
  });

  test("a table that the host cannot read: its copy is used", async () => {
    const device = bufferDevice(fat16);
    const log = new FindingLog();
    const broken = {
      size: device.size,
      async read(offset: number, length: number) {
        if (offset >= fatStart && offset < fatStart + fatSize) {
          const { ImageError } = await import("@guestprobe/block");
          throw new ImageError("io", "bad sector", { offset });
        }
        return device.read(offset, length);
      },
    };
    const { errors } = await drain(await fat.open(broken, { report: log.report }));
    expect(errors).toEqual([]);
    expect(codes(log)).toEqual(["fat-copy-used"]);
  });
});

describe("directories", () => {
  /** The clusters of a directory follow from the positions of its entries' numbers. */
  async function directoryOf(image: Uint8Array, path: string): Promise<{ cluster: number; entry: number }> {
    const { inode } = (await resolve((await open(image)).fs, path))!;
    const { dataStart, clusterSize } = geometry(image);
    return { cluster: (inode.stat.ino * 32 - dataStart) / clusterSize + 2, entry: inode.offset! };
  }

  test("a directory that contains itself", async () => {
    const outer = await directoryOf(fat16, "/deep");
    const inner = await directoryOf(fat16, "/deep/level 0");
    const { fs } = await open(patched(fat16, u16(inner.entry + 26, outer.cluster)));
    const errors = [];
    let count = 0;
    for await (const { error } of walkAll(fs)) {
      count += 1;
      if (error) errors.push(error.message);
    }
    expect(count).toBeLessThan(200);
    expect(errors).toEqual([expect.stringMatching(/second name/)]);
  });

  test("a directory that is the root directory's cluster, FAT32", async () => {
    const { entry } = await directoryOf(fat32, "/deep");
    const { fs } = await open(patched(fat32, (v) => [u16(entry + 26, 2)(v), u16(entry + 20, 0)(v)]));
    await expect(resolve(fs, "/deep")).rejects.toMatchObject({ code: "corrupt", offset: entry + 26 });
    expect((await resolve(fs, "/boot/grub/grub.cfg"))?.inode).toBeDefined();
  });

  test("two directories that share their clusters", async () => {
    const names = await directoryOf(fat16, "/Names");
    const sizes = await directoryOf(fat16, "/sizes");
    const { fatStart, fatSize } = geometry(fat16);
    const at = fatStart + sizes.cluster * 2;
    const { fs, log } = await open(
      patched(fat16, (v) => [u16(at, names.cluster)(v), u16(at + fatSize, names.cluster)(v)]),
    );
    await drain(fs);
    // Linux lists on past the end mark of the first, and so comes to what the second holds.
    expect(codes(log)).toEqual(["fat-crossed-chains", "fat-past-end-mark"]);
    expect(log.findings.find(({ code }) => code === "fat-crossed-chains")).toMatchObject({
      offset: fatStart + names.cluster * 2,
    });
    const sound = (await open(fat16)).fs;
    expect(await list(fs, "/Names")).toEqual(await list(sound, "/Names"));
    expect(await list(fs, "/sizes")).toEqual([...(await list(sound, "/sizes")), ...(await list(sound, "/Names"))]);
  });

  test("a thousand entries for one directory are listed once", async () => {
    const { entry, cluster } = await directoryOf(fat32, "/many");
    const { fs } = await open(
      patched(fat32, (view) => {
        // Every entry of /many becomes a directory at its own start.
        const { cluster: place } = geometry(fat32);
        for (let at = place(cluster) + 64; at < place(cluster) + 512; at += 32) {
          if (view.getUint8(at + 11) === 0x0f) continue;
          view.setUint8(at + 11, 0x10);
          view.setUint16(at + 26, cluster, true);
          view.setUint16(at + 20, 0, true);
        }
      }),
    );
    expect(entry).toBeGreaterThan(0);
    let count = 0;
    for await (const _ of walkAll(fs)) count += 1;
    expect(count).toBeLessThan(5000);
  });

  test.each<[string, Patch, string]>([
    ["the checksum of a long name is wrong", (v) => flipLong(v, 13), "fat-orphaned-long-name"],
    ["a part of a long name has another number", (v) => flipLong(v, 0), "fat-orphaned-long-name"],
  ])("%s: the short name is shown", async (_, patch, code) => {
    const { fs, log } = await open(patched(fat16, patch));
    const { errors } = await drain(fs);
    expect(errors).toEqual([]);
    expect(codes(log)).toEqual([code]);
  });

  test("a long name with a slash, and one with half a surrogate pair", async () => {
    const place = await longEntryOf("thirteen char");
    const slash = await open(patched(fat16, u16(place + 3, 0x2f)));
    await drain(slash.fs);
    expect(slash.log.findings).toMatchObject([{ code: "fat-bad-name" }]);
    const names = (await list(slash.fs, "/Names")).filter((name) => name.startsWith("THIRTE"));
    expect(names).toEqual(["THIRTE~1"]);
    const half = await open(patched(fat16, u16(place + 3, 0xd800)));
    await drain(half.fs);
    expect(half.log.findings).toMatchObject([{ code: "fat-half-surrogate" }]);
    expect(await list(half.fs, "/Names")).toContain("tirteen char");
  });

  test("deleted entries are passed over", async () => {
    const { entry } = await locate(fat16, "/empty");
    const { fs, log } = await open(patched(fat16, u8(entry, 0xe5)));
    await drain(fs);
    expect(await resolve(fs, "/empty")).toBeUndefined();
    // Linux's own deletions take the parts of the name along; this one did not.
    expect(codes(log)).toEqual(["fat-orphaned-long-name"]);
  });

  test("a directory without dot entries", async () => {
    const { cluster } = await directoryOf(fat16, "/empty.dir");
    const at = geometry(fat16).cluster(cluster);
    const { fs, log } = await open(patched(fat16, (v) => [u8(at, 0xe5)(v), u8(at + 32, 0xe5)(v)]));
    expect((await drain(fs)).errors).toEqual([]);
    expect(codes(log)).toEqual(["fat-no-dot-entries"]);
  });
});

async function list(fs: FileSystem, path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const batch of (await resolve(fs, path))!.inode.entries()) {
    names.push(...batch.map(({ name }) => new TextDecoder().decode(name)));
  }
  return names;
}

/** Where the part of a long name that begins with these letters lies, on FAT16. */
async function longEntryOf(name: string): Promise<number> {
  const { inode } = (await resolve((await open(fat16)).fs, `/Names/${name}`))!;
  return inode.offset! - 32;
}

/** Changes a byte of the first long entry of the root directory. */
function flipLong(view: DataView, byte: number): void {
  const { fatStart, fatSize } = geometry(fat16);
  for (let at = fatStart + 2 * fatSize; ; at += 32) {
    if (view.getUint8(at + 11) !== 0x0f) continue;
    view.setUint8(at + byte, view.getUint8(at + byte) ^ 1);
    return;
  }
}

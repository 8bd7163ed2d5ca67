import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, cachedDevice, countReads, decodeText } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { BOOT_PROBE_PATHS, btrfsGate, DEFAULT_GRUB_VERSION, GrubSearch, type SearchQuery } from "@guestprobe/grub";
import { openFileSystem } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeVolume, noise, prose, withBtrfs } from "../lib/btrfs-image.mjs";
import { grubEmuSearch } from "../lib/grub-emu.js";
import { run } from "../lib/kernel-view.mjs";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-grub-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CFG = "/boot/grub/grub.cfg";
const file = (name: string): SearchQuery => ({ by: "file", name });

/** Searches one image with ours; `disks` are the other devices of its volume too. */
function searchOf(images: readonly string[], members: readonly string[] = images.slice(1)): GrubSearch {
  const load = (image: string) => bufferDevice(readFileSync(image));
  const others = members.map(load);
  return new GrubSearch([{ name: "hd0", device: cachedDevice(load(images[0]!)) }], {
    openVolume: (device) => openFileSystem(device, [btrfs], { members: others }),
  });
}

/** Asks the real GRUB and us for each path on a single-disk volume; hands back what only we can tell. */
async function compare(image: string, paths: readonly string[]) {
  const queries = paths.map(file);
  const theirs = grubEmuSearch([{ name: "hd0", file: image }], queries);
  const search = searchOf([image]);
  const results = [];
  for (const query of queries) results.push(await search.search(query));
  const show = (hits: readonly (readonly string[])[]) => hits.map((hit, n) => `${paths[n]} -> ${hit.join(" ")}`);
  expect(show(results.map(({ hits }) => hits.map(({ device }) => device)))).toEqual(show(theirs));
  return results;
}

describe("a root in a subvolume, as Ubuntu lays it out", () => {
  let image = "";
  beforeAll(() => {
    [image = ""] = makeVolume(join(folder, "ubuntu"), { mib: 160, args: ["-L", "root"] });
    withBtrfs([image], [], (point) => {
      const at = (...names: string[]): string => join(point, ...names);
      for (const name of ["@", "@home"]) run("btrfs", ["subvolume", "create", at(name)]);
      mkdirSync(at("@/boot/grub"), { recursive: true });
      mkdirSync(at("@/boot/xen"));
      writeFileSync(at("@", CFG), "menuentry guest { true }\n");
      writeFileSync(at("@/boot/xen/pvboot-x86_64.elf"), noise("elf", 50_000));
      run("btrfs", ["subvolume", "create", at("@/nested")]);
      writeFileSync(at("@/nested/file"), "in nested");
      run("btrfs", ["subvolume", "snapshot", at("@"), at("snapshot")]);
      run("btrfs", ["subvolume", "set-default", at("@")]);
      writeFileSync(at("top"), "at the top level");
      symlinkSync("/top", at("@/absolute"));
      symlinkSync("../top", at("@/out"));
      symlinkSync("boot/grub/", at("@/grub"));
      symlinkSync("/@/boot/grub/grub.cfg", at("config"));
      for (let n = 1; n <= 36; n += 1) symlinkSync(n === 1 ? "top" : `L${n - 1}`, at(`L${n}`));
      run("mkfifo", [at("pipe")]);
    });
  });

  it("the path misses from the top level and hits in the subvolume; the report says where it is", async () => {
    const [missed, hit] = await compare(image, [CFG, `/@${CFG}`]);
    expect(missed!.hits).toEqual([]);
    const hidden = missed!.hidden.map(({ device, path, reason, code }) => ({
      device,
      path: path && decodeText(path),
      reason,
      code,
    }));
    const code = "grub-in-subvolume";
    expect(hidden).toEqual([
      {
        device: "hd0",
        path: `/@${CFG}`,
        reason: "the file exists in the default subvolume @, which is not where GRUB begins",
        code,
      },
      {
        device: "hd0",
        path: `/snapshot${CFG}`,
        reason: "the file exists in subvolume snapshot, which is not where GRUB begins",
        code,
      },
    ]);
    expect(hit!.hits.map(({ path }) => decodeText(path!))).toEqual([`/@${CFG}`]);
    expect(hit!.hidden).toEqual([]);
  });

  it("links, dots, slashes, and what lies inside the source of a snapshot", async () => {
    await compare(image, [
      "/top",
      "//top",
      "/./top",
      "/top/",
      "/top/.",
      "/top/..",
      "/../top",
      "/@/../top",
      "/@/boot/../../top",
      `/@/..${CFG}`,
      "/@/nested/../nested/file",
      "/@/nested/../file",
      "/@/nested/file",
      "/snapshot/nested/file",
      `/snapshot${CFG}`,
      "/@/absolute",
      "/@/out",
      "/@/grub/grub.cfg",
      "/config",
      ...Array.from({ length: 36 }, (_, n) => `/L${n + 1}`),
      "/pipe",
      "/@",
      "/TOP",
      "/no/such",
      "/top/below",
    ]);
  });

  it("the label, the UUID, and each copy of the superblock", async () => {
    const uuid = run("blkid", ["-p", "-s", "UUID", "-o", "value", image]).trim();
    for (const damage of [undefined, 0x1_0000, 0x400_0000]) {
      const bytes = readFileSync(image);
      if (damage !== undefined) bytes.fill(0, damage, damage + 4096);
      const copy = join(folder, "damaged.img");
      writeFileSync(copy, bytes);
      const queries: SearchQuery[] = [{ by: "label", name: "root" }, { by: "uuid", name: uuid }, file("/top")];
      const theirs = grubEmuSearch([{ name: "hd0", file: copy }], queries);
      const search = searchOf([copy]);
      const ours = [];
      for (const query of queries) ours.push((await search.search(query)).hits.map(({ device }) => device));
      expect(ours, `damage at ${damage}`).toEqual(theirs);
    }
  });

  it("checksums and unknown features: GRUB looks at neither", async () => {
    for (const change of [
      (bytes: Buffer) => bytes.writeUInt32LE(0, 0x1_0000),
      (bytes: Buffer) => bytes.writeUInt8(0xff, 0x1_0000 + 0xbc + 4),
    ]) {
      const bytes = readFileSync(image);
      change(bytes);
      bytes.copyWithin(0x400_0000, 0x1_0000, 0x1_0030);
      const copy = join(folder, "changed.img");
      writeFileSync(copy, bytes);
      const { stdout } = spawnSync("grub-fstest", [copy, "ls", "(loop0)/"], { encoding: "utf8" });
      const verdict = await btrfsGate.probe(bufferDevice(bytes), DEFAULT_GRUB_VERSION);
      expect([stdout.includes("top"), verdict.verdict]).toEqual([true, "accept"]);
    }
  });

  it("the eight boot paths cost at most 24 reads and 1 MiB, what is hidden included", async () => {
    const counted = countReads(bufferDevice(readFileSync(image)));
    const { peek: _, ...below } = counted;
    const search = new GrubSearch([{ name: "hd0", device: cachedDevice(below) }], {
      openVolume: (device) => openFileSystem(device, [btrfs]),
    });
    const hidden = [];
    for (const path of BOOT_PROBE_PATHS) hidden.push(...(await search.search(file(path))).hidden);
    expect(hidden.map(({ path }) => path && decodeText(path))).toEqual([
      "/@/boot/xen/pvboot-x86_64.elf",
      "/snapshot/boot/xen/pvboot-x86_64.elf",
      `/@${CFG}`,
      `/snapshot${CFG}`,
      // By the link /grub of that subvolume.
      `/@${CFG}`,
    ]);
    expect(counted.stats.reads).toBeLessThanOrEqual(24);
    expect(counted.stats.bytes).toBeLessThanOrEqual(1 << 20);
  });
});

describe("the bytes of files, as grub-fstest reads them", () => {
  const cases = [
    { name: "zlib", mount: ["compress=zlib"] },
    { name: "lzo", mount: ["compress=lzo"] },
    { name: "zstd", mount: ["compress=zstd"] },
    { name: "4 KiB nodes, blake2", args: ["-n", "4096", "--csum", "blake2", "-O", "^no-holes"] },
    { name: "64 KiB nodes", args: ["-n", "65536"] },
    { name: "mixed", args: ["--mixed"], mib: 64 },
    { name: "raid1", count: 2 },
    { name: "raid10", count: 4 },
    { name: "raid5", count: 3 },
    { name: "raid6", count: 4, gone: 2 },
  ];
  for (const { name, mount = [], args = [], mib = 160, count = 1, gone = 0 } of cases) {
    it(gone === 0 ? name : `${name}, ${gone} devices missing`, async () => {
      const profile = count > 1 ? ["-d", name, "-m", name] : [];
      const images = makeVolume(join(folder, name.replaceAll(/\W/g, "-")), { mib, count, args: [...args, ...profile] });
      withBtrfs(images, mount, (point) => {
        mkdirSync(join(point, "boot/grub"), { recursive: true });
        writeFileSync(join(point, CFG), prose("cfg", 123_457));
        writeFileSync(join(point, "boot/kernel"), noise("kernel", 300_001));
      });
      const present = images.slice(gone);
      const fs = await openFileSystem(bufferDevice(readFileSync(present[0]!)), [btrfs], {
        members: present.slice(1).map((image) => bufferDevice(readFileSync(image))),
      });
      for (const path of [CFG, "/boot/kernel"]) {
        const { stdout } = spawnSync(
          "grub-fstest",
          ["-c", String(present.length), ...present, "cat", `(loop0)${path}`],
          {
            maxBuffer: 1 << 24,
          },
        );
        let inode = await fs!.root();
        for (const part of path.slice(1).split("/")) inode = (await inode.lookup(new TextEncoder().encode(part)))!;
        expect(Buffer.from(await inode.read(0, inode.stat.size)).equals(stdout), path).toBe(true);
      }
    });
  }
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeVolume, populate, populateSubvolumes, withBtrfs } from "../lib/btrfs-image.mjs";
import { kernelVolume } from "../lib/btrfs-volume.js";
import { guestprobe } from "../lib/cli.js";
import { run } from "../lib/kernel-view.mjs";

/** The command on a volume of two disks, against the kernel and btrfs-progs. */
describe("guestprobe on btrfs", () => {
  let folder = "";
  let images: string[] = [];
  /** Id and path of each subvolume, as btrfs-progs lists them. */
  let subvolumes: { id: number; path: string }[] = [];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "guestprobe-btrfs-cli-"));
    images = makeVolume(folder, { count: 2, mib: 160, args: ["-d", "raid0", "-m", "raid1"] });
    subvolumes = withBtrfs(images, ["compress=zstd"], (point) => {
      populate(point);
      populateSubvolumes(point);
      run("btrfs", ["subvolume", "create", join(point, "@")]);
      mkdirSync(join(point, "@/boot/grub"), { recursive: true });
      writeFileSync(join(point, "@/boot/grub/grub.cfg"), "menuentry guest { true }\n");
      run("btrfs", ["subvolume", "set-default", join(point, "@")]);
      return [...run("btrfs", ["subvolume", "list", point]).matchAll(/^ID (\d+) .* path (.*)$/gm)].map(
        ([, id, path]) => ({ id: Number(id), path: `/${path}` }),
      );
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The lines of a manifest, by path. */
  async function manifest(args: readonly string[]): Promise<Map<string, Entry & { device: string }>> {
    const { out, code, err } = await guestprobe(["manifest", ...args]);
    expect([code, err]).toEqual([0, ""]);
    const lines = out.trim().split("\n");
    return new Map(lines.map((line) => JSON.parse(line)).map((entry) => [entry.pathHex ?? entry.path, entry]));
  }

  function compare(ours: ReadonlyMap<string, Entry & { device: string }>, kernel: readonly Partial<Entry>[]): void {
    for (const want of kernel) expect(ours.get(want.pathHex ?? want.path!)).toMatchObject(want);
    expect(ours.size).toBe(kernel.length);
  }

  it("manifest of both disks equals the kernel's view, once, whichever comes first", async () => {
    const { entries } = kernelVolume(images);
    for (const args of [images, images.toReversed()]) {
      const ours = await manifest(args);
      compare(ours, entries);
      expect(new Set([...ours.values()].map(({ device }) => device))).toEqual(new Set(["xen/xvda"]));
    }
  });

  it("--subvol takes an id, a path, and the default", async () => {
    const at = subvolumes.find(({ path }) => path === "/@")!;
    const kernel = kernelVolume(images, at.id).entries;
    for (const subvol of ["default", String(at.id), "@", "/@"]) {
      compare(await manifest(["--subvol", subvol, ...images]), kernel);
    }
    const { code, err } = await guestprobe(["ls", "--subvol", "nothing", ...images, "/"]);
    expect(code).not.toBe(0);
    expect(err).toContain('"nothing" is not the path of a subvolume');
  });

  it("inspect lists the subvolumes and marks the default one", async () => {
    const { out, code } = await guestprobe(["inspect", "--json", ...images]);
    expect(code).toBe(0);
    const { disks } = JSON.parse(out) as {
      disks: { fs: unknown; subvolumes?: { id: number; path: string; default: boolean }[] }[];
    };
    const [top, ...listed] = disks[0]!.subvolumes!;
    expect(top).toMatchObject({ id: 5, path: "/" });
    expect(listed.map(({ id, path }) => ({ id, path }))).toEqual(subvolumes);
    expect(listed.filter((one) => one.default).map(({ path }) => path)).toEqual(["/@"]);
    expect([disks[1]!.fs, disks[1]!.subvolumes]).toEqual([null, undefined]);
    expect((await guestprobe(["inspect", ...images])).out).toMatch(/^ +\d+ \/@ \(default\)$/m);
  });

  it("search misses at the top level and says where the file is; with the default subvolume it hits", async () => {
    const config = "/boot/grub/grub.cfg";
    const missed = await guestprobe(["search", "--json", "-f", config, ...images]);
    expect(missed.code).toBe(1);
    const { hits, hidden } = JSON.parse(missed.out).search[0];
    expect(hits).toEqual([]);
    expect(hidden[0]).toMatchObject({ path: `/@${config}`, code: "grub-in-subvolume" });
    expect(hidden[0].reason).toContain("the default subvolume @");
    for (const args of [
      ["-f", `/@${config}`],
      ["--subvol", "default", "-f", config],
    ]) {
      const { code, out } = await guestprobe(["search", "--json", ...args, ...images]);
      expect(code).toBe(0);
      // GRUB opens the volume on each of its devices.
      expect(JSON.parse(out).search[0].hits.map(({ device }: { device: string }) => device)).toEqual([
        "xen/xvda",
        "xen/xvdb",
      ]);
    }
  });

  it("with one of the disks missing, says what is lost and shows the rest", async () => {
    const { code, err, out } = await guestprobe(["manifest", images[0]!]);
    expect(code).toBe(4);
    expect(err).toMatch(/was not given; without it, parts of \d raid0 data chunks? cannot be read/);
    expect(out).toContain('"code":"io"');
    expect(out.split("\n").length).toBeGreaterThan(40);
  });
});

/** The same guest disk in every subformat that qemu-img writes: the command's answers must not differ. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guestprobe } from "../lib/cli.js";
import { filled, utf16le } from "../lib/image-builder/bytes.js";
import { buildQcow2 } from "../lib/image-builder/qcow2.js";
import { buildVhd } from "../lib/image-builder/vhd.js";
import { buildVhdx } from "../lib/image-builder/vhdx.js";
import { descriptorText } from "../lib/image-builder/vmdk.js";
import { buildGuestDisk, MiB, noise, qemuImg, qemuInfo, run, workspace } from "./image-disk.js";

const work = workspace("image-cli");
let raw = "";
let manifest = "";
let search = "";
beforeAll(async () => {
  raw = buildGuestDisk(work);
  manifest = await answer("manifest", raw);
  search = await answer("search", "--json", raw);
  expect(manifest.split("\n").length).toBeGreaterThan(6);
  expect(search).toContain("/boot/grub/grub.cfg");
});
afterAll(() => work.remove());

async function answer(...args: string[]): Promise<string> {
  const { out, err, code } = await guestprobe(args);
  expect([code, err]).toEqual([0, ""]);
  return out;
}

interface InspectedDisk {
  readonly format: string;
  readonly bytes: number;
  readonly clusterSize: number | null;
  readonly references: readonly { readonly kind: string; readonly names: readonly string[] }[];
}

const SUBFORMATS: readonly (readonly [string, string, ...string[]])[] = [
  ["qcow2", "qcow2"],
  ["qcow2", "qcow2", "-o", "compat=0.10"],
  ["qcow2", "qcow2", "-o", "cluster_size=512"],
  ["qcow2", "qcow2", "-o", "cluster_size=2M"],
  ["qcow2", "qcow2", "-c"],
  ["qcow2", "qcow2", "-c", "-o", "compression_type=zstd"],
  ["qcow2", "qcow2", "-o", "extended_l2=on"],
  ["vhd", "vpc", "-o", "force_size=on"],
  ["vhd", "vpc", "-o", "subformat=fixed,force_size=on"],
  ["vhdx", "vhdx"],
  ["vhdx", "vhdx", "-o", "subformat=fixed"],
  ["vdi", "vdi"],
  ["vdi", "vdi", "-o", "static=on"],
  ["vmdk", "vmdk"],
  ["vmdk", "vmdk", "-o", "subformat=monolithicFlat"],
  ["vmdk", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
  ["vmdk", "vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
  ["vmdk", "vmdk", "-o", "subformat=streamOptimized"],
];

describe("answers about a disk in a container", () => {
  it.each(SUBFORMATS.map((each) => [each.slice(1).join(" "), each] as const))("%s", async (name, each) => {
    const [format, driver, ...options] = each;
    const image = work.path(`${name.replace(/\W+/g, "-")}.img`);
    qemuImg("convert", "-f", "raw", "-O", driver, ...options, raw, image);
    // Extents lie beside their descriptor; nothing else is allowed.
    const allow = ["--allow-backing", work.folder];
    expect(await answer("manifest", ...allow, image)).toBe(manifest);
    expect(await answer("search", "--json", ...allow, image)).toBe(search);
    expect(await answer("search", "--json", "--input-format", driver, ...allow, image)).toBe(search);
    const info = qemuInfo(image, driver);
    const { disks } = JSON.parse(await answer("inspect", "--json", ...allow, image)) as { disks: InspectedDisk[] };
    expect(disks[0]).toMatchObject({ format, bytes: info["virtual-size"] });
    if (info["cluster-size"] !== undefined) expect(disks[0]?.clusterSize).toBe(info["cluster-size"]);
  });

  it("a chain three deep, its files given or allowed", async () => {
    const [middle, top] = [work.path("middle.qcow2"), work.path("top.qcow2")];
    qemuImg("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", middle);
    qemuImg("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "middle.qcow2", top);
    // Past the file system: what the manifest shows stays the same.
    run("qemu-io", "-f", "qcow2", "-c", "write -P 7 63M 64k", top);
    expect(await answer("manifest", "--allow-backing", work.folder, top)).toBe(manifest);
    expect(await answer("manifest", "--backing", middle, "--backing", raw, top)).toBe(manifest);
    const { disks } = JSON.parse(await answer("inspect", "--json", "--allow-backing", work.folder, top)) as {
      disks: InspectedDisk[];
    };
    const backing = disks[0]?.references.find((reference) => reference.kind === "backing");
    expect(backing?.names).toEqual([qemuInfo(top, "qcow2")["backing-filename"]]);
  });

  it("without leave no backing file is opened: the name and the next step are told", async () => {
    const top = work.path("alone.qcow2");
    qemuImg("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", top);
    const { code, out, err } = await guestprobe(["manifest", top]);
    expect(code).toBe(4);
    expect(out).toBe("");
    expect(err).toContain('"disk.raw"');
    expect(err).toContain("guestprobe explain image-file-missing");
    expect(await answer("explain", "image-file-missing")).toContain("--backing FILE");
    const { findings } = JSON.parse((await guestprobe(["inspect", "--json", top])).out) as {
      findings: { code: string; next: string[] }[];
    };
    const missing = findings.find((finding) => finding.code === "image-file-missing");
    expect(missing?.next.join()).toContain("--backing FILE");
  });

  it("the host opens nothing that an image names, in any format", async () => {
    const canary = work.path("canary");
    writeFileSync(canary, noise(65536, 5));
    const parent = { uniqueId: filled(16, 1), name: canary, locators: [{ code: "W2ku", data: utf16le(canary) }] };
    const images: Readonly<Record<string, Uint8Array | string>> = {
      "names.qcow2": buildQcow2({ size: MiB, backing: canary }).file,
      "names.vhd": buildVhd({ size: 4 * MiB, kind: "differencing", parent }).file,
      "names.vhdx": buildVhdx({ size: MiB, parent: { absolute_win32_path: canary, relative_path: "canary" } }),
      "names.vmdk": descriptorText({ extents: [`RW 128 FLAT "${canary}" 0`, 'RW 128 SPARSE "canary"'] }),
    };
    for (const [name, content] of Object.entries(images)) {
      const path = work.path(name);
      writeFileSync(path, content);
      const traced = (...args: string[]): string => {
        const trace = work.path("trace");
        run("sh", "-c", '"$@" >/dev/null 2>&1 || true', "sh", "strace", "-f", "-o", trace, "-e", "trace=file", ...args);
        return readFileSync(trace, "utf8");
      };
      const program = [process.execPath, fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url))];
      const alone = traced(...program, "inspect", path);
      expect(alone).toContain(path);
      expect(alone).not.toContain("canary");
      // The same trace shows the file once it is allowed: the proof can fail.
      expect(traced(...program, "inspect", "--allow-backing", work.folder, path)).toContain(canary);
    }
  });

  it("a folder that is allowed is not left, by name or by link", async () => {
    const allowed = work.path("allowed");
    run("mkdir", allowed);
    run("ln", "-s", raw, `${allowed}/link.raw`);
    for (const name of ["../disk.raw", raw, "link.raw"]) {
      const top = work.path("outside.qcow2");
      qemuImg("create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", name, top, "64M");
      const { code, err } = await guestprobe(["manifest", "--allow-backing", allowed, top]);
      expect([name, code]).toEqual([name, 4]);
      expect(err).toContain("was not supplied");
    }
  });
});

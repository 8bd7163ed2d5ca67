import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guestprobe } from "../lib/cli.js";
import { debianGuest, GUEST_UUID, replaceFile } from "../lib/debian-guest.mjs";
import { type EmuBoot, grubEmuBoot } from "../lib/grub-emu.js";

const MAIN = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
const PVBOOT = "/boot/xen/pvboot-x86_64.elf";
const CFG = "/boot/grub/grub.cfg";
const folder = mkdtempSync(join(tmpdir(), "boot-debian-"));
afterAll(() => rmSync(folder, { recursive: true }));

let image: string;
let elf: Buffer;
/** What the real GRUB would load by the guest's own grub.cfg. */
let byGrub: EmuBoot;

const debugfs = (command: string): string =>
  execFileSync("debugfs", ["-R", command, image], { stdio: ["ignore", "pipe", "ignore"] }).toString();

beforeAll(() => {
  image = join(folder, "guest.img");
  execFileSync("cp", ["--sparse=always", "--reflink=auto", debianGuest(), image]);
  const copy = join(folder, "pvboot");
  debugfs(`dump ${PVBOOT} ${copy}`);
  elf = readFileSync(copy);
  byGrub = grubEmuBoot([{ name: "hd0", file: image }], `(hd0)${CFG}`);
}, 900_000);

interface Verdict {
  readonly answer: string;
  readonly chain: readonly { readonly device: string; readonly path: string; readonly prefix: string | null }[];
  readonly config: { readonly device: string; readonly path: string } | null;
  readonly entry: { readonly title: string } | null;
  readonly kernel: {
    readonly device: string;
    readonly path: string;
    readonly release: string;
    readonly compression: string;
    readonly pv: boolean;
    readonly pvh: boolean;
  };
  readonly initrds: readonly { readonly device: string; readonly path: string; readonly kinds: readonly string[] }[];
  readonly cmdline: string;
  readonly root: { readonly device: string } | null;
  readonly attempts: readonly {
    readonly kind: string;
    readonly path: string;
    readonly ok: boolean;
    readonly reason: string | null;
  }[];
  readonly findings: readonly { readonly code: string; readonly severity: string }[];
}

async function verdict(args: readonly string[]): Promise<Verdict> {
  const { out, err } = await guestprobe(["boot", "--json", ...args]);
  expect(out, err).not.toBe("");
  return (JSON.parse(out) as { verdicts: Verdict[] }).verdicts[0]!;
}

/** The words of `linux` and `initrd` as GRUB split them. */
function split(boot: EmuBoot): { kernel: string; cmdline: string; initrds: string[] } {
  const [kernel = "", ...args] = boot.linux.split(" ");
  return { kernel, cmdline: args.join(" "), initrds: boot.initrd.split(" ") };
}

/** A verdict's kernel, ramdisks, command line and root beside those of the real GRUB. */
function expectAsGrub(found: Verdict): void {
  const { kernel, cmdline, initrds } = split(byGrub);
  expect(byGrub.root).toBe("hd0");
  expect(found).toMatchObject({ answer: "yes", kernel: { device: "xen/xvda", path: kernel }, cmdline });
  expect(found.initrds.map(({ device, path }) => `(${device})${path}`)).toEqual(
    initrds.map((path) => `(xen/xvda)${path}`),
  );
  expect(found.root?.device).toBe("xen/xvda");
}

describe("a Debian guest, installed by debootstrap", () => {
  test("GRUB's own view of the guest is what the packages put there", () => {
    const { kernel, cmdline, initrds } = split(byGrub);
    expect(debugfs("ls -p /boot")).toContain(`/${kernel.replace("/boot/", "")}/`);
    expect(cmdline).toMatch(new RegExp(`root=UUID=${GUEST_UUID} ro .*console=hvc0`));
    expect(initrds).toHaveLength(1);
  });

  test("PV: its own GRUB is chainloaded, and finds grub.cfg by its own prefix", async () => {
    replaceFile(image, PVBOOT, elf);
    const found = await verdict([image]);
    expect(found.chain).toEqual([{ device: "xen/xvda", path: PVBOOT, prefix: expect.stringContaining("/boot/grub") }]);
    expect(found.config).toEqual({ device: "xen/xvda", path: CFG });
    expectAsGrub(found);
    expect(found.kernel).toMatchObject({ compression: "xz", pv: true, pvh: true });
    expect(found.kernel.path).toBe(`/boot/vmlinuz-${found.kernel.release}`);
    expect(found.findings).toEqual([]);
  });

  test("PV by the host image itself: the same", async () => {
    replaceFile(image, PVBOOT, elf);
    const found = await verdict(["--host", "/usr/lib/grub-xen/grub-x86_64-xen.bin", image]);
    expect(found.chain.map(({ path }) => path)).toEqual([PVBOOT]);
    expectAsGrub(found);
  });

  test("PV, the ELF emptied: refused, then grub.cfg", async () => {
    replaceFile(image, PVBOOT, Buffer.alloc(0));
    const found = await verdict([image]);
    expect(found.chain).toEqual([]);
    expect(found.attempts.find(({ path, kind }) => kind === "load" && path === PVBOOT)).toMatchObject({ ok: false });
    expect(found.config).toEqual({ device: "xen/xvda", path: CFG });
    expectAsGrub(found);
    expect(found.findings).toMatchObject([{ code: "boot-pvboot-empty", severity: "warning" }]);
  });

  test("PV, the ELF removed: grub.cfg", async () => {
    replaceFile(image, PVBOOT, undefined);
    const found = await verdict([image]);
    expect(found.chain).toEqual([]);
    expect(found.attempts.filter(({ path, ok }) => path.endsWith(".elf") && ok)).toEqual([]);
    expect(found.config).toEqual({ device: "xen/xvda", path: CFG });
    expectAsGrub(found);
    expect(found.findings).toEqual([]);
  });

  test("PVH: grub.cfg, and the loader is not looked for", async () => {
    replaceFile(image, PVBOOT, elf);
    const found = await verdict(["--mode", "pvh", image]);
    expect(found.chain).toEqual([]);
    expect(found.attempts.filter(({ path }) => path.endsWith(".elf"))).toEqual([]);
    expectAsGrub({ ...found, cmdline: found.cmdline.replace(/^BOOT_IMAGE=\S+ /, "") });
    expect(found.cmdline).toMatch(/^BOOT_IMAGE=/);
  });

  test("pv-grub legacy with extra: menu.lst", async () => {
    const cfg = join(folder, "guest.cfg");
    execFileSync("tee", [cfg], {
      input: `name = "guest"
kernel = "/usr/lib/xen-4.17/boot/pv-grub-x86_64.gz"
extra = "(hd0)/boot/grub/menu.lst"
memory = 512
disk = [ 'file:${image},xvda,w' ]
`,
      stdio: ["pipe", "ignore", "inherit"],
    });
    const found = await verdict(["--host", "pv-grub", "--xl", cfg]);
    // As pv-grub-menu wrote it: the first entry after the comments.
    const entry = debugfs("cat /boot/grub/menu.lst").split(/^title\s+/m)[1]!;
    const word = (name: string): string => new RegExp(`^${name}\\s+(.*?)\\s*$`, "m").exec(entry)![1]!;
    const [kernel, ...args] = word("kernel").split(/\s+/);
    expect(found).toMatchObject({
      answer: "yes",
      config: { path: "/boot/grub/menu.lst" },
      entry: { title: entry.split("\n")[0]!.trim() },
      kernel: { path: kernel },
      cmdline: args.join(" "),
    });
    expect(found.initrds.map(({ path }) => path)).toEqual([word("initrd")]);
  });

  test("pygrub and the toolstack start the same kernel", async () => {
    const { kernel, cmdline } = split(byGrub);
    for (const host of ["pygrub", "direct-pv", "direct-pvh"]) {
      expect(await verdict(["--host", host, image]), host).toMatchObject({
        answer: "yes",
        kernel: { path: kernel },
        cmdline,
      });
    }
  });

  test("a verdict reads less than 16 MiB of the image, most of it the kernel", async () => {
    replaceFile(image, PVBOOT, elf);
    const { err } = await guestprobe(["boot", "-v", image]);
    const [, reads, amount, unit] = /\(xen\/xvda\): ([0-9]+) reads, ([0-9.]+) (\w+)/.exec(err)!;
    expect(unit, err).toBe("MiB");
    expect(Number(amount), err).toBeLessThan(16);
    expect(Number(reads), err).toBeLessThan(1000);
  });

  test("a kernel that was seen before is not unpacked again, and gets the same verdict", () => {
    const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "", XDG_CACHE_HOME: mkdtempSync(join(folder, "cache-")) };
    const boot = (...more: string[]) => {
      const run = spawnSync(process.execPath, [MAIN, "boot", "--json", ...more, image], { env, encoding: "utf8" });
      return { code: run.status, verdict: JSON.parse(run.stdout) as unknown };
    };
    const unpacking = ["--limit-decoded", "1M"];
    expect(boot(...unpacking).code, "what was not unpacked is not known").not.toBe(0);
    const first = boot();
    expect(first.code).toBe(0);
    expect(boot(...unpacking)).toEqual(first);
  });
});

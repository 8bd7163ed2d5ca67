import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspectKernel } from "@guestprobe/boot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dependencyOf, PACKERS, repack, unpackKernel, unpackPackage } from "../boots/kernels.mjs";
import { guestprobe } from "../lib/cli.js";

/** Debian's kernel for clouds, as it is and packed by every compressor. */
let original: Buffer<ArrayBuffer>;
let vmlinux: Buffer<ArrayBuffer>;
let release: string;
const folder = mkdtempSync(join(tmpdir(), "boot-kernels-"));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => {
  const name = dependencyOf("linux-image-cloud-amd64", /^linux-image-.*-cloud-amd64$/)!;
  const boot = join(unpackPackage(folder, name), "boot");
  const file = readdirSync(boot).find((entry) => entry.startsWith("vmlinuz-"))!;
  original = readFileSync(join(boot, file));
  vmlinux = unpackKernel(original);
  release = file.replace("vmlinuz-", "");
});

const UUID = "00000000-0000-4000-8000-000000000001";
const CFG = `set timeout=1\nmenuentry 'x' {\n\tlinux /boot/vmlinuz root=UUID=${UUID} ro\n}\n`;

function guestWith(kernel: Uint8Array, name: string): string {
  const tree = join(folder, `${name}.tree`);
  mkdirSync(join(tree, "boot/grub"), { recursive: true });
  writeFileSync(join(tree, "boot/vmlinuz"), kernel);
  writeFileSync(join(tree, "boot/grub/grub.cfg"), CFG);
  const image = join(folder, `${name}.img`);
  execFileSync("mke2fs", ["-q", "-F", "-t", "ext4", "-U", UUID, "-d", tree, image, "128M"], { stdio: "pipe" });
  rmSync(tree, { recursive: true });
  return image;
}

interface BootDocument {
  readonly verdicts: readonly {
    readonly profile: string;
    readonly answer: string;
    readonly kernel: {
      readonly compression: string;
      readonly release: string;
      readonly pv: boolean;
      readonly pvh: boolean;
    };
    readonly findings: readonly { readonly code: string; readonly next: readonly string[] }[];
  }[];
}

describe("a Debian kernel", () => {
  test("the notes are those that readelf shows of the unpacked file", async () => {
    const elf = join(folder, "vmlinux");
    writeFileSync(elf, vmlinux);
    const shown = execFileSync("readelf", ["-nW", elf], { stdio: "pipe" }).toString();
    const { notes, kind, compression, efiStub } = await inspectKernel(original);
    expect({ kind, compression, efiStub }).toEqual({ kind: "bzImage", compression: "lz4", efiStub: true });
    const data = (type: number): string =>
      new RegExp(
        `Xen\\s+0x[0-9a-f]+\\s+Unknown note type: \\(0x0*${type.toString(16)}\\)\\s+description data: ([0-9a-f ]+)`,
      )
        .exec(shown)![1]!
        .trim()
        .split(" ")
        .map((byte) => String.fromCharCode(Number.parseInt(byte, 16)))
        .join("");
    expect(notes?.guestOs).toBe(data(6).replace(/\0.*$/s, ""));
    expect(notes?.xenVersion).toBe(data(5).replace(/\0.*$/s, ""));
    expect(notes?.features).toBe(data(10).replace(/\0.*$/s, ""));
    expect(notes?.phys32Entry).toBe(Buffer.from(data(18), "latin1").readBigUInt64LE(0));
    // grub-file looks for the same notes.
    execFileSync("grub-file", ["--is-x86_64-xen-domu", elf]);
  });

  test("a payload is unpacked as far as its notes, or to its end", async () => {
    const packed = repack(original, "xz", vmlinux);
    const part = await inspectKernel(packed);
    const whole = await inspectKernel(packed, { whole: true });
    expect(part.elf!.bytes.length).toBeLessThan(vmlinux.length / 2);
    expect(whole.elf!.bytes.length).toBe(vmlinux.length);
    expect({ ...part, elf: undefined }).toEqual({ ...whole, elf: undefined });
    // A file that ends early, and a header that says so, are found without unpacking.
    expect((await inspectKernel(packed.subarray(0, packed.length - 1000))).error?.code).toBe("corrupt");
    const shorter = Buffer.from(packed);
    shorter.writeUInt32LE(packed.readUInt32LE(0x24c) - 1000, 0x24c);
    expect((await inspectKernel(shorter)).error?.code).toBeDefined();
    // A bit that fell over behind the notes is found by whoever looks at all of it.
    const damaged = Buffer.from(packed);
    damaged[packed.length - 300_000]! ^= 1;
    expect((await inspectKernel(damaged, { whole: true })).error).toBeDefined();
  });

  for (const compressor of Object.keys(PACKERS) as (keyof typeof PACKERS)[]) {
    test(`packed by ${compressor}`, async () => {
      const image = guestWith(repack(original, compressor, vmlinux), compressor);
      const { out } = await guestprobe(["boot", "--json", "--all-hosts", image]);
      const { verdicts } = JSON.parse(out) as BootDocument;
      const of = (profile: string) => verdicts.find((verdict) => verdict.profile === profile)!;
      const byGrub = ["gzip", "xz", "lzo"].includes(compressor);
      expect(of("debian-pv").answer).toBe(byGrub ? "yes" : "no");
      expect(of("debian-pv").kernel ?? of("pygrub").kernel).toMatchObject({
        compression: compressor,
        release,
        pv: true,
        pvh: true,
      });
      const refusal = of("debian-pv").findings.find(({ code }) => code === "boot-kernel-unpackable");
      expect(refusal !== undefined).toBe(!byGrub);
      if (refusal !== undefined) expect(refusal.next.join("\n")).toContain('type="pvh"');
      for (const host of ["debian-pvh", "pygrub", "direct-pv", "direct-pvh"]) expect(of(host).answer, host).toBe("yes");
      if (compressor === "lz4") {
        const into = join(folder, "out");
        const taken = await guestprobe(["extract-boot", "--output-format", "simple", image, into]);
        expect(taken.out).toBe(`kernel ${into}/boot_kernel\nargs root=UUID=${UUID} ro\n\n`);
        expect(readFileSync(join(into, "boot_kernel")).equals(repack(original, compressor, vmlinux))).toBe(true);
        // Nothing is written over.
        expect((await guestprobe(["extract-boot", image, into])).code).toBe(5);
      }
      rmSync(image);
    });
  }
});

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BOOT_FINDINGS, PROFILES } from "@guestprobe/boot";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { makeGrubImage, makeTar, text } from "../../../boot/test/build.js";
import { answer } from "../../src/commands/extract-boot.js";
import { checkDocument, checkSarif } from "./schema.js";

const sample = fileURLToPath(new URL("../../../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-boot-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const SCRIPT = "if search -s -f /grub/menu.lst; then\n  legacy_configfile /grub/menu.lst\nfi\n";
const hostFile = join(scratch, "host.elf");
writeFileSync(
  hostFile,
  makeGrubImage([
    [1, makeTar("grub.cfg", SCRIPT)],
    [2, text("normal (memdisk)/grub.cfg\n")],
    [3, text("(memdisk)/boot/grub")],
  ]),
);

describe("boot", () => {
  test("the document holds to its schema, for every host", async () => {
    const { out, err } = await guestprobe(["boot", "--json", "--all-hosts", sample]);
    const { verdicts } = checkDocument(out) as { verdicts: { profile: string }[] };
    expect(verdicts.map(({ profile }) => profile)).toEqual(PROFILES.map(({ id }) => id));
    expect(err).toBe("");
  });

  test("the exit code is the answer", async () => {
    await Promise.all(
      PROFILES.map(async ({ id }) => {
        const { out, code } = await guestprobe(["boot", "--json", "--host", id, sample]);
        const { verdicts } = checkDocument(out) as { verdicts: { answer: "yes" | "no" | "unknown" }[] };
        expect(code, id).toBe({ yes: 0, no: 1, unknown: 3 }[verdicts[0]!.answer]);
      }),
    );
  }, 60_000);

  test("a guest that is encrypted: nobody can tell, and the volume is named: 3", async () => {
    const disk = readFileSync(sample);
    const uuid = "0b2d4c5e-1111-4222-8333-0123456789ab";
    // Each of the three volumes.
    for (const sector of [2048, 4096, 14_336]) {
      disk.fill(0, sector * 512, (sector + 2048) * 512);
      disk.write("LUKS\xba\xbe\x00\x02", sector * 512, "latin1");
      disk.write(uuid, sector * 512 + 168);
    }
    const file = join(scratch, "encrypted.img");
    writeFileSync(file, disk);
    const { code, out, err } = await guestprobe(["boot", file]);
    expect(code).toBe(3);
    expect(out).toMatch(/^unknown: /);
    // The one that GRUB visits first.
    expect(out).toContain(`(xen/xvda,msdos5) could not be read: LUKS encrypted volume (UUID ${uuid})`);
    expect(err).toBe("");
    const { verdicts } = checkDocument((await guestprobe(["boot", "--json", file])).out) as {
      verdicts: { answer: string; summary: string }[];
    };
    expect(verdicts).toMatchObject([{ answer: "unknown", summary: expect.stringContaining(uuid) }]);
  });

  test("a host image's own script", async () => {
    const { out } = await guestprobe(["boot", "--json", "--host", hostFile, sample]);
    const { verdicts } = checkDocument(out) as { verdicts: { attempts: { path: string; device: string }[] }[] };
    expect(verdicts[0]?.attempts[0]).toMatchObject({
      kind: "search",
      path: "/grub/menu.lst",
      device: "xen/xvda,msdos1",
      ok: true,
    });
  });

  test("a Xen guest configuration names disks and loader", async () => {
    const cfg = join(scratch, "guest.cfg");
    writeFileSync(cfg, `type="pv"\nbootloader="pygrub"\ndisk=[ 'file:${sample},xvdb,w', ',hdc:cdrom,r' ]\n`);
    const { out } = await guestprobe(["boot", "--json", "--xl", cfg]);
    const { verdicts } = checkDocument(out) as { verdicts: { profile: string; attempts: { device: string }[] }[] };
    expect(verdicts[0]?.profile).toBe("pygrub");
    expect(verdicts[0]?.attempts[0]?.device).toBe("xen/xvdb,msdos1");
    const found = await guestprobe(["search", "--xl", cfg]);
    expect(found.out).toContain("(xen/xvdb,msdos2)/boot/grub/grub.cfg");
  });

  test("wrong usage", async () => {
    for (const args of [
      ["--host", "nowhere"],
      ["--host", "pygrub", "--mode", "pvh"],
      ["--all-hosts", "--host", "pygrub"],
    ]) {
      expect((await guestprobe(["boot", ...args, sample])).code, args.join(" ")).toBe(2);
    }
    expect((await guestprobe(["boot", "--xl", join(scratch, "gone.cfg")])).code).toBe(5);
    expect((await guestprobe(["boot", "--host", sample, sample])).code).toBe(3);
  });
});

describe("host", () => {
  test("prefix, script and objects", async () => {
    const { out, code } = await guestprobe(["host", "--json", hostFile]);
    expect(code).toBe(0);
    expect(checkDocument(out)).toMatchObject({
      arch: "x86_64",
      prefix: "(memdisk)/boot/grub",
      script: SCRIPT,
      modules: [],
    });
    const shown = await guestprobe(["host", hostFile]);
    expect(shown.out).toContain("legacy_configfile /grub/menu.lst");
  });

  test("what is no host image", async () => {
    expect((await guestprobe(["host", sample])).code).toBe(3);
    expect((await guestprobe(["host", join(scratch, "gone")])).code).toBe(5);
    expect((await guestprobe(["host"])).code).toBe(2);
  });
});

describe("lint", () => {
  test("findings as JSON and as SARIF", async () => {
    const { out, code } = await guestprobe(["lint", "--json", "--all-hosts", sample]);
    const { findings, hosts } = checkDocument(out) as {
      findings: { code: string; severity: string }[];
      hosts: string[];
    };
    expect(hosts).toHaveLength(PROFILES.length);
    expect(findings.length).toBeGreaterThan(0);
    expect(code).toBe(findings.some(({ severity }) => severity !== "note") ? 1 : 0);
    const log = JSON.parse((await guestprobe(["lint", "--sarif", "--all-hosts", sample])).out) as {
      version: string;
      runs: { tool: { driver: { rules: { id: string }[] } }; results: { ruleId: string; level: string }[] }[];
    };
    expect(log.version).toBe("2.1.0");
    expect(log.runs[0]?.results.map(({ ruleId, level }) => [ruleId, level])).toEqual(
      findings.map(({ code: id, severity }) => [id, severity]),
    );
    expect(log.runs[0]?.tool.driver.rules.map(({ id }) => id)).toEqual([
      ...new Set(findings.map(({ code: id }) => id)),
    ]);
  });
});

test("SARIF holds to the standard's structure, and names the image by a URI", async () => {
  const image = join(scratch, "a #1?% image.img");
  copyFileSync(sample, image);
  const { out } = await guestprobe(["lint", "--sarif", "--all-hosts", image]);
  const document = checkSarif(out) as {
    runs: {
      tool: { driver: { rules: { id: string }[] } };
      results: {
        ruleId: string;
        ruleIndex: number;
        locations: { physicalLocation: { artifactLocation: { uri: string } } }[];
      }[];
    }[];
  };
  const { results, tool } = document.runs[0]!;
  const located = results.filter(({ locations }) => locations.length > 0);
  expect(located.length).toBeGreaterThan(0);
  for (const { locations } of located) {
    expect(fileURLToPath(locations[0]!.physicalLocation.artifactLocation.uri)).toBe(image);
  }
  for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
});

test("SARIF of an image that cannot be opened is a document, and says why it is empty", async () => {
  const image = join(scratch, "cut.qcow2");
  writeFileSync(image, Buffer.from("514649fb00000003", "hex"));
  const { code, out, err } = await guestprobe(["lint", "--sarif", image]);
  expect(code).toBe(4);
  const [run] = (checkSarif(out) as { runs: Record<string, unknown>[] }).runs;
  expect(run?.invocations).toEqual([
    {
      executionSuccessful: false,
      toolExecutionNotifications: [{ level: "error", message: { text: expect.stringContaining("qcow2") } }],
    },
  ]);
  expect(err).toContain("qcow2");
  const json = await guestprobe(["lint", "--sarif", "--json", image]);
  expect(checkDocument(json.out).schema).toBe("guestprobe/error/1");
});

describe("extract-boot", () => {
  test("nothing to take out is a no, and leaves nothing", async () => {
    const empty = join(scratch, "empty.img");
    writeFileSync(empty, new Uint8Array(1 << 20));
    const { code } = await guestprobe(["extract-boot", empty, join(scratch, "none")]);
    expect(code).toBe(1);
    expect(() => readFileSync(join(scratch, "none/boot_kernel"))).toThrow();
  });

  test("answers as Python's repr and by marks", () => {
    const args = "root=/dev/xvda1 a='b' \\x";
    const sxp = answer("sxp", "/k", "/r", args);
    expect(sxp).toBe(`linux (kernel '/k')(ramdisk '/r')(args "root=/dev/xvda1 a='b' \\\\x")\n`);
    expect(answer("simple", "/k", undefined, "a")).toBe("kernel /k\nargs a\n\n");
    expect(answer("simple0", "/k", "/r", "a\nb")).toBe("kernel /k\0ramdisk /r\0args a\nb\0\0");
    expect(() => answer("simple", "/k", undefined, "a\nramdisk /etc/shadow")).toThrow(/mark that ends it/);
    expect(() => answer("simple0", "/k", undefined, "a\0b")).toThrow(/mark that ends it/);
  });
});

test("explain has a text for each finding of a boot", async () => {
  const all = JSON.parse((await guestprobe(["explain", "--json"])).out) as {
    codes: { code: string; explanation: string }[];
  };
  for (const { code, explanation } of BOOT_FINDINGS) {
    expect(all.codes.find((each) => each.code === code)?.explanation, code).toBe(explanation);
  }
  expect((await guestprobe(["explain", "boot-kernel-unpackable"])).out).toContain("zstd");
});

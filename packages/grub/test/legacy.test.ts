import {
  legacyMenu,
  legacyPlan,
  liloMenu,
  liloPlan,
  parseLegacy,
  parseLilo,
  translateLegacy,
} from "@guestprobe/grub/legacy";
import { describe, expect, it } from "vitest";

const bytes = (text: string) => new TextEncoder().encode(text);

const MENU = `# menu.lst
default=1
timeout 5
fallback 0 2
color cyan/blue
## ## Start Default Options ##
## default kernel options
# kopt=root=/dev/xvda1 ro
# groot=(hd0,0)
## ## End Default Options ##
# outside=ignored

title  Debian, kernel 1 \t
root (hd0,0)
kernel /boot/vmlinuz-1 root=/dev/xvda1  ro   "quoted words"
initrd /boot/initrd-1

title Xen
kernel (hd0)/boot/xen.gz dom0_mem=512M
module /boot/vmlinuz root=/dev/xvda1
module /boot/initrd
\tsavedefault
title locked
lock
uuid 0a1b
kernel --type=linux --no-mem-option /k a=b
strange thing
`;

describe("menu.lst", () => {
  const config = parseLegacy("(hd0)/menu.lst", bytes(MENU));

  it("settings, entries and Debian's block of comments", () => {
    const menu = legacyMenu(config);
    expect(menu.entries.map(({ title }) => title)).toEqual(["Debian, kernel 1", "Xen", "locked"]);
    expect(menu).toMatchObject({ timeout: 5, fallback: [0, 2], default: { path: [1] }, superusers: [] });
    expect(menu.default.at?.line).toBe(2);
    expect(config.automagic.map(({ name, value }) => [name, value])).toEqual([
      ["kopt", "root=/dev/xvda1 ro"],
      ["groot", "(hd0,0)"],
    ]);
  });

  it("a plan keeps the command line as it stands, and the lines it comes from", () => {
    const plan = legacyPlan(config, 0)!;
    expect(plan).toMatchObject({
      command: "kernel",
      kernel: { device: "hd0,0", path: "/boot/vmlinuz-1", at: { line: 15 } },
      cmdline: 'root=/dev/xvda1  ro   "quoted words"',
      initrds: [{ device: "hd0,0", path: "/boot/initrd-1", at: { line: 16 } }],
      root: { device: "hd0,0", at: { line: 14 } },
      doubts: [],
    });
  });

  it("modules, a device in the path, and no root", () => {
    const plan = legacyPlan(config, 1)!;
    expect(plan.kernel).toMatchObject({ device: "hd0", path: "/boot/xen.gz", args: "dom0_mem=512M" });
    expect(plan.modules.map(({ path, args }) => [path, args])).toEqual([
      ["/boot/vmlinuz", "root=/dev/xvda1"],
      ["/boot/initrd", ""],
    ]);
  });

  it("locks are reported, unknown commands too, options are no part of the command line", () => {
    const plan = legacyPlan(config, 2)!;
    expect(plan).toMatchObject({ locked: true, cmdline: "a=b", root: { device: "UUID 0a1b" } });
    expect(plan.doubts.map(({ what }) => what)).toEqual([
      "uuid 0a1b: depends on the volumes, and is not followed",
      "unknown command strange",
    ]);
    expect(legacyPlan(config, 3)).toBeUndefined();
  });

  it.each([
    ["default saved", undefined, [0]],
    ["default saved", 1, [1]],
    ["default saved", 9, [0]],
    ["default 7", undefined, [0]],
    ["default none", undefined, [0]],
    ["", undefined, [0]],
  ] as const)("%s with %s saved", (line, saved, path) => {
    const two = parseLegacy("m", bytes(`${line}\ntitle a\ntitle b\n`));
    expect(legacyMenu(two, { saved }).default.path).toEqual(path);
  });

  it("an empty menu has no default", () => {
    expect(legacyMenu(parseLegacy("m", bytes("timeout 0\n")))).toMatchObject({
      entries: [],
      default: { path: [] },
      timeout: 0,
    });
  });

  it("a password guards the menu", () => {
    expect(legacyMenu(parseLegacy("m", bytes("password --md5 $1$x\ntitle a\n"))).superusers).toHaveLength(1);
  });

  it("kernel before initrd, and commands without their file", () => {
    const plan = legacyPlan(parseLegacy("m", bytes("title a\ninitrd /i\nkernel\n")), 0)!;
    expect(plan.problems.map(({ what }) => what)).toEqual(["initrd before any kernel", "no file is named"]);
    expect(plan.command).toBeUndefined();
  });

  it("what GRUB 2 does not translate is named with its line", () => {
    const { unsupported, steps } = translateLegacy("m", bytes("quiet\ntitle a\nfindiso /x\n"));
    expect(unsupported.map(({ text, at }) => [text, at.line])).toEqual([
      ["quiet", 1],
      ["findiso /x", 3],
    ]);
    expect(steps).toHaveLength(1);
  });
});

describe("lilo.conf", () => {
  const config = parseLilo(
    "/etc/lilo.conf",
    bytes(`boot=/dev/sda
# comment
default = old
timeout=50
prompt
root=/dev/sda1
image=/vmlinuz
  label=new
  read-only
  append="console=ttyS0 quiet"  # trailing
  initrd=/initrd.img
image=/vmlinuz.old
  label=old
  password=secret
other=/dev/sdb1
  label="other system"
`),
  );

  it("labels, the default, tenths of a second", () => {
    const menu = liloMenu(config);
    expect(menu.entries.map(({ title }) => title)).toEqual(["new", "old", "other system"]);
    expect(menu).toMatchObject({ timeout: 5, default: { path: [1] }, style: "menu" });
  });

  it("a plan joins root, flags and append", () => {
    expect(liloPlan(config, 0)).toMatchObject({
      command: "image",
      kernel: { path: "/vmlinuz" },
      cmdline: "root=/dev/sda1 ro console=ttyS0 quiet",
      initrds: [{ path: "/initrd.img" }],
      locked: false,
    });
    expect(liloPlan(config, 1)).toMatchObject({ cmdline: "root=/dev/sda1", initrds: [], locked: true });
    expect(liloPlan(config, 2)).toMatchObject({ command: "other", cmdline: undefined });
    expect(liloPlan(config, 3)).toBeUndefined();
  });
});

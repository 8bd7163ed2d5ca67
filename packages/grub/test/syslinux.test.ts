import { parseSyslinux, syslinuxDefault, syslinuxMenu, syslinuxPlan } from "@guestprobe/grub/syslinux";
import { describe, expect, it } from "vitest";

const bytes = (text: string) => new TextEncoder().encode(text);
const files = new Map([
  ["more.cfg", "LABEL more\n  LINUX /more\n"],
  ["loop.cfg", "INCLUDE loop.cfg\n"],
]);
const reader = { read: async (path: string) => (files.has(path) ? bytes(files.get(path)!) : undefined) };
const parse = (text: string) => parseSyslinux("/extlinux.conf", bytes(text), reader);

describe("syslinux configurations", () => {
  it("labels, append, ramdisks, a menu", async () => {
    const config = await parse(`UI menu.c32
MENU TITLE Choose
TIMEOUT 100
APPEND common
LABEL a
  MENU LABEL ^Alpha
  KERNEL /vmlinuz
  APPEND root=/dev/sda1 initrd=/i1,/i2 quiet
label b
  menu label Beta
  menu default
  linux vmlinuz-b
  initrd /x,/y
LABEL c
  LINUX /c
  APPEND -
TEXT HELP
LABEL not a label
ENDTEXT
`);
    expect(config.problems).toEqual([]);
    const menu = syslinuxMenu(config);
    expect(menu.entries.map(({ title, id, hotkey }) => [title, id, hotkey])).toEqual([
      ["Alpha", "a", "a"],
      ["Beta", "b", undefined],
      ["c", "c", undefined],
    ]);
    expect(menu).toMatchObject({ timeout: 10, style: "menu", default: { path: [1] } });
    expect(syslinuxPlan(config, 0)).toMatchObject({
      cmdline: "root=/dev/sda1 quiet",
      kernel: { path: "/vmlinuz", at: { line: 7 } },
      initrds: [{ path: "/i1" }, { path: "/i2" }],
    });
    expect(syslinuxPlan(config, 1)).toMatchObject({ cmdline: "common", initrds: [{ path: "/x" }, { path: "/y" }] });
    expect(syslinuxPlan(config, 2)).toMatchObject({ cmdline: "" });
    expect(syslinuxPlan(config, 3)).toBeUndefined();
  });

  it.each([
    ["DEFAULT b\nLABEL a\nLABEL b\n", 1, 0],
    ["DEFAULT b quiet\nPROMPT 1\nLABEL a\nLABEL b\n", 1, undefined],
    ["DEFAULT b\nONTIMEOUT a\nTIMEOUT 5\nLABEL a\nLABEL b\n", 0, 0.5],
    ["DEFAULT menu.c32\nTIMEOUT 0\nLABEL a\nLABEL b\n", 0, undefined],
    ["DEFAULT none\nLABEL a\n", 0, 0],
    ["", -1, 0],
  ] as const)("%j starts %s after %s s", async (text, index, timeout) => {
    const config = await parse(text);
    expect(syslinuxDefault(config)).toBe(index);
    expect(syslinuxMenu(config).timeout).toBe(timeout);
  });

  it("submenus nest, and the default is found inside", async () => {
    const config = await parse(
      "UI vesamenu.c32\nLABEL a\nMENU BEGIN\nMENU TITLE Inner\nLABEL b\nMENU DEFAULT\nMENU END\nLABEL c\n",
    );
    const menu = syslinuxMenu(config);
    expect(menu.entries.map(({ kind, title }) => [kind, title])).toEqual([
      ["entry", "a"],
      ["submenu", "Inner"],
      ["entry", "c"],
    ]);
    expect(menu.entries[1]?.entries?.map(({ title }) => title)).toEqual(["b"]);
    expect(menu.default.path).toEqual([1, 0]);
  });

  it("includes: found, missing, and endless", async () => {
    expect((await parse("INCLUDE more.cfg\n")).entries.map(({ label }) => label)).toEqual(["more"]);
    expect((await parse("MENU INCLUDE none.cfg\n")).problems[0]?.what).toContain("none.cfg");
    expect((await parse("INCLUDE loop.cfg\n")).problems[0]?.what).toContain("too deep");
  });

  it("a large file that includes itself is read a few times, not two hundred", async () => {
    const bytes = new TextEncoder().encode(`${"#".repeat(8 << 20)}\nINCLUDE self\nINCLUDE self\n`);
    let reads = 0;
    const config = await parseSyslinux("self", bytes, {
      read: async () => {
        reads += 1;
        return bytes;
      },
    });
    expect(reads).toBeLessThan(5);
    expect(config.problems.at(-1)?.what).toContain("after too much else");
  });

  it("what is no Linux kernel is named, unknown directives too", async () => {
    const config = await parse("FROB x\nLABEL a\nCOM32 chain.c32\nAPPEND hd0\nLABEL b\nLOCALBOOT 0x80\n");
    expect(config.problems[0]).toMatchObject({ what: "unknown directive frob", at: { line: 1 } });
    expect(syslinuxPlan(config, 0)?.doubts).toHaveLength(1);
    expect(syslinuxPlan(config, 1)?.doubts).toHaveLength(1);
  });
});

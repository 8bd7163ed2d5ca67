import { legacyMenu, legacyPlan, parseLegacy } from "@guestprobe/grub/legacy";
import { type BootMenu, type BootPlan, menuLines, planLines } from "@guestprobe/grub/menu";
import { expect, test } from "vitest";

const show = (text: string): string => text.replaceAll("\x1b", "\\x1b");
const at = { file: "grub.cfg", line: 7, column: 1, byte: 0 };
const entry = { kind: "entry" as const, at, users: undefined, hotkey: undefined, classes: [], entries: undefined };

const MENU: BootMenu = {
  language: "grub",
  entries: [
    { ...entry, title: "one\x1b[m", id: "one\x1b[m", index: 0 },
    {
      ...entry,
      kind: "submenu",
      title: "more",
      id: "sub-1",
      index: 1,
      entries: [
        { ...entry, title: "a", id: "a", index: 0 },
        { ...entry, title: "b", id: "b", index: 1, users: [] },
      ],
    },
    { ...entry, kind: "submenu", title: "closed", id: "closed", index: 2 },
  ],
  default: { path: [1, 1], why: "set default=sub-1>b", at },
  fallback: [0, 2],
  timeout: 5,
  style: "hidden",
  superusers: ["root"],
};

test("a menu: numbers and titles, the default marked on the way to it, submenus indented", () => {
  expect(menuLines(MENU, show)).toEqual([
    "  0  one\\x1b[m",
    "* 1  more  >  [sub-1]",
    "    1>0  a",
    "*   1>1  b  (password)",
    "  2  closed  > (not opened)",
    "",
    "default 1>1: set default=sub-1>b (grub.cfg:7)",
    "started: after 5 s, hidden",
    "fallback: 0, 2",
    "superusers: root",
  ]);
});

test.each([
  [undefined, "waits for a key"],
  [0, "at once"],
])("a timeout of %s", (timeout, words) => {
  const plain: BootMenu = { ...MENU, timeout, style: "menu", fallback: [], superusers: [] };
  const lines = menuLines({ ...plain, default: { path: [0], why: "the first", at: undefined } }, show);
  expect(lines.slice(-2)).toEqual(["default 0: the first", `started: ${words}`]);
  // Nobody is asked for a password where nobody has one.
  expect(lines.join()).not.toContain("password");
});

test("what an entry would load, each with its line", () => {
  const config = parseLegacy(
    "menu.lst",
    new TextEncoder().encode(
      "title Xen\nroot (hd0,0)\nkernel /xen.gz dom0_mem=1G\nmodule /vmlinuz ro\nmodule (hd1,0)/initrd\nlock\n",
    ),
  );
  expect(legacyMenu(config).entries).toHaveLength(1);
  expect(planLines(legacyPlan(config, 0)!, show)).toEqual([
    "entry     0  Xen",
    "kernel    (hd0,0)/xen.gz  (menu.lst:3)",
    "arguments dom0_mem=1G",
    "module    (hd0,0)/vmlinuz ro  (menu.lst:4)",
    "module    (hd1,0)/initrd  (menu.lst:5)",
    "root      hd0,0  (menu.lst:2)",
    "a password would be asked for",
  ]);
});

test("an entry that loads nothing, and what is doubted", () => {
  const plan: BootPlan = {
    path: [2, 0],
    title: "empty",
    command: undefined,
    kernel: undefined,
    cmdline: undefined,
    initrds: [{ device: undefined, path: "/initrd", args: "", at, found: undefined }],
    modules: [],
    root: undefined,
    problems: [],
    doubts: [{ what: "the time of day", at: undefined }],
    locked: false,
  };
  expect(planLines(plan, show)).toEqual([
    "entry     2>0  empty",
    "loads     nothing",
    "initrd    /initrd  (grub.cfg:7)",
    "doubt     the time of day",
  ]);
});

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { DiskMaker } from "../lib/guest-disk.js";
import { KEY, onTerminal } from "../lib/terminal.js";

const folder = mkdtempSync(join(tmpdir(), "menu-picker-"));
afterAll(() => rmSync(folder, { recursive: true }));
const disks = new DiskMaker(folder);

function guest(files: Readonly<Record<string, string>>): string {
  const file = disks.file();
  writeFileSync(file, disks.ext({ tree: { "/boot/vmlinuz": "k", "/boot/initrd.img": "i", ...files } }));
  return file;
}

const CFG = `set timeout=5
menuentry 'First \u001b[31mred' --id first {
	set root=xen/xvda
	linux /boot/vmlinuz root=/dev/xvda1 ro "note=$1"
	initrd /boot/initrd.img
}
submenu 'More' {
	menuentry 'Inner' {
		linux /boot/vmlinuz root=/dev/xvda1 single
	}
}
menuentry 'Nothing' {
	true
}
`;
const image = guest({ "/boot/grub/grub.cfg": CFG });
const hash = (): string => createHash("sha256").update(readFileSync(image)).digest("hex");

test("the default's plan, and back out: the image is as it was", async () => {
  const before = hash();
  const { text, raw, code } = await onTerminal(
    ["menu", "-i", image],
    [
      [/\(quit\)[\s\S]*navigate/, KEY.enter],
      [/and now\?[\s\S]*navigate/, KEY.enter],
      [/\(quit\)[\s\S]*navigate/, KEY.escape],
    ],
  );
  expect(text).toContain("linux     (xen/xvda)/boot/vmlinuz");
  expect(text).toContain('arguments root=/dev/xvda1 ro "note=First \\x1b[31mred"');
  expect(text).toContain("nothing was changed");
  expect(code).toBe(0);
  expect(hash()).toBe(before);
  // The title's own escape sequence is shown, and never sent.
  expect(text).toContain("First \\x1b[31mred");
  expect(raw).not.toContain("\u001b[31mred");
});

test("into a submenu, and back by Escape", async () => {
  const { text } = await onTerminal(
    ["menu", "-i", image],
    [
      [/\(quit\)[\s\S]*navigate/, KEY.down],
      [/● More/, KEY.enter],
      [/Inner[\s\S]*\(back\)[\s\S]*navigate/, KEY.enter],
      [/and now\?[\s\S]*navigate/, KEY.escape],
      [/Inner[\s\S]*\(back\)[\s\S]*navigate/, KEY.escape],
      [/Nothing[\s\S]*\(quit\)[\s\S]*navigate/, KEY.escape],
    ],
  );
  expect(text).toContain("entry     1>0  Inner");
  expect(text).toContain("arguments root=/dev/xvda1 single");
});

test("an entry that loads nothing says so", async () => {
  const { text } = await onTerminal(
    ["menu", "-i", image],
    [
      [/\(quit\)[\s\S]*navigate/, KEY.down],
      [/● More/, KEY.down],
      [/● Nothing/, KEY.enter],
      [/and now\?[\s\S]*navigate/, KEY.down],
      [/● edit/, KEY.down],
      [/● quit/, KEY.enter],
    ],
  );
  expect(text).toMatch(/loads {5}nothing/);
});

test("commands are edited as GRUB's editor shows them", async () => {
  const { text } = await onTerminal(
    ["menu", "-i", image],
    [
      [/\(quit\)[\s\S]*navigate/, KEY.enter],
      [/and now\?[\s\S]*navigate/, KEY.down],
      [/● edit/, KEY.enter],
      [/setparams 'First \\x1b\[31mred'[\s\S]*initrd \/boot\/initrd.img[\s\S]*submit/, KEY.up],
      // From the end of the second line to the end: the third is longer, so its words follow.
      [/./, ` rescue="a b"`],
      [/a b"/, KEY.tab],
      [/▶ \[ submit \]/, KEY.enter],
      [/arguments [\s\S]*and now\?[\s\S]*navigate/, KEY.escape],
      [/\(quit\)[\s\S]*navigate/, KEY.escape],
    ],
  );
  const plans = [...text.matchAll(/arguments (.*)/g)].map((match) => match[1]);
  expect(plans).toHaveLength(2);
  expect(plans[0]).not.toContain("rescue");
  expect(plans[1]).toContain("rescue=a b");
});

test("menu.lst: lines of an entry are edited, and its neighbours stay", async () => {
  const old = guest({
    "/boot/grub/menu.lst":
      "default 1\ntimeout 5\n\ntitle One\nroot (hd0)\nkernel /boot/vmlinuz one\n\ntitle Two\nroot (hd0)\nkernel /boot/vmlinuz two\n",
  });
  const { text } = await onTerminal(
    ["menu", "-i", old],
    [
      [/\(quit\)[\s\S]*navigate/, KEY.enter],
      [/arguments two[\s\S]*and now\?[\s\S]*navigate/, KEY.down],
      [/● edit/, KEY.enter],
      [/title Two[\s\S]*kernel \/boot\/vmlinuz two[\s\S]*submit/, " single"],
      [/single/, KEY.tab],
      [/▶ \[ submit \]/, KEY.enter],
      [/arguments two single[\s\S]*and now\?[\s\S]*navigate/, KEY.enter],
      [/\(quit\)[\s\S]*navigate/, KEY.up],
      [/● One/, KEY.enter],
      [/arguments one[\s\S]*and now\?[\s\S]*navigate/, KEY.escape],
      [/\(quit\)[\s\S]*navigate/, KEY.escape],
    ],
  );
  expect(text).toContain("nothing was changed");
});

test("without a terminal, and with --json, it is refused", async () => {
  const { guestprobe } = await import("../lib/cli.js");
  const piped = await guestprobe(["menu", "-i", image]);
  expect(piped.code).toBe(2);
  expect(piped.err).toContain("needs a terminal");
  expect((await guestprobe(["menu", "-i", "--json", image])).code).toBe(2);
});

import { memoryWorld, runText } from "@guestprobe/grub/script";
import { describe, expect, test } from "vitest";

const block = (text: string): string => `# GRUB Environment Block\n${text}`.padEnd(1024, "#");
const world = memoryWorld([
  ["(hd0,msdos1)/boot/grub/grubenv", block("saved_entry=two\nother=1\n")],
  ["(hd0,msdos1)/boot/grub/fonts/unicode.pf2", "PFF2"],
  ["(hd0,msdos1)/boot/.hidden", "h"],
  ["(hd0,msdos1)/boot/full", "# GRUB Environment Block\nx=1\n"],
  ["(hd0,msdos1)/boot/text", "line one\nline two"],
  ["(hd0,msdos1)/vmlinuz", "k"],
]);
// Error numbers: GRUB 2.06, include/grub/err.h; 5 is file not found, 18 a bad argument.
const PREFIX = "set root=hd0,msdos1\nset prefix=(hd0,msdos1)/boot/grub\n";
const run = (text: string) => runText("cfg", PREFIX + text, { world });
const output = async (text: string): Promise<string> =>
  (await run(text)).transcript.flatMap(({ kind, text: said }) => (kind === "output" ? [said] : [])).join("");
const status = (command: string): Promise<string> => output(`${command}\necho $?\n`);

describe("ls", () => {
  test("devices, a directory without its hidden names and with them, a file", async () => {
    expect(await output("ls\n")).toBe("(hd0,msdos1) \n");
    expect((await output("ls /boot\n")).trim().split(" ").sort()).toEqual(["full", "grub/", "text"]);
    expect(await output("ls -a /boot\n")).toContain(".hidden ");
    expect(await output("ls /vmlinuz\n")).toBe("/vmlinuz \n");
  });
  test("what is not there is an error, and the long form is told not to be modelled", async () => {
    expect(await status("ls /none")).toMatch(/^5\n$/);
    const { doubts } = await run("ls -l /boot\n");
    expect(doubts).toMatchObject([{ kind: "not-modelled", what: "the long form of ls" }]);
  });
});

test("cat prints a file", async () => {
  expect(await output("cat /boot/text\n")).toBe("line one\nline two\n");
});

describe("environment blocks", () => {
  test("list_env, load_env of all and of some", async () => {
    expect(await output("list_env\n")).toBe("saved_entry=two\nother=1\n");
    expect(await output("load_env\necho $saved_entry $other\n")).toBe("two 1\n");
    expect(await output("load_env other\necho x$saved_entry $other\n")).toBe("x 1\n");
  });
  test("what save_env writes, a later load reads; nothing else changes", async () => {
    expect(await output("set other=changed\nsave_env other\nset other=\nload_env\necho $other\n")).toBe("changed\n");
  });
  test("no name, no block, a block that is none", async () => {
    expect(await status("save_env")).toBe("18\n");
    expect(await status("load_env -f /none")).toMatch(/^5\n$/);
    expect(await output("unset prefix\nload_env\necho $?\n")).toMatch(/^5\n$/);
  });
});

describe("loadfont", () => {
  test("a bare name is one of GRUB's own, a path is itself", async () => {
    expect(await status("loadfont unicode")).toBe("0\n");
    expect(await status("loadfont /boot/grub/fonts/unicode.pf2")).toBe("0\n");
    expect(await status("loadfont other")).toMatch(/^5\n$/);
    expect(await status("loadfont")).toMatch(/^18\n$/);
  });
});

describe("loopback", () => {
  test("an image is a device until it is deleted; one that is not there is none", async () => {
    expect(await status("loopback loop /vmlinuz")).toBe("0\n");
    expect(await status("loopback -d loop")).not.toBe("0\n");
    expect(await output("loopback loop /vmlinuz\nloopback -d loop\necho $?\n")).toBe("0\n");
    expect(await status("loopback")).toMatch(/^18\n$/);
    expect(await status("loopback loop")).toMatch(/^18\n$/);
    expect(await status("loopback loop /none")).toMatch(/^5\n$/);
  });
});

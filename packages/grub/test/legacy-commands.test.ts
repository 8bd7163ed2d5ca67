import { translateLegacy } from "@guestprobe/grub/legacy";
import { describe, expect, test } from "vitest";

/** The script of a menu.lst of these lines, one for each step, and what is run at its end. */
function scriptOf(text: string): { steps: string[]; suffix: string; unsupported: string[] } {
  const { steps, suffix, unsupported } = translateLegacy("menu.lst", new TextEncoder().encode(text));
  const join = (lines: readonly { readonly text: string }[]): string => lines.map((line) => line.text).join("\n");
  return {
    steps: steps.map(({ source }) => join(source.lines)),
    suffix: join(suffix.lines),
    unsupported: unsupported.map((one) => one.text),
  };
}

// The formats are those of the table legacy_commands in GRUB 2.06, lib/legacy_parse.c.
describe("each command becomes what legacy_parse.c makes of it", () => {
  test.each([
    ["blocklist (hd0,0)/x", "blocklist '(hd0,1)/x'"],
    ["boot", "boot"],
    ["cat /etc/issue", "cat '/etc/issue'"],
    ["chainloader +1", "chainloader  '+1'"],
    ["chainloader --force (hd0,1)+1", "chainloader --force '(hd0,2)+1'"],
    ["clear", "clear"],
    ["cmp /a (hd1,4)/b", "cmp '/a' '(hd1,5)/b'"],
    ["color cyan/blue white/black", "set color_normal='cyan/blue'; set color_highlight='white/black'"],
    ["color cyan/blue", "set color_normal='cyan/blue'; set color_highlight='blue/cyan'"],
    ["color red", "set color_normal='red'; set color_highlight='red'"],
    ["configfile (hd0,2)/menu", "legacy_configfile '(hd0,3)/menu'"],
    ["debug", 'if [ -z "$debug" ]; then set debug=all; else set debug=; fi'],
    ["displaymem", "lsmmap"],
    ["fallback 1 2", "set fallback='1 2'"],
    ["find /boot/x", "search -f '/boot/x'"],
    ["geometry hd0", "insmod regexp; ls -l (hd0*)"],
    ["halt", "halt"],
    ["hide (hd0,0)", "parttool '(hd0,1)' hidden+"],
    ["unhide (hd0,0)", "parttool '(hd0,1)' hidden-"],
    ["makeactive", 'parttool "$root" boot+'],
    ["map (hd0) (hd1)", "drivemap '(hd0)' '(hd1)'"],
    ["parttype (hd0,0) 0x83", "parttool '(hd0,1)' type=0x83"],
    ["pause press a key", "echo 'press' 'a' 'key'; if ! sleep -i 60; then return; fi"],
    ["print it's so", "echo 'it'\\''s' 'so'"],
    ["read 0x400", "read_dword 0x400"],
    ["read nonsense", "read_dword 0"],
    ["reboot", "reboot"],
    ["savedefault", "saved_entry=$chosen; save_env saved_entry"],
    ["serial --unit=0 --speed=9600", "serial '--unit=0' '--speed=9600'"],
    ["testload /x", "testload '/x'"],
    ["timeout 7", "set timeout=7"],
    ["uuid 1234-ABCD", "search --set=root --fs-uuid '1234-ABCD'"],
    ["rootnoverify (hd0,0,a)", "set root='(hd0,1,1)'; set legacy_hdbias='0'"],
  ])("%s", (line, script) => {
    expect(scriptOf(`${line}\n`).steps).toEqual([script]);
    // In an entry it is the same.
    expect(scriptOf(`title t\n${line}\n`).steps).toEqual([script]);
  });

  test("terminal is dropped, and what is not known is told", () => {
    expect(scriptOf("terminal serial console\nfindiso /x\n")).toEqual({
      steps: [],
      suffix: "",
      unsupported: ["findiso /x"],
    });
  });

  test("hiddenmenu is run at the end", () => {
    expect(scriptOf("hiddenmenu\ntimeout 3\n")).toEqual({
      steps: ["set timeout=3"],
      suffix: "if sleep -i $timeout; then timeout=0; else timeout=-1; fi\n",
      unsupported: [],
    });
  });
});

describe("passwords", () => {
  test("before the entries: a user; with a menu, only that menu at the end", () => {
    const superusers = 'if [ "$superusers" = "" ]; then superusers=legacy; fi;\n';
    expect(scriptOf("password --md5 $1$abc\n").steps).toEqual([`${superusers}legacy_password --md5 '$1$abc'`]);
    expect(scriptOf("password secret /menu\n")).toEqual({
      steps: [],
      suffix: `menuentry "Superuser menu" --users "legacy" { configfile '/menu'; }\n`,
      unsupported: [],
    });
  });

  test("in an entry: asked for there", () => {
    expect(scriptOf("title t\npassword secret /menu\n").steps).toEqual([
      "if legacy_check_password  'secret'; then configfile '/menu'; else return; fi",
    ]);
    // GRUB never closes this one.
    expect(scriptOf("title t\npassword --md5 x\n").steps).toEqual([
      "if ! legacy_check_password --md5 'x'; then return fi;",
    ]);
  });
});

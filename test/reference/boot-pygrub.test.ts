import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PygrubConfig, parsePygrubGrub2, parsePygrubLegacy } from "../../packages/boot/src/pygrub-config.js";
import { parsePygrubExtlinux } from "../../packages/boot/src/pygrub-extlinux.js";
import { unpackPackage } from "../boots/kernels.mjs";
import { Random } from "../lib/random.js";

const folder = mkdtempSync(join(tmpdir(), "boot-pygrub-"));
afterAll(() => rmSync(folder, { recursive: true }));
let library: string;
beforeAll(() => {
  library = join(unpackPackage(folder, "xen-utils-4.17"), "usr/lib/xen-4.17/lib/python");
});

const PARSERS = { grub2: parsePygrubGrub2, legacy: parsePygrubLegacy, extlinux: parsePygrubExtlinux } as const;
type Kind = keyof typeof PARSERS;

interface Taken {
  readonly title: string;
  readonly kernel: string;
  readonly args: string;
  readonly initrd: string | null;
}

const script = fileURLToPath(new URL("./pygrub.py", import.meta.url));

/** What pygrub's own parsers take; null where they end in an error. */
function byPygrub(kind: Kind, texts: readonly string[]): (Taken | null)[] {
  const input = texts.map((text) => `${JSON.stringify([kind, text])}\n`).join("");
  const out = execFileSync("python3", [script, library], { input, maxBuffer: 1 << 26 }).toString();
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Taken | null);
}

function taken(config: PygrubConfig): Taken | null {
  const entry = "fault" in config ? undefined : config.entries[config.default];
  if (entry?.kernel === undefined) return null;
  const { title, kernel, args, initrd } = entry;
  return { title, kernel, args, initrd: initrd ?? null };
}

/** Lines of which configurations are put together, right and wrong ones. */
const LINES: Readonly<Record<Kind, readonly string[]>> = {
  grub2: [
    "menuentry 'One' --class x {",
    'menuentry "Two" {',
    "menuentry 'Three'{",
    "menuentry Four {",
    "menuentry 'Five' ",
    "menuentry 'it's' 'x' { linux /y }",
    'menuentry_id_option="--id"',
    "submenu 'More' {",
    "}",
    "}",
    "}",
    "\tlinux\t/vmlinuz root=/dev/xvda1 ro",
    "\tlinux /vmlinuz\troot=x",
    "linux /vmlinuz",
    "linux (hd0,msdos1)/vmlinuz a  b ",
    "linux (lvm/x)/vmlinuz",
    "linux16 (hd0,1)/v a=b",
    "linuxefi /vmlinuz",
    "initrd /initrd.img",
    "initrd  /a /b",
    "set root='hd0,msdos1'",
    "set root='xen/xvda,msdos1'",
    "set root=(/dev/xvdb,gpt2)",
    "set root=hd0",
    "set root=",
    'set default="1"',
    "set default=1",
    'set default="${saved_entry}"',
    "set default=-1",
    "set default=99",
    "set a=b=c",
    "set a",
    "set",
    "set timeout=5",
    "function gfxmode {",
    "if [ x = y ]; then",
    "fi",
    "# comment",
    "",
    "search --no-floppy --fs-uuid --set=root 1234",
    "echo 'Loading'",
    "\u00a0echo\u2003x",
    "\ufeffset default=1",
  ],
  legacy: [
    "default 0",
    "default=1",
    "default\t\t1",
    "default saved",
    "default -2",
    "timeout 5",
    "title One",
    "title\t\tTwo",
    "title",
    "root (hd0)",
    "root\t\t(hd0,0)",
    "root (hd0,0,a)",
    "root (cd)",
    "rootnoverify (hd0,1)",
    "kernel /vmlinuz root=/dev/xvda1 ro",
    "kernel\t\t/vmlinuz\troot=x",
    "kernel (hd0,0)/vmlinuz",
    "kernel (nd/vmlinuz",
    "kernel --type=linux /vmlinuz a",
    "initrd /initrd.img",
    "initrd (hd0,0)/initrd.img",
    "splashimage=(hd0,0)/splash.xpm.gz",
    "splashimage (fd)/splash",
    "uuid 1234",
    "savedefault",
    "# comment",
    "",
  ],
  extlinux: [
    "DEFAULT linux",
    "default two",
    "default=linux",
    "LABEL linux",
    "label two",
    "LABEL=linux",
    "  KERNEL /vmlinuz",
    "  kernel vmlinuz a b",
    "  LINUX /vmlinuz",
    '  KERNEL "/vmlinuz"',
    "  KERNEL mboot.c32",
    "  APPEND root=/dev/xvda1 initrd=/initrd.img quiet",
    "  append initrd=/a INITRD=/b c",
    "  APPEND xen.gz --- vmlinuz x=y --- initrd.img",
    "  APPEND vmlinuz --- initrd.img",
    "  INITRD /initrd.img",
    "  MENU LABEL Linux",
    "PROMPT 1",
    "TIMEOUT 50",
    "# comment",
    "",
  ],
};

/** A sound configuration of each kind; most of those tried are this with a few lines put in. */
const SOUND: Readonly<Record<Kind, string>> = {
  grub2: `set default="1"
menuentry 'One' --class x {
	linux	/vmlinuz-1 root=/dev/xvda1 ro
	initrd	/initrd-1
}
submenu 'More' {
	menuentry 'Two' {
		linux /vmlinuz-2 single
	}
}`,
  legacy: "default 1\ntitle One\nroot (hd0,0)\nkernel /vmlinuz-1 a\ninitrd /i\ntitle Two\nkernel /vmlinuz-2",
  extlinux: "DEFAULT two\nLABEL one\n KERNEL /a\n APPEND x\nLABEL two\n KERNEL /b\n APPEND initrd=/i y",
};

describe("configurations as pygrub's own parsers read them", () => {
  for (const kind of ["grub2", "legacy", "extlinux"] as const) {
    test(kind, () => {
      const random = new Random(7);
      const pick = (): string => LINES[kind][random.below(LINES[kind].length)]!;
      const soup = (): string => Array.from({ length: 1 + random.below(14) }, pick).join("\n");
      const changed = (): string => {
        const lines = SOUND[kind].split("\n");
        for (let count = random.below(4); count > 0; count -= 1) {
          lines.splice(random.below(lines.length + 1), random.below(2), pick());
        }
        return lines.join("\n");
      };
      const texts = [
        SOUND[kind],
        ...Array.from({ length: 4000 }, (_, index) => (index % 4 === 0 ? soup() : changed())),
      ];
      const expected = byPygrub(kind, texts);
      expect(expected).toHaveLength(texts.length);
      // Both ways must be met often, or nothing is shown.
      expect(expected.filter((each) => each !== null).length).toBeGreaterThan(100);
      expect(expected.filter((each) => each === null).length).toBeGreaterThan(100);
      for (const [index, text] of texts.entries()) {
        expect(taken(PARSERS[kind](new TextEncoder().encode(text))), text).toEqual(expected[index]);
      }
    });
  }

  test("what is not UTF-8 is an error there", () => {
    expect(parsePygrubGrub2(new Uint8Array([0x23, 0xff, 0x0a]))).toMatchObject({ fault: expect.any(String) });
  });
});

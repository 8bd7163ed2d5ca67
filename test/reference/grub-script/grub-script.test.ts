import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { legacyMenu, legacyPlan, parseLegacy } from "@guestprobe/grub/legacy";
import type { BootMenu, BootPlan } from "@guestprobe/grub/menu";
import { memoryWorld, parseUnits, runFile, sourceFromFile } from "@guestprobe/grub/script";
import { parseSyslinux, syslinuxDefault, syslinuxMenu, syslinuxPlan } from "@guestprobe/grub/syslinux";
import { describe, expect, it } from "vitest";
import { actual, expected, type Recording } from "../../../packages/grub/test/recordings.js";
import { parseCases, recordCase } from "../../make/grub-emu.mjs";

const folder = fileURLToPath(new URL("./", import.meta.url));

/**
 * Every case again under the real GRUB, so that a recording can not go stale. Starting each menu entry takes minutes:
 * every eighth case has its entries started, all of them with GUESTPROBE_ALL_BOOTS=1 and when they are recorded.
 */
const BOOTS_EVERY = process.env.GUESTPROBE_ALL_BOOTS === "1" ? 1 : 8;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".cases"))) {
  describe(`grub-emu: ${file}`, () => {
    const cases = parseCases(readFileSync(`${folder}${file}`, "utf8")) as { name: string }[];
    it.each(cases.map((one, index) => [one.name, one, index] as const))("%s", async (_, one, index) => {
      const recording = recordCase(one, { boots: index % BOOTS_EVERY === 0 }) as unknown as Recording;
      expect(await actual(recording)).toEqual(expected(recording));
    });
  });
}

/** Pieces that random scripts are made of: tokens, and beginnings and ends of constructs. */
const PIECES = [
  ..."a b=1 if then else elif fi for in do done while until function { } ; ! [ ] [[ ]] && || | & < > ;; echo case esac select".split(
    " ",
  ),
  ..."$x ${x} $1 $? x$ ${ \" ' \\ #c $ 0 a-b é".split(" "),
  ...[
    '"q"',
    '"q $x"',
    "'s'",
    '$"t"',
    '"$"',
    "\\\n",
    "# c\n",
    "\n",
    "\n",
    " ",
    "\t",
    "menuentry 'x' {",
    "if true; then",
    "fi\n",
    "echo a;",
    "done\n",
    "foo() {",
    "function f {",
    "for i in a b; do",
    "} \n",
  ],
];

describe("grub-script-check accepts and refuses the same", () => {
  it("2,000 random token sequences", () => {
    let state = 20_240_601;
    const random = (bound: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    let accepted = 0;
    for (let count = 0; count < 2000; count++) {
      let text = "";
      for (let length = 1 + random(16); length > 0; length--) {
        text += PIECES[random(PIECES.length)] + (random(5) < 3 ? " " : "");
      }
      if (random(3) === 0) text += "\n";
      const { status } = spawnSync("grub-script-check", [], { input: text, timeout: 10_000 });
      // The program turns tabs and carriage returns into blanks and does not drop lines that start with #. It stops at
      // the first refusal, and also fails when there is nothing to run.
      const source = sourceFromFile("random", Buffer.from(text.replace(/[\t\r]/g, " ")));
      const units = [...parseUnits({ ...source, skipsHashLines: false })];
      const sound = units.every((unit) => unit.problem === undefined);
      const runs = units.some((unit) => unit.commands.length > 0);
      expect({ text, accepted: sound && (runs || units.length === 0) }).toEqual({ text, accepted: status === 0 });
      if (status === 0) accepted += 1;
    }
    // Both outcomes were really met.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(1900);
  });

  it("every case of this suite", () => {
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".cases"))) {
      for (const { name, files } of parseCases(readFileSync(`${folder}${file}`, "utf8")) as {
        name: string;
        files: Record<string, string>;
      }[]) {
        const text = files["/case.cfg"]!;
        const { status } = spawnSync("grub-script-check", [], { input: text, timeout: 10_000 });
        const units = [
          ...parseUnits({ ...sourceFromFile(name, Buffer.from(text.replace(/[\t\r]/g, " "))), skipsHashLines: false }),
        ];
        const sound =
          units.every((unit) => unit.problem === undefined) && units.some((unit) => unit.commands.length > 0);
        expect({ name, sound }).toEqual({ name, sound: status === 0 });
      }
    }
  });
});

const corpora = fileURLToPath(new URL("../../../../shared/corpora/bootcfg/", import.meta.url));

/** Real configurations that lie beside a checkout, with what was worked out for them by hand. */
describe.runIf(existsSync(corpora))("configurations of the corpora", () => {
  const lines = existsSync(corpora) ? readFileSync(`${corpora}expected.tsv`, "utf8").trim().split("\n").slice(1) : [];
  it.each(lines.map((line) => line.split("\t")))(
    "%s",
    async (file, dialect, _default, title, _root, kernel, args, initrd, timeout) => {
      const bytes = readFileSync(`${corpora}${file}`);
      let menu: BootMenu;
      let plan: BootPlan | undefined;
      if (dialect === "legacy") {
        const config = parseLegacy(file!, bytes);
        menu = legacyMenu(config);
        plan = legacyPlan(config, menu.default.path[0]!);
      } else if (dialect === "extlinux") {
        const config = await parseSyslinux(file!, bytes);
        menu = syslinuxMenu(config);
        plan = syslinuxPlan(config, syslinuxDefault(config));
      } else {
        const disk = "hd0,msdos1";
        const files: [string, string | Uint8Array][] = [[`(${disk})/boot/grub/grub.cfg`, bytes]];
        for (const path of [kernel, initrd]) if (path !== "-") files.push([`(${disk})${path}`, "x"]);
        const uuid = /--fs-uuid.* ([0-9a-f-]{36})/.exec(bytes.toString())?.[1];
        const world = memoryWorld(files, { hd0: {}, [disk]: { fs: "ext2", fsUuid: uuid } }, disk);
        const run = await runFile("/boot/grub/grub.cfg", { world, root: disk, platform: "pc" });
        menu = run.menu!;
        plan = (await run.boot([...menu.default.path])).plan;
      }
      expect(plan?.title).toBe(title);
      expect(plan?.kernel?.path).toBe(kernel);
      expect(plan?.cmdline?.trim()).toBe(args === "-" ? "" : args);
      expect(plan?.initrds.map(({ path }) => path)).toEqual(initrd === "-" ? [] : [initrd]);
      expect(menu.timeout).toBe(Number(timeout));
    },
  );
});

it("grub-emu is the version that the recordings are from", () => {
  expect(execFileSync("grub-emu", ["--version"], { encoding: "utf8" })).toContain("2.06");
});

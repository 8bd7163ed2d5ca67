import { blsMenu, parseBlsEntry } from "@guestprobe/grub/bls";
import { legacyMenu, liloMenu, parseLegacy, parseLilo, translateLegacy } from "@guestprobe/grub/legacy";
import { memoryWorld, runText } from "@guestprobe/grub/script";
import { parseSyslinux, syslinuxMenu } from "@guestprobe/grub/syslinux";
import { describe, expect, it } from "vitest";
import { stopwatch } from "../../../test/lib/stopwatch.mjs";

/** Milliseconds that any of these may take. What is quadratic takes minutes. */
const MAX_MS = 3000;
const LONG = 1 << 20;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function soon<T>(work: () => T | Promise<T>): Promise<T> {
  const spent = stopwatch();
  const result = await work();
  expect(spent()).toBeLessThan(MAX_MS);
  return result;
}

describe("a line of a mebibyte takes no more than its length", () => {
  const blanks = " ".repeat(LONG);

  it("menu.lst: blanks that are not the end", async () => {
    const config = await soon(() => parseLegacy("menu.lst", bytes(`title a\nkernel x${blanks}y\n`)));
    expect(config.entries[0]?.commands[0]?.rest.length).toBe(LONG + 2);
    expect(legacyMenu(config).entries).toHaveLength(1);
    await soon(() =>
      translateLegacy("menu.lst", bytes(`title a${blanks}b\nkernel x${blanks}y\nroot (hd0,0)${blanks}\n`)),
    );
  });

  it("menu.lst: blanks at the end are no part of a value", () => {
    expect(parseLegacy("menu.lst", bytes("title  a b \t \n")).entries[0]?.title).toBe("a b");
  });

  it("lilo.conf", async () => {
    const config = await soon(() => parseLilo("lilo.conf", bytes(`image=x${blanks}y\nlabel=a${blanks}b # c\n`)));
    expect(liloMenu(config).entries).toHaveLength(1);
    const quoted = await soon(() => parseLilo("lilo.conf", bytes(`image="${"\\\\".repeat(LONG)}\n`)));
    expect(quoted.entries[0]?.path.length).toBe(2 * LONG + 1);
  });

  it("lilo.conf: quotes, flags and comments", () => {
    const text = 'image = "/a \\"b" # c\n read-only # d\n label=x y # e\n append="un"closed\nnonsense here\n';
    const { entries } = parseLilo("lilo.conf", bytes(text));
    expect(entries[0]?.path).toBe('/a "b');
    expect(entries[0]?.options.map(({ name, value }) => [name, value])).toEqual([
      ["read-only", undefined],
      ["label", "x y"],
      ["append", '"un"closed'],
    ]);
  });

  it("syslinux.cfg", async () => {
    const config = await soon(() => parseSyslinux("syslinux.cfg", bytes(`LABEL a${blanks}b\nKERNEL x${blanks}y \n`)));
    expect(config.entries[0]?.file?.length).toBe(LONG + 2);
  });

  it("the default of a BLS menu: as many stars as fit", async () => {
    const entry = parseBlsEntry(`${"a".repeat(200)}.conf`, bytes("title t\nlinux /k\n"));
    const menu = await soon(() => blsMenu([entry], { default: `${"*a".repeat(2000)}*b` }));
    expect(menu.default.path).toEqual([0]);
    expect(blsMenu([entry], { default: "a*a?a.conf" }).default.why).toBe("default is `a*a?a.conf'");
  });

  it("grub.cfg: slashes behind a path", async () => {
    const world = memoryWorld([["(hd0)/d/f", "x"]]);
    const run = await soon(() =>
      runText("grub.cfg", `if [ -d /d${"/".repeat(LONG >> 1)}x ]; then echo yes; fi`, { world }),
    );
    expect(run.transcript).toEqual([]);
    const found = await runText("grub.cfg", "if [ -d /d// ]; then echo yes; fi", { world });
    expect(found.transcript.map(({ text }) => text)).toEqual(["yes\n"]);
  });
});

it("syslinux.cfg: submenus inside each other do not multiply the labels", async () => {
  const deep = "MENU BEGIN m\n".repeat(20_000) + "LABEL a\nKERNEL k\n".repeat(20_000) + "MENU END\n".repeat(20_000);
  const config = await soon(() => parseSyslinux("syslinux.cfg", bytes(`${deep}LABEL last\nKERNEL k\n`)));
  expect(config.entries[0]?.menus).toHaveLength(64);
  expect(config.entries.at(-1)?.menus).toEqual([]);
  expect(config.problems[0]?.what).toBe("more than 64 submenus inside each other");
  await soon(() => syslinuxMenu(config));
});

describe("many of a kind take no more than their number", () => {
  it("functions", async () => {
    const names = Array.from({ length: 60_000 }, (_, n) => `function f${n} { true; }`);
    const run = await soon(() =>
      runText("grub.cfg", `${names.join("\n")}\nf59999 && echo yes`, { world: memoryWorld([]) }),
    );
    expect(run.reason).toBe("end");
  });

  it("exported variables, and files that each start with copies of them", async () => {
    const exports = Array.from({ length: 50_000 }, (_, n) => `export v${n}`).join("\n");
    const world = memoryWorld([["(hd0)/f", "true"]]);
    const run = await soon(() => runText("grub.cfg", `${exports}\nwhile true; do configfile /f; done`, { world }));
    expect(run.error?.message).toContain("steps");
  });
});

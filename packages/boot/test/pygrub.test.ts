import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type PygrubConfig, parsePygrubGrub2, parsePygrubLegacy } from "../src/pygrub-config.js";
import { parsePygrubExtlinux } from "../src/pygrub-extlinux.js";

const PARSERS = { grub2: parsePygrubGrub2, legacy: parsePygrubLegacy, extlinux: parsePygrubExtlinux } as const;

interface Row {
  readonly kind: keyof typeof PARSERS;
  readonly text: string;
  /** What pygrub's own parser took; null where it ended in an error. */
  readonly taken: {
    readonly title: string;
    readonly kernel: string;
    readonly args: string;
    readonly initrd: string;
  } | null;
}
const rows = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/pygrub/configs.json", import.meta.url), "utf8"),
) as Row[];

function taken(config: PygrubConfig): Record<string, string | null> | null {
  const entry = "fault" in config ? undefined : config.entries[config.default];
  if (entry?.kernel === undefined) return null;
  const { title, kernel, args, initrd } = entry;
  return { title, kernel, args, initrd: initrd ?? null };
}

test.each(Object.entries(PARSERS))("%s: what pygrub's own parser takes, or its end in an error", (kind, parse) => {
  const own = rows.filter((row) => row.kind === kind);
  for (const { text, taken: wanted } of own) expect(taken(parse(Buffer.from(text))), text).toEqual(wanted);
  // Both ways are met, or nothing is shown; syslinux's is hard to offend.
  expect(own.filter((row) => row.taken !== null).length).toBeGreaterThan(20);
  if (kind !== "extlinux") expect(own.filter((row) => row.taken === null).length).toBeGreaterThan(10);
});

test("a fault names its line, and a text that is not UTF-8 has none", () => {
  expect(parsePygrubGrub2(Buffer.from("set a=b\n}\n"))).toEqual({
    fault: "a closing brace without an entry",
    line: 2,
  });
  for (const parse of Object.values(PARSERS)) {
    expect(parse(Uint8Array.of(0x61, 0xff, 0x0a))).toEqual({ fault: "a configuration that is not UTF-8", line: 0 });
  }
});

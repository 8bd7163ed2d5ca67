import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PygrubConfig, parsePygrubGrub2, parsePygrubLegacy } from "../../packages/boot/src/pygrub-config.js";
import { parsePygrubExtlinux } from "../../packages/boot/src/pygrub-extlinux.js";
import { unpackPackage } from "../boots/kernels.mjs";
import { LINES, SOUND } from "../lib/pygrub-configs.mjs";
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

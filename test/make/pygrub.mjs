/**
 * Builds test/fixtures/pygrub/configs.json: configurations, and what pygrub's own parsers of Debian's xen-utils-4.17 take
 * from each; null where they end in an error. Needs apt and python3. Usage: node test/make/pygrub.mjs
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unpackPackage } from "../boots/kernels.mjs";
import { LINES, SOUND } from "../lib/pygrub-configs.mjs";

const target = fileURLToPath(new URL("../fixtures/pygrub/", import.meta.url));
const script = fileURLToPath(new URL("../reference/pygrub.py", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "make-pygrub-"));

/** Each KERNEL with each APPEND: what Xen's loader of modules makes of its own is a case by itself. */
const extlinuxPairs = LINES.extlinux
  .filter((line) => /kernel/i.test(line))
  .flatMap((kernel) => LINES.extlinux.filter((line) => /append/i.test(line)).map((append) => [kernel, append]))
  .map(([kernel, append]) => `LABEL x\n${kernel}\n${append}`);

/** The sound one, and it with each line in front, at each third line, and at the end. */
function textsOf(kind) {
  const sound = SOUND[kind].split("\n");
  const places = [0, 3, 6, sound.length].filter((place) => place <= sound.length);
  return [
    SOUND[kind],
    ...LINES[kind].flatMap((line) => places.map((place) => sound.toSpliced(place, 0, line).join("\n"))),
    ...(kind === "extlinux" ? extlinuxPairs : []),
  ];
}

try {
  const library = join(unpackPackage(folder, "xen-utils-4.17"), "usr/lib/xen-4.17/lib/python");
  const asked = Object.keys(SOUND).flatMap((kind) => textsOf(kind).map((text) => [kind, text]));
  const input = asked.map((one) => `${JSON.stringify(one)}\n`).join("");
  const answers = execFileSync("python3", [script, library], { input, encoding: "utf8" }).trimEnd().split("\n");
  const rows = asked.map(([kind, text], n) => JSON.stringify({ kind, text, taken: JSON.parse(answers[n]) }));
  mkdirSync(target, { recursive: true });
  writeFileSync(`${target}configs.json`, `[\n${rows.join(",\n")}\n]\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

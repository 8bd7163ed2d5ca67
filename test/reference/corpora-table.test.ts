/**
 * docs/corpora.md says how each image of public test suites ends, so that a change is seen in review. Run with
 * UPDATE_DOCS=1 it writes the table anew.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bounded, type Outcome, outcomeOf } from "../lib/bounded.js";
import { corpus } from "../lib/corpora.js";

const page = new URL("../../docs/corpora.md", import.meta.url);
const images = [...corpus("ext"), ...corpus("btrfs")];
const START = "| image | file system | sound files | errors of files | findings |\n";

function row(name: string, { refused, kind, sound, errors, findings }: Outcome): string {
  const list = (codes: readonly string[]): string =>
    codes.length === 0 ? "" : codes.map((code) => `\`${code}\``).join(" ");
  const opened = kind ?? (refused === "none" ? "not recognised" : `refused: \`${refused}\``);
  return `| ${name.replace(/\.img\.gz$/, "")} | ${opened} | ${sound} | ${list(errors)} | ${list(findings)} |`;
}

test.skipIf(images.length === 0)(
  "every public image ends as documented, in 5 s and 256 MiB",
  { timeout: 600_000 },
  async () => {
    const rows: string[] = [];
    for (const { name, bytes } of images) {
      const image = bytes();
      const outcome = await bounded(name, () => outcomeOf(image));
      rows.push(row(name, outcome!));
    }
    const text = readFileSync(page, "utf8");
    const head = text.slice(0, text.indexOf(START));
    const table = `${START}| --- | --- | ---: | --- | --- |\n${rows.join("\n")}\n`;
    if (process.env.UPDATE_DOCS === "1") writeFileSync(page, head + table);
    else expect(text.slice(head.length)).toBe(table);
  },
);

test.runIf(images.length === 0)("public images are absent", () => {
  console.warn("no images beside the repository: docs/corpora.md was not compared");
});

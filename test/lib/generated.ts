import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/**
 * Holds a section of a page under docs/ against what a test has just found: the text between
 * `<!-- generated: NAME -->` and `<!-- end: NAME -->`. With GUESTPROBE_UPDATE=1 in the environment it is written anew
 * instead, and the change shows in review.
 */
export function expectSection(page: string, name: string, lines: readonly string[]): void {
  const path = fileURLToPath(new URL(`../../docs/${page}`, import.meta.url));
  const text = readFileSync(path, "utf8");
  const [head, foot] = [`<!-- generated: ${name} -->\n`, `<!-- end: ${name} -->`];
  const from = text.indexOf(head) + head.length;
  const to = text.indexOf(foot);
  if (from < head.length || to < from) throw new Error(`docs/${page} has no section ${name}`);
  const found = `${lines.join("\n")}\n`;
  if (process.env.GUESTPROBE_UPDATE === "1") writeFileSync(path, text.slice(0, from) + found + text.slice(to));
  else expect(text.slice(from, to), `docs/${page}, section ${name}; GUESTPROBE_UPDATE=1 rewrites it`).toBe(found);
}

/** Lines of a Markdown table. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(titles), line(titles.map(() => "---")), ...rows.map(line)];
}

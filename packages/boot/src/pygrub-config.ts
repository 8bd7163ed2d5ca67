import { decodeText } from "@guestprobe/block";

/** An entry as pygrub reads it from a grub.cfg. */
export interface PygrubEntry {
  readonly title: string;
  /** From 1. */
  readonly line: number;
  readonly kernel: string | undefined;
  readonly args: string;
  readonly initrd: string | undefined;
}

/** What pygrub reads of a configuration, or why it gives the volume up. */
export type PygrubConfig =
  | { readonly entries: readonly PygrubEntry[]; readonly default: number }
  | { readonly fault: string; readonly line: number };

/** pygrub reads no more of a configuration, bytes. */
export const PYGRUB_CONFIG_BYTES = 1 << 20;

/**
 * A grub.cfg as pygrub's parser reads it, line by line and without its language. Xen 4.17, tools/pygrub/src/GrubConf.py,
 * class Grub2ConfigFile: conditions are not looked at, functions are skipped, submenus are flattened.
 */
export function parsePygrubGrub2(bytes: Uint8Array): PygrubConfig {
  const entries: PygrubEntry[] = [];
  let chosen = "0";
  let open: { title: string; line: number; lines: { text: string; line: number }[] } | undefined;
  let inFunction = false;
  let menuLevel = 0;
  const lines = decodeText(bytes.subarray(0, PYGRUB_CONFIG_BYTES)).split("\n");
  for (const [index, raw] of lines.entries()) {
    const text = raw.trim();
    const line = index + 1;
    if (text === "" || text.startsWith("#")) continue;
    if (inFunction) {
      if (text.startsWith("}")) inFunction = false;
      continue;
    }
    if (text.startsWith("function")) {
      inFunction = true;
      continue;
    }
    if (text.startsWith("menuentry")) {
      const title = menuentryTitle(text);
      if (title === undefined) return { fault: "a menuentry without a quoted title and a brace on one line", line };
      if (open !== undefined) return { fault: "an entry inside an entry", line };
      open = { title, line, lines: [] };
      continue;
    }
    if (text.startsWith("submenu")) {
      menuLevel += 1;
      continue;
    }
    if (text.startsWith("}")) {
      if (open === undefined) {
        if (menuLevel === 0) return { fault: "a closing brace without an entry", line };
        menuLevel -= 1;
        continue;
      }
      const entry = readEntry(open);
      if ("fault" in entry) return entry;
      entries.push(entry);
      open = undefined;
      continue;
    }
    if (open !== undefined) {
      open.lines.push({ text, line });
      continue;
    }
    const setting = /^set\s+default\s*=\s*(.*)$/.exec(text);
    if (setting !== null) chosen = setting[1]!.replace(/^["']|["']$/g, "");
  }
  if (open !== undefined) return { fault: "an entry without an end", line: open.line };
  const number = /^[0-9]+$/.test(chosen) ? Number(chosen) : 0;
  return { entries, default: number < entries.length ? number : 0 };
}

/** pygrub's own pattern is `^menuentry ["'](.*?)["'](.*?)\{`, which takes the square of a line full of quotes. */
function menuentryTitle(text: string): string | undefined {
  if (!/^menuentry ["']/.test(text)) return undefined;
  const body = text.slice("menuentry '".length);
  const end = body.search(/["']/);
  return end >= 0 && body.includes("{", end + 1) ? body.slice(0, end) : undefined;
}

function readEntry(open: {
  readonly title: string;
  readonly line: number;
  readonly lines: readonly { text: string; line: number }[];
}): PygrubEntry | { fault: string; line: number } {
  let kernel: string | undefined;
  let args = "";
  let initrd: string | undefined;
  for (const { text, line } of open.lines) {
    const [command, ...words] = text.split(/[ \t]+/);
    const rest = text.slice(command!.length).trim();
    if (command === "set") {
      const root = /^root\s*=\s*(.*)$/.exec(rest)?.[1];
      // The device is parsed as (hdN,M), and anything else ends the parser.
      if (root !== undefined && !/^["']?\(?hd[0-9]+(,(msdos|gpt)?[0-9]+)?\)?["']?$/.test(root)) {
        return { fault: `a root that is not of the form hdN,M: ${root}`, line };
      }
    } else if (command === "linux" || command === "linux16" || command === "multiboot") {
      const [file, ...more] = words;
      if (file?.startsWith("(") === true && !/^\(hd[0-9]+(,(msdos|gpt)?[0-9]+)?\)/.test(file)) {
        return { fault: `a device that is not of the form hdN,M: ${file}`, line };
      }
      if (command === "multiboot") continue;
      kernel = file?.replace(/^\([^)]*\)/, "");
      args = rest.includes(" ") ? rest.slice(rest.indexOf(" ") + 1).trim() : more.join(" ");
    } else if (command === "initrd" || command === "initrd16") {
      initrd = rest.replace(/^\([^)]*\)/, "");
    }
  }
  return { title: open.title, line: open.line, kernel, args, initrd };
}

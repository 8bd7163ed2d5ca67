import { decodeTextStrict } from "@guestprobe/block";

/** An entry as pygrub reads it from a configuration. */
export interface PygrubEntry {
  readonly title: string;
  /** Of the kernel or, without one, of the title; from 1. */
  readonly line: number;
  readonly kernel: string | undefined;
  readonly args: string;
  readonly initrd: string | undefined;
}

/** What pygrub reads of a configuration, or why it gives the volume up: any error ends its parser. */
export type PygrubConfig =
  | { readonly entries: readonly PygrubEntry[]; readonly default: number }
  | { readonly fault: string; readonly line: number };

/** pygrub reads no more of a configuration, bytes. */
export const PYGRUB_CONFIG_BYTES = 1 << 20;

/** Ends the parser, as an exception does there. */
export class PygrubFault {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A line that is neither blank nor a comment. */
export interface PygrubLine {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Runs a parser over the lines of a configuration. Xen 4.17, tools/pygrub/src/pygrub, Grub.read_config: the text must be
 * UTF-8, and so must its last character, where a long file is cut.
 */
export function parseLines(
  bytes: Uint8Array,
  parse: (lines: Generator<PygrubLine>) => { entries: readonly PygrubEntry[]; default: number },
): PygrubConfig {
  const text = decodeTextStrict(bytes.subarray(0, PYGRUB_CONFIG_BYTES));
  if (text === undefined) return { fault: "a configuration that is not UTF-8", line: 0 };
  let at = 0;
  function* lines(): Generator<PygrubLine> {
    for (const [index, raw] of text!.split("\n").entries()) {
      at = index + 1;
      const line = strip(raw);
      if (line !== "" && !line.startsWith("#")) yield { text: line, line: at };
    }
  }
  try {
    const config = parse(lines());
    return { ...config, default: config.default < config.entries.length ? config.default : 0 };
  } catch (thrown) {
    if (!(thrown instanceof PygrubFault)) throw thrown;
    return { fault: thrown.reason, line: at };
  }
}

/** What counts as a blank there. */
const SPACE = /[\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

const SPACES = new RegExp(`${SPACE.source}+`);

/** Python's str.strip(), which knows other blanks than JavaScript's. */
export function strip(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && SPACE.test(text[start]!)) start += 1;
  while (end > start && SPACE.test(text[end - 1]!)) end -= 1;
  return text.slice(start, end);
}

/** Python's int(). */
function toInteger(text: string): number | undefined {
  return /^\s*[+-]?[0-9]+(_[0-9]+)*\s*$/.test(text) ? Number(text.replaceAll("_", "")) : undefined;
}

/** Up to `most` pieces of a line, between "=" if the first one comes before any blank, and between blanks otherwise. */
function pieces(text: string, most: number): string[] {
  const equals = text.indexOf("=");
  const blank = text.search(/[ \t]/);
  const byEquals = equals >= 0 && (blank < 0 || equals < blank);
  const separator = byEquals ? /=/ : SPACES;
  const found: string[] = [];
  let rest = byEquals ? text : strip(text);
  while (found.length < most - 1) {
    const match = separator.exec(rest);
    if (match === null) break;
    found.push(rest.slice(0, match.index));
    rest = rest.slice(match.index + match[0].length);
  }
  return rest === "" && !byEquals ? found : [...found, rest];
}

/** A command and what follows it. */
export function splitCommand(text: string): readonly [command: string, rest: string] {
  const [command = "", rest = ""] = pieces(text, 2);
  return [command, strip(rest)];
}

/** A kernel's file and its arguments; where there is no blank, a tab does not divide them either. */
export function splitKernel(value: string): readonly [file: string, args: string] {
  const match = value.includes(" ") ? SPACES.exec(value) : null;
  return match === null ? [value, ""] : [value.slice(0, match.index), value.slice(match.index + match[0].length)];
}

/** `set NAME=VALUE`: exactly one "=", or one blank; one pair of quotes around the value is taken off. */
function splitSetting(text: string): readonly [name: string, value: string] {
  const found = pieces(text, 3);
  if (found.length !== 2) throw new PygrubFault(`a variable that is not set by one word: ${text}`);
  const [name, value] = found as [string, string];
  return [name, strip(/^(["'])(.*)\1/.exec(value)?.[2] ?? value)];
}

/** Checks a device as it is read there: two letters and a number, and perhaps a partition. */
function checkDevice(text: string): void {
  const parts = text.split(",");
  const disk = parts[0]!.replace(/[()]/g, "");
  const known = disk.startsWith("/dev/xvd") ? disk.length > 8 : toInteger(disk.slice(2)) !== undefined;
  const part = parts[1]
    ?.replace(/[()]/g, "")
    .replace(/^msdos/, "")
    .replace(/^gpt/, "");
  if (parts.length > 2 || !known || (part !== undefined && toInteger(part) === undefined)) {
    throw new PygrubFault(`a device that is not of the form hdN,M: ${text}`);
  }
}

/** A path whose device is read, and then left out: files come from the volume that the configuration is on. */
function withoutDevice(text: string): string {
  if (!text.startsWith("(")) return text;
  const end = text.indexOf(")");
  if (end < 0) throw new PygrubFault(`a device without its closing parenthesis: ${text}`);
  checkDevice(text.slice(0, end));
  return text.slice(end + 1);
}

type Directive = "root" | "kernel" | "initrd";

function readEntry(
  title: PygrubLine,
  lines: readonly PygrubLine[],
  directive: (text: string) => readonly [Directive | undefined, string],
): PygrubEntry {
  let kernel: string | undefined;
  let args = "";
  let initrd: string | undefined;
  let { line } = title;
  for (const each of lines) {
    const [what, value] = directive(each.text);
    if (what === "root") checkDevice(value);
    else if (what === "initrd") initrd = withoutDevice(value);
    else if (what === "kernel") {
      line = each.line;
      const [file, rest] = splitKernel(value);
      kernel = withoutDevice(file);
      args = rest;
    }
  }
  return { title: strip(title.text), line, kernel, args, initrd };
}

/** `default`: a number from 0; anything else is 0. */
function readDefault(value: string): number {
  const number = toInteger(value) ?? 0;
  if (number < 0) throw new PygrubFault(`a default below 0: ${value}`);
  return number;
}

const GRUB2_DIRECTIVES: ReadonlyMap<string, Directive> = new Map([
  ["linux", "kernel"],
  ["linux16", "kernel"],
  ["initrd", "initrd"],
  ["initrd16", "initrd"],
]);

function grub2Directive(text: string): readonly [Directive | undefined, string] {
  const [command, rest] = splitCommand(text);
  if (command !== "set") return [GRUB2_DIRECTIVES.get(command), rest];
  const [name, value] = splitSetting(rest);
  return [name === "root" ? "root" : undefined, value];
}

/** The title of a line that begins an entry: quoted, with a blank after it and a brace further on. */
function titleOf(text: string): string | undefined {
  if (!/^menuentry ["']/.test(text)) return undefined;
  const brace = text.lastIndexOf("{");
  for (let at = 11; at + 2 <= brace; at += 1) {
    if ((text[at] === '"' || text[at] === "'") && text[at + 1] === " ") return text.slice(11, at);
  }
  return undefined;
}

/**
 * A grub.cfg as pygrub reads it, line by line and without its language. Xen 4.17, tools/pygrub/src/GrubConf.py, class
 * Grub2ConfigFile: conditions are not looked at, functions are skipped, submenus are flattened, and the last `default` counts.
 */
export function parsePygrubGrub2(bytes: Uint8Array): PygrubConfig {
  return parseLines(bytes, (lines) => {
    const entries: PygrubEntry[] = [];
    let chosen = 0;
    let open: { title: PygrubLine; lines: PygrubLine[] } | undefined;
    let inFunction = false;
    let menus = 0;
    for (const each of lines) {
      const { text, line } = each;
      if (text.startsWith("function")) {
        inFunction = true;
        continue;
      }
      if (inFunction) {
        if (text.startsWith("}")) inFunction = false;
        continue;
      }
      const title = titleOf(text);
      if (title !== undefined) {
        if (open !== undefined) throw new PygrubFault("an entry inside an entry");
        open = { title: { text: title, line }, lines: [] };
      } else if (text.startsWith("submenu")) menus += 1;
      else if (text.startsWith("}")) {
        if (open !== undefined) entries.push(readEntry(open.title, open.lines, grub2Directive));
        else if (menus > 0) menus -= 1;
        else throw new PygrubFault("a closing brace without an entry");
        open = undefined;
      } else if (open !== undefined) open.lines.push(each);
      else {
        const [command, rest] = splitCommand(text);
        if (command !== "set") continue;
        const [name, value] = splitSetting(rest);
        if (name === "default") chosen = readDefault(value);
      }
    }
    if (open !== undefined) throw new PygrubFault("an entry without an end");
    return { entries, default: chosen };
  });
}

const LEGACY_DIRECTIVES: ReadonlyMap<string, Directive> = new Map([
  ["root", "root"],
  ["rootnoverify", "root"],
  ["kernel", "kernel"],
  ["initrd", "initrd"],
]);

function legacyDirective(text: string): readonly [Directive | undefined, string] {
  const [command, rest] = splitCommand(text);
  return [LEGACY_DIRECTIVES.get(command), rest];
}

/** A menu.lst as pygrub reads it. Xen 4.17, tools/pygrub/src/GrubConf.py, class GrubConfigFile. */
export function parsePygrubLegacy(bytes: Uint8Array): PygrubConfig {
  return parseLines(bytes, (lines) => {
    const entries: PygrubEntry[] = [];
    let chosen = 0;
    let open: { title: PygrubLine; lines: PygrubLine[] } | undefined;
    const close = (): void => {
      if (open !== undefined) entries.push(readEntry(open.title, open.lines, legacyDirective));
    };
    for (const each of lines) {
      if (each.text.startsWith("title")) {
        close();
        open = { title: { text: each.text.slice(6), line: each.line }, lines: [] };
      } else if (open !== undefined) open.lines.push(each);
      else {
        const [command, rest] = splitCommand(each.text);
        if (command === "default") chosen = readDefault(rest);
        else if (command === "splashimage") withoutDevice(rest);
      }
    }
    // A title at the very end, with nothing below it, is no entry.
    if (open !== undefined && open.lines.length > 0) close();
    return { entries, default: chosen };
  });
}

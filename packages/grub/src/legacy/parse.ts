import type { BootMenu, BootPlan, PlanDoubt, PlanFile } from "../menu/types.js";
import { type Position, sourceFromFile } from "../script/source.js";
import { parseNumber } from "../script/text.js";
import { type LegacyCommand, legacyCommands } from "./lines.js";

export interface LegacyEntry {
  readonly title: string;
  readonly at: Position;
  readonly commands: readonly LegacyCommand[];
}

/** The block that Debian's update-grub keeps in comments. Loaders do not read it; people do. */
export interface AutomagicOption {
  readonly name: string;
  readonly value: string;
  readonly at: Position;
}

/** A menu.lst, as GRUB legacy reads it: commands before the first `title` are settings. */
export interface LegacyConfig {
  readonly settings: readonly LegacyCommand[];
  readonly entries: readonly LegacyEntry[];
  readonly automagic: readonly AutomagicOption[];
}

export function parseLegacy(file: string, bytes: Uint8Array): LegacyConfig {
  const settings: LegacyCommand[] = [];
  const entries: { title: string; at: Position; commands: LegacyCommand[] }[] = [];
  for (const command of legacyCommands(file, bytes)) {
    if (command.name === "title") entries.push({ title: command.rest, at: command.at, commands: [] });
    else (entries.at(-1)?.commands ?? settings).push(command);
  }
  return { settings, entries, automagic: automagicOptions(file, bytes) };
}

function automagicOptions(file: string, bytes: Uint8Array): AutomagicOption[] {
  const options: AutomagicOption[] = [];
  let inside = false;
  for (const { text, line, column, byte } of sourceFromFile(file, bytes).lines) {
    if (/^## ## Start Default Options ##/.test(text)) inside = true;
    else if (/^## ## End Default Options ##/.test(text)) inside = false;
    // One mark is an option, two are its explanation.
    const match = inside ? /^# ?([A-Za-z0-9_]+)=(.*)$/s.exec(text) : null;
    if (match !== null) options.push({ name: match[1]!, value: match[2]!, at: { file, line, column, byte } });
  }
  return options;
}

/** Commands that change nothing about what is loaded. */
const HARMLESS: ReadonlySet<string> = new Set([
  "boot",
  "color",
  "debug",
  "foreground",
  "background",
  "gfxmenu",
  "hiddenmenu",
  "makeactive",
  "pager",
  "pause",
  "print",
  "quiet",
  "savedefault",
  "serial",
  "setkey",
  "shade",
  "silent",
  "splashimage",
  "terminal",
  "terminfo",
  "verbose",
  "viewport",
]);

export interface LegacyMenuOptions {
  /** What the file `default` beside the menu holds, for `default saved`. */
  readonly saved?: number | undefined;
}

const last = (config: LegacyConfig, name: string) => config.settings.findLast((command) => command.name === name);

function number(text: string): number | undefined {
  const { value, fault } = parseNumber(text);
  return fault === undefined && value < 1n << 31n ? Number(value) : undefined;
}

/** The menu as GRUB legacy shows it. Entries have no names but their titles, and no submenus. */
export function legacyMenu(config: LegacyConfig, options: LegacyMenuOptions = {}): BootMenu {
  const password = last(config, "password");
  const timeout = last(config, "timeout");
  return {
    language: "grub-legacy",
    entries: config.entries.map(({ title, at, commands }, index) => ({
      kind: "entry",
      title,
      id: title,
      index,
      at,
      users: commands.some(({ name }) => name === "lock" || name === "password") ? [] : undefined,
      hotkey: undefined,
      classes: [],
      entries: undefined,
    })),
    default: legacyDefault(config, options),
    fallback: (last(config, "fallback")?.rest ?? "")
      .split(/[ \t]+/)
      .map(number)
      .filter((value) => value !== undefined),
    timeout: timeout === undefined ? undefined : number(timeout.rest),
    style: last(config, "hiddenmenu") === undefined ? "menu" : "hidden",
    superusers: password === undefined ? [] : ["the holder of the menu's password"],
  };
}

function legacyDefault(config: LegacyConfig, { saved }: LegacyMenuOptions): BootMenu["default"] {
  const command = last(config, "default");
  const choose = (index: number, why: string): BootMenu["default"] => {
    if (config.entries.length === 0) return { path: [], why: "the menu is empty", at: command?.at };
    if (index < config.entries.length) return { path: [index], why, at: command?.at };
    return { path: [0], why: `there is no entry ${index}, so it is the first`, at: command?.at };
  };
  if (command === undefined) return choose(0, "no default is set, so it is the first");
  if (command.rest === "saved") {
    return saved === undefined
      ? choose(0, "default is `saved', and nothing was saved, so it is the first")
      : choose(saved, `default is \`saved', and entry ${saved} was saved`);
  }
  const index = number(command.rest);
  return index === undefined
    ? choose(0, `\`${command.rest}' is no number, so it is the first`)
    : choose(index, `default is ${index}`);
}

/** `(hd0,0)/path`: the device as GRUB legacy names it, disks and partitions from 0. */
function splitFile(name: string): { device: string | undefined; path: string } {
  const match = /^\(([^)]*)\)(.*)$/s.exec(name);
  return match === null ? { device: undefined, path: name } : { device: match[1]!, path: match[2]! };
}

/** What starting entry `index` would load, as pv-grub and GRUB legacy do it: command after command. */
export function legacyPlan(config: LegacyConfig, index: number): BootPlan | undefined {
  const entry = config.entries[index];
  if (entry === undefined) return undefined;
  let root: BootPlan["root"];
  let command: string | undefined;
  let kernel: PlanFile | undefined;
  let initrds: PlanFile[] = [];
  let modules: PlanFile[] = [];
  let locked = false;
  const problems: PlanDoubt[] = [];
  const doubts: PlanDoubt[] = [];
  const file = (text: string, at: Position): PlanFile | undefined => {
    const words = /^(\S+)[ \t]*(.*)$/s.exec(text);
    if (words === null) {
      problems.push({ what: "no file is named", at });
      return undefined;
    }
    const { device = root?.device, path } = splitFile(words[1]!);
    return { device, path, args: words[2]!, at, found: undefined };
  };
  for (const { name, rest, at } of entry.commands) {
    if (name === "root" || name === "rootnoverify") {
      const { device, path } = splitFile(rest.split(/[ \t]/)[0]!);
      root = { device: device ?? path, at };
    } else if (name === "kernel" || name === "chainloader") {
      const options = /^((?:--\S+[ \t]+)*)(.*)$/s.exec(rest)!;
      command = name;
      kernel = file(options[2]!, at);
      // A new kernel drops what was loaded for the one before.
      initrds = [];
      modules = [];
    } else if (name === "initrd" || name === "module" || name === "modulenounzip") {
      if (kernel === undefined) problems.push({ what: `${name} before any kernel`, at });
      const loaded = file(rest, at);
      if (loaded === undefined) continue;
      if (name === "initrd") initrds = [loaded];
      else modules.push(loaded);
    } else if (name === "lock" || name === "password") {
      locked = true;
    } else if (name === "uuid" || name === "findiso" || name === "find" || name === "configfile" || name === "map") {
      doubts.push({ what: `${name} ${rest}: depends on the volumes, and is not followed`, at });
      if (name === "uuid") root = { device: `UUID ${rest}`, at };
    } else if (!HARMLESS.has(name)) {
      doubts.push({ what: `unknown command ${name}`, at });
    }
  }
  return {
    path: [index],
    title: entry.title,
    command: kernel === undefined ? undefined : command,
    kernel,
    cmdline: kernel?.args,
    initrds,
    modules,
    root,
    problems,
    doubts,
    locked,
  };
}

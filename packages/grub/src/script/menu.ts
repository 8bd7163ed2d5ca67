import type { BootMenu, BootPlan, MenuEntry, PlanFile } from "../menu/types.js";
import { LimitReached } from "./budget.js";
import type { Machine } from "./machine.js";
import { type Entry, Halt, type LoadedFile } from "./machine-types.js";
import { isSpace, parseNumber } from "./text.js";

/** Submenus are opened to list them; past these bounds they are left closed. */
const MAX_SUBMENUS = 200;
const MAX_SUBMENU_DEPTH = 6;
/** The default is followed this deep; a submenu that defines itself would go on for ever. */
const MAX_DEFAULT_DEPTH = 16;

/** Whether `spec`, up to a lone `>`, names an entry called `name`; `>>` stands for `>` (normal/menu.c, menuentry_eq). */
function names(name: string, spec: string): boolean {
  let at = 0;
  for (const character of name) {
    if (spec[at] === ">") {
      if (spec[at + 1] !== ">") return false;
      at += 1;
    }
    const length = character.length;
    if (spec.slice(at, at + length) !== character) return false;
    at += length;
  }
  return at === spec.length || (spec[at] === ">" && spec[at + 1] !== ">");
}

function leadingNumber(text: string): { value: number; rest: string } | undefined {
  const { value, end, fault } = parseNumber(text);
  return fault === undefined ? { value: Number(BigInt.asIntN(32, value)), rest: text.slice(end) } : undefined;
}

interface Resolved {
  readonly index: number;
  readonly why: string;
  /** What follows in a list of entries, or `undefined` when the whole text was used. */
  readonly rest: string;
}

/** The entry that a value of `default` or `fallback` names; undefined when it names none. */
function resolve(machine: Machine, entries: readonly Entry[], spec: string): Resolved | undefined {
  const number = leadingNumber(spec);
  const numbered = (): Resolved | undefined =>
    number === undefined
      ? undefined
      : { index: number.value, why: `number ${number.value} in the menu`, rest: number.rest };
  if (!machine.dialect.idsBeforeNumbers) {
    if (number !== undefined) return numbered();
    const overflow = parseNumber(spec).fault === "overflow";
    const index = overflow ? -1 : entries.findIndex((entry) => names(entry.title, spec) || names(entry.id, spec));
    return index < 0 ? undefined : { index, why: "a title or an id", rest: "" };
  }
  const end = [...spec].findIndex(isSpace);
  const word = end < 0 ? spec : spec.slice(0, end);
  const byId = entries.findIndex((entry) => names(entry.id, word));
  if (byId >= 0) return { index: byId, why: "an id", rest: spec.slice(word.length) };
  const byTitle = entries.findIndex((entry) => names(entry.title, spec));
  if (byTitle >= 0) return { index: byTitle, why: "a title", rest: "" };
  const { rest = "" } = number ?? {};
  return number === undefined || (rest !== "" && !isSpace(rest[0]) && rest[0] !== ">") ? undefined : numbered();
}

/** The entry that is taken when nobody touches a key, as an index; 0 when `default` names none. */
function defaultEntry(machine: Machine, entries: readonly Entry[]): { index: number; why: string } {
  const value = machine.environment.value("default");
  if (value === undefined) return { index: 0, why: "no default is set, so it is the first" };
  if (value === "") return { index: 0, why: "the default is empty, so it is the first" };
  const found = resolve(machine, entries, value);
  if (found === undefined) return { index: 0, why: `no entry is called \`${value}', so it is the first` };
  if (found.index < 0 || found.index >= entries.length) {
    return { index: 0, why: `there is no entry ${found.index}, so it is the first` };
  }
  return { index: found.index, why: `default is \`${value}', ${found.why}` };
}

/** Seconds; undefined: wait for a key for ever. */
function timeoutOf(machine: Machine): number | undefined {
  const value = machine.environment.value("timeout");
  if (value === undefined) return undefined;
  const number = leadingNumber(value);
  // A negative number does not parse, so GRUB unsets it; past 2^31 the cast to int makes it negative.
  return number === undefined || number.value < 0 ? undefined : number.value;
}

/** The part of `default` that is left for a submenu. */
function defaultInside(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  for (let at = 0; at < value.length; at++) {
    if (value[at] !== ">") continue;
    if (value[at + 1] === ">") at += 1;
    else return value.slice(at + 1) || undefined;
  }
  return undefined;
}

function isLocked(machine: Machine, entry: Entry): boolean {
  return machine.environment.value("superusers") !== undefined && entry.users !== undefined;
}

/** What GRUB does around the body of an entry (normal/menu.c, grub_menu_execute_entry). */
async function enterEntry(machine: Machine, entry: Entry, automatic: boolean): Promise<void> {
  const { environment } = machine;
  machine.at = entry.at;
  const chosen = environment.value("chosen");
  const value = environment.value("default");
  if (entry.submenu) {
    machine.openContext();
    machine.beginMenu();
    if (automatic) machine.set("timeout", "0");
  }
  const id = entry.id.replaceAll(">", ">>");
  machine.set("chosen", chosen === undefined ? id : `${chosen}>${id}`);
  environment.export("chosen");
  const inside = defaultInside(value);
  if (inside !== undefined) environment.set("default", inside, environment.get("default")?.at);
  else if (!machine.dialect.keepsDefault) environment.unset("default");
  await machine.runInScope(entry.body(), entry.args);
}

/** Runs an entry; comes back only when nothing was booted. */
async function runEntry(machine: Machine, entry: Entry, automatic: boolean): Promise<void> {
  const { environment } = machine;
  const saved = { chosen: environment.value("chosen"), default: environment.get("default") };
  await enterEntry(machine, entry, automatic);
  if (machine.errno === 0 && machine.loaded !== undefined) throw new Halt("boot");
  if (entry.submenu) {
    const { menu } = machine;
    if (menu !== undefined && menu.length > 0) await machine.setup.showMenu(machine, menu, true);
    machine.closeContext();
  }
  if (saved.chosen === undefined) environment.unset("chosen");
  else machine.set("chosen", saved.chosen);
  if (saved.default === undefined) environment.unset("default");
  else environment.set("default", saved.default.value, saved.default.at);
  environment.unset("timeout");
}

/** What a run notes on its way through menus. */
export interface Walk {
  /** Indices of the entries now open, outermost first. */
  path: number[];
  title: string;
  locked: boolean;
}

/** `showMenu` while booting: the default entry, then the fallbacks, as nobody touches a key. */
export function autoBoot(walk: Walk) {
  return async function show(machine: Machine, entries: readonly Entry[], nested: boolean): Promise<void> {
    const { environment } = machine;
    // A submenu that was entered by itself gets its timeout from there, and leaves when its entry fails.
    const automatic = nested && walk.path.length > 0;
    const timeout = timeoutOf(machine);
    const { index } = defaultEntry(machine, entries);
    const depth = walk.path.length;
    if (timeout === undefined) throw new Halt("waits-for-key");
    environment.unset("timeout");
    const style = environment.value("timeout_style");
    if (style === "hidden" || style === "countdown") environment.unset("timeout_style");
    const start = async (number: number, entry: Entry) => {
      walk.path = [...walk.path.slice(0, depth), number];
      walk.title = entry.title;
      walk.locked ||= isLocked(machine, entry);
      await machine.nested(() => runEntry(machine, entry, true));
      walk.path = walk.path.slice(0, depth);
    };
    const first = entries[index]!;
    machine.print(`  Booting \`${first.title}'\n\n`);
    const before = machine.printedErrors;
    await start(index, first);
    if (machine.dialect.emptyEntryIsSuccess && machine.printedErrors === before) throw new Halt("waits-for-key");
    for (;;) {
      const list = environment.value("fallback");
      if (list === undefined) break;
      const found = machine.dialect.idsBeforeNumbers ? resolve(machine, entries, list) : numberIn(list);
      environment.unset("fallback");
      if (found === undefined) break;
      const rest = found.rest.replace(/^[ \t\r\n]+/, "");
      if (rest !== "" || !machine.dialect.idsBeforeNumbers) environment.set("fallback", rest);
      const entry = entries[found.index];
      if (entry === undefined) break;
      machine.print(`\n   Falling back to \`${entry.title}'\n\n`);
      await start(found.index, entry);
    }
    if (!automatic) {
      machine.print("\n  Failed to boot both default and fallback entries.\n");
      throw new Halt("waits-for-key");
    }
  };
}

function numberIn(list: string): Resolved | undefined {
  const number = leadingNumber(list);
  return number === undefined ? undefined : { index: number.value, why: "", rest: number.rest };
}

/** The entries as a person would see them; submenus are run to see what is in them. */
export async function describeMenu(machine: Machine, entries: readonly Entry[]): Promise<BootMenu> {
  let submenus = 0;
  const describe = async (inside: Machine, list: readonly Entry[], depth: number): Promise<MenuEntry[]> => {
    const described: MenuEntry[] = [];
    for (const [index, entry] of list.entries()) {
      let children: readonly MenuEntry[] | undefined;
      if (entry.submenu && submenus < MAX_SUBMENUS && depth < MAX_SUBMENU_DEPTH) {
        submenus += 1;
        children = await openSubmenu(inside, entry, (copy, found) => describe(copy, found, depth + 1));
      }
      described.push({
        kind: entry.submenu ? "submenu" : "entry",
        title: entry.title,
        id: entry.id,
        index,
        at: entry.at,
        users: entry.users === undefined ? undefined : entry.users.split(/[ ,;|&]+/).filter((user) => user !== ""),
        hotkey: entry.hotkey,
        classes: entry.classes,
        entries: children,
      });
    }
    return described;
  };
  const style = machine.environment.value("timeout_style");
  const timeout = timeoutOf(machine);
  const described = await describe(machine, entries, 0);
  return {
    language: "grub",
    entries: described,
    default: await defaultPath(machine, entries),
    fallback: fallbackNumbers(machine),
    timeout,
    style: timeout !== undefined && (style === "countdown" || style === "hidden") ? style : "menu",
    superusers: (machine.environment.value("superusers") ?? "").split(/[ ,;|&]+/).filter((user) => user !== ""),
  };
}

/** Runs the body of a submenu on a copy, for what it adds. */
async function openSubmenu<T>(
  machine: Machine,
  entry: Entry,
  use: (copy: Machine, entries: readonly Entry[]) => Promise<T>,
): Promise<T | undefined> {
  const copy = machine.fork({
    showMenu: async () => {
      throw new Halt("menu");
    },
  });
  try {
    await enterEntry(copy, entry, true);
  } catch (reason) {
    if (reason instanceof LimitReached) return undefined;
    if (!(reason instanceof Halt)) throw reason;
  }
  return copy.menu === undefined ? undefined : use(copy, copy.menu);
}

/** Follows the default through submenus. */
async function defaultPath(machine: Machine, entries: readonly Entry[], depth = 0): Promise<BootMenu["default"]> {
  if (entries.length === 0) return { path: [], why: "the menu is empty", at: undefined };
  const { index, why } = defaultEntry(machine, entries);
  const at = machine.environment.get("default")?.at;
  const entry = entries[index]!;
  if (!entry.submenu || depth === MAX_DEFAULT_DEPTH) return { path: [index], why, at };
  const inner = await openSubmenu(machine, entry, (copy, found) => defaultPath(copy, found, depth + 1));
  return { path: [index, ...(inner?.path ?? [])], why, at };
}

function fallbackNumbers(machine: Machine): number[] {
  const numbers: number[] = [];
  let list = machine.environment.value("fallback") ?? "";
  while (numbers.length < 100) {
    const number = leadingNumber(list);
    if (number === undefined) break;
    numbers.push(number.value);
    list = number.rest;
  }
  return numbers;
}

function planFile(file: LoadedFile): PlanFile {
  return { device: file.device, path: file.path, args: file.args, at: file.at, found: file.found };
}

/** What is loaded in a machine, as a plan. */
export function describePlan(machine: Machine, walk: Walk): BootPlan {
  const { loaded } = machine;
  const root = machine.environment.get("root");
  return {
    path: walk.path,
    title: walk.title,
    command: loaded?.command,
    kernel: loaded === undefined ? undefined : planFile(loaded.kernel),
    cmdline: loaded?.cmdline,
    initrds: loaded?.initrds.map(planFile) ?? [],
    modules: loaded?.modules.map(planFile) ?? [],
    root: root === undefined ? undefined : { device: root.value, at: root.at },
    problems: machine.transcript.filter(({ kind }) => kind === "error").map(({ text, at }) => ({ what: text, at })),
    doubts: machine.doubts.map(({ what, at }) => ({ what, at })),
    locked: walk.locked,
  };
}

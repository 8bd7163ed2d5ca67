import type { Machine } from "./machine.js";
import { type Entry, Halt } from "./machine-types.js";
import { sourceFromText } from "./source.js";
import { isSpace, parseNumber } from "./text.js";

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

export function leadingNumber(text: string): { value: number; rest: string } | undefined {
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
export function defaultEntry(machine: Machine, entries: readonly Entry[]): { index: number; why: string } {
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
export function timeoutOf(machine: Machine): number | undefined {
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
export async function enterEntry(machine: Machine, entry: Entry, automatic: boolean): Promise<void> {
  const { environment } = machine;
  machine.at = entry.at;
  const chosen = environment.value("chosen");
  const value = environment.value("default");
  if (entry.submenu) {
    machine.openContext();
    machine.beginMenu();
    if (automatic) machine.set("timeout", "0");
  }
  // The editor runs its text as it is: no entry was chosen (normal/menu_entry.c, run).
  if (entry.edited !== true) {
    const id = entry.id.replaceAll(">", ">>");
    machine.set("chosen", chosen === undefined ? id : `${chosen}>${id}`);
    environment.export("chosen");
  }
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
  /** Entries started so far. */
  starts: number;
}

export const newWalk = (): Walk => ({ path: [], title: "", locked: false, starts: 0 });

/** Commands put in the place of an entry's. */
export interface Edit {
  readonly path: readonly number[];
  readonly commands: string;
}

/** `showMenu` while booting: the default entry, then the fallbacks, as nobody touches a key. */
export function autoBoot(walk: Walk, edit?: Edit) {
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
      walk.starts += 1;
      machine.budget.check("starts", walk.starts);
      walk.path = [...walk.path.slice(0, depth), number];
      walk.title = entry.title;
      walk.locked ||= isLocked(machine, entry);
      const isEdited = edit?.path.join() === walk.path.join();
      const taken = isEdited ? withCommands(entry, edit!.commands) : entry;
      await machine.nested(() => runEntry(machine, taken, true));
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

function withCommands(entry: Entry, commands: string): Entry {
  return { ...entry, args: [], edited: true, body: () => sourceFromText(entry.at, commands) };
}

function numberIn(list: string): Resolved | undefined {
  const number = leadingNumber(list);
  return number === undefined ? undefined : { index: number.value, why: "", rest: number.rest };
}

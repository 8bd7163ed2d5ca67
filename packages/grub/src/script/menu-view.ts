import type { BootMenu, BootPlan, MenuEntry, PlanFile } from "../menu/types.js";
import { LimitReached } from "./budget.js";
import type { Machine } from "./machine.js";
import { type Entry, Halt, type LoadedFile } from "./machine-types.js";
import { defaultEntry, enterEntry, leadingNumber, timeoutOf, type Walk } from "./menu.js";

/** Submenus are opened to list them; past these bounds they are left closed. */
const MAX_SUBMENUS = 200;
const MAX_SUBMENU_DEPTH = 6;
/** The default is followed this deep; a submenu that defines itself would go on for ever. */
const MAX_DEFAULT_DEPTH = 16;

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
        users: entry.users === undefined ? undefined : usersIn(entry.users),
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
    superusers: usersIn(machine.environment.value("superusers") ?? ""),
  };
}

function usersIn(list: string): string[] {
  return list === "" ? [] : list.split(/[ ,;|&]+/).filter((user) => user !== "");
}

/** Runs the body of a submenu on a copy, for what it adds. */
async function openSubmenu<T>(
  machine: Machine,
  entry: Entry,
  use: (copy: Machine, entries: readonly Entry[]) => Promise<T>,
): Promise<T | undefined> {
  let copy: Machine;
  try {
    copy = machine.fork({
      showMenu: async () => {
        throw new Halt("menu");
      },
    });
  } catch (reason) {
    // A copy has its price, too, and the script may have spent all there was.
    if (reason instanceof LimitReached) return undefined;
    throw reason;
  }
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

/** The entry that indices lead to through the submenus. */
async function entryAt(
  machine: Machine,
  entries: readonly Entry[],
  [index, ...inside]: readonly number[],
): Promise<Entry | undefined> {
  const entry = index === undefined ? undefined : entries[index];
  if (entry === undefined || inside.length === 0) return entry;
  return entry.submenu ? openSubmenu(machine, entry, (copy, found) => entryAt(copy, found, inside)) : undefined;
}

/**
 * The commands of an entry as the menu's editor shows them: its words come first, as a command of their own
 * (commands/menuentry.c, setparams_prefix).
 */
export async function commandsOf(
  machine: Machine,
  entries: readonly Entry[],
  path: readonly number[],
): Promise<readonly string[] | undefined> {
  const entry = await entryAt(machine, entries, path);
  if (entry === undefined) return undefined;
  const words = entry.args.map((arg) => ` '${arg.replaceAll("'", "'\\''")}'`).join("");
  const lines = entry.body().lines.map(({ text }) => text);
  while (lines[0]?.trim() === "") lines.shift();
  while (lines.at(-1)?.trim() === "") lines.pop();
  return [`setparams${words}`, ...lines];
}

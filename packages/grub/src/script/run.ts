import { ImageError } from "@guestprobe/block";
import type { BootMenu, BootPlan } from "../menu/types.js";
import { Budget, LimitReached, type ScriptLimits } from "./budget.js";
import { BASIC_COMMANDS } from "./commands/basic.js";
import { BOOT_COMMANDS } from "./commands/boot.js";
import { FILE_COMMANDS, runConfigFile } from "./commands/files.js";
import { FOREIGN_COMMANDS } from "./commands/foreign.js";
import { INERT_COMMANDS } from "./commands/inert.js";
import { MENU_COMMANDS } from "./commands/menu.js";
import { SEARCH_COMMANDS } from "./commands/search.js";
import { ABSENT_COMMANDS, DIALECTS, type DialectName, type Platform } from "./dialect.js";
import { Machine } from "./machine.js";
import {
  type CommandSpec,
  type Doubt,
  type Entry,
  Halt,
  type HaltReason,
  type TranscriptEntry,
} from "./machine-types.js";
import { autoBoot, type Edit, newWalk } from "./menu.js";
import { commandsOf, describeMenu, describePlan } from "./menu-view.js";
import { sourceFromFile } from "./source.js";
import { encodeText } from "./text.js";
import type { World } from "./world.js";

export interface RunOptions {
  readonly world: World;
  /** Which GRUB; "debian-2.06" unless given. */
  readonly dialect?: DialectName | undefined;
  /** What it was built for; "xen" unless given. */
  readonly platform?: Platform | undefined;
  /** `$grub_cpu`; "x86_64" unless given. */
  readonly cpu?: string | undefined;
  /** `$root` at the start; without it the first device. */
  readonly root?: string | undefined;
  /** `$prefix`; "(root)/boot/grub" unless given. */
  readonly prefix?: string | undefined;
  /** Further variables, exported like GRUB's own. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  readonly limits?: Partial<ScriptLimits> | undefined;
}

/** Which entry to start: its indices through the submenus, or a value as `default` takes it. */
export type EntryChoice = readonly number[] | string;

export interface BootResult {
  /** Why it ended: "boot" when something was loaded; "waits-for-key" when GRUB would sit there for ever. */
  readonly reason: HaltReason | "end" | "limit";
  /** Every attempt is in the transcript; the plan is the last one's. */
  readonly plan: BootPlan;
  readonly transcript: readonly TranscriptEntry[];
  readonly doubts: readonly Doubt[];
  readonly error: ImageError | undefined;
}

export interface ScriptRun {
  /** Why the script ended: "menu" when its menu, or one of a file it called, is shown. */
  readonly reason: HaltReason | "end" | "limit";
  /** The limit that ended it. */
  readonly error: ImageError | undefined;
  readonly transcript: readonly TranscriptEntry[];
  /** Variables of the context the script ended in. */
  readonly variables: ReadonlyMap<string, string>;
  /** The menu that would be shown; undefined when there is none, and GRUB would prompt. */
  readonly menu: BootMenu | undefined;
  /** What was not understood, and what cannot be known from the image. */
  readonly doubts: readonly Doubt[];
  /** What the script itself loaded, if it did not leave that to an entry. */
  readonly plan: BootPlan | undefined;
  /**
   * What follows: the default entry when nobody touches a key, with its fallbacks, or the one that is named. Each call
   * starts from the state that the script left.
   */
  boot(choice?: EntryChoice): Promise<BootResult>;
  /**
   * The commands of an entry, a line each, as the editor of GRUB's menu (the key `e`) shows them; undefined when there is
   * no entry there.
   */
  commands(path: readonly number[]): Promise<readonly string[] | undefined>;
  /** What follows when these commands are started in the editor. */
  bootEdited(path: readonly number[], commands: readonly string[]): Promise<BootResult>;
}

const FEATURES = [
  "feature_chainloader_bpb",
  "feature_ntldr",
  "feature_platform_search_hint",
  "feature_default_font_path",
  "feature_all_video_module",
  "feature_menuentry_id",
  "feature_menuentry_options",
  "feature_200_final",
  "feature_nativedisk_cmd",
  "feature_timeout_style",
];

/** Variables that GRUB's date module keeps. */
const CLOCK = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "WEEKDAY"];

const commandSets = new Map<string, ReadonlyMap<string, CommandSpec>>();

/** The commands that a GRUB has; made once, for a guest's scripts are run by every host that is asked about. */
function commandsFor(platform: Platform, blscfg: boolean): ReadonlyMap<string, CommandSpec> {
  const key = `${platform} ${blscfg}`;
  const set = commandSets.get(key) ?? makeCommands(platform, blscfg);
  commandSets.set(key, set);
  return set;
}

function makeCommands(platform: Platform, blscfg: boolean): ReadonlyMap<string, CommandSpec> {
  const all = new Map<string, CommandSpec>(
    Object.entries({
      ...INERT_COMMANDS,
      ...BASIC_COMMANDS,
      ...SEARCH_COMMANDS,
      ...FILE_COMMANDS,
      ...BOOT_COMMANDS,
      ...MENU_COMMANDS,
      ...FOREIGN_COMMANDS,
    }),
  );
  for (const name of ABSENT_COMMANDS[platform]) all.delete(name);
  if (!blscfg) all.delete("blscfg");
  return all;
}

async function makeMachine(options: RunOptions): Promise<Machine> {
  const dialect = DIALECTS[options.dialect ?? "debian-2.06"];
  const platform = options.platform ?? "xen";
  const machine = new Machine({
    world: options.world,
    budget: new Budget(options.limits, options.world.signal),
    dialect,
    platform,
    commands: commandsFor(platform, dialect.blscfg),
    showMenu: async () => {
      throw new Halt("menu");
    },
  });
  const root = options.root ?? (await options.world.devices())[0] ?? "";
  const { environment } = machine;
  const initial: Record<string, string> = {
    root,
    prefix: options.prefix ?? `(${root})/boot/grub`,
    cmdpath: options.prefix ?? `(${root})/boot/grub`,
    pager: "",
    color_normal: "light-gray/black",
    color_highlight: "black/light-gray",
    check_signatures: "no",
    lang: "",
    locale_dir: "",
    secondary_locale_dir: "",
    grub_cpu: options.cpu ?? "x86_64",
    grub_platform: platform,
    ...Object.fromEntries(FEATURES.map((name) => [name, "y"])),
    ...options.variables,
  };
  for (const [name, value] of Object.entries(initial)) {
    environment.set(name, value);
    if (name !== "cmdpath") environment.export(name);
  }
  for (const name of CLOCK) environment.set(name, "", undefined, "the time of the boot");
  environment.set("?", "0");
  return machine;
}

type Ending = Pick<ScriptRun, "reason" | "error">;

/** Runs until GRUB would leave, stop for a key, or a limit is reached. */
async function toTheEnd(work: () => Promise<void>): Promise<Ending> {
  try {
    await work();
    return { reason: "end", error: undefined };
  } catch (thrown) {
    if (thrown instanceof Halt) return { reason: thrown.reason, error: undefined };
    if (thrown instanceof LimitReached) return { reason: "limit", error: thrown.toError() };
    throw thrown;
  }
}

/**
 * Runs a configuration file as GRUB does when it starts: its commands, then its menu. `file` is named as GRUB names it,
 * "(xen/xvda,msdos1)/boot/grub/grub.cfg", or "/boot/grub/grub.cfg" on the root device.
 *
 * Throws "not-found" when the file is not there; whatever is in it ends in a result.
 */
export async function runFile(file: string, options: RunOptions): Promise<ScriptRun> {
  const machine = await makeMachine(options);
  let found = true;
  const ending = await toTheEnd(async () => {
    found = await runConfigFile(machine, file);
    await showMenu(machine);
  });
  if (!found && ending.reason === "end") {
    throw new ImageError("not-found", `${file} is not a file that GRUB could open`, { format: "grub.cfg" });
  }
  return describeRun(machine, ending);
}

/** Runs a text, as if it were the file `name`; used for scripts that are not on the guest. */
export async function runText(name: string, text: string | Uint8Array, options: RunOptions): Promise<ScriptRun> {
  const machine = await makeMachine(options);
  const bytes = typeof text === "string" ? encodeText(text) : text;
  const ending = await toTheEnd(async () => {
    machine.budget.spend("fileBytes", bytes.length);
    machine.beginMenu();
    await machine.runFile(sourceFromFile(name, bytes));
    await showMenu(machine);
  });
  return describeRun(machine, ending);
}

async function showMenu(machine: Machine): Promise<void> {
  const { menu } = machine;
  if (menu !== undefined && menu.length > 0) await machine.setup.showMenu(machine, menu, false);
}

async function describeRun(machine: Machine, ending: Ending): Promise<ScriptRun> {
  const { menu } = machine;
  const shown = menu !== undefined && menu.length > 0 ? await describeMenu(machine, menu) : undefined;
  const booted = ending.reason === "boot";
  return {
    ...ending,
    transcript: machine.transcript,
    variables: new Map(machine.environment.sorted().map(([name, { value }]) => [name, value])),
    menu: shown,
    doubts: machine.doubts,
    plan: booted ? describePlan(machine, newWalk()) : undefined,
    boot: (choice) => boot(machine, menu ?? [], choice),
    commands: (path) => commandsOf(machine, menu ?? [], path),
    bootEdited: (path, lines) => boot(machine, menu ?? [], path, { path, commands: lines.join("\n") }),
  };
}

async function boot(
  machine: Machine,
  entries: readonly Entry[],
  choice: EntryChoice | undefined,
  edit?: Edit,
): Promise<BootResult> {
  const walk = newWalk();
  let copy: Machine | undefined;
  const ending = await toTheEnd(async () => {
    copy = machine.fork({ showMenu: autoBoot(walk, edit) });
    copy.menus = copy.menus.map((menu) => menu?.slice());
    const { environment } = copy;
    if (typeof choice === "string") environment.set("default", choice);
    else if (choice !== undefined) environment.set("default", choice.join(">"));
    // A choice is made by hand: the timeout does not matter, and neither do the fallbacks.
    if (choice !== undefined) {
      environment.set("timeout", "0");
      environment.unset("fallback");
    }
    if (entries.length > 0) await copy.setup.showMenu(copy, copy.menu ?? entries, false);
  });
  return {
    ...ending,
    plan: describePlan(copy ?? machine, walk),
    transcript: copy?.transcript ?? [],
    doubts: copy?.doubts ?? [],
  };
}

import { ImageError } from "@guestprobe/block";
import { legacyMenu, legacyPlan, liloMenu, liloPlan, parseLegacy, parseLilo } from "@guestprobe/grub/legacy";
import type { BootMenu, BootPlan, MenuEntry } from "@guestprobe/grub/menu";
import { decodeText, encodeText, runFile, type World } from "@guestprobe/grub/script";
import { parseSyslinux, syslinuxDefault, syslinuxMenu, syslinuxPlan } from "@guestprobe/grub/syslinux";
import type { GuestWorld } from "./grub-world.js";

/** A boot loader's configuration on a guest. */
export interface ConfigPlace {
  readonly device: string;
  readonly path: string;
}

/** A menu, in whatever language, and what its entries load. */
export interface OpenMenu {
  /** Undefined: the configuration has none. */
  readonly menu: BootMenu | undefined;
  /** What is loaded by the default, by the entry at a path of the menu, or by the one that a person names. */
  plan(choice?: readonly number[] | string): Promise<BootPlan | undefined>;
  /** The commands of an entry, as they would be edited; undefined where they are not known. */
  commands(path: readonly number[]): Promise<readonly string[] | undefined>;
  /** What is loaded when the commands of an entry are these. */
  planEdited(path: readonly number[], commands: readonly string[]): Promise<BootPlan | undefined>;
}

export async function openMenu(around: GuestWorld, place: ConfigPlace): Promise<OpenMenu> {
  const { world, dialect, platform } = around;
  const { device, path } = place;
  const name = `(${device})${path}`;
  const directory = path.slice(0, path.lastIndexOf("/"));
  const read = (file: string) => readSmall(world, device, file);
  const bytes = async () => (await read(path)) ?? new Uint8Array();
  if (/\/(menu\.lst|grub\.conf)$/.test(path)) {
    const saved = await savedNumber(world, device, directory);
    return byLines(name, await bytes(), async (text) => {
      const config = parseLegacy(name, text);
      return { menu: legacyMenu(config, { saved }), plan: (index) => legacyPlan(config, index) };
    });
  }
  if (path.endsWith("/lilo.conf")) {
    return byLines(name, await bytes(), async (text) => {
      const config = parseLilo(name, text);
      return { menu: liloMenu(config), plan: (index) => liloPlan(config, index) };
    });
  }
  if (/(sys|iso|ext|pxe)linux[^/]*$/.test(path)) {
    const reader = { read: (file: string) => read(file.startsWith("/") ? file : `${directory}/${file}`) };
    return byLines(name, await bytes(), async (text) => {
      const config = await parseSyslinux(name, text, reader);
      return {
        menu: syslinuxMenu(config),
        plan: (index) => syslinuxPlan(config, index),
        default: syslinuxDefault(config),
        // The menu has submenus, the file has none.
        order: config.entries.map(({ label }) => label),
      };
    });
  }
  const run = await runFile(name, { world, dialect, platform, root: device, prefix: `(${device})${directory}` });
  const { menu } = run;
  if (menu === undefined) {
    return { menu, plan: async () => run.plan, commands: async () => undefined, planEdited: async () => undefined };
  }
  return {
    menu,
    plan: async (choice = menu.default.path) => (await run.boot(choice)).plan,
    commands: (entry) => run.commands(entry),
    planEdited: async (entry, commands) => (await run.bootEdited(entry, commands)).plan,
  };
}

/** A configuration whose entries are lines one after another, with the entry's own line first. */
interface LineConfig {
  readonly menu: BootMenu;
  /** What the entry at this place of the file loads. */
  plan(index: number): BootPlan | undefined;
  /** Place in the file of the default, where it is not the menu's. */
  readonly default?: number;
  /** Ids of the entries as the file has them, where the menu nests them. */
  readonly order?: readonly string[];
}

async function byLines(
  name: string,
  bytes: Uint8Array,
  parse: (text: Uint8Array) => Promise<LineConfig>,
): Promise<OpenMenu> {
  const config = await parse(bytes);
  const { menu } = config;
  const all = flatten(menu.entries);
  /** Place in the file. */
  const indexOf = (entry: MenuEntry | undefined): number =>
    entry === undefined ? -1 : (config.order?.indexOf(entry.id) ?? entry.index);
  const lines = decodeText(bytes).split("\n");
  /** Lines of an entry, from 0; the last one is not its own. */
  const extent = (path: readonly number[]): readonly [from: number, to: number] | undefined => {
    const entry = entryAt(menu, path);
    if (entry === undefined || entry.kind !== "entry" || entry.at.file !== name) return undefined;
    const after = all.filter(({ at }) => at.file === name && at.line > entry.at.line).map(({ at }) => at.line);
    return [entry.at.line - 1, Math.min(...after, lines.length + 1) - 1];
  };
  return {
    menu,
    async plan(choice) {
      if (choice === undefined) return config.plan(config.default ?? menu.default.path[0] ?? -1);
      if (typeof choice !== "string") return config.plan(indexOf(entryAt(menu, choice)));
      const named = all.find(({ kind, id, title }) => kind === "entry" && (id === choice || title === choice));
      return config.plan(named === undefined ? Number.parseInt(choice, 10) : indexOf(named));
    },
    async commands(path) {
      const found = extent(path);
      return found === undefined ? undefined : withoutBlankEnd(lines.slice(...found));
    },
    async planEdited(path, commands) {
      const found = extent(path);
      if (found === undefined) return undefined;
      const text = [...lines.slice(0, found[0]), ...commands, ...lines.slice(found[1])].join("\n");
      const edited = await parse(encodeText(text));
      return edited.plan(indexOf(entryAt(menu, path)));
    },
  };
}

const flatten = (entries: readonly MenuEntry[]): MenuEntry[] =>
  entries.flatMap((entry) => [entry, ...flatten(entry.entries ?? [])]);

function entryAt(menu: BootMenu, path: readonly number[]): MenuEntry | undefined {
  let entry: MenuEntry | undefined;
  for (const index of path) entry = (entry === undefined ? menu.entries : (entry.entries ?? []))[index];
  return entry;
}

function withoutBlankEnd(lines: readonly string[]): readonly string[] {
  const last = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, last + 1);
}

/** A configuration: a file past any sensible size is none. */
async function readSmall(world: World, device: string, path: string): Promise<Uint8Array | undefined> {
  const found = await world.exists(device, path);
  if (found === undefined) return undefined;
  if (found.size > MAX_CONFIG) throw new ImageError("limit", `${path} has ${found.size} bytes`, { format: "menu" });
  return world.read(device, path);
}

/** Bytes. */
const MAX_CONFIG = 1 << 25;

/** What GRUB legacy keeps in the file `default` beside its menu. */
async function savedNumber(world: World, device: string, directory: string): Promise<number | undefined> {
  const bytes = await readSmall(world, device, `${directory}/default`);
  const line = bytes === undefined ? "" : new TextDecoder("latin1").decode(bytes.subarray(0, 16));
  const match = /^[0-9]+/.exec(line);
  return match === null ? undefined : Number(match[0]);
}

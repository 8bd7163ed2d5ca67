import type { BootMenu, BootPlan, MenuEntry, PlanFile } from "../menu/types.js";
import type { Position } from "../script/source.js";
import type { SyslinuxConfig, SyslinuxEntry } from "./parse.js";

/** Whether a menu is drawn: `UI`, or a default that is one of the menu programs. */
function hasMenu({ settings }: SyslinuxConfig): boolean {
  const program = settings.get("ui")?.value ?? settings.get("default")?.value ?? "";
  return /(^|\/)(vesa)?menu\.c32\b/.test(program) || settings.has("ui");
}

/** The label that a command line such as `linux quiet` starts with. */
function labelled(config: SyslinuxConfig, command: string | undefined): number {
  const word = command?.trim().split(/\s+/)[0];
  return config.entries.findIndex((entry) => entry.label === word);
}

function defaultChoice(config: SyslinuxConfig): { index: number; why: string; at: Position | undefined } {
  const { settings, entries } = config;
  const timed = settings.get("ontimeout");
  const onTimeout = labelled(config, timed?.value);
  if (timed !== undefined && onTimeout >= 0) {
    return { index: onTimeout, why: `ONTIMEOUT is \`${timed.value}'`, at: timed.at };
  }
  const setting = settings.get("default");
  const named = labelled(config, setting?.value);
  if (hasMenu(config)) {
    const marked = entries.findLastIndex((entry) => entry.menuDefault);
    if (marked >= 0) return { index: marked, why: "it is marked MENU DEFAULT", at: entries[marked]!.at };
  }
  if (named >= 0) return { index: named, why: `DEFAULT is \`${setting!.value}'`, at: setting!.at };
  const why = setting === undefined ? "there is no DEFAULT" : `DEFAULT is \`${setting.value}', which is no label`;
  return { index: 0, why: `${why}, so it is the first`, at: setting?.at };
}

/** Seconds; SYSLINUX counts tenths, and 0 is no timeout. */
function timeoutOf(config: SyslinuxConfig): number | undefined {
  const tenths = Number.parseInt(config.settings.get("timeout")?.value ?? "", 10) || 0;
  if (tenths > 0) return tenths / 10;
  const prompts = hasMenu(config) || config.settings.get("prompt")?.value === "1";
  return prompts ? undefined : 0;
}

interface Group {
  /** Where it stands among the entries of the group around it. */
  readonly index: number;
  readonly entries: MenuEntry[];
  readonly menus: Map<string, Group>;
}

/** The menu, with submenus as MENU BEGIN nests them. */
export function syslinuxMenu(config: SyslinuxConfig): BootMenu {
  const top: Group = { index: 0, entries: [], menus: new Map() };
  const paths: number[][] = [];
  for (const entry of config.entries) {
    let group = top;
    const path: number[] = [];
    for (const title of entry.menus) {
      let inner = group.menus.get(title);
      if (inner === undefined) {
        const index = group.entries.length;
        inner = { index, entries: [], menus: new Map() };
        group.menus.set(title, inner);
        group.entries.push({ ...describe(entry, index), kind: "submenu", title, id: title, entries: inner.entries });
      }
      path.push(inner.index);
      group = inner;
    }
    path.push(group.entries.length);
    group.entries.push(describe(entry, group.entries.length));
    paths.push(path);
  }
  const { index, why, at } = defaultChoice(config);
  return {
    language: "syslinux",
    entries: top.entries,
    default: { path: paths[index] ?? [], why: paths.length === 0 ? "the menu is empty" : why, at },
    fallback: [],
    timeout: timeoutOf(config),
    style: config.settings.has("menu hidden") || !hasMenu(config) ? "hidden" : "menu",
    superusers: config.settings.has("menu master") ? ["the holder of the master password"] : [],
  };
}

function describe(entry: SyslinuxEntry, index: number): MenuEntry {
  return {
    kind: "entry",
    title: entry.title ?? entry.label,
    id: entry.label,
    index,
    at: entry.at,
    users: entry.password ? [] : undefined,
    hotkey: entry.hotkey,
    classes: [],
    entries: undefined,
  };
}

/** What starting the label at `index`, counted through the file, would load. */
export function syslinuxPlan(config: SyslinuxConfig, index: number): BootPlan | undefined {
  const entry = config.entries[index];
  if (entry === undefined) return undefined;
  const own = entry.append ?? config.settings.get("append")?.value ?? "";
  const append = own === "-" ? "" : own;
  const words = append.split(/\s+/);
  const inline = words.filter((word) => /^initrd=/i.test(word)).flatMap((word) => word.slice(7).split(","));
  const cmdline = words.filter((word) => !/^initrd=/i.test(word)).join(" ");
  const file = (path: string, at: Position): PlanFile => ({ device: undefined, path, args: "", at, found: undefined });
  // INITRD wins over initrd= in APPEND.
  const initrds =
    entry.initrds.length > 0
      ? entry.initrds.map(({ path, at }) => file(path, at))
      : inline.filter((path) => path !== "").map((path) => file(path, entry.fileAt));
  // Without a KERNEL line the label itself is the file.
  const path = entry.file ?? entry.label;
  const isLinux = entry.loader === undefined || entry.loader === "kernel" || entry.loader === "linux";
  const doubts =
    isLinux && !/\.(c32|com|cbt|bin|bss?|img|0)$/i.test(path)
      ? []
      : [{ what: `${entry.loader ?? "kernel"} ${path} is not a Linux kernel`, at: entry.fileAt }];
  return {
    path: [index],
    title: entry.title ?? entry.label,
    command: entry.loader ?? "kernel",
    kernel: { ...file(path, entry.fileAt), args: cmdline },
    cmdline,
    initrds,
    modules: [],
    root: undefined,
    problems: [],
    doubts,
    locked: entry.password,
  };
}

/** The place in the file of the entry that is the default, for `syslinuxPlan`; -1 when there is none. */
export function syslinuxDefault(config: SyslinuxConfig): number {
  return config.entries.length === 0 ? -1 : defaultChoice(config).index;
}

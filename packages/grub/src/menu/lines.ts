import type { Position } from "../script/source.js";
import type { BootMenu, BootPlan, MenuEntry, PlanFile } from "./types.js";

/** Makes text from the guest harmless; every caller that writes to a terminal must give one. */
export type Escape = (text: string) => string;

export function placeText(at: Position | undefined, show: Escape): string {
  return at === undefined ? "" : `${show(at.file)}:${at.line}`;
}

/** The menu as a user would see it: numbers, titles and ids, submenus indented, `*` before what would be started. */
export function menuLines(menu: BootMenu, show: Escape): string[] {
  const lines: string[] = [];
  const list = (entries: readonly MenuEntry[], path: readonly number[]) => {
    for (const entry of entries) {
      const here = [...path, entry.index];
      const chosen = here.every((index, depth) => menu.default.path[depth] === index);
      const id = entry.id === entry.title ? "" : `  [${show(entry.id)}]`;
      const locked = entry.users !== undefined && menu.superusers.length > 0 ? "  (password)" : "";
      const more = entry.kind === "submenu" ? (entry.entries === undefined ? "  > (not opened)" : "  >") : "";
      const indent = "  ".repeat(path.length);
      lines.push(`${chosen ? "*" : " "} ${indent}${here.join(">")}  ${show(entry.title)}${more}${id}${locked}`);
      if (entry.entries !== undefined) list(entry.entries, here);
    }
  };
  list(menu.entries, []);
  const timeout =
    menu.timeout === undefined ? "waits for a key" : menu.timeout === 0 ? "at once" : `after ${menu.timeout} s`;
  const style = menu.style === "menu" ? "" : `, ${menu.style}`;
  const place = placeText(menu.default.at, show);
  lines.push(
    "",
    `default ${menu.default.path.join(">")}: ${show(menu.default.why)}${place === "" ? "" : ` (${place})`}`,
  );
  lines.push(`started: ${timeout}${style}`);
  if (menu.fallback.length > 0) lines.push(`fallback: ${menu.fallback.join(", ")}`);
  if (menu.superusers.length > 0) lines.push(`superusers: ${menu.superusers.map(show).join(", ")}`);
  return lines;
}

/** What an entry would load, a line each with the line of the configuration that decided it. */
export function planLines(plan: BootPlan, show: Escape): string[] {
  const file = ({ device, path, args }: PlanFile, withArgs: boolean) =>
    `${device === undefined ? "" : `(${show(device)})`}${show(path)}${withArgs && args !== "" ? ` ${show(args)}` : ""}`;
  const line = (label: string, text: string, at: Position | undefined) => {
    const place = placeText(at, show);
    return `${label.padEnd(10)}${text}${place === "" ? "" : `  (${place})`}`;
  };
  const lines = [line("entry", `${plan.path.join(">")}  ${show(plan.title)}`, undefined)];
  if (plan.kernel === undefined) lines.push(line("loads", "nothing", undefined));
  else lines.push(line(show(plan.command ?? "kernel"), file(plan.kernel, false), plan.kernel.at));
  if (plan.cmdline !== undefined && plan.cmdline !== "") lines.push(line("arguments", show(plan.cmdline), undefined));
  for (const initrd of plan.initrds) lines.push(line("initrd", file(initrd, false), initrd.at));
  for (const module of plan.modules) lines.push(line("module", file(module, true), module.at));
  if (plan.root !== undefined) lines.push(line("root", show(plan.root.device), plan.root.at));
  if (plan.locked) lines.push("a password would be asked for");
  for (const { what, at } of plan.doubts) lines.push(line("doubt", show(what), at));
  return lines;
}

import { ERR } from "../errno.js";
import { type Call, type CommandSpec, type Machine, MENU_OPTIONS } from "../machine.js";
import { sourceFromText } from "../source.js";

/** Names GRUB has for keys that are no letters (commands/menuentry.c). */
const KEY_NAMES: ReadonlySet<string> = new Set([
  "backspace",
  "tab",
  "delete",
  "insert",
  ...Array.from({ length: 12 }, (_, index) => `f${index + 1}`),
]);

/** `menuentry` and `submenu`: keeps the body for later. */
async function menuentry(machine: Machine, { name, block, options, at }: Call): Promise<number> {
  const { given, args } = options;
  const source = given.get("source")?.[0];
  if (args.length === 0 && block === undefined) return machine.fail(ERR.badArgument, "missing arguments");
  if (source !== undefined && block !== undefined)
    return machine.fail(ERR.badArgument, "multiple menuentry definitions");
  if (source === undefined && block === undefined) return machine.fail(ERR.badArgument, "no menuentry definition");
  if (machine.menu === undefined) return machine.fail(ERR.menu, "no menu context");
  const [title] = args;
  if (title === undefined) return machine.fail(ERR.menu, "menuentry is missing title");
  const hotkey = given.get("hotkey")?.[0];
  return machine.addEntry({
    title,
    id: given.get("id")?.[0] ?? title,
    submenu: name === "submenu",
    classes: (given.get("class") ?? []).filter((word) => word !== undefined),
    users: given.has("unrestricted") ? undefined : (given.get("users")?.[0] ?? ""),
    hotkey: hotkey === undefined || KEY_NAMES.has(hotkey) ? hotkey : hotkey.slice(0, 1),
    args,
    body: block === undefined ? () => sourceFromText(at, source!) : block.source,
    at,
  });
}

export const MENU_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  menuentry: { run: menuentry, options: MENU_OPTIONS },
  submenu: { run: menuentry, options: MENU_OPTIONS },
};

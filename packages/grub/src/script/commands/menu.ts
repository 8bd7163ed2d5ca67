import { GRUB_ERRNO } from "../../errno.js";
import type { Machine } from "../machine.js";
import type { Call, CommandSpec } from "../machine-types.js";
import type { OptionTable } from "../options.js";
import { sourceFromText } from "../source.js";

const MENU_OPTIONS: OptionTable = {
  acceptDash: true,
  options: [
    { long: "class", value: "string", repeatable: true },
    { long: "users", value: "string" },
    { long: "hotkey", value: "string" },
    { long: "source", value: "string" },
    { long: "id", value: "string" },
    { long: "unrestricted" },
  ],
};

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
  const { given } = options;
  const source = given.get("source")?.[0];
  if (options.args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "missing arguments");
  if (source !== undefined && block !== undefined)
    return machine.fail(GRUB_ERRNO["bad-argument"], "multiple menuentry definitions");
  if (source === undefined && block === undefined)
    return machine.fail(GRUB_ERRNO["bad-argument"], "no menuentry definition");
  if (machine.menu === undefined) return machine.fail(GRUB_ERRNO.menu, "no menu context");
  // The block came as the last word, and may have been taken for the value of an option before it.
  const args = block === undefined ? options.args : options.args.slice(0, -1);
  const [title] = args;
  if (title === undefined) return machine.fail(GRUB_ERRNO.menu, "menuentry is missing title");
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

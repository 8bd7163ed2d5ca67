import { MultiLinePrompt, wrapTextWithPrefix } from "@clack/core";
import { isCancel, log, outro, select } from "@clack/prompts";
import { type BootMenu, type BootPlan, type MenuEntry, planLines } from "@guestprobe/grub/menu";
import { decodeText, encodeText } from "@guestprobe/grub/script";
import type { OpenMenu } from "./boot-menu.js";
import { escapeGuestText, unescapeGuestText } from "./output/escape.js";

const show = (text: string): string => escapeGuestText(text);

/** What a person picked in a list. */
type Pick = { readonly entry: MenuEntry } | "back";

/**
 * Lets a person walk a boot menu by the keyboard, edit the commands of an entry as GRUB's `e` does, and see what would be
 * booted. Nothing is written: the edited commands live until the next choice.
 *
 * @param file Shown above the menu; escaped.
 */
export async function pickFromMenu(file: string, open: OpenMenu & { readonly menu: BootMenu }): Promise<void> {
  const { menu } = open;
  const path: number[] = [];
  // A serial console does not say how wide it is, and its columns come as 0.
  process.stdout.columns ||= 80;
  process.stdout.rows ||= 24;
  for (;;) {
    const entries = entriesAt(menu, path);
    const picked = await pickEntry(path.length === 0 ? file : titleAt(menu, path), menu, entries, path);
    if (picked === "back") {
      if (path.pop() === undefined) break;
      continue;
    }
    const { entry } = picked;
    if (entry.kind === "submenu" && entry.entries !== undefined) path.push(entry.index);
    else if (!(await visit(open, [...path, entry.index]))) break;
  }
  outro("nothing was changed");
}

function entriesAt(menu: BootMenu, path: readonly number[]): readonly MenuEntry[] {
  let entries = menu.entries;
  for (const index of path) entries = entries[index]?.entries ?? [];
  return entries;
}

function titleAt(menu: BootMenu, path: readonly number[]): string {
  const entry = entriesAt(menu, path.slice(0, -1))[path.at(-1)!];
  return entry === undefined ? "" : show(entry.title);
}

async function pickEntry(
  message: string,
  menu: BootMenu,
  entries: readonly MenuEntry[],
  path: readonly number[],
): Promise<Pick> {
  const isDefault = (entry: MenuEntry): boolean =>
    [...path, entry.index].every((index, depth) => menu.default.path[depth] === index);
  const options = entries.map((entry) => ({
    value: String(entry.index),
    label: `${show(entry.title)}${entry.kind === "submenu" ? "  >" : ""}`,
    hint: [
      isDefault(entry) ? "default" : "",
      entry.users !== undefined && menu.superusers.length > 0 ? "asks for a password" : "",
    ]
      .filter((word) => word !== "")
      .join(", "),
  }));
  const initial = entries.find(isDefault) ?? entries[0];
  const answer = await select({
    message,
    options: [...options, { value: "back", label: path.length === 0 ? "(quit)" : "(back)", hint: "" }],
    initialValue: initial === undefined ? "back" : String(initial.index),
    maxItems: 12,
  });
  const entry = isCancel(answer) ? undefined : entries.find(({ index }) => String(index) === answer);
  return entry === undefined ? "back" : { entry };
}

/** Shows what an entry loads, as often as its commands are edited. Answers whether to go on with the menu. */
async function visit(open: OpenMenu, path: readonly number[]): Promise<boolean> {
  let commands = await open.commands(path);
  let plan = await open.plan(path);
  for (;;) {
    showPlan(plan);
    const answer = await select({
      message: "and now?",
      options: [
        { value: "menu", label: "back to the menu" },
        ...(commands === undefined ? [] : [{ value: "edit", label: "edit its commands" }]),
        { value: "quit", label: "quit" },
      ],
    });
    if (isCancel(answer) || answer === "menu") return true;
    if (answer === "quit") return false;
    const edited = await edit(commands!);
    if (edited === undefined) continue;
    commands = edited;
    plan = await open.planEdited(path, edited);
  }
}

function showPlan(plan: BootPlan | undefined): void {
  const problems = (plan?.problems ?? []).map(({ what }) => `error: ${show(what)}`);
  const lines = plan === undefined ? ["nothing would be loaded"] : [...planLines(plan, show), ...problems];
  log.message(lines, { spacing: 0 });
}

/** The commands as a person leaves them; undefined when they were left by Escape. */
async function edit(commands: readonly string[]): Promise<readonly string[] | undefined> {
  const prompt = new MultiLinePrompt({
    initialValue: commands.map(toEditor).join("\n"),
    showSubmit: true,
    render() {
      const { userInput, cursor, state, focused } = this;
      const ended = state === "submit" || state === "cancel";
      const onButton = focused === "submit";
      // The library shows the place of the cursor, and the button that Tab leads to, by colour alone.
      const text = ended || onButton ? userInput : `${userInput.slice(0, cursor)}█${userInput.slice(cursor)}`;
      const title = `│\n◆  commands of the entry (Tab, then Enter: what they would boot; Escape: as before)`;
      const lines = wrapTextWithPrefix(undefined, text, "│  ");
      const button = ended ? "" : `\n└\n${onButton ? "▶" : " "} [ submit ]\n`;
      return `${title}\n${lines}${button}`;
    },
  });
  const answer = await prompt.prompt();
  return isCancel(answer) || answer === undefined ? undefined : answer.split("\n").map(fromEditor);
}

/** A line of the guest, safe to show and without loss; the tabs that indent it become blanks. */
function toEditor(line: string): string {
  return escapeGuestText(encodeText(line.replace(/^[ \t]+/, (blanks) => blanks.replaceAll("\t", "    "))));
}

function fromEditor(line: string): string {
  return decodeText(unescapeGuestText(line));
}

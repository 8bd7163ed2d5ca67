import type { BootMenu, BootPlan, PlanFile } from "../menu/types.js";
import { wildcardMatcher } from "../script/glob.js";
import { type BlsEntry, type BlsField, blsField, blsFields, expandBlsValue, sortBlsEntries } from "./entry.js";

export interface BlsMenuOptions {
  /** `saved_entry`, or systemd-boot's `default`: an id, a title, a number, or an id with `*` and `?`. */
  readonly default?: string | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
  /** Variables that `options` may name: `kernelopts`, `tuned_params`. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
}

/** Entries that can be started, in the order of the menu: one without `linux` (or systemd-boot's `efi`) is left out. */
function bootable(entries: readonly BlsEntry[]): readonly BlsEntry[] {
  return sortBlsEntries(entries.filter((entry) => (blsField(entry, "linux") ?? blsField(entry, "efi")) !== undefined));
}

function title(entry: BlsEntry): string {
  return (blsField(entry, "title") ?? blsField(entry, "linux") ?? blsField(entry, "efi"))?.value ?? entry.id;
}

/** The menu that a directory of entries gives. */
export function blsMenu(entries: readonly BlsEntry[], options: BlsMenuOptions = {}): BootMenu {
  const sorted = bootable(entries);
  const wanted = options.default;
  const matches = wanted === undefined ? undefined : wildcardMatcher(wanted.replaceAll("\\", "\\\\"));
  const name = wanted?.replace(/\.conf$/, "");
  const found = [
    sorted.findIndex((entry) => entry.id === name),
    sorted.findIndex((entry) => title(entry) === wanted),
    wanted !== undefined && /^[0-9]+$/.test(wanted) ? Number(wanted) : -1,
    sorted.findIndex((entry) => matches?.(entry.id) || matches?.(`${entry.id}.conf`)),
  ].find((index) => index >= 0 && index < sorted.length);
  return {
    language: "bls",
    entries: sorted.map((entry, index) => ({
      kind: "entry",
      title: title(entry),
      id: entry.id,
      index,
      at: entry.fields[0]!.at,
      users: blsField(entry, "grub_users")?.value.split(/[ ,]+/),
      hotkey: blsField(entry, "grub_hotkey")?.value,
      classes: blsFields(entry, "grub_class").map(({ value }) => value),
      entries: undefined,
    })),
    default: {
      path: sorted.length === 0 ? [] : [found ?? 0],
      why:
        wanted === undefined || wanted === ""
          ? "no default is set, so it is the newest"
          : found === undefined
            ? `no entry is called \`${wanted}', so it is the newest`
            : `default is \`${wanted}'`,
      at: undefined,
    },
    fallback: [],
    timeout: options.timeout,
    style: "menu",
    superusers: [],
  };
}

/** What starting the entry at `index` of the menu would load. Paths are on the volume that holds the entries. */
export function blsPlan(
  entries: readonly BlsEntry[],
  index: number,
  options: BlsMenuOptions = {},
): BootPlan | undefined {
  const entry = bootable(entries)[index];
  if (entry === undefined) return undefined;
  const { variables = {} } = options;
  const kernel = (blsField(entry, "linux") ?? blsField(entry, "efi"))!;
  const lines = blsFields(entry, "options").map(({ value }) => expandBlsValue(value, (name) => variables[name]));
  const cmdline = lines.length > 0 ? lines.join(" ") : (variables.default_kernelopts ?? "");
  const file = ({ value, at }: BlsField): PlanFile => ({
    device: undefined,
    path: value,
    args: "",
    at,
    found: undefined,
  });
  return {
    path: [index],
    title: title(entry),
    command: kernel.key,
    kernel: { ...file(kernel), args: cmdline },
    cmdline,
    initrds: blsFields(entry, "initrd").flatMap((field) =>
      field.value.split(/[ \t]+/).map((value) => file({ ...field, value })),
    ),
    modules: [],
    root: undefined,
    problems: [],
    doubts: [],
    locked: false,
  };
}

import type { BootMenu, BootPlan, PlanFile } from "../menu/types.js";
import { type Position, positionIn, sourceFromFile } from "../script/source.js";

export interface LiloOption {
  readonly name: string;
  /** Undefined for a flag. */
  readonly value: string | undefined;
  readonly at: Position;
}

/** A section that starts with `image=` or `other=`. */
export interface LiloEntry {
  readonly kind: "image" | "other";
  readonly path: string;
  readonly at: Position;
  readonly options: readonly LiloOption[];
}

export interface LiloConfig {
  readonly global: readonly LiloOption[];
  readonly entries: readonly LiloEntry[];
}

/**
 * Reads lilo.conf: `name = value` or a flag on each line, values quoted where they hold blanks, `#` starting a comment.
 * Note that LILO itself boots what its installer recorded, not what this file says now.
 */
export function parseLilo(file: string, bytes: Uint8Array): LiloConfig {
  const global: LiloOption[] = [];
  const entries: { kind: "image" | "other"; path: string; at: Position; options: LiloOption[] }[] = [];
  for (const line of sourceFromFile(file, bytes).lines) {
    const match = /^\s*([A-Za-z][A-Za-z0-9_-]*)\s*(=?)\s*/.exec(line.text);
    if (match === null) continue;
    const rest = line.text.slice(match[0].length);
    const isFlag = match[2] === "";
    if (isFlag && rest !== "" && !rest.startsWith("#")) continue;
    const name = match[1]!.toLowerCase();
    const value = isFlag ? undefined : liloValue(rest);
    const at = positionIn(file, line, line.text.indexOf(match[1]!));
    if ((name === "image" || name === "other") && value !== undefined) {
      entries.push({ kind: name, path: value, at, options: [] });
    } else (entries.at(-1)?.options ?? global).push({ name, value, at });
  }
  return { global, entries };
}

/** A value between quotes, with nothing but a comment behind it, or all up to a comment. */
function liloValue(text: string): string {
  const quoted = /^"([^"\\]*(?:\\.[^"\\]*)*)"\s*(?:#|$)/s.exec(text);
  if (quoted !== null) return quoted[1]!.replace(/\\(["\\])/g, "$1");
  const comment = text.indexOf("#");
  return (comment < 0 ? text : text.slice(0, comment)).trimEnd();
}

const option = (list: readonly LiloOption[], name: string) => list.findLast((one) => one.name === name);

/** An entry's label; without one, the last part of its path. */
function label(entry: LiloEntry): string {
  return option(entry.options, "label")?.value ?? entry.path.split("/").at(-1)!;
}

export function liloMenu(config: LiloConfig): BootMenu {
  const wanted = option(config.global, "default");
  const named = (entry: LiloEntry) => [label(entry), option(entry.options, "alias")?.value].includes(wanted?.value);
  const index = wanted === undefined ? 0 : config.entries.findIndex(named);
  const tenths = option(config.global, "timeout") ?? option(config.global, "delay");
  const prompt = option(config.global, "prompt") !== undefined;
  return {
    language: "lilo",
    entries: config.entries.map((entry, position) => ({
      kind: "entry",
      title: label(entry),
      id: label(entry),
      index: position,
      at: entry.at,
      users: option(entry.options, "password") === undefined ? undefined : [],
      hotkey: undefined,
      classes: [],
      entries: undefined,
    })),
    default: {
      path: config.entries.length === 0 ? [] : [Math.max(index, 0)],
      why:
        wanted === undefined
          ? "no default is set, so it is the first"
          : index < 0
            ? `no entry is labelled \`${wanted.value}', so it is the first`
            : `default is \`${wanted.value}'`,
      at: wanted?.at,
    },
    fallback: [],
    // Tenths of a second. With a prompt and no timeout LILO waits for ever; without a prompt it starts at once.
    timeout: tenths?.value === undefined ? (prompt ? undefined : 0) : (Number.parseInt(tenths.value, 10) || 0) / 10,
    style: prompt ? "menu" : "hidden",
    superusers: option(config.global, "password") === undefined ? [] : ["the holder of the password"],
  };
}

export function liloPlan(config: LiloConfig, index: number): BootPlan | undefined {
  const entry = config.entries[index];
  if (entry === undefined) return undefined;
  const find = (name: string) => option(entry.options, name) ?? option(config.global, name);
  const flag = (name: string) =>
    find(name) === undefined ? [] : [name.replace("read-only", "ro").replace("read-write", "rw")];
  const root = find("root");
  const append = [
    option(entry.options, "append") ?? option(config.global, "append"),
    option(entry.options, "addappend"),
  ];
  const literal = option(entry.options, "literal");
  const cmdline =
    literal?.value ??
    [
      ...(root?.value === undefined ? [] : [`root=${root.value}`]),
      ...flag("read-only"),
      ...flag("read-write"),
      ...append.map((one) => one?.value).filter((text) => text !== undefined && text !== ""),
    ].join(" ");
  const file = (path: string, at: Position): PlanFile => ({ device: undefined, path, args: "", at, found: undefined });
  const initrd = find("initrd");
  return {
    path: [index],
    title: label(entry),
    command: entry.kind,
    kernel: { ...file(entry.path, entry.at), args: entry.kind === "image" ? cmdline : "" },
    cmdline: entry.kind === "image" ? cmdline : undefined,
    initrds: entry.kind === "image" && initrd?.value !== undefined ? [file(initrd.value, initrd.at)] : [],
    modules: [],
    root: undefined,
    problems: [],
    doubts: [{ what: "LILO boots what its installer wrote down, which may differ from this file", at: undefined }],
    locked: find("password") !== undefined && find("restricted") === undefined,
  };
}

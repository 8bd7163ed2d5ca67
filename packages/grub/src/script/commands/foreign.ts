import {
  type BlsEntry,
  blsField,
  blsFields,
  expandBlsValue,
  isBlsFileName,
  parseBlsEntry,
  sortBlsEntries,
} from "../../bls/entry.js";
import { GRUB_ERRNO } from "../../errno.js";
import { translateLegacy } from "../../legacy/translate.js";
import { parseSyslinux, type SyslinuxConfig, type SyslinuxEntry } from "../../syslinux/parse.js";
import { listDirectory, readFile } from "../files.js";
import type { Machine } from "../machine.js";
import type { Call, CommandSpec, Entry } from "../machine-types.js";
import { type Position, type Source, sourceFromText } from "../source.js";
import { parseNumber, withoutEnd } from "../text.js";
import { showOwnMenu } from "./files.js";

function entry(title: string, at: Position, body: () => Source, rest: Partial<Entry> = {}): Entry {
  return {
    title,
    id: title,
    submenu: false,
    classes: [],
    users: undefined,
    hotkey: undefined,
    args: [title],
    body,
    at,
    ...rest,
  };
}

/** Reads a menu.lst into the current menu (commands/legacycfg.c). */
async function legacySource(machine: Machine, name: string): Promise<number> {
  const file = await readFile(machine, name);
  if (file === undefined) return machine.errno;
  machine.beginMenu();
  const { steps, suffix, unsupported } = translateLegacy(name, file.bytes);
  for (const { text, at } of unsupported) machine.remark("not-modelled", `GRUB 2 does not translate: ${text}`, at);
  for (const step of steps) {
    machine.budget.spend("steps");
    if (step.kind === "run") await machine.nested(() => machine.runFile(step.source));
    else machine.addEntry(entry(step.title, step.at, () => step.source, { users: step.last ? undefined : "legacy" }));
  }
  await machine.nested(() => machine.runFile(suffix));
  return GRUB_ERRNO.none;
}

/** Runs `read` in the current context, or in one of its own whose menu is shown. */
async function inContext(machine: Machine, own: boolean, read: () => Promise<number>): Promise<number> {
  if (!own) return read();
  machine.openContext();
  const status = await read();
  const saved = machine.takeError();
  await showOwnMenu(machine);
  machine.restoreError(saved);
  machine.closeContext();
  return status;
}

const legacy =
  (own: boolean) =>
  async (machine: Machine, { args }: Call) => {
    if (args.length !== 1) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
    return inContext(machine, own, () => legacySource(machine, args[0]!));
  };

/** A word for the body of an entry. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** The body that GRUB makes of a label (lib/syslinux_parse.c). */
function syslinuxBody(
  { loader, file, append, initrds, label }: SyslinuxEntry,
  root: string,
  directory: string,
): string {
  const path = (name: string) => `${quoted(name.startsWith("/") ? root : directory)}/${quoted(name)}`;
  const kernel = file ?? label;
  const kind = loader === "kernel" || loader === undefined ? kernel : "";
  const linux = loader === "linux" || (kind !== "" && !/\.(0|bin|bss?|c32|cbt|com|img)$/i.test(kind));
  if (linux) {
    const inline = /(?:^|\s)initrd=(\S*)/i.exec(append ?? "")?.[1];
    const files = [...(inline === undefined ? [] : [inline]), ...initrds.map(({ path: name }) => name)];
    return [
      "if test x$grub_platform = xpc; then linux_suffix=16; else linux_suffix= ; fi",
      `linux$linux_suffix ${path(kernel)} ${append ?? ""}`,
      files.length === 0 ? "" : `initrd$linux_suffix ${files.map(path).join(" ")}`,
    ].join("\n");
  }
  if (loader === "boot" || /\.bs$/i.test(kind)) return `chainloader ${path(kernel)}`;
  if (loader === "bss" || /\.bss$/i.test(kind)) return `chainloader --bpb ${path(kernel)}`;
  if (/(^|\/)reboot\.c32$/i.test(kernel)) return "reboot";
  if (/(^|\/)poweroff\.com$/i.test(kernel)) return "halt";
  if (loader === "localboot") {
    const number = Number(parseNumber(kernel).value);
    if (number >= 0 && number <= 2) return `root=fd${number};\nchainloader +1`;
    if (number >= 0x80 && number < 0x8a) return `root=hd${number - 0x80};\nchainloader +1`;
  }
  return "true;";
}

const SYSLINUX_OPTIONS = {
  options: [
    { long: "root", short: "r", value: "string" },
    { long: "cwd", short: "c", value: "string" },
    { long: "isolinux", short: "i" },
    { long: "pxelinux", short: "p" },
    { long: "syslinux", short: "s" },
  ],
} as const;

async function readSyslinux(
  machine: Machine,
  name: string,
  root: string,
  directory: string,
): Promise<SyslinuxConfig | undefined> {
  const file = await readFile(machine, name);
  if (file === undefined) return undefined;
  return parseSyslinux(name, file.bytes, {
    async read(path) {
      const included = await readFile(machine, `${path.startsWith("/") ? root : directory}/${path}`);
      machine.takeError();
      return included?.bytes;
    },
  });
}

async function syslinuxSource(machine: Machine, { args, options, at }: Call): Promise<number> {
  const [name] = args;
  if (name === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  const root = options.given.get("root")?.[0] ?? `${name.startsWith("(") ? name.slice(0, name.indexOf(")") + 1) : ""}/`;
  const directory = options.given.get("cwd")?.[0] ?? name.slice(0, Math.max(name.lastIndexOf("/"), 0));
  const config = await readSyslinux(machine, name, root, directory);
  if (config === undefined) return machine.errno;
  machine.beginMenu();
  for (const { what, at: place } of config.problems) machine.remark("not-modelled", what, place);
  if (config.entries.length === 0) return GRUB_ERRNO.none;
  const wanted = config.settings.get("default");
  const tenths = Number.parseInt(config.settings.get("timeout")?.value ?? "0", 10) || 0;
  if (tenths === 0 && wanted !== undefined) {
    // Without a timeout GRUB runs the default label there and then.
    for (const label of config.entries) {
      if (label.label.toLowerCase() !== wanted.value.toLowerCase()) continue;
      await machine.nested(() => machine.runFile(sourceFromText(at, syslinuxBody(label, root, directory))));
    }
    return GRUB_ERRNO.none;
  }
  machine.set("timeout", String(Math.floor((tenths + 9) / 10)));
  if (wanted !== undefined) machine.set("default", wanted.value);
  for (const label of config.entries) {
    const title = label.title ?? label.label;
    const body = () => sourceFromText(label.at, syslinuxBody(label, root, directory));
    machine.addEntry(entry(title, label.at, body, { id: label.label, users: "", hotkey: label.hotkey }));
  }
  return GRUB_ERRNO.none;
}

const syslinux = (own: boolean) => (machine: Machine, call: Call) =>
  inContext(machine, own, () => syslinuxSource(machine, call));

/** What blscfg makes of an entry: kernel, options and ramdisks on the volume that holds it. */
function blsBody(machine: Machine, bls: BlsEntry, device: string): string {
  const variable = (name: string) => machine.environment.value(name);
  const options = blsFields(bls, "options").map(({ value }) => expandBlsValue(value, variable));
  const cmdline = options.length > 0 ? options.join(" ") : (variable("default_kernelopts") ?? "");
  const early = (variable("early_initrd") ?? "").split(/\s+/).filter((name) => name !== "");
  const initrds = blsFields(bls, "initrd").flatMap(({ value }) => value.split(/[ \t]+/));
  const directory = initrds[0]?.slice(0, initrds[0].lastIndexOf("/") + 1) ?? "/";
  const files = [...early.map((name) => `${directory}${name}`), ...initrds].map((path) => `(${device})${path}`);
  return [
    variable("save_default") === "true" ? "savedefault" : "",
    "load_video",
    "set gfxpayload=keep",
    "insmod gzio",
    `linux (${device})${blsField(bls, "linux")!.value} ${cmdline}`,
    files.length === 0 ? "" : `initrd ${files.join(" ")}`,
  ].join("\n");
}

/** `blscfg` of Red Hat's GRUB: entries from the root device, newest first. */
async function blscfg(machine: Machine, { args, at }: Call): Promise<number> {
  const root = machine.environment.value("root") ?? "";
  const [argument] = args;
  const named = machine.environment.value("blsdir");
  let directory = argument?.startsWith("(") ? argument : `(${root})${named ?? "/loader/entries/"}`;
  let listed = await listDirectory(machine, directory);
  if (listed === undefined) {
    directory = `(${root})/boot/loader/entries/`;
    listed = await listDirectory(machine, directory);
  }
  if (listed === undefined)
    return machine.fail(
      GRUB_ERRNO["file-not-found"],
      `file \`${directory.slice(directory.indexOf(")") + 1)}' not found`,
    );
  const wanted = argument?.endsWith(".conf") && !argument.startsWith("(") ? argument : undefined;
  const found: BlsEntry[] = [];
  for (const { name } of listed) {
    if (!isBlsFileName(name) || (wanted !== undefined && name !== wanted)) continue;
    const file = await readFile(machine, `${withoutEnd(directory, "/")}/${name}`);
    machine.takeError();
    if (file === undefined) continue;
    const bls = parseBlsEntry(`(${file.device})${file.path}`, file.bytes);
    if (blsField(bls, "linux") !== undefined) found.push(bls);
  }
  machine.beginMenu();
  const device = directory.slice(1, directory.indexOf(")"));
  for (const bls of sortBlsEntries(found)) {
    const place = bls.fields[0]?.at ?? at;
    const title = (blsField(bls, "title") ?? blsField(bls, "linux"))!.value;
    const users = blsField(bls, "grub_users");
    machine.addEntry(
      entry(title, place, () => sourceFromText(place, blsBody(machine, bls, device)), {
        id: bls.id,
        classes: blsFields(bls, "grub_class").map(({ value }) => value),
        users: users === undefined ? "" : expandBlsValue(users.value, (name) => machine.environment.value(name)),
        hotkey: blsField(bls, "grub_hotkey")?.value,
        args: [title, ...blsFields(bls, "grub_arg").map(({ value }) => value)],
      }),
    );
  }
  return GRUB_ERRNO.none;
}

/** Commands that read the configurations of other boot loaders. */
export const FOREIGN_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  legacy_source: { run: legacy(false) },
  legacy_configfile: { run: legacy(true) },
  syslinux_source: { run: syslinux(false), options: SYSLINUX_OPTIONS },
  syslinux_configfile: { run: syslinux(true), options: SYSLINUX_OPTIONS },
  blscfg: { run: blscfg },
};

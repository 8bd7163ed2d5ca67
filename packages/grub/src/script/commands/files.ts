import { isImageError } from "@guestprobe/block";
import { editEnvironment, parseEnvironment } from "../../env/block.js";
import { GRUB_ERRNO } from "../../errno.js";
import { formatFileName, listDirectory, openFile, readFile } from "../files.js";
import type { Machine } from "../machine.js";
import type { Call, CommandSpec } from "../machine-types.js";
import type { OptionTable } from "../options.js";
import { sourceFromFile } from "../source.js";
import { decodeText } from "../text.js";
import type { Volume } from "../world.js";

/**
 * Reads a configuration file into the menu of the current context, with `config_file` and `config_directory` set while
 * it runs (normal/main.c, read_config_file). A file that is not there is passed over without a word.
 */
export async function runConfigFile(machine: Machine, name: string): Promise<boolean> {
  machine.beginMenu();
  const file = await readFile(machine, name);
  if (file === undefined) {
    machine.takeError();
    return false;
  }
  const { environment } = machine;
  const path = formatFileName({
    device: file.device,
    path: name.startsWith("(") ? name.slice(name.indexOf(")") + 1) : name,
  });
  const shown = name.startsWith("(") ? name : path;
  const outer = { file: environment.value("config_file"), directory: environment.value("config_directory") };
  const setOrUnset = (variable: string, value: string | undefined) => {
    if (value === undefined) environment.unset(variable);
    else environment.set(variable, value);
  };
  environment.set("config_file", shown);
  environment.set("config_directory", shown.slice(0, Math.max(shown.lastIndexOf("/"), 0)));
  environment.export("config_file");
  environment.export("config_directory");
  await machine.nested(() => machine.runFile(sourceFromFile(shown, file.bytes)));
  setOrUnset("config_file", outer.file);
  setOrUnset("config_directory", outer.directory);
  machine.takeError();
  return true;
}

/** `configfile`: in a context of its own, and its menu is shown. */
async function configfile(machine: Machine, { args }: Call): Promise<number> {
  if (args.length !== 1) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  machine.openContext();
  await runConfigFile(machine, args[0]!);
  await showOwnMenu(machine);
  machine.closeContext();
  return GRUB_ERRNO.none;
}

/** Shows the menu that the current context has gathered, if it has any. */
export async function showOwnMenu(machine: Machine): Promise<void> {
  const { menu } = machine;
  if (menu !== undefined && menu.length > 0) await machine.setup.showMenu(machine, menu, true);
}

async function source(machine: Machine, { args }: Call): Promise<number> {
  if (args.length !== 1) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  await runConfigFile(machine, args[0]!);
  return GRUB_ERRNO.none;
}

/** `normal [FILE]`: as at start, `$prefix/grub.cfg` unless another is named. */
async function normal(machine: Machine, { args }: Call): Promise<number> {
  const prefix = machine.environment.value("prefix");
  const file = args[0] ?? (prefix === undefined ? undefined : `${prefix}/grub.cfg`);
  if (file !== undefined) {
    await runConfigFile(machine, file);
    await showOwnMenu(machine);
  }
  return GRUB_ERRNO.none;
}

async function cat(machine: Machine, { args }: Call): Promise<number> {
  if (args.length !== 1) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  const file = await readFile(machine, args[0]!);
  if (file === undefined) return machine.errno;
  machine.print(`${decodeText(file.bytes)}\n`);
  return GRUB_ERRNO.none;
}

/** `ls`: devices, or the names in a directory; the long form is not modelled. */
async function ls(machine: Machine, { args, options }: Call): Promise<number> {
  if (options.given.has("long")) machine.remark("not-modelled", "the long form of ls");
  if (args.length === 0) {
    machine.print(`${(await machine.devices()).map((device) => `(${device}) `).join("")}\n`);
    return GRUB_ERRNO.none;
  }
  for (const name of args) {
    const entries = await listDirectory(machine, name);
    if (entries === undefined) {
      if ((await openFile(machine, name)) === undefined) return machine.errno;
      machine.print(`${name} \n`);
      continue;
    }
    const shown = entries.filter((entry) => options.given.has("all") || !entry.name.startsWith("."));
    machine.print(`${shown.map((entry) => `${entry.name}${entry.type === "directory" ? "/" : ""} `).join("")}\n`);
  }
  return GRUB_ERRNO.none;
}

async function loopback(machine: Machine, { args, options }: Call): Promise<number> {
  const [name, image] = args;
  if (name === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "device name required");
  const loopbacks = new Map(machine.loopbacks);
  const partitions = (device: string) =>
    [...loopbacks.keys()].filter((key) => key === device || key.startsWith(`${device},`));
  if (options.given.has("delete")) {
    if (!loopbacks.has(name)) return machine.fail(GRUB_ERRNO["bad-device"], "device not found");
    for (const device of partitions(name)) loopbacks.delete(device);
    machine.loopbacks = loopbacks;
    return GRUB_ERRNO.none;
  }
  if (image === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  const file = await openFile(machine, image);
  if (file === undefined) return machine.errno;
  const volumes = await machine.world.openImage?.(file.device, file.path);
  for (const device of partitions(name)) loopbacks.delete(device);
  if (volumes === undefined) loopbacks.set(name, "unknown");
  else {
    const add = (part: string, volume: Volume) => loopbacks.set(part === "" ? name : `${name},${part}`, volume);
    for (const [part, volume] of volumes) add(part, volume);
  }
  machine.loopbacks = loopbacks;
  return GRUB_ERRNO.none;
}

const ENV_OPTIONS: OptionTable = {
  options: [
    { long: "file", short: "f", value: "string" },
    { long: "skip-sig", short: "s" },
  ],
};

/** The environment block that a command is to use; undefined after an error was set. */
async function openBlock(machine: Machine, { options }: Call) {
  let name = options.given.get("file")?.[0];
  if (name === undefined) {
    const prefix = machine.environment.value("prefix");
    if (prefix === undefined) {
      machine.fail(GRUB_ERRNO["file-not-found"], "variable `prefix' isn't set");
      return undefined;
    }
    name = `${prefix}/grubenv`;
  }
  const file = await readFile(machine, name);
  if (file === undefined) return undefined;
  try {
    return { file, block: parseEnvironment(file.bytes) };
  } catch (error) {
    if (!isImageError(error)) throw error;
    machine.fail(GRUB_ERRNO["bad-file-type"], "invalid environment block");
    return undefined;
  }
}

async function loadEnv(machine: Machine, call: Call): Promise<number> {
  const opened = await openBlock(machine, call);
  if (opened === undefined) return machine.errno;
  for (const { name, value } of opened.block.variables) {
    machine.budget.spend("steps");
    if (call.args.length === 0 || call.args.includes(name)) machine.set(name, value);
  }
  return GRUB_ERRNO.none;
}

async function listEnv(machine: Machine, call: Call): Promise<number> {
  const opened = await openBlock(machine, call);
  if (opened === undefined) return machine.errno;
  machine.print(opened.block.variables.map(({ name, value }) => `${name}=${value}\n`).join(""));
  return GRUB_ERRNO.none;
}

/** `save_env`: nothing is written; later reads in the same run see what would have been. */
async function saveEnv(machine: Machine, call: Call): Promise<number> {
  if (call.args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "no variable is specified");
  const opened = await openBlock(machine, call);
  if (opened === undefined) return machine.errno;
  let { bytes } = opened.file;
  for (const name of call.args) {
    const edited = editEnvironment(bytes, name, machine.environment.value(name));
    if (edited === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "environment block too small");
    bytes = edited;
  }
  machine.written = new Map(machine.written).set(formatFileName(opened.file), bytes);
  return GRUB_ERRNO.none;
}

/** `loadfont`: succeeds when the font is there; a bare name is one of GRUB's own fonts. */
async function loadfont(machine: Machine, { args }: Call): Promise<number> {
  if (args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  for (const name of args) {
    const bare = !/^[(/+]/.test(name);
    const prefix = machine.environment.value("prefix") ?? "";
    const file = await openFile(machine, bare ? `${prefix}/fonts/${name}.pf2` : name);
    if (file === undefined) return machine.errno;
  }
  return GRUB_ERRNO.none;
}

/** `file --is-...`: what a file is, which takes reading it as a loader would. */
async function fileKind(machine: Machine, { args }: Call): Promise<number> {
  const name = args.find((arg) => !arg.startsWith("-"));
  if (name === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  if ((await openFile(machine, name)) === undefined) return machine.errno;
  machine.doubt(`what kind of file ${name} is`);
  return GRUB_ERRNO.none;
}

export const FILE_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  configfile: { run: configfile },
  source: { run: source },
  ".": { run: source },
  normal: { run: normal },
  cat: { run: cat, options: { options: [{ long: "dos" }] } },
  ls: {
    run: ls,
    options: {
      options: [
        { long: "long", short: "l" },
        { long: "human-readable", short: "h" },
        { long: "all", short: "a" },
      ],
    },
  },
  loopback: { run: loopback, options: { options: [{ long: "delete", short: "d" }] } },
  load_env: { run: loadEnv, options: ENV_OPTIONS },
  list_env: { run: listEnv, options: ENV_OPTIONS },
  save_env: { run: saveEnv, options: ENV_OPTIONS },
  loadfont: { run: loadfont },
  file: { run: fileKind },
};

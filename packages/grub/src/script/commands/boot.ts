import { GRUB_ERRNO } from "../../errno.js";
import { isBlockList, openFile, openVolume, splitFileName } from "../files.js";
import type { Machine } from "../machine.js";
import { type Call, type CommandSpec, Halt, type LoadedFile } from "../machine-types.js";
import type { LoadCall } from "../world.js";

/** The file that a loader is given; undefined after an error was set. Its content is another package's business. */
async function loaderFile(
  machine: Machine,
  command: string,
  role: LoadCall["role"],
  name: string,
  args: string,
): Promise<LoadedFile | undefined> {
  const at = machine.at!;
  const named = splitFileName(machine, name);
  if (named !== undefined && isBlockList(named.path)) {
    if ((await openVolume(machine, named.device)) === undefined) return undefined;
    return { device: named.device, path: named.path, args, at, found: true };
  }
  const file = await openFile(machine, name);
  if (file === undefined) return undefined;
  const { device, path } = file;
  const answer = await machine.world.checkLoad?.({ command, role, device, path, at });
  if (answer !== undefined && answer.status !== 0) {
    machine.fail(answer.status, answer.message ?? name);
    return undefined;
  }
  return { device, path, args, at, found: true };
}

/** The words of a command line as GRUB joins them: quotes and backslashes escaped, words with blanks quoted (lib/cmdline.c). */
function commandLine(words: readonly string[]): string {
  return words
    .map((word) => {
      const escaped = word.replace(/[\\'"]/g, "\\$&");
      return word.includes(" ") ? `"${escaped}"` : escaped;
    })
    .join(" ");
}

/** `linux`, `multiboot`, `chainloader` and their like: a kernel and its command line. */
const kernel =
  (options: "options" | "plain") =>
  async (machine: Machine, { name, args }: Call): Promise<number> => {
    const first = options === "options" ? args.findIndex((arg) => !arg.startsWith("--")) : 0;
    const [path, ...rest] = first < 0 ? [] : args.slice(first);
    machine.loaded = undefined;
    if (path === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
    const cmdline = commandLine(rest);
    const file = await loaderFile(machine, name, "kernel", path, cmdline);
    if (file === undefined) return machine.errno;
    machine.loaded = { command: name, kernel: file, cmdline, initrds: [], modules: [] };
    return GRUB_ERRNO.none;
  };

/** `initrd`: all its files become one ramdisk; what was there is replaced. */
async function initrd(machine: Machine, { name, args }: Call): Promise<number> {
  if (args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  if (machine.loaded === undefined)
    return machine.fail(GRUB_ERRNO["bad-argument"], "you need to load the kernel first");
  const files: LoadedFile[] = [];
  for (const word of args) {
    // `newc:NAME:FILE` puts a file into the ramdisk under a name.
    const path = word.startsWith("newc:") ? word.split(":").slice(2).join(":") : word;
    const file = await loaderFile(machine, name, "initrd", path, "");
    if (file === undefined) return machine.errno;
    files.push(file);
  }
  machine.loaded = { ...machine.loaded, initrds: files };
  return GRUB_ERRNO.none;
}

async function addModule(machine: Machine, { name, args }: Call): Promise<number> {
  const [path, ...rest] = args.filter((arg) => arg !== "--nounzip");
  if (path === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  if (machine.loaded === undefined)
    return machine.fail(GRUB_ERRNO["bad-argument"], "you need to load the kernel first");
  const file = await loaderFile(machine, name, "module", path, commandLine(rest));
  if (file === undefined) return machine.errno;
  machine.loaded = { ...machine.loaded, modules: [...machine.loaded.modules, file] };
  return GRUB_ERRNO.none;
}

async function boot(machine: Machine): Promise<number> {
  if (machine.loaded === undefined) return machine.fail(GRUB_ERRNO["no-kernel"], "you need to load the kernel first");
  throw new Halt("boot");
}

/** Kernel types are guessed from the file's content; here the first loader whose file is there is taken. */
async function legacyKernel(machine: Machine, { args, at }: Call): Promise<number> {
  let words = args;
  for (let pass = 0; pass < 2; pass++) {
    const [first] = words;
    if (first === "--no-mem-option") words = words.slice(1);
    else if (first === "--type=linux" || first === "--type=biglinux") {
      machine.legacyKernel = "linux";
      words = words.slice(1);
    } else if (first === "--type=multiboot") {
      machine.legacyKernel = "multiboot";
      words = words.slice(1);
    } else if (/^--type=(free|open|net)bsd$/.test(first ?? "")) {
      machine.remark("not-modelled", `legacy_kernel ${first}`);
      words = words.slice(1);
    }
  }
  // The translation passes the file twice: once as itself, once as the first word of the command line.
  if (words.length < 2) return machine.fail(GRUB_ERRNO["bad-argument"], "filename expected");
  const linuxWords = [words[0]!, ...words.slice(2)];
  for (const kind of ["linux", "multiboot"] as const) {
    if (machine.legacyKernel !== undefined && machine.legacyKernel !== kind) continue;
    const status = await machine.invoke(
      kind === "linux" && machine.platform === "pc" ? "linux16" : kind,
      kind === "linux" ? linuxWords : words,
      at,
    );
    machine.takeError();
    if (status === 0) {
      machine.legacyKernel = kind;
      return GRUB_ERRNO.none;
    }
  }
  return machine.fail(GRUB_ERRNO["bad-os"], `couldn't load file ${words[0]}`);
}

async function legacyInitrd(machine: Machine, { args, at }: Call): Promise<number> {
  if (machine.legacyKernel === undefined)
    return machine.fail(GRUB_ERRNO["bad-argument"], "you need to load the kernel first");
  const linux = machine.legacyKernel === "linux";
  const command = linux ? (machine.platform === "pc" ? "initrd16" : "initrd") : "module";
  const status = await machine.invoke(command, linux ? args.slice(0, 1) : args, at);
  return status ?? machine.fail(GRUB_ERRNO["bad-argument"], `can't find command \`${command}'`);
}

const halt = (reason: "exit" | "halt" | "reboot") => async (): Promise<number> => {
  throw new Halt(reason);
};

const linux: CommandSpec = { run: kernel("plain") };
const multiboot: CommandSpec = { run: kernel("options") };

export const BOOT_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  linux,
  linux16: linux,
  linuxefi: linux,
  multiboot,
  multiboot2: multiboot,
  chainloader: multiboot,
  initrd: { run: initrd },
  initrd16: { run: initrd },
  initrdefi: { run: initrd },
  module: { run: addModule },
  module2: { run: addModule },
  boot: { run: boot },
  legacy_kernel: { run: legacyKernel },
  legacy_initrd: { run: legacyInitrd },
  legacy_initrd_nounzip: { run: legacyInitrd },
  exit: { run: halt("exit") },
  halt: { run: halt("halt") },
  reboot: { run: halt("reboot") },
  fwsetup: { run: halt("reboot") },
};

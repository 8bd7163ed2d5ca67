import { isBlocklist } from "../blocklist.js";
import { GRUB_ERRNO } from "../errno.js";
import type { Machine } from "./machine.js";
import type { Volume, WorldEntry } from "./world.js";

/** A file as GRUB names it, taken apart. */
export interface FileName {
  /** Without parentheses. */
  readonly device: string;
  readonly path: string;
}

export interface OpenFile extends FileName {
  readonly size: number;
}

/** "(device)/path". */
export function formatFileName(name: FileName): string {
  return `(${name.device})${name.path}`;
}

/** Device and path; without a device it is `$root`. Undefined after an error was set (kern/file.c). */
export function splitFileName(machine: Machine, name: string): FileName | undefined {
  if (!name.startsWith("(")) return withRoot(machine, "", name);
  const end = name.indexOf(")");
  if (end < 0) {
    machine.fail(GRUB_ERRNO["bad-filename"], "missing `)' symbol");
    return undefined;
  }
  return withRoot(machine, name.slice(1, end), name.slice(end + 1));
}

function withRoot(machine: Machine, device: string, path: string): FileName | undefined {
  if (device !== "") return { device, path };
  const root = machine.environment.get("root");
  if (root === undefined || root.value === "") {
    machine.fail(GRUB_ERRNO["bad-device"], "variable `root' isn't set");
    return undefined;
  }
  if (root.unknown !== undefined) machine.doubt(root.unknown);
  return { device: root.value, path };
}

/** The volume behind a device name; undefined after an error was set. */
export async function openVolume(machine: Machine, device: string): Promise<Volume | undefined> {
  const loop = machine.loopbacks.get(device);
  if (loop === "unknown") {
    machine.doubt(`what is on the loopback device ${device}`);
    machine.fail(GRUB_ERRNO["unknown-fs"], "unknown filesystem");
    return undefined;
  }
  if (loop !== undefined) return loop;
  const { world } = machine;
  if ((await world.probe(device)) === undefined) {
    const disk = device.split(",")[0]!;
    const partition = disk !== device && (await world.probe(disk)) !== undefined;
    machine.fail(GRUB_ERRNO["unknown-device"], partition ? "no such partition" : `disk \`${device}' not found`);
    return undefined;
  }
  return {
    probe: async () => (await world.probe(device)) ?? {},
    exists: (path) => world.exists(device, path),
    read: (path) => world.read(device, path),
    readDir: (path) => world.readDir(device, path),
  };
}

/** A regular file; undefined after an error was set. */
export async function openFile(machine: Machine, name: string): Promise<OpenFile | undefined> {
  const file = splitFileName(machine, name);
  if (file === undefined) return undefined;
  const volume = await openVolume(machine, file.device);
  if (volume === undefined) return undefined;
  if (!file.path.startsWith("/")) {
    if (isBlockList(file.path)) {
      machine.doubt(`what the blocks ${name} hold`);
      return { ...file, size: 0 };
    }
    machine.fail(GRUB_ERRNO["bad-filename"], `invalid file name \`${name}'`);
    return undefined;
  }
  if ((await volume.probe()).fs === undefined) {
    machine.fail(GRUB_ERRNO["unknown-fs"], "unknown filesystem");
    return undefined;
  }
  machine.budget.spend("files");
  const found = await volume.exists(file.path);
  if (found === undefined) {
    machine.fail(GRUB_ERRNO["file-not-found"], `file \`${file.path}' not found`);
    return undefined;
  }
  return { ...file, size: found.size };
}

/** Whether a name without a leading slash is a list of runs of sectors, which GRUB opens in place of a file. */
export function isBlockList(path: string): boolean {
  return isBlocklist(path, Number.MAX_SAFE_INTEGER);
}

/** The bytes of a file; undefined after an error was set. */
export async function readFile(
  machine: Machine,
  name: string,
): Promise<(OpenFile & { bytes: Uint8Array }) | undefined> {
  const file = await openFile(machine, name);
  if (file === undefined || !file.path.startsWith("/")) return undefined;
  const key = formatFileName(file);
  const written = machine.written.get(key);
  if (written !== undefined) return { ...file, bytes: written };
  machine.budget.check("fileBytes", file.size);
  const volume = await openVolume(machine, file.device);
  const bytes = await volume?.read(file.path);
  if (bytes === undefined) {
    machine.fail(GRUB_ERRNO["file-read-error"], `premature end of file ${key}`);
    return undefined;
  }
  machine.budget.spend("fileBytes", bytes.length);
  return { ...file, bytes };
}

/** Entries of a directory, or undefined; sets no error. */
export async function listDirectory(machine: Machine, name: string): Promise<readonly WorldEntry[] | undefined> {
  const saved = machine.takeError();
  const file = splitFileName(machine, name);
  const volume = file === undefined ? undefined : await openVolume(machine, file.device);
  machine.restoreError(saved);
  if (file === undefined || volume === undefined || (await volume.probe()).fs === undefined) return undefined;
  return volume.readDir(file.path === "" ? "/" : file.path);
}

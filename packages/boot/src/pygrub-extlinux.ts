import {
  type PygrubConfig,
  type PygrubEntry,
  type PygrubLine,
  parseLines,
  splitCommand,
  splitKernel,
  strip,
} from "./pygrub-config.js";

/** Xen's own loader of modules, whose APPEND lists hypervisor, kernel and ramdisk. */
const MODULE_LOADER = /mboot\.c32$/;

/** Each is taken out of the whole line: a line of nothing else would take for ever. */
const MAX_RAMDISKS = 64;

const unquoted = (text: string): string => text.replace(/^"(.+)"$/s, "$1");

function readLabel(lines: readonly PygrubLine[]): PygrubEntry {
  let title = "";
  let kernel: string | undefined;
  let args = "";
  let initrd: string | undefined;
  let line = lines[0]?.line ?? 0;
  const takeKernel = (value: string): void => {
    [kernel, args] = splitKernel(value);
  };
  for (const each of lines) {
    const [word, rest] = splitCommand(each.text);
    const command = word.toLowerCase();
    let value = rest;
    if (command === "append" && kernel !== undefined) {
      if (MODULE_LOADER.test(kernel)) {
        const modules = rest.split("---");
        const [inner, disk] = modules.length === 3 ? modules.slice(1) : modules.length === 2 ? modules : [];
        if (inner !== undefined && inner !== "") takeKernel(strip(inner));
        if (disk !== undefined && disk !== "") initrd = strip(disk);
        continue;
      }
      const disks = rest.split(" ").filter((one) => one.toLowerCase().startsWith("initrd="));
      for (const argument of disks.slice(0, MAX_RAMDISKS)) {
        initrd = argument.replaceAll("initrd=", "");
        value = value.replaceAll(argument, "");
      }
    }
    value = unquoted(strip(value));
    if (command === "label") title = value;
    else if (command === "append") args = value;
    else if (command === "kernel") {
      line = each.line;
      takeKernel(value);
    }
  }
  return { title, line, kernel, args, initrd };
}

/**
 * An extlinux.conf as pygrub reads it: LABEL, KERNEL and APPEND, and a ramdisk only as `initrd=` of an APPEND that follows its
 * KERNEL. Xen 4.17, tools/pygrub/src/ExtLinuxConf.py.
 */
export function parsePygrubExtlinux(bytes: Uint8Array): PygrubConfig {
  return parseLines(bytes, (lines) => {
    const entries: PygrubEntry[] = [];
    let wanted: string | undefined;
    let open: PygrubLine[] = [];
    for (const each of lines) {
      if (each.text.toLowerCase().startsWith("label")) {
        if (open.length > 0) entries.push(readLabel(open));
        open = [each];
      } else if (open.length > 0) open.push(each);
      else {
        const [command, rest] = splitCommand(each.text);
        if (command.toLowerCase() === "default") wanted = rest;
      }
    }
    if (open.length > 0) entries.push(readLabel(open));
    return {
      entries,
      default: Math.max(
        entries.findIndex(({ title }) => title === wanted),
        0,
      ),
    };
  });
}

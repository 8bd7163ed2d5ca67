import type { Partition, TableKind } from "@guestprobe/partition";
import type { MapName } from "./map-types.js";
import { parseNumber } from "./number.js";
import { DEFAULT_GRUB_VERSION, type GrubVersion } from "./versions.js";

/** One step from a disk, or a partition, to a partition of it. */
export interface PartitionName {
  /** GRUB's name of the kind of table: "msdos", "gpt", "bsd"; empty when the name gives a bare number. */
  readonly map: string;
  /** From 1. */
  readonly number: number;
}

/** GRUB's name of a device, taken apart. */
export interface DeviceName {
  /** "hd0", "xen/xvda", "lvm/vg-root"; commas in it are not escaped. */
  readonly disk: string;
  /** Empty for a whole disk; more than one for a partition inside a partition. */
  readonly partitions: readonly PartitionName[];
}

const MAX_NUMBER = 0x7fff_ffff;

/**
 * Takes GRUB's name of a device apart: "hd0", "hd0,1", "xen/xvda,msdos1", "lvm/a\,b,gpt2". Undefined for what GRUB would not
 * open whatever disks there are. Parentheses are not part of a name, see `splitDevicePath`.
 *
 * A version that cannot open nested names refuses anything after the first number; an older one takes further
 * partitions, and ignores what follows a number otherwise. Source: kern/disk.c, kern/partition.c.
 */
export function parseDeviceName(name: string, version: GrubVersion = DEFAULT_GRUB_VERSION): DeviceName | undefined {
  const comma = unescapedComma(name);
  const disk = name.slice(0, comma).replaceAll("\\,", ",");
  if (disk === "") return undefined;
  const partitions: PartitionName[] = [];
  for (let at = comma; at < name.length; ) {
    // At a comma. Nothing after the last one is an error only when there was no partition before it.
    const map = /^[A-Za-z]*/.exec(name.slice(at + 1))?.[0] ?? "";
    const number = parseNumber(name, at + 1 + map.length);
    if (number === undefined || number.value === 0 || number.value > MAX_NUMBER) return undefined;
    partitions.push({ map, number: number.value });
    if (version.nestedNames === "listed") {
      if (number.end !== name.length) return undefined;
      break;
    }
    if (name[number.end] !== ",") break;
    at = number.end;
    if (at === name.length - 1) break;
  }
  return { disk, partitions };
}

/** The name as GRUB prints it: commas in the disk's own name escaped. */
export function formatDeviceName(name: DeviceName): string {
  return [escapeDiskName(name.disk), ...name.partitions.map(({ map, number }) => `${map}${number}`)].join(",");
}

/** A disk's own name with its commas escaped, as it stands before the partition. */
export function escapeDiskName(disk: string): string {
  return disk.replaceAll(",", "\\,");
}

/** Where the partition part of a name begins: its first comma without a backslash before it, or its end. */
function unescapedComma(name: string): number {
  for (let at = 0; at < name.length; at += 1) {
    if (name[at] === "\\" && name[at + 1] === ",") at += 1;
    else if (name[at] === ",") return at;
  }
  return name.length;
}

/** A file name taken apart: "(hd0,1)/boot" is the device "hd0,1" and the path "/boot". */
export interface DevicePath {
  /** Undefined where there are no parentheses: GRUB takes `$root` then. */
  readonly device: string | undefined;
  readonly path: string;
}

/** Splits a file name into device and path. Undefined when the parenthesis is not closed, which GRUB refuses. */
export function splitDevicePath(name: string): DevicePath | undefined {
  if (!name.startsWith("(")) return { device: undefined, path: name };
  const end = name.indexOf(")");
  return end < 0 ? undefined : { device: name.slice(1, end), path: name.slice(end + 1) };
}

/**
 * A device as GRUB legacy and pv-grub name it: "(hd0,0)", "(hd0,0,a)", "(fd0)", with or without parentheses. Partitions count
 * from 0 there, disks are the same, letters are BSD partitions. Undefined for what is none: "(cd)", "(nd)".
 */
export function parseLegacyName(name: string): DeviceName | undefined {
  const bare = name.startsWith("(") && name.endsWith(")") ? name.slice(1, -1) : name;
  const match = /^([hf]d[0-9]+)(?:,([0-9]+)(?:,([a-p]))?)?$/.exec(bare);
  if (match === null) return undefined;
  const [, disk, partition, letter] = match;
  const partitions: PartitionName[] = [];
  if (partition !== undefined) {
    const number = Number(partition) + 1;
    if (number > MAX_NUMBER) return undefined;
    partitions.push({ map: "", number });
  }
  if (letter !== undefined) partitions.push({ map: "bsd", number: letter.charCodeAt(0) - 0x60 });
  return { disk: disk!, partitions };
}

/** The name that GRUB legacy would have for a device; undefined where it has none ("xen/xvda", nested partitions). */
export function formatLegacyName(name: DeviceName): string | undefined {
  if (!/^[hf]d[0-9]+$/.test(name.disk)) return undefined;
  const [partition, label, ...rest] = name.partitions;
  if (rest.length > 0 || (label !== undefined && (label.map !== "bsd" || label.number > 16))) return undefined;
  const parts = [
    name.disk,
    ...(partition === undefined ? [] : [`${partition.number - 1}`]),
    ...(label === undefined ? [] : [String.fromCharCode(0x60 + label.number)]),
  ];
  return `(${parts.join(",")})`;
}

/** GRUB's word for a kind of table. */
export function grubMapName(table: TableKind): MapName {
  return table === "mbr" ? "msdos" : table;
}

/** GRUB's name of a partition, without its disk: "msdos1", "apple2", "msdos1,bsd5". */
export function grubPartitionName({ parent, table, number }: Partition): string {
  const own = `${grubMapName(table)}${number}`;
  return parent === undefined ? own : `${grubPartitionName(parent)},${own}`;
}

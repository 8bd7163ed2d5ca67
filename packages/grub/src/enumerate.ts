import { type BlockDevice, sliceDevice } from "@guestprobe/block";
import { escapeDiskName } from "./device-name.js";
import { type MapName, type MapPartition, type MapResult, tryRead } from "./map-types.js";
import { LABEL_MODULES } from "./partition-labels.js";
import { readGptMap, readMsdosMap } from "./partition-map.js";
import { vbdHandle } from "./vbd.js";

/** A disk of the guest, or a logical volume or array that GRUB assembled from its disks. */
export interface GrubDisk {
  /** As GRUB names it: "xen/xvda", "hd0", "lvm/vg-root". */
  readonly name: string;
  /** Other names under which GRUB opens it: "lvmid/...", "mduuid/...". */
  readonly aliases?: readonly string[];
  readonly device: BlockDevice;
  /** Xen's number of the virtual disk; by default told from a name such as "xen/xvda". */
  readonly handle?: number;
}

/** A device that GRUB's `search` visits. */
export interface GrubDevice {
  /** Without parentheses: "xen/xvda", "xen/xvda,gpt2", "hd0,gpt1,msdos1". */
  readonly name: string;
  readonly disk: GrubDisk;
  /** From the disk inwards; empty for the whole disk. */
  readonly partitions: readonly MapPartition[];
  /** Bytes from the start of the disk. */
  readonly start: number;
  /** Its bytes as far as the disk goes; undefined when it begins past the end. */
  readonly device: BlockDevice | undefined;
}

/** A disk with what GRUB's partition modules find on it. */
export interface GrubDiskMap {
  /** The order in which `search` visits them: the whole disk, then its partitions, last found first. */
  readonly devices: readonly GrubDevice[];
  /** Why each module took the disk's table for unusable; undefined for those that did not. */
  readonly errors: { readonly [Map in MapName]: string | undefined };
}

/** Partitions in partitions in ...: a hostile table could nest without end. */
const MAX_DEPTH = 8;
const MAX_DEVICES = 4096;

/**
 * Lists a disk and its partitions as GRUB does. GRUB 2.06, kern/device.c, grub_device_iterate: the disk itself comes first;
 * its partitions are collected in front of one another, and so are visited backwards, those inside a partition before it.
 *
 * Every module contributes what it finds: a disk with several tables has the partitions of all of them. The order is that of
 * Debian's images: the module that was loaded last is asked first.
 */
export async function listDisk(disk: GrubDisk, signal?: AbortSignal): Promise<GrubDiskMap> {
  const whole: GrubDevice = { name: escapeDiskName(disk.name), disk, partitions: [], start: 0, device: disk.device };
  const found: GrubDevice[] = [];
  const sectorSize = disk.device.sectorSize ?? 512;
  const maps = await readMaps(disk.device, sectorSize, undefined, signal);
  const collect = async (parent: GrubDevice, results: Maps): Promise<void> => {
    for (const partition of MAP_ORDER.flatMap((map) => results[map].partitions)) {
      if (found.length >= MAX_DEVICES) return;
      const outer = parent.partitions.at(-1);
      if (outer !== undefined && (partition.start < 0 || partition.start + partition.length > outer.length)) continue;
      const child = childDevice(parent, partition);
      found.push(child);
      // A partition that begins where its parent does would be read as its own parent again.
      if (partition.start === 0 || child.device === undefined || child.partitions.length >= MAX_DEPTH) continue;
      await collect(child, await readMaps(child.device, sectorSize, partition, signal));
    }
  };
  await collect(whole, maps);
  const errors = Object.fromEntries(MAP_ORDER.map((map) => [map, maps[map].error])) as GrubDiskMap["errors"];
  return { devices: [whole, ...found.reverse()], errors };
}

type Maps = { readonly [Map in MapName]: MapResult };

/** The order of GRUB's list of modules, which is the order of discovery. */
const MAP_ORDER: readonly MapName[] = [...LABEL_MODULES.map(([map]) => map), "msdos", "gpt"];
/** As far from the start as the tables of other machines are looked for. */
const START_BYTES = 8192;

async function readMaps(
  device: BlockDevice,
  sectorSize: number,
  parent: MapPartition | undefined,
  signal: AbortSignal | undefined,
): Promise<Maps> {
  const [gpt, msdos, start] = await Promise.all([
    readGptMap(device, signal),
    readMsdosMap(device, sectorSize, parent, signal),
    tryRead(device, 0, START_BYTES, signal),
  ]);
  const read = (offset: number, length: number): Promise<Uint8Array> =>
    offset + length <= start.length
      ? Promise.resolve(start.subarray(offset, offset + length))
      : tryRead(device, offset, length, signal);
  const results: Partial<Record<MapName, MapResult>> = { gpt, msdos };
  for (const [map, module] of LABEL_MODULES) results[map] = await module({ start, read, parent, msdos });
  return results as Maps;
}

function childDevice(parent: GrubDevice, partition: MapPartition): GrubDevice {
  const { device } = parent;
  const isThere = device !== undefined && partition.start >= 0 && partition.start < device.size;
  return {
    name: `${parent.name},${partition.map}${partition.number}`,
    disk: parent.disk,
    partitions: [...parent.partitions, partition],
    start: parent.start + partition.start,
    device: isThere
      ? sliceDevice(device, partition.start, Math.min(partition.length, device.size - partition.start))
      : undefined,
  };
}

/**
 * The disk that GRUB takes for "hd0", "hd1", ...: the alias that lets an old menu.lst work counts the virtual disks by
 * their Xen number, not by the order in which they are visited. GRUB 2.06, disk/xen/xendisk.c.
 */
export function diskByHandle(disks: readonly GrubDisk[], index: number): GrubDisk | undefined {
  return disks
    .map((disk) => ({ disk, handle: disk.handle ?? vbdHandle(disk.name.replace(/^xen(id)?\//, "")) }))
    .filter((entry): entry is { disk: GrubDisk; handle: number } => entry.handle !== undefined)
    .sort((a, b) => a.handle - b.handle)[index]?.disk;
}

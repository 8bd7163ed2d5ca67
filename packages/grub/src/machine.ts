import { readPartitions } from "@guestprobe/partition";
import { formatDeviceName, grubMapName, grubPartitionName, parseDeviceName } from "./device-name.js";
import { diskByHandle, type GrubDevice, type GrubDisk, type GrubDiskMap, listDisk } from "./enumerate.js";
import { TABLE_REFUSED, VOLUME_REFUSED } from "./findings.js";
import { GATES } from "./gate/index.js";
import type { Gate } from "./gate/types.js";
import type { HiddenDisk } from "./mapped.js";
import { DEFAULT_GRUB_VERSION, type GrubVersion } from "./versions.js";
import { type Obstacle, type OpenVolume, openGrubVolume, type Volume, type VolumePlace } from "./volume.js";

export interface GrubMachineOptions {
  readonly openVolume: OpenVolume;
  readonly version?: GrubVersion;
  /** Logical volumes and arrays, in GRUB's order. They are visited last until they are known, and first from then on. */
  readonly mapped?: readonly GrubDisk[];
  /** Those that GRUB does not read, and why. */
  readonly hiddenMapped?: readonly HiddenDisk[];
  /** GRUB's drivers; by default all whose rules are known here. */
  readonly gates?: readonly Gate[];
  readonly signal?: AbortSignal;
}

/** A partition that is on a disk and in no table as GRUB reads it, or a volume that GRUB does not put together. */
export interface LostDevice extends VolumePlace {
  readonly obstacle: Obstacle;
}

/** The disks of a guest as GRUB has them open: tables and volumes are read when they are first asked for, and kept. */
export class GrubMachine {
  readonly version: GrubVersion;
  readonly signal: AbortSignal | undefined;
  readonly #disks: readonly GrubDisk[];
  readonly #mapped: readonly GrubDisk[];
  readonly #hiddenMapped: readonly HiddenDisk[];
  readonly #gates: readonly Gate[];
  readonly #openVolume: OpenVolume;
  /** Whether a scan of all disks has found the mapped ones. From then on they stand before the plain disks. */
  #mappedKnown = false;
  readonly #maps = new Map<GrubDisk, Promise<GrubDiskMap>>();
  readonly #volumes = new Map<string, Promise<Volume>>();
  #lost: Promise<readonly LostDevice[]> | undefined;

  constructor(disks: readonly GrubDisk[], options: GrubMachineOptions) {
    this.#disks = disks;
    this.#mapped = options.mapped ?? [];
    this.#hiddenMapped = options.hiddenMapped ?? [];
    this.version = options.version ?? DEFAULT_GRUB_VERSION;
    this.#gates = options.gates ?? GATES;
    this.#openVolume = options.openVolume;
    this.signal = options.signal;
  }

  /** Every device in the order in which the next search visits them. */
  async devices(): Promise<readonly GrubDevice[]> {
    const disks = this.#mappedKnown ? [...this.#mapped, ...this.#disks] : [...this.#disks, ...this.#mapped];
    const maps = await Promise.all(disks.map((disk) => this.#map(disk)));
    return maps.flatMap((map) => map.devices);
  }

  /** Notes that GRUB comes to a device: to come to a mapped one, it has scanned all disks. */
  visiting(device: GrubDevice): void {
    if (this.#mapped.includes(device.disk)) this.#mappedKnown = true;
  }

  /** The device of a name, as GRUB opens it; undefined when there is none. */
  async openDevice(name: string): Promise<GrubDevice | undefined> {
    const parsed = parseDeviceName(name, this.version);
    if (parsed === undefined) return undefined;
    // Whether or not there is such a volume, the module that assembles them scans all disks for it.
    if (/^(lvm|lvmid|md|mduuid|ldm)\//.test(parsed.disk)) this.#mappedKnown = true;
    const disk = this.#diskOf(parsed.disk);
    if (disk === undefined) return undefined;
    const { devices } = await this.#map(disk);
    let found = devices[0];
    for (const [depth, step] of parsed.partitions.entries()) {
      const outer = found?.partitions.at(-1);
      // From the end, which is the order of discovery: a bare number takes the first table that has it.
      found = devices.findLast(({ partitions }) => {
        const last = partitions[depth];
        return (
          partitions.length === depth + 1 &&
          partitions[depth - 1] === outer &&
          last?.number === step.number &&
          (step.map === "" || last.map === step.map)
        );
      });
      if (found === undefined) return undefined;
    }
    return found;
  }

  /** Names of the partitions of a device, in the order of discovery, under the disk's name as it was given. */
  async partitionNames(name: string, outer: GrubDevice): Promise<readonly string[]> {
    const parsed = parseDeviceName(name, this.version);
    const { devices } = await this.#map(outer.disk);
    return devices
      .filter(({ partitions }) => partitions.length > outer.partitions.length)
      .filter(({ partitions }) => outer.partitions.every((partition, depth) => partitions[depth] === partition))
      .reverse()
      .map(({ partitions }) => formatDeviceName({ disk: parsed?.disk ?? outer.disk.name, partitions }));
  }

  /** What GRUB's drivers and our readers make of a device. */
  volume(place: VolumePlace): Promise<Volume> {
    // Where GRUB reads a table differently, a lost device can have the name of another one.
    return memo(this.#volumes, `${place.start} ${place.name}`, () =>
      openGrubVolume(place, this.#openVolume, this.#gates, this.version, this.signal),
    );
  }

  /** Partitions that GRUB does not list, and volumes that it does not read with what lies in them. */
  lostDevices(): Promise<readonly LostDevice[]> {
    this.#lost ??= this.#findLost();
    return this.#lost;
  }

  /** Volumes that GRUB does not read, with what lies in them. */
  async hiddenDevices(): Promise<readonly LostDevice[]> {
    const hidden: LostDevice[] = [];
    for (const { disk, reason } of this.#hiddenMapped) {
      const obstacle = { kind: VOLUME_REFUSED, reason };
      const { devices } = await this.#map(disk);
      hidden.push(...devices.map(({ name, device, start }) => ({ name, device, start, obstacle })));
    }
    return hidden;
  }

  async #findLost(): Promise<readonly LostDevice[]> {
    const lost: LostDevice[] = [];
    for (const disk of [...this.#disks, ...this.#mapped]) {
      const { devices, errors } = await this.#map(disk);
      const seen = new Set(devices.filter(({ partitions }) => partitions.length > 0).map(({ start }) => start));
      const options = this.signal === undefined ? {} : { signal: this.signal };
      for (const partition of (await readPartitions(disk.device, options)).partitions) {
        const { device, start } = partition;
        if (device === undefined || seen.has(start)) continue;
        const map = grubMapName(partition.table);
        const reason = errors[map] ?? `not in the table as GRUB's module ${map} reads it`;
        const obstacle = { kind: TABLE_REFUSED, reason };
        lost.push({ name: `${devices[0]?.name},${grubPartitionName(partition)}`, device, start, obstacle });
      }
    }
    lost.push(...(await this.hiddenDevices()));
    return lost;
  }

  #diskOf(name: string): GrubDisk | undefined {
    const alias = /^hd([0-9]+)$/.exec(name);
    return (
      [...this.#disks, ...this.#mapped].find((disk) => disk.name === name || disk.aliases?.includes(name)) ??
      (alias === null ? undefined : diskByHandle(this.#disks, Number(alias[1])))
    );
  }

  #map(disk: GrubDisk): Promise<GrubDiskMap> {
    return memo(this.#maps, disk, () => listDisk(disk, this.signal));
  }
}

function memo<K, V>(known: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const before = known.get(key);
  if (before !== undefined) return before;
  const value = make();
  known.set(key, value);
  // A failure may have been an abort: it is not remembered.
  value.catch(() => known.delete(key));
  return value;
}

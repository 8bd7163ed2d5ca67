import { compareBytes, decodeText, encodeText, type FindingKind, type ImageError } from "@guestprobe/block";
import { type Partitions, readPartitions } from "@guestprobe/partition";
import { type PathLike, pathBytes } from "@guestprobe/vfs";
import { isBlocklist } from "./blocklist.js";
import { formatDeviceName, parseDeviceName } from "./device-name.js";
import { diskByHandle, type GrubDevice, type GrubDisk, type GrubDiskMap, listDisk } from "./enumerate.js";
import { FILE_ENCRYPTED, NESTED_NAME, TABLE_REFUSED, TOO_MANY_LINKS } from "./findings.js";
import { GATES } from "./gate/index.js";
import type { Gate } from "./gate/types.js";
import { DEFAULT_GRUB_VERSION, type GrubVersion } from "./versions.js";
import { findFile, type Obstacle, type OpenVolume, openGrubVolume, type Volume } from "./volume.js";

/** What `search` is asked. */
export interface SearchQuery {
  readonly by: "file" | "label" | "uuid";
  /** A path, a label or a UUID. */
  readonly name: PathLike;
  /** Devices to try first; a comma at the end adds all partitions of the device. */
  readonly hints?: readonly string[];
  /** As with --set: ends at the first hit. */
  readonly stopAtFirst?: boolean;
  readonly noFloppy?: boolean;
  /** Whether to look for what GRUB cannot see. Default true. */
  readonly hidden?: boolean;
}

export interface SearchHit {
  /** As GRUB prints it: a hint as it was given, "hd0,1" for one. */
  readonly device: string;
  /** The device's full name: "hd0,msdos1". */
  readonly canonical: string;
  /** Where the file lies on its volume once links are followed; undefined for labels, UUIDs and blocklists. */
  readonly path: Uint8Array | undefined;
}

/** Something that is there and that GRUB does not see. */
export interface HiddenHit {
  readonly device: string;
  readonly path: Uint8Array | undefined;
  readonly reason: string;
  /** Code of a `GRUB_SEARCH_FINDINGS` kind. */
  readonly code: string;
}

/** A device for which there is no answer: GRUB may read it, and it could not be read here. */
export interface UnknownAnswer {
  readonly device: string;
  readonly error: ImageError;
}

export interface SearchResult {
  readonly by: SearchQuery["by"];
  readonly name: Uint8Array;
  /** In the order in which GRUB prints them; with hints and cache, the same device may come twice. */
  readonly hits: readonly SearchHit[];
  readonly hidden: readonly HiddenHit[];
  readonly unknown: readonly UnknownAnswer[];
}

export interface GrubSearchOptions {
  readonly openVolume: OpenVolume;
  readonly version?: GrubVersion;
  /** Logical volumes and arrays, in GRUB's order. They are visited last until they are known, and first from then on. */
  readonly mapped?: readonly GrubDisk[];
  /** GRUB's drivers; by default all whose rules are known here. */
  readonly gates?: readonly Gate[];
  readonly signal?: AbortSignal;
}

/** The paths that decide how a guest boots under GRUB for Xen, in the order in which they are asked for. */
export const BOOT_PROBE_PATHS: readonly string[] = [
  "/boot/xen/pvboot-x86_64.elf",
  "/xen/pvboot-x86_64.elf",
  "/boot/xen/pvboot-i386.elf",
  "/xen/pvboot-i386.elf",
  "/boot/grub/grub.cfg",
  "/grub/grub.cfg",
  "/boot/grub/menu.lst",
  "/grub/menu.lst",
];

/**
 * One run of GRUB on a guest: its disks, and what GRUB remembers from one `search` to the next. GRUB 2.06,
 * commands/search.c.
 */
export class GrubSearch {
  readonly #disks: readonly GrubDisk[];
  readonly #mapped: readonly GrubDisk[];
  readonly #version: GrubVersion;
  readonly #gates: readonly Gate[];
  readonly #openVolume: OpenVolume;
  readonly #signal: AbortSignal | undefined;
  /** Found on the first scan of all disks. From then on they stand before the plain disks. */
  #mappedKnown = false;
  /** The first device that each name was found on, one table for each kind of search. */
  readonly #cache = {
    file: new Map<string, string>(),
    label: new Map<string, string>(),
    uuid: new Map<string, string>(),
  };
  readonly #maps = new Map<GrubDisk, Promise<GrubDiskMap>>();
  readonly #volumes = new Map<string, Promise<Volume>>();
  #lost: Promise<readonly LostDevice[]> | undefined;

  /** @param disks In the order in which GRUB visits them: under Xen, the order of the guest's configuration. */
  constructor(disks: readonly GrubDisk[], options: GrubSearchOptions) {
    this.#disks = disks;
    this.#mapped = options.mapped ?? [];
    this.#version = options.version ?? DEFAULT_GRUB_VERSION;
    this.#gates = options.gates ?? GATES;
    this.#openVolume = options.openVolume;
    this.#signal = options.signal;
  }

  /** Every device in the order in which the next search visits them. */
  async devices(): Promise<readonly GrubDevice[]> {
    const disks = this.#mappedKnown ? [...this.#mapped, ...this.#disks] : [...this.#disks, ...this.#mapped];
    const maps = await Promise.all(disks.map((disk) => this.#map(disk)));
    return maps.flatMap((map) => map.devices);
  }

  /** What GRUB's drivers and our readers make of a device that `devices` gave. */
  volume(device: GrubDevice): Promise<Volume> {
    return this.#volume(device.name, device.device);
  }

  /** The device of a name, as GRUB opens it; undefined when there is none. */
  async openDevice(name: string): Promise<GrubDevice | undefined> {
    const parsed = parseDeviceName(name, this.#version);
    if (parsed === undefined) return undefined;
    if (/^(lvm|lvmid|md|mduuid|ldm)\//.test(parsed.disk)) this.#mappedKnown = true;
    const all = [...this.#disks, ...this.#mapped];
    const alias = /^hd([0-9]+)$/.exec(parsed.disk);
    const disk =
      all.find((candidate) => candidate.name === parsed.disk || candidate.aliases?.includes(parsed.disk)) ??
      (alias === null ? undefined : diskByHandle(this.#disks, Number(alias[1])));
    if (disk === undefined) return undefined;
    const { devices } = await this.#map(disk);
    let found = devices[0];
    for (const [depth, step] of parsed.partitions.entries()) {
      const outer = found;
      // Discovery order: a bare number takes the first table that has it.
      found = devices.findLast((candidate) => {
        const last = candidate.partitions.at(-1);
        return (
          candidate.partitions.length === depth + 1 &&
          candidate.partitions.at(-2) === outer?.partitions.at(-1) &&
          last?.number === step.number &&
          (step.map === "" || last.map === step.map)
        );
      });
      if (found === undefined) return undefined;
    }
    return found;
  }

  /** Runs one `search`. Its hits are cached for those that follow, as GRUB does. */
  async search(query: SearchQuery): Promise<SearchResult> {
    const name = pathBytes(query.name);
    const run: SearchRun = { name, hits: [], unknown: new Map() };
    // All volumes are wanted in the end: opened together, what lies side by side is one read.
    if (query.hidden !== false) await Promise.all((await this.devices()).map((device) => this.volume(device)));
    await this.#run(query, run);
    const { hits, unknown } = run;
    const hidden = query.hidden === false ? [] : await this.#hidden(query, name, unknown);
    return { by: query.by, name, hits, hidden, unknown: [...unknown].map(([device, error]) => ({ device, error })) };
  }

  async #run(query: SearchQuery, run: SearchRun): Promise<void> {
    const cache = this.#cache[query.by];
    const key = decodeText(run.name);
    const visit = (device: string, isCached = false): Promise<boolean> => this.#visit(device, query, run, isCached);

    const cached = cache.get(key);
    if (cached !== undefined) {
      if (await visit(cached, true)) return;
      if (run.hits.length === 0) cache.delete(key);
    }
    for (const hint of query.hints ?? []) {
      if (hint === "") continue;
      const device = hint.endsWith(",") ? hint.slice(0, -1) : hint;
      if (await visit(device)) return;
      if (device === hint) continue;
      const outer = await this.openDevice(device);
      if (outer === undefined) continue;
      for (const name of await this.#partitionNames(device, outer)) if (await visit(name)) return;
    }
    for (const device of await this.devices()) {
      if (this.#mapped.includes(device.disk)) this.#mappedKnown = true;
      if (await visit(device.name)) return;
    }
  }

  /** Names of the partitions of a device, forwards: a hint with a comma does not go through the list of all devices. */
  async #partitionNames(name: string, outer: GrubDevice): Promise<string[]> {
    const { devices } = await this.#map(outer.disk);
    const parsed = parseDeviceName(name, this.#version);
    if (parsed === undefined) return [];
    const base = formatDeviceName({ disk: parsed.disk, partitions: [] });
    return devices
      .filter(
        (device) =>
          device.partitions.length > outer.partitions.length &&
          outer.partitions.every((partition, depth) => device.partitions[depth] === partition),
      )
      .reverse()
      .map((device) => [base, ...device.partitions.map(({ map, number }) => `${map}${number}`)].join(","));
  }

  /** Tries one device; true when the search ends here. */
  async #visit(name: string, query: SearchQuery, run: SearchRun, isCached: boolean): Promise<boolean> {
    if (query.noFloppy === true && /^fd[0-9]/.test(name)) return false;
    const device = await this.openDevice(name);
    if (device === undefined) return false;
    const answer = await this.#matches(query, run.name, device);
    if (answer.unknown !== undefined) run.unknown.set(device.name, answer.unknown);
    if (!answer.isHit) return false;
    const cache = this.#cache[query.by];
    if (!isCached && run.hits.length === 0) cache.set(decodeText(run.name), name);
    run.hits.push({ device: name, canonical: device.name, path: answer.path });
    return query.stopAtFirst === true;
  }

  async #matches(query: SearchQuery, name: Uint8Array, device: GrubDevice): Promise<Match> {
    if (query.by === "file" && name[0] !== SLASH) {
      return { isHit: isBlocklist(decodeText(name), Math.floor(device.disk.device.size / 512)) };
    }
    const volume = await this.volume(device);
    if (volume.obstacle !== undefined) return MISS;
    if (query.by !== "file") {
      const isHit = query.by === "label" ? isLabel(volume.label, name) : isUuid(volume.uuid, name);
      // The driver told us label and UUID, whether or not we can read the rest.
      return { isHit, unknown: volume.gate === undefined ? volume.error : undefined };
    }
    if (volume.error !== undefined) return { isHit: false, unknown: volume.error };
    const found = await findFile(volume, name, "grub", this.#version, this.#signal);
    if (found.answer === "hit") return { isHit: true, path: found.path };
    return found.answer === "unknown" ? { isHit: false, unknown: found.error } : MISS;
  }

  async #hidden(
    query: SearchQuery,
    name: Uint8Array,
    unknown: ReadonlyMap<string, ImageError>,
  ): Promise<readonly HiddenHit[]> {
    if (query.by === "file" && name[0] !== SLASH) return [];
    const hidden: HiddenHit[] = [];
    const add = (device: string, path: Uint8Array | undefined, obstacle: Obstacle): void => {
      hidden.push({ device, path, reason: obstacle.reason, code: obstacle.kind.code });
    };
    for (const device of await this.devices()) {
      if (unknown.has(device.name)) continue;
      const volume = await this.volume(device);
      const nested = await this.#nestedObstacle(device);
      const obstacle = nested ?? volume.obstacle;
      if (obstacle !== undefined) {
        const found = await this.#isThere(query, name, volume);
        if (found !== undefined) add(device.name, found.path, obstacle);
      } else if (query.by === "file") {
        const missed = await findFile(volume, name, "grub", this.#version, this.#signal);
        const kind = missed.answer === "miss" ? walkObstacle(missed.error) : undefined;
        const found = kind === undefined ? undefined : await this.#isThere(query, name, volume);
        if (kind !== undefined && found !== undefined) add(device.name, found.path, { kind, reason: kind.title });
      }
    }
    this.#lost ??= this.#findLost();
    for (const lost of await this.#lost) {
      const found = await this.#isThere(query, name, await this.#volume(`lost ${lost.name}`, lost.device));
      if (found !== undefined) add(lost.name, found.path, { kind: TABLE_REFUSED, reason: lost.reason });
    }
    return hidden;
  }

  /** Whether a volume that GRUB does not see has what is asked for, as Linux would find it. */
  async #isThere(
    query: SearchQuery,
    name: Uint8Array,
    volume: Volume,
  ): Promise<{ readonly path: Uint8Array | undefined } | undefined> {
    if (volume.fs === undefined) return undefined;
    if (query.by === "label") return isLabel(volume.fs.label, name) ? { path: undefined } : undefined;
    if (query.by === "uuid") return isUuid(volume.fs.uuid, name) ? { path: undefined } : undefined;
    const found = await findFile(volume, name, "linux", this.#version, this.#signal);
    return found.answer === "hit" ? found : undefined;
  }

  async #nestedObstacle(device: GrubDevice): Promise<Obstacle | undefined> {
    if (device.partitions.length < 2 || (await this.openDevice(device.name)) !== undefined) return undefined;
    return { kind: NESTED_NAME, reason: `GRUB lists ${device.name} and cannot open it` };
  }

  /** Partitions that are on a disk and in no table as GRUB reads it. */
  async #findLost(): Promise<readonly LostDevice[]> {
    const lost: LostDevice[] = [];
    for (const disk of [...this.#disks, ...this.#mapped]) {
      const { devices, errors } = await this.#map(disk);
      const seen = new Set(devices.filter((device) => device.partitions.length > 0).map((device) => device.start));
      const table = await this.#partitions(disk);
      for (const { device, start, number, table: kind } of table.partitions) {
        if (device === undefined || seen.has(start)) continue;
        const map = kind === "mbr" ? "msdos" : "gpt";
        const reason = errors[map] ?? `not in the table as GRUB's module ${map} reads it`;
        lost.push({ name: `${devices[0]?.name},${map}${number}`, device, reason });
      }
    }
    return lost;
  }

  #partitions(disk: GrubDisk): Promise<Partitions> {
    return readPartitions(disk.device, this.#signal === undefined ? {} : { signal: this.#signal });
  }

  #map(disk: GrubDisk): Promise<GrubDiskMap> {
    return memo(this.#maps, disk, () => listDisk(disk, this.#signal));
  }

  #volume(key: string, device: GrubDevice["device"]): Promise<Volume> {
    return memo(this.#volumes, key, async () =>
      device === undefined
        ? NO_VOLUME
        : openGrubVolume(device, key, this.#openVolume, this.#gates, this.#version, this.#signal),
    );
  }
}

/** A partition that GRUB does not list. */
interface LostDevice {
  readonly name: string;
  readonly device: NonNullable<GrubDevice["device"]>;
  readonly reason: string;
}

interface Match {
  readonly isHit: boolean;
  readonly path?: Uint8Array;
  readonly unknown?: ImageError | undefined;
}

/** What one search has found so far. */
interface SearchRun {
  readonly name: Uint8Array;
  readonly hits: SearchHit[];
  readonly unknown: Map<string, ImageError>;
}

const SLASH = 0x2f;
const MISS: Match = { isHit: false };
const NO_VOLUME: Volume = {
  fs: undefined,
  label: undefined,
  uuid: undefined,
  gate: undefined,
  obstacle: undefined,
  error: undefined,
  lookups: new Map(),
};

/** Labels are compared byte for byte; a volume without one has the empty label. */
function isLabel(label: Uint8Array | undefined, name: Uint8Array): boolean {
  return label !== undefined && compareBytes(label, name) === 0;
}

/** UUIDs are compared without regard to case. */
function isUuid(uuid: string | undefined, name: Uint8Array): boolean {
  return (
    uuid !== undefined && compareBytes(encodeText(uuid.toLowerCase()), encodeText(decodeText(name).toLowerCase())) === 0
  );
}

function walkObstacle(error: ImageError | undefined): FindingKind | undefined {
  if (error?.code === "symlink-loop") return TOO_MANY_LINKS;
  return error?.code === "encrypted" ? FILE_ENCRYPTED : undefined;
}

function memo<K, V>(known: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const before = known.get(key);
  if (before !== undefined) return before;
  const value = make();
  known.set(key, value);
  value.catch(() => known.delete(key));
  return value;
}

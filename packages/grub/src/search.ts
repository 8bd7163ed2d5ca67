import { decodeText, type ImageError } from "@guestprobe/block";
import { type PathLike, pathBytes } from "@guestprobe/vfs";
import { isBlocklist } from "./blocklist.js";
import { cacheKey, isLabel, isUuid } from "./compare.js";
import type { GrubDevice, GrubDisk } from "./enumerate.js";
import { findHidden } from "./hidden.js";
import { GrubMachine, type GrubMachineOptions, type LostDevice } from "./machine.js";
import { findFile, type Volume, type VolumePlace } from "./volume.js";

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
  readonly #machine: GrubMachine;
  /** The first device that each name was found on, one table for each kind of search. */
  readonly #cache = {
    file: new Map<string, string>(),
    label: new Map<string, string>(),
    uuid: new Map<string, string>(),
  };

  /** @param disks In the order in which GRUB visits them: under Xen, the order of the guest's configuration. */
  constructor(disks: readonly GrubDisk[], options: GrubMachineOptions) {
    this.#machine = new GrubMachine(disks, options);
  }

  /** Every device in the order in which the next search visits them. */
  devices(): Promise<readonly GrubDevice[]> {
    return this.#machine.devices();
  }

  /** Logical volumes and arrays that GRUB does not read, with what lies in them. */
  hiddenDevices(): Promise<readonly LostDevice[]> {
    return this.#machine.hiddenDevices();
  }

  /** What GRUB's drivers and our readers make of a device that `devices` or `hiddenDevices` gave. */
  volume(device: VolumePlace): Promise<Volume> {
    return this.#machine.volume(device);
  }

  /** The device of a name, as GRUB opens it; undefined when there is none. */
  openDevice(name: string): Promise<GrubDevice | undefined> {
    return this.#machine.openDevice(name);
  }

  /** Runs one `search`. Its hits are cached for those that follow, as GRUB does. */
  async search(query: SearchQuery): Promise<SearchResult> {
    const machine = this.#machine;
    const name = pathBytes(query.name);
    const found: Found = { hits: [], unknown: new Map() };
    // All volumes are wanted in the end: opened together, what lies side by side is one read.
    if (query.hidden !== false) await Promise.all((await machine.devices()).map((device) => machine.volume(device)));
    await this.#run(query, name, found);
    return {
      by: query.by,
      name,
      hits: found.hits,
      hidden: query.hidden === false ? [] : await findHidden(machine, query, name, new Set(found.unknown.keys())),
      unknown: [...found.unknown].map(([device, error]) => ({ device, error })),
    };
  }

  async #run(query: SearchQuery, name: Uint8Array, found: Found): Promise<void> {
    const machine = this.#machine;
    const cache = this.#cache[query.by];
    const key = cacheKey(query.by, name);
    /** Tries one device; true when the search ends here. */
    const visit = async (device: string, isCached = false): Promise<boolean> => {
      if (query.noFloppy === true && /^fd[0-9]/.test(device)) return machine.version.noFloppy === "stop";
      const hit = await this.#tryDevice(query, name, device, found);
      if (hit === undefined) return false;
      if (!isCached && found.hits.length === 0) cache.set(key, device);
      found.hits.push(hit);
      return query.stopAtFirst === true;
    };

    const cached = cache.get(key);
    if (cached !== undefined) {
      if (await visit(cached, true)) return;
      if (found.hits.length === 0) cache.delete(key);
    }
    for (const hint of query.hints ?? []) {
      if (hint === "") continue;
      const device = hint.endsWith(",") ? hint.slice(0, -1) : hint;
      if (await visit(device)) return;
      const outer = device === hint ? undefined : await machine.openDevice(device);
      if (outer === undefined) continue;
      // Forwards: these do not go through the list of all devices, which turns the order round.
      for (const partition of await machine.partitionNames(device, outer)) if (await visit(partition)) return;
    }
    for (const device of await machine.devices()) {
      machine.visiting(device);
      if (await visit(device.name)) return;
    }
  }

  /** The hit on one device; undefined where there is none. */
  async #tryDevice(query: SearchQuery, name: Uint8Array, device: string, found: Found): Promise<SearchHit | undefined> {
    const opened = await this.#machine.openDevice(device);
    if (opened === undefined) return undefined;
    const hit = { device, canonical: opened.name };
    if (query.by === "file" && name[0] !== SLASH) {
      const diskSectors = Math.floor(opened.disk.device.size / 512);
      return isBlocklist(decodeText(name), diskSectors) ? { ...hit, path: undefined } : undefined;
    }
    const volume = await this.#machine.volume(opened);
    if (volume.obstacle !== undefined) return undefined;
    // Label and UUID are the driver's to tell, whether or not we can read the rest.
    if (volume.error !== undefined && (query.by === "file" || volume.gate === undefined)) {
      found.unknown.set(opened.name, volume.error);
      return undefined;
    }
    if (query.by === "label") return isLabel(volume.label, name) ? { ...hit, path: undefined } : undefined;
    if (query.by === "uuid") return isUuid(volume.uuid, name) ? { ...hit, path: undefined } : undefined;
    const answer = await findFile(volume, name, "grub", this.#machine.version, this.#machine.signal);
    if (answer.answer === "unknown") found.unknown.set(opened.name, answer.error);
    return answer.answer === "hit" ? { ...hit, path: answer.path } : undefined;
  }
}

/** What one search has found so far. */
interface Found {
  readonly hits: SearchHit[];
  readonly unknown: Map<string, ImageError>;
}

const SLASH = 0x2f;

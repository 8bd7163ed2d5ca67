import {
  type BlockDevice,
  finding,
  ImageError,
  isImageError,
  type Report,
  type Run,
  runsDevice,
  sliceDevice,
} from "@guestprobe/block";
import { raidDevice } from "../raid/device.js";
import { raid0Map, raid1Map } from "../raid/plain.js";
import { snapshotDevice } from "../snapshot/device.js";
import { openThinPool, type ThinPool, thinDevice } from "../thin/device.js";
import { failingRun, runsWithin } from "./extents.js";
import { LVM_CACHE, LVM_CACHE_DIRTY, LVM_RAID_DEGRADED } from "./findings.js";
import type { LogicalVolume, VolumeGroup } from "./metadata.js";
import { type RaidImage, raidMapOf, raidSegmentDevice } from "./raid.js";
import type { Area, Segment } from "./segment.js";

/** A physical volume that was found. */
export interface PvDevice {
  /** Its name among the members. */
  readonly member: string;
  readonly device: BlockDevice;
}

/** A logical volume as a device, and what it lies on. */
export interface BuiltVolume {
  readonly device: BlockDevice;
  /** Names of members. */
  readonly members: ReadonlySet<string>;
  /** Names in the text of physical volumes that were not found, and that nothing makes up for. */
  readonly missing: ReadonlySet<string>;
  /** Most reads below that one read of a byte can take: mirrors of mirrors multiply. */
  readonly cost: number;
  /** Volumes on top of one another. */
  readonly depth: number;
}

/** Volumes in volumes: a thin volume on a RAID with integrity, behind a cache, is six. */
const MAX_DEPTH = 16;
/** A RAID of 253 images with metadata has a thousand. */
const MAX_COST = 4096;
/** All volumes of a group together; 4,096 thin volumes on a RAID of ten images have 330,000. */
const MAX_GROUP_COST = 1 << 19;

/**
 * Makes devices of the logical volumes of one group. Each is made once; none is read.
 *
 * What is wrong with one volume is thrown by `build` for it and for those on top of it.
 */
export class LvmMapper {
  readonly #vg: VolumeGroup;
  readonly #pvs: ReadonlyMap<string, PvDevice>;
  readonly #report: (lv: string) => Report;
  readonly #built = new Map<string, BuiltVolume | ImageError>();
  readonly #open = new Set<string>();
  #cost = 0;
  readonly #pools = new Map<string, (signal?: AbortSignal) => Promise<ThinPool>>();
  /** The snapshot that is being written back, by its origin. */
  readonly #merging = new Map<string, Extract<Segment, { kind: "snapshot" }>>();

  /**
   * @param pvs By the names of the text.
   * @param report What takes findings about a volume of the group, by its name.
   */
  constructor(vg: VolumeGroup, pvs: ReadonlyMap<string, PvDevice>, report: (lv: string) => Report) {
    this.#vg = vg;
    this.#pvs = pvs;
    this.#report = report;
    for (const lv of vg.logicalVolumes.values()) {
      const [segment] = lv.segments;
      if (segment?.kind === "snapshot" && segment.isMerging) this.#merging.set(segment.origin, segment);
    }
  }

  /** @throws ImageError `corrupt`, `unsupported`. */
  build(name: string): BuiltVolume {
    const known = this.#built.get(name);
    if (known !== undefined) {
      if (isImageError(known)) throw known;
      return known;
    }
    if (this.#open.has(name)) throw corrupt(`"${name}" is part of itself`);
    if (this.#open.size >= MAX_DEPTH) throw tooDeep();
    this.#open.add(name);
    try {
      const made = this.#make(name);
      const built = { ...made, depth: made.depth + 1 };
      if (built.depth > MAX_DEPTH) throw tooDeep();
      if (this.#cost + built.cost > MAX_GROUP_COST) throw corrupt("the volumes of the group could take too many reads");
      this.#cost += built.cost;
      this.#built.set(name, built);
      return built;
    } catch (error) {
      if (isImageError(error)) this.#built.set(name, error);
      throw error;
    } finally {
      this.#open.delete(name);
    }
  }

  /** The view that a snapshot gives of its origin. */
  buildSnapshot(segment: Extract<Segment, { kind: "snapshot" }>): BuiltVolume {
    const origin = this.#plain(segment.origin);
    const store = this.build(segment.store);
    const device = snapshotDevice(origin.device.size, origin.device, store.device);
    return merge(device, [origin, store]);
  }

  #make(name: string): BuiltVolume {
    const merging = this.#merging.get(name);
    return merging === undefined ? this.#plain(name) : this.buildSnapshot(merging);
  }

  #lv(name: string): LogicalVolume {
    const lv = this.#vg.logicalVolumes.get(name);
    if (lv === undefined) throw corrupt(`there is no volume "${name}"`);
    if (lv.error !== undefined) throw lv.error;
    return lv;
  }

  /** The volume itself, whatever snapshot is being merged into it. */
  #plain(name: string): BuiltVolume {
    const lv = this.#lv(name);
    const parts = lv.segments.map((segment) => this.#segment(lv, segment));
    if (parts.length === 1) return parts[0]!;
    const runs = parts.flatMap(({ device }) => [{ kind: "stored", length: device.size, device, offset: 0 } as const]);
    return merge(runsDevice(runs), parts, "one");
  }

  #segment(lv: LogicalVolume, segment: Segment): BuiltVolume {
    const size = this.#bytes(segment.extentCount);
    switch (segment.kind) {
      case "striped":
        return this.#striped(segment, size);
      case "mirror": {
        // While volumes are moved, what was moved is not marked: the first leg has all of it.
        const areas = lv.status.includes("PVMOVE") ? segment.areas.slice(0, 1) : segment.areas;
        const legs = areas.map((area) => this.#area(area, segment.extentCount));
        const members = legs.map((leg) => (leg.members.size === 0 ? undefined : leg.device));
        const merged = merge(raidDevice(raid1Map(legs.length, size), members), legs, "any");
        const lost = areas.filter((_, index) => members[index] === undefined).map(({ name }) => name);
        if (lost.length === legs.length) return merged;
        if (lost.length > 0) {
          this.#report(lv.name)(finding(LVM_RAID_DEGRADED, `mirror without ${lost.join(", ")}`, { format: "lvm2" }));
        }
        return complete(merged);
      }
      case "raid":
        return this.#raid(lv, segment, size);
      case "cache":
        return this.#cached(lv, segment, size);
      case "integrity":
        return this.#whole(segment.origin, size);
      case "thin":
        return this.#thin(segment, size);
      case "zero":
        return leaf(runsDevice([{ kind: "zero", length: size }]));
      case "error":
        return leaf(runsDevice([failingRun(size, corrupt("an error segment: LVM lost what was here"))]));
      default:
        throw new ImageError("unsupported", `a segment of type ${segment.type}`, PLACE);
    }
  }

  #striped(segment: Extract<Segment, { kind: "striped" }>, size: number): BuiltVolume {
    const { areas, stripeSectors, extentCount } = segment;
    if (extentCount % areas.length !== 0) throw corrupt(`${extentCount} extents on ${areas.length} stripes`);
    const each = extentCount / areas.length;
    const parts = areas.map((area) => this.#area(area, each));
    if (parts.length === 1) return parts[0]!;
    const map = raid0Map(
      parts.map(({ device }) => device.size),
      stripeSectors * 512,
    );
    if (map.size !== size) throw corrupt(`${size} bytes are no whole stripes of ${stripeSectors} sectors`);
    const devices = parts.map(({ device }) => device);
    return merge(raidDevice(map, devices), parts, "one");
  }

  #raid(lv: LogicalVolume, segment: Extract<Segment, { kind: "raid" }>, size: number): BuiltVolume {
    const parts: BuiltVolume[] = [];
    const images = segment.images.map(({ data, metadata }): RaidImage => {
      const image = this.build(data.name);
      const sums = metadata === undefined ? undefined : this.build(metadata);
      parts.push(image, ...(sums === undefined ? [] : [sums]));
      return {
        name: data.name,
        data: image.members.size === 0 ? undefined : image.device,
        metadata: sums?.members.size === 0 ? undefined : sums?.device,
      };
    });
    const merged = merge(raidSegmentDevice(segment, size, images, this.#report(lv.name)), parts, "any");
    const isReadable = raidMapOf(segment, size).isReadable(images.map((image) => image.data !== undefined));
    return isReadable ? complete(merged) : merged;
  }

  #cached(lv: LogicalVolume, segment: Extract<Segment, { kind: "cache" }>, size: number): BuiltVolume {
    const pool = this.#vg.logicalVolumes.get(segment.cache)?.segments[0];
    const mode = segment.mode ?? (pool?.kind === "cache-pool" ? pool.mode : undefined) ?? "writethrough";
    const built = this.#whole(segment.origin, size);
    const what = mode === "writethrough" || mode === "passthrough" ? LVM_CACHE : LVM_CACHE_DIRTY;
    const message = `read from ${segment.origin}, past its cache ${segment.cache} (${mode})`;
    this.#report(lv.name)(finding(what, message, { format: "lvm2" }));
    return built;
  }

  #thin(segment: Extract<Segment, { kind: "thin" }>, size: number): BuiltVolume {
    const pool = this.#lv(segment.pool).segments[0];
    if (pool?.kind !== "thin-pool") throw corrupt(`"${segment.pool}" is no thin pool`);
    const metadata = this.build(pool.metadata);
    const data = this.build(pool.data);
    let open = this.#pools.get(segment.pool);
    if (open === undefined) {
      open = sharedPool(metadata.device, data.device);
      this.#pools.set(segment.pool, open);
    }
    const origin = segment.externalOrigin === undefined ? undefined : this.build(segment.externalOrigin);
    const device = thinDevice(size, segment.deviceId, open, origin?.device);
    return merge(device, [metadata, data, ...(origin === undefined ? [] : [origin])]);
  }

  /** Another volume, from its start on. */
  #whole(name: string, size: number): BuiltVolume {
    const built = this.build(name);
    if (built.device.size < size)
      throw corrupt(`"${name}" has ${built.device.size} bytes, of which ${size} are wanted`);
    return { ...built, device: sliceDevice(built.device, 0, size) };
  }

  #area({ name, start }: Area, extents: number): BuiltVolume {
    const pv = this.#vg.physicalVolumes.get(name);
    const offset = this.#bytes(start);
    const size = this.#bytes(extents);
    if (pv === undefined) {
      const built = this.build(name);
      if (offset + size > built.device.size)
        throw corrupt(`extents ${start} to ${start + extents} are not all in "${name}"`);
      return { ...built, device: sliceDevice(built.device, offset, size) };
    }
    if (start + extents > pv.peCount) {
      throw corrupt(`extents ${start} to ${start + extents} are not all in ${name}, which has ${pv.peCount}`);
    }
    const found = this.#pvs.get(name);
    if (found === undefined) {
      const reason = `these bytes lie on the physical volume ${pv.uuid} (${pv.device ?? name}), which was not found`;
      const device = runsDevice([failingRun(size, new ImageError("io", reason, { format: "lvm2" }))]);
      return { device, members: new Set(), missing: new Set([name]), cost: 1, depth: 0 };
    }
    const runs: Run[] = runsWithin(found.device, pv.peStart * 512 + offset, size, `(${found.member})`);
    return { device: runsDevice(runs), members: new Set([found.member]), missing: new Set(), cost: 1, depth: 0 };
  }

  #bytes(extents: number): number {
    return extents * this.#vg.extentSize * 512;
  }
}

const PLACE = { format: "lvm2", structure: "metadata text" };

function corrupt(reason: string): ImageError {
  return new ImageError("corrupt", reason, PLACE);
}

const tooDeep = (): ImageError => corrupt(`more than ${MAX_DEPTH} volumes on top of one another`);

/** A device that lies on nothing. */
function leaf(device: BlockDevice): BuiltVolume {
  return { device, members: new Set(), missing: new Set(), cost: 1, depth: 0 };
}

/**
 * @param reads Whether a byte is on one of the parts, is made of all, or is looked for on any after a first try failed.
 * @throws ImageError `corrupt` when one read could take too many below.
 */
function merge(device: BlockDevice, parts: readonly BuiltVolume[], reads: "one" | "all" | "any" = "all"): BuiltVolume {
  const members = new Set<string>();
  const missing = new Set<string>();
  let cost = 0;
  let depth = 0;
  for (const part of parts) {
    for (const name of part.members) members.add(name);
    for (const name of part.missing) missing.add(name);
    depth = Math.max(depth, part.depth);
    cost = reads === "one" ? Math.max(cost, part.cost) : cost + part.cost;
  }
  if (reads === "any") cost *= 2;
  if (cost > MAX_COST) throw corrupt(`one read could take ${cost} below it`);
  return { device, members, missing, cost, depth };
}

/** Copies or parity make up for what is missing. */
const complete = (built: BuiltVolume): BuiltVolume => ({ ...built, missing: new Set() });

/** Opens a pool with the first of its volumes that is read. A failure of the host is not kept. */
function sharedPool(metadata: BlockDevice, data: BlockDevice): (signal?: AbortSignal) => Promise<ThinPool> {
  let opened: Promise<ThinPool> | undefined;
  return (signal) => {
    if (opened === undefined) {
      const started = openThinPool(metadata, data, signal);
      opened = started;
      started.catch(() => {
        opened = undefined;
      });
    }
    return opened;
  };
}

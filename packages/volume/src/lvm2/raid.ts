import { type BlockDevice, finding, ImageError, type Report, sliceDevice } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { lazyDevice } from "../lazy.js";
import { type RaidMembers, raidDevice } from "../raid/device.js";
import { type ParityLayout, parityMap } from "../raid/parity.js";
import { raid0Map, raid1Map } from "../raid/plain.js";
import { raid10Map } from "../raid/raid10.js";
import type { RaidMap } from "../raid/types.js";
import { LVM_RAID_DEGRADED, LVM_RAID_STALE } from "./findings.js";
import { DM_RAID_MAGIC, dm_raid_superblock, SB_FLAG_RESHAPE_ACTIVE } from "./layout.js";
import type { SegmentBody } from "./segment.js";

export type RaidSegment = Extract<SegmentBody, { kind: "raid" }>;

/** LVM's names of levels with parity. Linux, drivers/md/dm-raid.c, raid_types; LVM's short names stand for the first. */
const PARITY_LEVELS: Readonly<Record<string, readonly [1 | 2, ParityLayout]>> = {
  raid4: [1, "parity-first"],
  raid5: [1, "left-symmetric"],
  raid5_ls: [1, "left-symmetric"],
  raid5_rs: [1, "right-symmetric"],
  raid5_la: [1, "left-asymmetric"],
  raid5_ra: [1, "right-asymmetric"],
  raid5_n: [1, "parity-last"],
  raid6: [2, "ddf-zero-restart"],
  raid6_zr: [2, "ddf-zero-restart"],
  raid6_nr: [2, "ddf-N-restart"],
  raid6_nc: [2, "ddf-N-continue"],
  raid6_n_6: [2, "parity-last"],
  raid6_ls_6: [2, "left-symmetric-6"],
  raid6_rs_6: [2, "right-symmetric-6"],
  raid6_la_6: [2, "left-asymmetric-6"],
  raid6_ra_6: [2, "right-asymmetric-6"],
};

/**
 * How a segment of `size` bytes lies on its images.
 *
 * @throws ImageError `corrupt`, `unsupported`.
 */
export function raidMapOf(segment: RaidSegment, size: number): RaidMap {
  const { level, images, copies } = segment;
  const members = images.length;
  const chunk = segment.stripeSectors * 512;
  const map = makeMap(level, members, chunk, size, copies);
  if (map.size !== size) {
    throw new ImageError("corrupt", `a segment of ${size} bytes is no ${level} of ${members} images`, {
      format: "lvm2",
      structure: "metadata text",
      field: "device_count",
    });
  }
  return map;
}

function makeMap(level: string, members: number, chunk: number, size: number, copies: number): RaidMap {
  const parity = PARITY_LEVELS[level];
  if (parity !== undefined) {
    const memberSize = Math.floor(size / Math.max(1, members - parity[0]));
    return parityMap({ parity: parity[0], layout: parity[1], members, memberSize, chunk });
  }
  if (level === "raid1") return raid1Map(members, size);
  if (level === "raid0" || level === "raid0_meta") {
    const memberSize = Math.floor(size / members);
    return raid0Map(new Array<number>(members).fill(memberSize), chunk);
  }
  if (level === "raid10" || level === "raid10_near") {
    const memberSize = Math.floor((size * copies) / members);
    return raid10Map({ members, memberSize, chunk, near: copies, far: 1, isOffset: false });
  }
  throw new ImageError("unsupported", `segments of type ${level}`, { format: "lvm2", structure: "metadata text" });
}

/** What the metadata of one image say. */
export interface RaidSuperblock {
  readonly arrayPosition: number;
  readonly events: bigint;
  /** Bit n: image n had failed. */
  readonly failedDevices: bigint;
  /** Bytes of the image that are as the others want them; undefined when all are. */
  readonly recovered: number | undefined;
  readonly isReshaping: boolean;
}

/**
 * @param data The start of the metadata of an image. Undefined where nothing was written yet: the array was never active.
 */
export function decodeRaidSuperblock(data: Uint8Array): RaidSuperblock | undefined {
  const view = viewOf(data);
  if (dm_raid_superblock.magic(view, 0) !== DM_RAID_MAGIC) return undefined;
  const recovery = dm_raid_superblock.disk_recovery_offset(view, 0);
  const hasFlags = (dm_raid_superblock.compat_features(view, 0) & 1) !== 0;
  return {
    arrayPosition: dm_raid_superblock.array_position(view, 0),
    events: dm_raid_superblock.events(view, 0),
    failedDevices: dm_raid_superblock.failed_devices(view, 0),
    recovered: recovery === ALL_ONES ? undefined : Number(recovery) * 512,
    isReshaping: hasFlags && (dm_raid_superblock.flags(view, 0) & SB_FLAG_RESHAPE_ACTIVE) !== 0,
  };
}

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** An image of a raid segment; undefined parts lie on physical volumes that were not given. */
export interface RaidImage {
  readonly name: string;
  readonly data: BlockDevice | undefined;
  readonly metadata: BlockDevice | undefined;
}

/**
 * Images that hold old data, by index: those that the newest metadata have as failed, that missed changes, or that were
 * being rebuilt.
 */
export function staleImages(superblocks: readonly (RaidSuperblock | undefined)[], imageSize: number): number[] {
  const known = superblocks.filter((sb) => sb !== undefined);
  const newest = known.reduce<RaidSuperblock | undefined>(
    (best, sb) => (best === undefined || sb.events > best.events ? sb : best),
    undefined,
  );
  if (newest === undefined) return [];
  return superblocks.flatMap((sb, index) => {
    const isFailed = index < 64 && (newest.failedDevices & (1n << BigInt(index))) !== 0n;
    if (sb === undefined) return isFailed ? [index] : [];
    // md takes a difference of one for a change that was not yet written everywhere.
    const isBehind = newest.events - sb.events > 1n;
    const isPartial = sb.recovered !== undefined && sb.recovered < imageSize;
    return isFailed || isBehind || isPartial ? [index] : [];
  });
}

/**
 * The device of a raid segment. Its images' metadata are read with the first byte.
 *
 * @throws ImageError `corrupt`, `unsupported`.
 */
export function raidSegmentDevice(
  segment: RaidSegment,
  size: number,
  images: readonly RaidImage[],
  report: Report,
): BlockDevice {
  const map = raidMapOf(segment, size);
  const lost = images.filter(({ data }) => data === undefined).map(({ name }) => name);
  if (lost.length > 0 && map.isReadable(images.map(({ data }) => data !== undefined))) {
    report(finding(LVM_RAID_DEGRADED, `${segment.level} without ${lost.join(", ")}`, { format: "lvm2" }));
  }
  const skip = segment.dataOffset * 512;
  const dataOf = (image: RaidImage): BlockDevice | undefined =>
    image.data === undefined || skip === 0 || skip > image.data.size
      ? image.data
      : sliceDevice(image.data, skip, image.data.size - skip);
  return lazyDevice(size, async (signal) => {
    const superblocks = await Promise.all(images.map((image) => readSuperblock(image, signal)));
    if (superblocks.some((sb) => sb?.isReshaping)) {
      throw new ImageError("unsupported", "the array is being reshaped", {
        format: "lvm2",
        structure: "dm_raid_superblock",
      });
    }
    const all: RaidMembers = images.map(dataOf);
    const stale = staleImages(superblocks, images.find(({ data }) => data !== undefined)?.data?.size ?? 0);
    const current = all.map((device, index) => (stale.includes(index) ? undefined : device));
    const names = stale.filter((index) => all[index] !== undefined).map((index) => images[index]!.name);
    if (names.length === 0) return raidDevice(map, all);
    const isEnough = map.isReadable(current.map((device) => device !== undefined));
    const what = isEnough ? "the others are read" : "it is read all the same: the others are not enough";
    report(finding(LVM_RAID_STALE, `${names.join(", ")} holds old data; ${what}`, { format: "lvm2" }));
    return raidDevice(map, isEnough ? current : all);
  });
}

async function readSuperblock(image: RaidImage, signal: AbortSignal | undefined): Promise<RaidSuperblock | undefined> {
  const { metadata, data } = image;
  if (metadata === undefined || data === undefined || metadata.size < dm_raid_superblock.$size) return undefined;
  try {
    return decodeRaidSuperblock(await metadata.read(0, dm_raid_superblock.$size, signal));
  } catch (cause) {
    const error = cause as ImageError;
    if (error.code === "aborted" || error.code === "limit") throw error;
    // What it holds may be sound all the same; nothing says that it is not.
    return undefined;
  }
}

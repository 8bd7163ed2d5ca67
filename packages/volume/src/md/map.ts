import { type ErrorCode, ImageError, isImageError, isPowerOfTwo } from "@guestprobe/block";
import { type ParityLayout, parityMap } from "../raid/parity.js";
import { hasZones, linearMap, raid0Map, raid1Map } from "../raid/plain.js";
import { raid10Map } from "../raid/raid10.js";
import type { RaidMap } from "../raid/types.js";

/** What the superblock says of the array's form. Chunk and size in bytes. */
export interface MdShape {
  readonly level: number;
  readonly layout: number;
  readonly chunk: number;
  readonly raidDisks: number;
  /** Used of each member; means nothing for linear and raid0. */
  readonly size: number;
}

/** Layouts of levels 5 and 6 by number. Linux, drivers/md/raid5.h, ALGORITHM_*. */
const PARITY_LAYOUTS: ReadonlyMap<number, ParityLayout> = new Map([
  [0, "left-asymmetric"],
  [1, "right-asymmetric"],
  [2, "left-symmetric"],
  [3, "right-symmetric"],
  [4, "parity-first"],
  [5, "parity-last"],
  [8, "ddf-zero-restart"],
  [9, "ddf-N-restart"],
  [10, "ddf-N-continue"],
  [16, "left-asymmetric-6"],
  [17, "right-asymmetric-6"],
  [18, "left-symmetric-6"],
  [19, "right-symmetric-6"],
  [20, "parity-first-6"],
]);

/** Levels that have no bytes of their own to be read, or none that a reader could tell from those of a member. */
const REFUSED_LEVELS: ReadonlyMap<number, string> = new Map([
  [-4, "multipath: its members are several ways to one device"],
  [-5, "faulty: it exists to test with"],
  [-10, "a container of other arrays"],
]);

const levelName = (level: number): string => (level === -1 ? "linear" : `raid${level}`);

/** Levels and, for raid10 and those with parity, layouts as mdadm prints them: "raid5, left-symmetric". */
export function describeShape({ level, layout }: Pick<MdShape, "level" | "layout">): string {
  const name = levelName(level);
  if (level === 5 || level === 6) return `${name}, ${PARITY_LAYOUTS.get(layout) ?? `layout ${layout}`}`;
  if (level !== 10) return name;
  const { near, far, isOffset } = raid10Layout(layout, 1);
  if (far === 1) return `${name}, near=${near}`;
  return near === 1 ? `${name}, ${isOffset ? "offset" : "far"}=${far}` : `${name}, near=${near} far=${far}`;
}

/** Linux, drivers/md/raid10.c, setup_geo. */
function raid10Layout(layout: number, members: number) {
  const near = layout & 0xff;
  const far = (layout >>> 8) & 0xff;
  // Sets of members came in two forms, of which the first did not keep copies of one chunk in one set.
  const sets = layout >>> 17;
  const farSet = [members, far === 0 ? 0 : Math.floor(members / far), near * far][sets];
  return { near, far, isOffset: (layout & 0x1_0000) !== 0, farSet };
}

/**
 * How the array lies on its members.
 *
 * @param sizes Bytes of data of each member; only linear and raid0 look at them.
 * @throws ImageError `corrupt` for what cannot be, `unsupported` for a raid0 whose layout nobody recorded.
 */
export function mdMap(shape: MdShape, sizes: readonly number[]): RaidMap {
  const { level, layout, chunk, raidDisks: members, size: memberSize } = shape;
  const geometry = { members, memberSize, chunk };
  switch (level) {
    case -1:
      // Whole chunks of each member, where there is a chunk at all.
      return linearMap(sizes.map((bytes) => (chunk === 0 ? bytes : bytes - (bytes % chunk))));
    case 0:
      if (layout !== 1 && layout !== 2 && hasZones(sizes, chunk)) {
        throw new ImageError("unsupported", "a raid0 over members of different sizes whose layout is not recorded");
      }
      return raid0Map(sizes, chunk, layout === 1 ? "original" : "alternate");
    case 1:
      return raid1Map(members, memberSize);
    case 4:
      return parityMap({ ...geometry, parity: 1, layout: "parity-last" });
    case 5:
    case 6: {
      const name = PARITY_LAYOUTS.get(layout);
      if (name === undefined) throw new ImageError("corrupt", `${levelName(level)} has no layout ${layout}`);
      return parityMap({ ...geometry, parity: level === 5 ? 1 : 2, layout: name });
    }
    case 10: {
      const { farSet, ...copies } = raid10Layout(layout, members);
      if (farSet === undefined) throw new ImageError("corrupt", `raid10 has no layout 0x${layout.toString(16)}`);
      return raid10Map({ ...geometry, ...copies, farSet });
    }
    default:
      throw new ImageError("corrupt", `there is no level ${level}`);
  }
}

/**
 * Checks that a superblock's fields can belong to one array, as far as one member can tell.
 *
 * @param dataSize Bytes of data of this member.
 * @param most Most members that this version of the superblock has room for.
 * @param error Makes the error about a field.
 */
export function checkShape(
  shape: MdShape,
  dataSize: number,
  most: number,
  error: (code: ErrorCode, field: keyof MdShape, reason: string) => ImageError,
): void {
  const { level, chunk, raidDisks, size } = shape;
  const refused = REFUSED_LEVELS.get(level);
  if (refused !== undefined) throw error("unsupported", "level", refused);
  if (![-1, 0, 1, 4, 5, 6, 10].includes(level)) throw error("corrupt", "level", `there is no level ${level}`);
  const least = level === 6 ? 4 : level === 4 || level === 5 ? 2 : 1;
  if (raidDisks < least || raidDisks > most) {
    throw error("corrupt", "raidDisks", `${raidDisks} members, expected ${least} to ${most}`);
  }
  const isStriped = level === 0 || level >= 4;
  if (chunk % 512 !== 0 || (isStriped && chunk === 0) || (level >= 4 && !isPowerOfTwo(chunk))) {
    throw error("corrupt", "chunk", `chunks of ${chunk} bytes`);
  }
  if (level >= 1 && size === 0) throw error("corrupt", "size", `${levelName(level)} that uses nothing of its members`);
  try {
    mdMap(shape, new Array(raidDisks).fill(dataSize));
  } catch (cause) {
    if (!isImageError(cause)) throw cause;
    throw error(cause.code, /layout|copies/.test(cause.reason) ? "layout" : "size", cause.reason);
  }
}

import { alignDown } from "@guestprobe/block";
import { checkGeometry, checkSize } from "./check.js";
import type { RaidMap } from "./types.js";

const all = (present: readonly boolean[]): boolean => present.every(Boolean);

/** A run of bytes of an array, from `start` on. */
interface Span {
  readonly start: number;
  readonly size: number;
}

/** The last of `spans`, which lie end to end, that begins at or before `offset`; empty ones are passed over. */
function spanAt<T extends Span>(spans: readonly T[], offset: number): T {
  let low = 0;
  let high = spans.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (spans[middle]!.start <= offset) low = middle;
    else high = middle - 1;
  }
  return spans[low]!;
}

/**
 * Members one after the other.
 *
 * @param sizes Bytes of each member.
 * @throws ImageError `corrupt`.
 */
export function linearMap(sizes: readonly number[]): RaidMap {
  checkGeometry("linear", sizes.length, 1);
  const spans: (Span & { readonly member: number })[] = [];
  let size = 0;
  for (const [member, bytes] of sizes.entries()) {
    checkSize("linear member", bytes);
    spans.push({ member, start: size, size: bytes });
    size += bytes;
  }
  checkSize("linear", size);
  return {
    size,
    members: sizes.length,
    isReadable: all,
    pieceAt(offset, length) {
      const { member, start, size } = spanAt(spans, offset);
      return { length: Math.min(length, start + size - offset), copies: [{ member, offset: offset - start }] };
    },
  };
}

/**
 * How raid0 counts chunks behind the point where its smallest member ends: from the start of the array ("original", Linux
 * before 3.14) or of the zone ("alternate", since then). The same where all members are of one size.
 */
export type Raid0Layout = "original" | "alternate";

/** Chunks over all members that are large enough: a new zone begins where a member ends. */
interface Zone extends Span {
  readonly members: readonly number[];
  /** Bytes from the start of each of its members. */
  readonly memberStart: number;
}

/** Zones of a raid0 whose members hold `sizes` bytes, each a multiple of the chunk. */
function raid0Zones(sizes: readonly number[]): Zone[] {
  const ends = [...new Set(sizes)].filter((end) => end > 0).sort((a, b) => a - b);
  const zones: Zone[] = [];
  let start = 0;
  let memberStart = 0;
  for (const end of ends) {
    const members = sizes.flatMap((bytes, member) => (bytes >= end ? [member] : []));
    const size = (end - memberStart) * members.length;
    zones.push({ members, memberStart, start, size });
    start += size;
    memberStart = end;
  }
  return zones;
}

/** Whether the members are of different sizes, so that the layout matters. */
export function hasZones(sizes: readonly number[], chunk: number): boolean {
  return new Set(sizes.map((bytes) => alignDown(bytes, chunk))).size > 1;
}

/**
 * Stripes. What a member holds past its last whole chunk is not used. Source: Linux, drivers/md/raid0.c.
 *
 * @param sizes Bytes of each member.
 * @param chunk Bytes.
 * @throws ImageError `corrupt`.
 */
export function raid0Map(sizes: readonly number[], chunk: number, layout: Raid0Layout = "alternate"): RaidMap {
  checkGeometry("raid0", sizes.length, 1, chunk);
  for (const bytes of sizes) checkSize("raid0 member", bytes);
  const zones = raid0Zones(sizes.map((bytes) => alignDown(bytes, chunk)));
  const last = zones.at(-1);
  const size = last === undefined ? 0 : last.start + last.size;
  checkSize("raid0", size);
  return {
    size,
    members: sizes.length,
    isReadable: all,
    pieceAt(offset, length) {
      const zone = spanAt(zones, offset);
      const within = offset - zone.start;
      const counted = Math.floor((layout === "original" ? offset : within) / chunk);
      const row = Math.floor(within / (chunk * zone.members.length));
      const inChunk = within % chunk;
      const member = zone.members[counted % zone.members.length]!;
      return {
        length: Math.min(length, chunk - inChunk),
        copies: [{ member, offset: zone.memberStart + row * chunk + inChunk }],
      };
    },
  };
}

/**
 * The same bytes on each member.
 *
 * @param size Bytes of the array.
 * @throws ImageError `corrupt`.
 */
export function raid1Map(members: number, size: number): RaidMap {
  checkGeometry("raid1", members, 1);
  checkSize("raid1", size);
  return {
    size,
    members,
    isReadable: (present) => present.some(Boolean),
    pieceAt: (offset, length) => ({
      length,
      copies: Array.from({ length: members }, (_, member) => ({ member, offset })),
    }),
  };
}

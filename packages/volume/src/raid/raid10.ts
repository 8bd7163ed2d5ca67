import { ImageError } from "@guestprobe/block";
import { checkGeometry, checkSize } from "./check.js";
import type { RaidMap, RaidPlace } from "./types.js";

/** Geometry of a RAID 10. Every chunk has `near * far` copies. */
export interface Raid10Geometry {
  readonly members: number;
  /** Bytes of each member. */
  readonly memberSize: number;
  /** Bytes. */
  readonly chunk: number;
  /** Copies side by side, on neighbouring members. */
  readonly near: number;
  /** Copies far from each other: in other parts of the members, or with `isOffset` in the next row. */
  readonly far: number;
  readonly isOffset: boolean;
  /** Far copies stay within sets of this many members; all members are one set if absent. */
  readonly farSet?: number | undefined;
}

/**
 * Stripes of copies. Source: Linux, drivers/md/raid10.c.
 *
 * @throws ImageError `corrupt`.
 */
export function raid10Map(geometry: Raid10Geometry): RaidMap {
  const { members, memberSize, chunk, near, far, isOffset, farSet = members } = geometry;
  checkGeometry("raid10", members, 1, chunk);
  checkSize("raid10 member", memberSize);
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= members;
  if (!isCount(near) || !isCount(far) || near * far > members || !isCount(farSet)) {
    throw new ImageError("corrupt", `raid10 of ${members} members with ${near} near and ${far} far copies`);
  }
  const chunks = Math.floor((Math.floor(Math.floor(memberSize / chunk) / far) * members) / near);
  const size = chunks * chunk;
  checkSize("raid10", size);
  // Rows that hold all copies, of which each part of a member has its share.
  const rows = Math.ceil((chunks * near * far) / members);
  const stride = isOffset ? chunk : Math.floor(rows / far) * chunk;

  // Members that do not fill a set belong to the last one.
  const lastSetStart = (Math.floor(members / farSet) - 1) * farSet;
  const lastSetSize = farSet + (members % farSet);
  const nextFar = (member: number): number => {
    const moved = member + near;
    if (members % farSet !== 0 && moved > lastSetStart) return ((moved - lastSetStart) % lastSetSize) + lastSetStart;
    return (moved % farSet) + Math.floor(member / farSet) * farSet;
  };

  const copiesOf = (index: number, inChunk: number): RaidPlace[] => {
    const first = index * near;
    const copies: RaidPlace[] = [];
    for (let copy = 0; copy < near; copy += 1) {
      // A group of near copies may go on in the next row.
      const row = Math.floor(first / members) * (isOffset ? far : 1) + Math.floor(((first % members) + copy) / members);
      let member = (first + copy) % members;
      let offset = row * chunk + inChunk;
      copies.push({ member, offset });
      for (let more = 1; more < far; more += 1) {
        member = nextFar(member);
        offset += stride;
        copies.push({ member, offset });
      }
    }
    return copies;
  };

  return {
    size,
    members,
    // The members of the copies are the same after as many chunks as there are members.
    isReadable(present) {
      for (let index = 0; index < members; index += 1) {
        if (!copiesOf(index, 0).some(({ member }) => present[member])) return false;
      }
      return true;
    },
    pieceAt(offset, length) {
      const inChunk = offset % chunk;
      const copies = copiesOf(Math.floor(offset / chunk), inChunk);
      return { length: Math.min(length, chunk - inChunk), copies };
    },
  };
}

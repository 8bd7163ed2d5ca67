import {
  allocate,
  type BlockDevice,
  checkRange,
  ImageError,
  isImageError,
  mappedDevice,
  type Run,
  rebuildStripe,
} from "@guestprobe/block";
import type { RaidMap, RaidPiece, RaidPlace, RaidRow } from "./types.js";

/** Pieces looked up at a time: a read of some megabytes in one go, and a bound for one of the whole array. */
const PIECES = 64;

/** What the members hold of an array, in the order of the map; undefined where one is missing. */
export type RaidMembers = readonly (BlockDevice | undefined)[];

/**
 * The array that `map` describes, as a device. What is only on members that are missing, too short or unreadable is read
 * from another copy or computed from the parity.
 *
 * @throws ImageError `invalid-argument` unless there is an entry for each member. Whether those present are enough is for
 *   the caller to ask (`map.isReadable`); without them some reads fail with `io`.
 */
export function raidDevice(map: RaidMap, members: RaidMembers): BlockDevice {
  if (members.length !== map.members) {
    throw new ImageError("invalid-argument", `${members.length} members for an array of ${map.members}`);
  }
  const mapped = mappedDevice({
    size: map.size,
    sectorSize: members.find((member) => member !== undefined)?.sectorSize,
    locate(offset, length) {
      const runs: Run[] = [];
      for (let at = offset; at < offset + length && runs.length < PIECES; ) {
        const piece = map.pieceAt(at, offset + length - at);
        runs.push(runOf(piece, members));
        at += piece.length;
      }
      return Promise.resolve(runs);
    },
  });
  return {
    ...mapped,
    async read(offset, length, signal) {
      try {
        return await mapped.read(offset, length, signal);
      } catch (error) {
        if (!isImageError(error) || error.code === "aborted" || error.code === "limit") throw error;
        checkRange(map.size, offset, length);
        // Stripes alone have no other way: trying again would double the work at each level of volumes on volumes.
        const { copies, row } = map.pieceAt(offset, length);
        if (copies.length < 2 && row === undefined) throw error;
        // A member that is there could not be read: look for other ways, piece by piece.
        const target = allocate(length);
        for (let at = 0; at < length; ) {
          const piece = map.pieceAt(offset + at, length - at);
          target.set(await readPiece(piece, members, error, signal), at);
          at += piece.length;
        }
        return target;
      }
    },
  };
}

/** Whether the member is there and as long as it should be. */
function holds({ member, offset }: RaidPlace, length: number, members: RaidMembers): boolean {
  const device = members[member];
  return device !== undefined && offset + length <= device.size;
}

function runOf(piece: RaidPiece, members: RaidMembers): Run {
  const { length } = piece;
  const copy = piece.copies.find((place) => holds(place, length, members));
  if (copy !== undefined) return { kind: "stored", length, device: members[copy.member]!, offset: copy.offset };
  return { kind: "decoded", length, skip: 0, load: (signal) => rebuild(piece, members, signal) };
}

/** Reads a piece from whichever copy can be read, or from the parity; `first` is what went wrong before. */
async function readPiece(
  piece: RaidPiece,
  members: RaidMembers,
  first: ImageError,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  for (const { member, offset } of piece.copies) {
    try {
      const data = await members[member]?.read(offset, piece.length, signal);
      if (data !== undefined) return data;
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
    }
  }
  if (piece.row === undefined) throw first;
  return rebuild(piece, members, signal);
}

/** Computes a piece from the rest of its row. @throws ImageError `io` when too much of that is missing. */
async function rebuild(piece: RaidPiece, members: RaidMembers, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { copies, row, length } = piece;
  const failures: ImageError[] = [];
  if (row !== undefined) {
    const { data, p, q } = await readRow(row, copies[0]!.offset, length, members, failures, signal);
    const rebuilt = rebuildStripe({ data, p, q }, row.wanted, length);
    if (rebuilt !== undefined) return rebuilt;
  }
  if (failures.length > 0) throw failures[0]!;
  const wanted = copies.map(({ member }) => member).join(" or ");
  throw new ImageError("io", `needs member ${wanted} of the array, which is missing`);
}

/** What there is of a row, without the stripe that is wanted. */
async function readRow(
  row: RaidRow,
  offset: number,
  length: number,
  members: RaidMembers,
  failures: ImageError[],
  signal: AbortSignal | undefined,
) {
  const read = async (member: number | undefined): Promise<Uint8Array | undefined> => {
    if (member === undefined || !holds({ member, offset }, length, members)) return undefined;
    try {
      return await members[member]!.read(offset, length, signal);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      failures.push(error);
      return undefined;
    }
  };
  // Q alone is worth a read only where P and one stripe do not do.
  const needed = row.data.map((member, index) => (index === row.wanted ? undefined : member));
  const stripes = await Promise.all(needed.map(read));
  const p = await read(row.p);
  const lost = needed.filter((member, index) => member !== undefined && stripes[index] === undefined).length;
  const q = p === undefined || lost > 0 ? await read(row.q) : undefined;
  const zeros = row.data.includes(undefined) ? allocate(length) : undefined;
  const data = row.data.map((member, index) => (member === undefined ? zeros : stripes[index]));
  return { data, p, q };
}

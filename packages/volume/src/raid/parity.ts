import { alignDown, ImageError } from "@guestprobe/block";
import { checkGeometry, checkSize } from "./check.js";
import type { RaidMap, RaidRow } from "./types.js";

/**
 * Where the parity of each row lies, and in which order its data follow, as mdadm spells it. RAID 4 is `parity-last` (LVM
 * has it as `parity-first`). Those with `-6` have the layout of RAID 5 on all members but the last, which holds Q.
 */
export type ParityLayout =
  | "left-asymmetric"
  | "right-asymmetric"
  | "left-symmetric"
  | "right-symmetric"
  | "parity-first"
  | "parity-last"
  | Raid6OnlyLayout;

type Raid6OnlyLayout =
  | "ddf-zero-restart"
  | "ddf-N-restart"
  | "ddf-N-continue"
  | "left-asymmetric-6"
  | "right-asymmetric-6"
  | "left-symmetric-6"
  | "right-symmetric-6"
  | "parity-first-6";

/** Geometry of a RAID with parity. */
export interface ParityGeometry {
  /** 1 for RAID 4 and 5, 2 for RAID 6. */
  readonly parity: 1 | 2;
  readonly layout: ParityLayout;
  readonly members: number;
  /** Bytes of each member; what lies past the last whole chunk is not used. */
  readonly memberSize: number;
  /** Bytes. */
  readonly chunk: number;
}

/** Where things lie in one row. */
interface Row {
  readonly p: number;
  readonly q: number | undefined;
  /** Member of the data stripe 0, 1, ... of the row. */
  readonly data: readonly number[];
}

/** Members 0, 1, ... less those that hold parity. */
const inOrder = (members: number, ...parities: number[]): number[] =>
  Array.from({ length: members }, (_, member) => member).filter((member) => !parities.includes(member));

/** `count` members from `first` on, wrapping around. */
const wrapped = (members: number, first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (first + index) % members);

/** Row number `row` of RAID 4 and 5. Source: Linux, drivers/md/raid5.c, raid5_compute_sector. */
function singleParityRow(layout: ParityLayout, members: number, row: number): Row | undefined {
  const turn = row % members;
  const place = (p: number, isSymmetric: boolean): Row => ({
    p,
    q: undefined,
    data: isSymmetric ? wrapped(members, p + 1, members - 1) : inOrder(members, p),
  });
  switch (layout) {
    case "left-asymmetric":
      return place(members - 1 - turn, false);
    case "right-asymmetric":
      return place(turn, false);
    case "left-symmetric":
      return place(members - 1 - turn, true);
    case "right-symmetric":
      return place(turn, true);
    case "parity-first":
      return place(0, false);
    case "parity-last":
      return place(members - 1, false);
    default:
      return undefined;
  }
}

/** Row number `row` of RAID 6. */
function doubleParityRow(layout: ParityLayout, members: number, row: number): Row {
  const turn = row % members;
  // P, then Q on the next member, which may be the first.
  const pair = (p: number, isSymmetric: boolean): Row => {
    const q = (p + 1) % members;
    return { p, q, data: isSymmetric ? wrapped(members, p + 2, members - 2) : inOrder(members, p, q) };
  };
  switch (layout) {
    case "left-asymmetric":
      return pair(members - 1 - turn, false);
    case "right-asymmetric":
    case "ddf-zero-restart":
      return pair(turn, false);
    case "ddf-N-restart":
      return pair(members - 1 - ((row + 1) % members), false);
    case "left-symmetric":
      return pair(members - 1 - turn, true);
    case "right-symmetric":
      return pair(turn, true);
    case "parity-first":
      return pair(0, false);
    case "parity-last":
      return pair(members - 2, false);
    case "ddf-N-continue": {
      // Q lies before P.
      const p = members - 1 - turn;
      return { p, q: (p + members - 1) % members, data: wrapped(members, p + 1, members - 2) };
    }
    default: {
      const five = singleParityRow(layout.slice(0, -2) as ParityLayout, members - 1, row)!;
      return { ...five, q: members - 1 };
    }
  }
}

const isDdf = (layout: ParityLayout): boolean => layout.startsWith("ddf-");

/**
 * The data stripes of `row` in the order in which they count in Q. md counts from the member after Q on; the layouts of
 * DDF count members, those that hold P and Q as zeros.
 */
function syndromeOrder(layout: ParityLayout, members: number, { p, q, data }: Row): (number | undefined)[] {
  if (q === undefined) return [...data];
  const first = isDdf(layout) ? 0 : q + 1;
  const order = wrapped(members, first, members).map((member) => (member === p || member === q ? undefined : member));
  return isDdf(layout) ? order : order.filter((member) => member !== undefined);
}

/**
 * Stripes with one or two parities.
 *
 * @throws ImageError `corrupt`.
 */
export function parityMap(geometry: ParityGeometry): RaidMap {
  const { parity, layout, members, memberSize, chunk } = geometry;
  const name = parity === 1 ? "raid5" : "raid6";
  checkGeometry(name, members, parity + 1, chunk);
  checkSize(`${name} member`, memberSize);
  const stripes = members - parity;
  const size = alignDown(memberSize, chunk) * stripes;
  checkSize(name, size);

  const rowAt = (number: number): Row => {
    const row = parity === 1 ? singleParityRow(layout, members, number) : doubleParityRow(layout, members, number);
    if (row === undefined) throw new ImageError("corrupt", `${name} has no layout ${layout}`);
    return row;
  };
  rowAt(0);

  return {
    size,
    members,
    isReadable: (present) => present.filter((isThere) => !isThere).length <= parity,
    pieceAt(offset, length) {
      const index = Math.floor(offset / chunk);
      const inChunk = offset % chunk;
      const number = Math.floor(index / stripes);
      const row = rowAt(number);
      const order = syndromeOrder(layout, members, row);
      const member = row.data[index % stripes]!;
      const stripe: RaidRow = { data: order, p: row.p, q: row.q, wanted: order.indexOf(member) };
      return {
        length: Math.min(length, chunk - inChunk),
        copies: [{ member, offset: number * chunk + inChunk }],
        row: stripe,
      };
    },
  };
}

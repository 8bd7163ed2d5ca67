/** A place on one member of an array. */
export interface RaidPlace {
  /** Index of the member, from 0. */
  readonly member: number;
  /** Bytes from the start of what the member holds of the array. */
  readonly offset: number;
}

/** The stripes of one row of RAID 4, 5 or 6, which all lie at the same offset of their members. */
export interface RaidRow {
  /** Index of the member that holds each data stripe; where Q counts a stripe that is always zero, undefined. */
  readonly data: readonly (number | undefined)[];
  readonly p: number;
  /** RAID 6. In Q, the stripe at index i of `data` counts g^i times. */
  readonly q: number | undefined;
  /** Which of `data` the piece is. */
  readonly wanted: number;
}

/** A run of bytes of an array that lies in one piece on every member that has part in it. */
export interface RaidPiece {
  /** Bytes; at least one. */
  readonly length: number;
  /** Everywhere it is stored as it is, the copy that Linux takes for the first one in front. Never empty. */
  readonly copies: readonly RaidPlace[];
  /** Undefined where there is no parity. Its stripes lie at the offset of the (only) copy. */
  readonly row?: RaidRow;
}

/** How the bytes of an array lie on its members. Pure arithmetic: it reads nothing. */
export interface RaidMap {
  /** Bytes of the array. */
  readonly size: number;
  /** Number of members, the missing ones among them. */
  readonly members: number;
  /** The piece that begins at byte `offset` and has at most `length` bytes. The range lies within the array. */
  pieceAt(offset: number, length: number): RaidPiece;
  /** Whether all bytes can be read, given whether each member is there. */
  isReadable(present: readonly boolean[]): boolean;
}

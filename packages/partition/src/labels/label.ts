import type { BlockDevice, ByteRange } from "@guestprobe/block";
import type { Note } from "../note.js";
import type { PartitionType, TableKind } from "../types.js";

/** A partition of one of the smaller tables, before it is checked against its disk. */
export interface LabelEntry {
  /** As GRUB counts: from 1, and a slot that is left out keeps its number. */
  readonly number: number;
  /** Bytes from the start of what the table lies in, but for `isAbsolute` ones. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  readonly type: PartitionType;
  readonly name?: string | undefined;
  readonly active?: boolean;
  /** Where its entry lies: bytes from the start of what the table lies in. */
  readonly offset: number;
}

/** What a smaller table says. */
export interface Label {
  readonly kind: TableKind;
  /** Bytes from the start of what it lies in. */
  readonly offset: number;
  readonly sectorSize: number;
  readonly slots: number;
  readonly entries: readonly LabelEntry[];
  /** Bytes that the table itself takes up, from the start of what it lies in. */
  readonly used: readonly ByteRange[];
}

/** Where a table is looked for. */
export interface LabelPlace {
  /** The disk, or the partition that may hold a table. */
  readonly device: BlockDevice;
  /** Its first 8 KiB, as far as there are any. */
  readonly start: Uint8Array;
  readonly note: Note;
  readonly signal: AbortSignal | undefined;
}

/** Looks for one kind of table; undefined where there is none. */
export type LabelReader = (place: LabelPlace) => Promise<Label | undefined>;

/** XOR of all 16-bit words: zero in a sound label of BSD and Sun. */
export function xorWords(view: DataView, from: number, bytes: number): number {
  let sum = 0;
  for (let at = from; at + 2 <= from + bytes; at += 2) sum ^= view.getUint16(at, true);
  return sum;
}

/** Sum of all 32-bit big-endian words: zero in a sound block of Amiga and SGI. */
export function sumWords(view: DataView, from: number, bytes: number): number {
  let sum = 0;
  for (let at = from; at + 4 <= from + bytes; at += 4) sum = (sum + view.getUint32(at)) >>> 0;
  return sum;
}

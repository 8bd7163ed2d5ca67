import { encodeText, equalBytes, type FindingKind } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { isUsableName } from "@guestprobe/vfs";
import { BAD_NAME, HALF_SURROGATE, ORPHANED_LONG_NAME, PAST_END_MARK } from "./findings.js";
import {
  ATTR_DIRECTORY,
  ATTR_LONG_NAME,
  ATTR_VOLUME_ID,
  ENTRY_DELETED,
  ENTRY_FREE,
  fat_dir_entry as entry,
  LAST_LONG_ENTRY,
  fat_long_entry as long,
} from "./layout.js";
import { longName, shortName, shortNameChecksum } from "./names.js";

/** An entry of a directory that names a file. */
export interface FatEntry {
  /** As Linux shows it, in UTF-8: the long name, or the short one. */
  readonly name: Uint8Array;
  /** The short name, which finds the file too. */
  readonly short: Uint8Array;
  /** Where its 32 bytes lie: bytes from the start of the device. */
  readonly offset: number;
  /** A copy of them. */
  readonly raw: Uint8Array;
  /** Whether it lies behind the end mark, where Linux goes on and GRUB does not. */
  readonly isPastEnd: boolean;
}

/** What a directory holds beside names. */
export interface DirectoryCount {
  /** Subdirectories, the dot entries included. */
  readonly subdirectories: number;
  /** The volume's label, in a root directory; eleven bytes. */
  readonly label: Uint8Array | undefined;
}

/** Units of UTF-16 in one long entry, and long entries for one name at most: 255 units and the end. */
const UNITS = 13;
const MAX_PARTS = 20;

const DOT = encodeText(".          ");
const DOT_DOT = encodeText("..         ");
const isDots = (raw: Uint8Array): boolean => equalBytes(raw, DOT) || equalBytes(raw, DOT_DOT);

export const isFree = (raw: Uint8Array): boolean => raw[0] === ENTRY_DELETED || raw[0] === ENTRY_FREE;

/** Counts what a piece of a directory holds. Linux, fs/fat/dir.c, fat_subdirs; blkid's search for the label. */
export function countEntries(data: Uint8Array): DirectoryCount {
  let subdirectories = 0;
  let label: Uint8Array | undefined;
  for (let at = 0; at + entry.$size <= data.length; at += entry.$size) {
    const first = data[at]!;
    if (first === ENTRY_DELETED || first === ENTRY_FREE) continue;
    const kind = data[at + 11]! & (ATTR_VOLUME_ID | ATTR_DIRECTORY);
    if (kind === ATTR_DIRECTORY) subdirectories += 1;
    else if (kind === ATTR_VOLUME_ID && (data[at + 11]! & 0x3f) !== ATTR_LONG_NAME) label ??= data.slice(at, at + 11);
  }
  return { subdirectories, label };
}

/** Takes what a decoder finds odd; `offset` is in bytes from the start of the device. */
export type ReportOdd = (kind: FindingKind, message: string, field: "DIR_Name" | "LDIR_Ord", offset: number) => void;

/** The parts of a long name seen so far. */
interface Pending {
  /** Part that comes next; 0: the short name. */
  next: number;
  readonly checksum: number;
  readonly units: Uint8Array;
  /** Where the first part lies. */
  readonly offset: number;
}

/**
 * Decodes the entries of one directory, piece by piece: a long name may begin in one and end in the next. Linux, fs/fat/
 * dir.c, __fat_readdir and fat_parse_long.
 */
export class DirectoryDecoder {
  readonly #odd: ReportOdd;
  #pending: Pending | undefined;
  #ended = false;

  constructor(odd: ReportOdd) {
    this.#odd = odd;
  }

  /**
   * @param data Whole entries.
   * @param offset Where they lie: bytes from the start of the device.
   */
  push(data: Uint8Array, offset: number): FatEntry[] {
    const entries: FatEntry[] = [];
    for (let at = 0; at + entry.$size <= data.length; at += entry.$size) {
      const raw = data.subarray(at, at + entry.$size);
      const found = this.#take(raw, offset + at);
      if (found !== undefined) entries.push(found);
    }
    return entries;
  }

  end(): void {
    this.#drop();
  }

  #take(raw: Uint8Array, offset: number): FatEntry | undefined {
    const attributes = raw[11]!;
    const isLong = attributes === ATTR_LONG_NAME;
    const pending = this.#pending;
    if (pending !== undefined && pending.next > 0) {
      if (isLong && this.#goesOn(raw, pending)) return undefined;
      this.#drop();
    }
    if (isLong) {
      this.#drop();
      if (raw[0] !== ENTRY_DELETED) this.#begin(raw, offset);
      return undefined;
    }
    if (isFree(raw) || (attributes & ATTR_VOLUME_ID) !== 0) {
      this.#drop();
      if (raw[0] === ENTRY_FREE) this.#ended = true;
      return undefined;
    }
    return this.#named(raw, offset);
  }

  #begin(raw: Uint8Array, offset: number): void {
    const order = raw[0]!;
    const parts = order - LAST_LONG_ENTRY;
    if (parts < 1 || parts > MAX_PARTS) {
      // Zeros that were written over count for nothing, as for Linux.
      if (order !== ENTRY_FREE) this.#odd(ORPHANED_LONG_NAME, `a part numbered ${order}`, "LDIR_Ord", offset);
      return;
    }
    const units = new Uint8Array(parts * UNITS * 2);
    copyUnits(raw, units, parts - 1);
    this.#pending = { next: parts - 1, checksum: raw[13]!, units, offset };
  }

  #goesOn(raw: Uint8Array, pending: Pending): boolean {
    if ((raw[0]! & ~LAST_LONG_ENTRY) !== pending.next || raw[13] !== pending.checksum) return false;
    copyUnits(raw, pending.units, pending.next - 1);
    pending.next -= 1;
    return true;
  }

  /** Passes over the parts of a name that belong to nothing. */
  #drop(): void {
    if (this.#pending === undefined) return;
    const { offset, next } = this.#pending;
    const reason = next > 0 ? `part ${next} of a long name is missing` : "a long name with no entry behind it";
    this.#odd(ORPHANED_LONG_NAME, reason, "LDIR_Ord", offset);
    this.#pending = undefined;
  }

  #named(raw: Uint8Array, offset: number): FatEntry | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    if (isDots(raw.subarray(0, 11))) return undefined;
    const short = shortName(raw.subarray(0, 11), raw[12]!);
    let name = short;
    if (pending !== undefined && pending.checksum === shortNameChecksum(raw.subarray(0, 11))) {
      const decoded = longName(pending.units);
      name = decoded.name;
      if (decoded.isMended) this.#odd(HALF_SURROGATE, "the rest of the name is shown", "LDIR_Ord", pending.offset);
    } else if (pending !== undefined) {
      this.#odd(ORPHANED_LONG_NAME, "the checksum is of another short name", "LDIR_Ord", pending.offset);
    }
    if (!isUsableName(name)) {
      this.#odd(BAD_NAME, "a name that no path can hold", "DIR_Name", offset);
      if (!isUsableName(short)) return undefined;
      name = short;
    }
    if (this.#ended) this.#odd(PAST_END_MARK, "an entry after the end mark", "DIR_Name", offset);
    return { name, short, offset, raw: raw.slice(), isPastEnd: this.#ended };
  }
}

function copyUnits(raw: Uint8Array, units: Uint8Array, part: number): void {
  const view = viewOf(raw);
  const at = part * UNITS * 2;
  units.set(long.LDIR_Name1(view, 0), at);
  units.set(long.LDIR_Name2(view, 0), at + 10);
  units.set(long.LDIR_Name3(view, 0), at + 22);
}

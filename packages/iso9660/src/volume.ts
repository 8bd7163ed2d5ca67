import { type BlockDevice, finding, ImageError, type Report, readUpTo } from "@guestprobe/block";
import type { DescriptorSet, VolumeDescriptor } from "./descriptors.js";
import { BAD_RECORD, BAD_SYSTEM_USE, BYTE_ORDERS_DIFFER } from "./findings.js";
import { iso_directory_record, SECTOR, susp_ce } from "./layout.js";
import { NameIndex } from "./name-index.js";
import { jolietName, plainName } from "./names.js";
import { PathTable } from "./path-table.js";
import { corrupt, FORMAT, failure, placeOf } from "./place.js";
import { type DirectoryRecord, decodeRecord, differingField, isDotRecord, isProblem } from "./record.js";
import { type RockRidge, RockRidgeDecoder } from "./rock-ridge.js";

/** Which of the trees is shown, and how its names are told. */
export type NameScheme = "rock-ridge" | "joliet" | "plain";

/** Sectors of a directory that one read asks for. */
const PIECE = 16 * SECTOR;
/** Continuation areas of one record that Linux follows. fs/isofs/rock.c, RR_MAX_CE_ENTRIES. */
const MAX_CONTINUATIONS = 31;

export interface VolumeParts {
  readonly device: BlockDevice;
  readonly set: DescriptorSet;
  readonly descriptor: VolumeDescriptor;
  readonly scheme: NameScheme;
  /** Bytes to pass over in each system use area. */
  readonly skip: number;
  readonly report: Report | undefined;
}

/** A record with what its system use says. */
export interface IsoRecord {
  readonly record: DirectoryRecord;
  readonly rock: RockRidge | undefined;
}

/** Of a listing in which what is odd is reported. */
export interface Telling {
  /** First blocks of the directories that are recorded, relocated ones too. */
  readonly directories: Set<number>;
  /** Whether records were passed over. */
  isDamaged: boolean;
}

/** What every walker of an open volume needs. */
export class Volume {
  readonly device: BlockDevice;
  readonly set: DescriptorSet;
  readonly descriptor: VolumeDescriptor;
  readonly scheme: NameScheme;
  readonly report: Report | undefined;
  readonly pathTable: PathTable;
  readonly names: NameIndex;
  readonly #skip: number;
  /** Bytes of the directories that were listed, by where they begin: overlapping ones must not add up to endless work. */
  readonly #listed = new Map<number, number>();
  #listedBytes = 0;

  constructor({ device, set, descriptor, scheme, skip, report }: VolumeParts) {
    this.device = device;
    this.set = set;
    this.descriptor = descriptor;
    this.scheme = scheme;
    this.report = report;
    this.#skip = skip;
    this.names = new NameIndex(this);
    this.pathTable = new PathTable(device, descriptor, report);
  }

  /** Bytes from the start of the device. */
  blockOffset(block: number): number {
    return block * this.descriptor.blockSize;
  }

  /** The number of a record's inode, as Linux makes it of its place. fs/isofs/isofs.h, isofs_get_ino. */
  inoAt(offset: number): number {
    const { blockSize } = this.descriptor;
    return Math.floor(offset / blockSize) * (blockSize / 32) + Math.floor((offset % blockSize) / 32);
  }

  nameOf({ record, rock }: IsoRecord): Uint8Array {
    if (rock?.name !== undefined && rock.name.length > 0) return rock.name;
    return this.scheme === "joliet" ? jolietName(record.name) : plainName(record.name);
  }

  /**
   * The records of a directory, as many at a time as one read fetches, those for itself and its parent left out. A record
   * that does not fit costs the rest of its sector.
   *
   * @param telling Where what is odd is reported.
   * @throws ImageError `corrupt` where another directory begins before this one should end; `past-end`; `limit` when
   * directories that overlap have more bytes together than the volume twice.
   */
  async *records(
    start: number,
    size: number,
    telling: Telling | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly DirectoryRecord[]> {
    for (let done = 0; done < size; done += PIECE) {
      const from = start + done;
      const wanted = Math.min(PIECE, size - done);
      const data = await readUpTo(this.device, from, wanted, signal);
      this.#charge(start, done + data.length);
      const batch: DirectoryRecord[] = [];
      const next = nextDirectory(data, from, start);
      const own = next === undefined ? data : data.subarray(0, next - from);
      for (let at = 0; at < own.length; at += SECTOR) {
        this.#sector(own.subarray(at, at + SECTOR), from + at, telling, batch);
      }
      if (batch.length > 0) yield batch;
      if (next !== undefined) {
        const reason = `a directory of ${size} bytes runs into another one at byte ${next}`;
        throw corrupt(iso_directory_record, "size", start, reason);
      }
      if (data.length < wanted) throw failure("past-end", `a directory of ${size} bytes ends past the device`, start);
    }
  }

  /** A directory's own record, its first. */
  async ownRecord(start: number, signal: AbortSignal | undefined): Promise<DirectoryRecord> {
    const length = Math.min(SECTOR, Math.max(0, this.device.size - start));
    const data = await this.device.read(start, length, signal);
    const record = data.length === 0 ? undefined : decodeRecord(data, 0, start);
    if (record !== undefined && !isProblem(record) && isDotRecord(record) && record.name[0] === 0) return record;
    const reason = record !== undefined && isProblem(record) ? record.reason : "no record of the directory itself";
    const place = placeOf(iso_directory_record, "length", start);
    throw new ImageError("corrupt", `a directory does not begin as one: ${reason}`, place);
  }

  #sector(sector: Uint8Array, offset: number, telling: Telling | undefined, batch: DirectoryRecord[]): void {
    for (let at = 0; at < sector.length; ) {
      const record = decodeRecord(sector, at, offset + at);
      if (record === undefined) return;
      if (isProblem(record)) {
        if (telling === undefined) return;
        telling.isDamaged = true;
        const place = placeOf(iso_directory_record, record.field, offset + at);
        this.report?.(finding(BAD_RECORD, record.reason, place));
        return;
      }
      const differing = telling === undefined ? undefined : differingField(record);
      if (differing !== undefined) {
        const place = placeOf(iso_directory_record, differing, record.offset);
        this.report?.(finding(BYTE_ORDERS_DIFFER, `${differing} of a directory record`, place));
      }
      if (!isDotRecord(record)) batch.push(record);
      at += record.raw.length;
    }
  }

  /** What the system use of a record says. Joliet's records have none. */
  async rockOf(record: DirectoryRecord, tells: boolean, signal: AbortSignal | undefined): Promise<IsoRecord> {
    if (this.scheme === "joliet") return { record, rock: undefined };
    const at = record.systemUse + this.#skip;
    // Without Rock Ridge, what lies there may belong to anybody.
    const isOurs = tells && this.scheme === "rock-ridge";
    return { record, rock: await readRockRidge(this, record, at, isOurs, signal) };
  }

  /** Counts the bytes of a directory that were listed, those of one that is listed again not. */
  #charge(start: number, size: number): void {
    const known = this.#listed.get(start) ?? 0;
    if (size <= known) return;
    this.#listed.set(start, size);
    this.#listedBytes += size - known;
    if (this.#listedBytes <= 2 * this.device.size) return;
    throw failure("limit", "directories overlap and have more bytes than the volume twice", start);
  }
}

/**
 * Where in a piece of the directory that begins at `start` another one begins: at a sector whose first record is that of a
 * directory itself. Bytes from the start of the device; undefined where none does.
 */
function nextDirectory(data: Uint8Array, from: number, start: number): number | undefined {
  for (let at = 0; at < data.length; at += SECTOR) {
    if (from + at === start) continue;
    const record = data[at] === 0 ? undefined : decodeRecord(data.subarray(at, at + SECTOR), 0, from + at);
    if (record === undefined || isProblem(record)) continue;
    if (isDotRecord(record) && record.name[0] === 0) return from + at;
  }
  return undefined;
}

/** What readRockRidge needs to know of a volume. */
type RockSource = Pick<Volume, "device" | "report" | "descriptor">;

/**
 * Reads the system use of one record with all that continues it. What does not fit is told and ends it; the fields before
 * count, so that a damaged field hides no file.
 *
 * @param at Where system use begins: bytes from the start of the record.
 */
export async function readRockRidge(
  volume: RockSource,
  record: DirectoryRecord,
  at: number,
  tells: boolean,
  signal: AbortSignal | undefined,
): Promise<RockRidge> {
  const decoder = new RockRidgeDecoder();
  const { blockSize } = volume.descriptor;
  const tell = (reason: string, field: string, offset: number): void => {
    const place = { format: FORMAT, structure: field, offset };
    if (tells) volume.report?.(finding(BAD_SYSTEM_USE, reason, place));
  };
  const seen = new Set<number>();
  let area = record.raw.subarray(Math.min(at, record.raw.length));
  let offset = record.offset + at;
  for (let n = 0; ; n += 1) {
    const next = decoder.take(area, offset);
    if (decoder.problem !== undefined) tell(decoder.problem.reason, decoder.problem.field, decoder.problem.offset);
    if (next === undefined || decoder.problem !== undefined) return decoder.fields;
    const ce = `continuation area of ${next.size} bytes at byte ${next.offset} of block ${next.extent}`;
    const where = next.extent * blockSize + next.offset;
    // Linux reads none where the block is zero.
    if (next.extent === 0) return decoder.fields;
    if (next.offset + next.size > blockSize) return told(`${ce}, which has ${blockSize}`);
    if (where + next.size > volume.device.size) return told(`${ce}, past the device`);
    if (n >= MAX_CONTINUATIONS) return told(`${ce}, the ${n + 1}th of one record`);
    if (seen.has(where)) return told(`${ce}, for the second time`);
    seen.add(where);
    area = await volume.device.read(where, next.size, signal);
    offset = where;
  }

  function told(reason: string): RockRidge {
    tell(reason, susp_ce.$name, offset);
    return decoder.fields;
  }
}

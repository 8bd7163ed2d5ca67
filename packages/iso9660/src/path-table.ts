import { type BlockDevice, finding, isImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { VolumeDescriptor } from "./descriptors.js";
import { PATH_TABLE_DIFFERS } from "./findings.js";
import { FORMAT } from "./place.js";

/** Bytes of a table that are looked at; 65,535 directories with long names have less. */
const MAX_TABLE = 16 << 20;

/** One directory as the path table has it. */
export interface PathTableRecord {
  /** Bytes from the start of the table. */
  readonly offset: number;
  /** First logical block of the directory. */
  readonly block: number;
  /** The record of its parent, counted from 1. The root is its own parent. */
  readonly parent: number;
}

/** What the little-endian table says. */
interface Table {
  readonly blocks: ReadonlySet<number>;
  /** By the block of a directory, the directories in it. */
  readonly children: ReadonlyMap<number, readonly PathTableRecord[]>;
}

/** The path table: every directory once more. It is held against the directories and never followed. */
export class PathTable {
  readonly #device: BlockDevice;
  readonly #descriptor: VolumeDescriptor;
  readonly #report: Report | undefined;
  #table: Promise<Table | undefined> | undefined;

  constructor(device: BlockDevice, descriptor: VolumeDescriptor, report: Report | undefined) {
    this.#device = device;
    this.#descriptor = descriptor;
    this.#report = report;
  }

  /** Tells when the table misses the directory at this logical block, or cannot be read. */
  async check(block: number, offset: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const table = await this.#open(signal);
    if (table === undefined || table.blocks.has(block)) return;
    this.#tell(`the directory at block ${block} is not in the path table`, offset);
  }

  /**
   * Tells what the table has in the directory at `block`, and the directory has not.
   *
   * @param found The first blocks of all directories that are recorded in it.
   */
  async checkChildren(block: number, found: ReadonlySet<number>, signal: AbortSignal | undefined): Promise<void> {
    const table = await this.#open(signal);
    for (const child of table?.children.get(block) ?? []) {
      if (found.has(child.block)) continue;
      const message = `the directory at block ${child.block} is in the path table, and not in its parent at block ${block}`;
      this.#tell(message, this.#descriptor.pathTable.l + child.offset);
    }
  }

  #open(signal: AbortSignal | undefined): Promise<Table | undefined> {
    if (this.#report === undefined) return Promise.resolve(undefined);
    this.#table ??= this.#read(signal).catch((error: unknown) => {
      // An abort is the caller's; the next one may have none.
      this.#table = undefined;
      throw error;
    });
    return this.#table;
  }

  #tell(message: string, offset: number | undefined): void {
    this.#report?.(finding(PATH_TABLE_DIFFERS, message, { format: FORMAT, structure: "path_table", offset }));
  }

  async #read(signal: AbortSignal | undefined): Promise<Table | undefined> {
    const { size, l, m } = this.#descriptor.pathTable;
    if (size === 0 || size > MAX_TABLE) {
      this.#tell(`a path table of ${size} bytes`, this.#descriptor.offset);
      return undefined;
    }
    try {
      const [little, big] = await Promise.all([l, m].map((at) => this.#device.read(at, size, signal)));
      const own = decodePathTable(little!, true);
      if (m !== 0) this.#compare(own, decodePathTable(big!, false), m);
      return this.#index(own, l);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      this.#tell(`the path table cannot be read: ${error.reason}`, l);
      return undefined;
    }
  }

  #index(records: readonly PathTableRecord[], start: number): Table {
    const children = new Map<number, PathTableRecord[]>();
    for (const [index, record] of records.entries()) {
      if (index === 0) continue;
      // ECMA-119, 6.9.1: a directory comes behind its parent.
      const parent = record.parent > index ? undefined : records[record.parent - 1];
      if (parent === undefined) {
        this.#tell(`record ${index + 1}: its parent is record ${record.parent}`, start + record.offset);
        continue;
      }
      const known = children.get(parent.block);
      if (known === undefined) children.set(parent.block, [record]);
      else known.push(record);
    }
    return { blocks: new Set(records.map(({ block }) => block)), children };
  }

  #compare(little: readonly PathTableRecord[], big: readonly PathTableRecord[], offset: number): void {
    const at = little.findIndex(({ block, parent }, n) => block !== big[n]?.block || parent !== big[n].parent);
    if (at < 0 && little.length === big.length) return;
    const n = at < 0 ? Math.min(little.length, big.length) : at;
    const [one, other] = [little[n], big[n]].map((each) => each && `block ${each.block} in record ${each.parent}`);
    this.#tell(`record ${n + 1}: ${one ?? "none"} little-endian, ${other ?? "none"} big-endian`, offset);
  }
}

/** The directories, as far as records fit. ECMA-119, 9.4. */
export function decodePathTable(data: Uint8Array, isLittle: boolean): PathTableRecord[] {
  const view = viewOf(data);
  const records: PathTableRecord[] = [];
  for (let at = 0; at + 8 < data.length && data[at] !== 0; ) {
    const nameLength = data[at]!;
    // Attributes lie before the content.
    const block = view.getUint32(at + 2, isLittle) + data[at + 1]!;
    records.push({ offset: at, block, parent: view.getUint16(at + 6, isLittle) });
    at += 8 + nameLength + (nameLength % 2);
  }
  return records;
}

import { type BlockDevice, finding, isImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { VolumeDescriptor } from "./descriptors.js";
import { PATH_TABLE_DIFFERS } from "./findings.js";
import { FORMAT } from "./place.js";

/** Bytes of a table that are looked at; 65,535 directories with long names have less. */
const MAX_TABLE = 16 << 20;

/** The path table: every directory once more. It is held against the directories and never followed. */
export class PathTable {
  readonly #device: BlockDevice;
  readonly #descriptor: VolumeDescriptor;
  readonly #report: Report | undefined;
  #blocks: Promise<ReadonlySet<number> | undefined> | undefined;

  constructor(device: BlockDevice, descriptor: VolumeDescriptor, report: Report | undefined) {
    this.#device = device;
    this.#descriptor = descriptor;
    this.#report = report;
  }

  /** Tells when the table misses the directory at this logical block, or cannot be read. */
  async check(block: number, offset: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    if (this.#report === undefined) return;
    this.#blocks ??= this.#read(signal);
    let blocks: ReadonlySet<number> | undefined;
    try {
      blocks = await this.#blocks;
    } catch (error) {
      this.#blocks = undefined;
      throw error;
    }
    if (blocks === undefined || blocks.has(block)) return;
    this.#tell(`the directory at block ${block} is not in the path table`, offset);
  }

  #tell(message: string, offset: number | undefined): void {
    this.#report?.(finding(PATH_TABLE_DIFFERS, message, { format: FORMAT, structure: "path_table", offset }));
  }

  async #read(signal: AbortSignal | undefined): Promise<ReadonlySet<number> | undefined> {
    const { size, l, m } = this.#descriptor.pathTable;
    if (size === 0 || size > MAX_TABLE) {
      this.#tell(`a path table of ${size} bytes`, this.#descriptor.offset);
      return undefined;
    }
    try {
      const [little, big] = await Promise.all([l, m].map((at) => this.#device.read(at, size, signal)));
      const own = decodePathTable(little!, true);
      if (m !== 0) this.#compare(own, decodePathTable(big!, false), m);
      return new Set(own);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      this.#tell(`the path table cannot be read: ${error.reason}`, l);
      return undefined;
    }
  }

  #compare(little: readonly number[], big: readonly number[], offset: number): void {
    const at = little.findIndex((block, n) => block !== big[n]);
    if (at < 0 && little.length === big.length) return;
    const n = at < 0 ? Math.min(little.length, big.length) : at;
    this.#tell(`record ${n + 1}: block ${little[n]} little-endian, ${big[n]} big-endian`, offset);
  }
}

/** The first logical block of each directory, as far as records fit. ECMA-119, 9.4. */
export function decodePathTable(data: Uint8Array, isLittle: boolean): number[] {
  const view = viewOf(data);
  const blocks: number[] = [];
  for (let at = 0; at + 8 < data.length && data[at] !== 0; ) {
    const nameLength = data[at]!;
    // Attributes lie before the content.
    blocks.push(view.getUint32(at + 2, isLittle) + data[at + 1]!);
    at += 8 + nameLength + (nameLength % 2);
  }
  return blocks;
}

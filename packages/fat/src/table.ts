import { type BlockDevice, finding, isImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { BootSector } from "./boot-sector.js";
import { entryAt, type Link, linkOf } from "./fat-entry.js";
import { COPIES_DIFFER, COPY_USED } from "./findings.js";
import { FIRST_CLUSTER } from "./layout.js";
import { FORMAT } from "./place.js";

/** Entries read at a time: 6, 8 or 16 KiB, none of FAT12's cut in two. */
const WINDOW = 4096;
/** Windows kept: chains go forwards, and a few of them in turn. */
const KEPT = 8;
/** Copies that are compared; two is what everybody writes. */
const MAX_COPIES = 4;

/** A stretch of the first FAT. */
export interface FatWindow {
  holds(cluster: number): boolean;
  /** What the entry of a cluster that it holds says. */
  link(cluster: number): Link;
}

/** The file allocation table: the first one, as Linux reads it. */
export class FatTable {
  readonly #device: BlockDevice;
  readonly #bs: BootSector;
  readonly #report: Report | undefined;
  readonly #windows = new Map<number, Uint8Array>();
  readonly #compared = new Set<number>();

  constructor(device: BlockDevice, bs: BootSector, report: Report | undefined) {
    this.#device = device;
    this.#bs = bs;
    this.#report = report;
  }

  /** Where the entry of a cluster lies: bytes from the start of the device. */
  entryOffset(cluster: number): number {
    return this.#bs.fatStart + Math.floor((cluster * this.#bs.bits) / 8);
  }

  /** The first two entries, which belong to no cluster. */
  async head(signal: AbortSignal | undefined): Promise<readonly [number, number]> {
    const view = viewOf(await this.#load(0, signal));
    return [entryAt(this.#bs.bits, view, 0), entryAt(this.#bs.bits, view, 1)];
  }

  /** The window with the entry of `cluster`, which must be one of the volume's. */
  async window(cluster: number, signal: AbortSignal | undefined): Promise<FatWindow> {
    const { bits, clusters } = this.#bs;
    const index = Math.floor(cluster / WINDOW);
    const view = viewOf(await this.#load(index, signal));
    return {
      holds: (other) => Math.floor(other / WINDOW) === index,
      link: (other) => linkOf(bits, entryAt(bits, view, other % WINDOW), clusters),
    };
  }

  /** Holds the windows with the entries of these clusters against the other copies, each once. */
  async compare(first: number, count: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#bs.fatCount < 2 || this.#bs.activeFat !== undefined || this.#report === undefined) return;
    for (let index = Math.floor(first / WINDOW); index <= Math.floor((first + count - 1) / WINDOW); index += 1) {
      if (this.#compared.has(index)) continue;
      this.#compared.add(index);
      const own = await this.#load(index, signal);
      for (let copy = 1; copy < Math.min(this.#bs.fatCount, MAX_COPIES); copy += 1) {
        await this.#compareWith(own, index, copy, signal);
      }
    }
  }

  async #compareWith(own: Uint8Array, index: number, copy: number, signal: AbortSignal | undefined): Promise<void> {
    const { bits, fatSize } = this.#bs;
    const start = this.#startOf(index) + copy * fatSize;
    let other: Uint8Array;
    try {
      other = await this.#device.read(start, own.length, signal);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      return;
    }
    // The first two entries hold flags that not everybody writes to all copies.
    const skip = index === 0 ? (FIRST_CLUSTER * bits) / 8 : 0;
    const at = own.findIndex((byte, n) => n >= skip && byte !== other[n]);
    if (at < 0) return;
    const cluster = index * WINDOW + Math.floor((at * 8) / bits);
    const message = `copy ${copy + 1} of the table differs from the first at the entry of cluster ${cluster}`;
    this.#report?.(finding(COPIES_DIFFER, message, { format: FORMAT, structure: "FAT", offset: start + at }));
  }

  #startOf(index: number): number {
    return this.#bs.fatStart + (index * WINDOW * this.#bs.bits) / 8;
  }

  async #load(index: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const known = this.#windows.get(index);
    if (known !== undefined) return known;
    const { bits, clusters } = this.#bs;
    const entries = Math.min(WINDOW, clusters + FIRST_CLUSTER - index * WINDOW);
    const data = await this.#read(this.#startOf(index), Math.ceil((entries * bits) / 8), signal);
    if (this.#windows.size >= KEPT) this.#windows.delete(this.#windows.keys().next().value!);
    this.#windows.set(index, data);
    return data;
  }

  /** From the first FAT, or from its copy where the host cannot deliver those bytes. */
  async #read(start: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    try {
      return await this.#device.read(start, length, signal);
    } catch (error) {
      if (!isImageError(error, "io") || this.#bs.fatCount < 2) throw error;
      const data = await this.#device.read(start + this.#bs.fatSize, length, signal).catch(() => {
        throw error;
      });
      const place = { format: FORMAT, structure: "FAT", offset: start };
      this.#report?.(finding(COPY_USED, `${length} bytes of the first table: ${error.reason}`, place));
      return data;
    }
  }
}

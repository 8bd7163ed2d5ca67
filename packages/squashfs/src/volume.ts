import { type BlockDevice, ImageError, isImageError, type Report } from "@guestprobe/block";
import type { Decode, Decompressor, OutputBound } from "@guestprobe/codec";
import { BlockCache } from "./block-cache.js";
import { DATA_UNCOMPRESSED } from "./layout.js";
import { Metadata } from "./metadata.js";
import { failure } from "./place.js";
import type { Superblock } from "./superblock.js";
import { type Fragment, idTable, readFragment, readRecord, readXattrTables, type XattrTables } from "./tables.js";

export interface VolumeParts {
  readonly device: BlockDevice;
  readonly sb: Superblock;
  readonly decode: Decode;
  /** Decodes the blocks of files that have many. */
  readonly decompressor: Decompressor | undefined;
  /** Bytes of decoded blocks to keep, metadata included. */
  readonly cacheBudget: number;
  readonly report: Report | undefined;
}

/** Padding and such after a stream is not looked at, as the kernel does not. */
const TRAILING = { trailing: "ignore" } as const;

/** What every walker of an open volume needs: its device, superblock, tables and decoded blocks. */
export class Volume {
  readonly device: BlockDevice;
  readonly sb: Superblock;
  readonly metadata: Metadata;
  readonly report: Report | undefined;
  /** Decoded blocks of files and fragments, by where they lie, how they are stored and what they must decode to. */
  readonly #blocks: BlockCache<string, Uint8Array>;
  readonly #decode: Decode;
  readonly #decompressor: Decompressor | undefined;
  readonly #owners = new Map<number, number>();
  #xattrTables: Promise<XattrTables | undefined> | undefined;

  constructor({ device, sb, decode, decompressor, cacheBudget, report }: VolumeParts) {
    this.device = device;
    this.sb = sb;
    this.report = report;
    this.metadata = new Metadata(device, decode, cacheBudget / 4);
    this.#blocks = new BlockCache((cacheBudget * 3) / 4, (block) => block.length);
    this.#decode = decode;
    this.#decompressor = decompressor;
  }

  /** Where the directory table ends at the latest. */
  get directoryLimit(): number {
    return this.sb.fragmentTable ?? this.sb.lookupTable ?? this.sb.idTable;
  }

  /** The owner at `index` of the id table, if it was read before. */
  knownOwner(index: number): number | undefined {
    return this.#owners.get(index);
  }

  /** @throws ImageError `corrupt` for an index past the table. */
  async owner(index: number, signal: AbortSignal | undefined): Promise<number> {
    const known = this.#owners.get(index);
    if (known !== undefined) return known;
    const { view } = await readRecord(this.device, this.metadata, idTable(this.sb), index, signal);
    const id = view.getUint32(0, true);
    this.#owners.set(index, id);
    return id;
  }

  fragment(n: number, signal: AbortSignal | undefined): Promise<Fragment> {
    return readFragment(this.device, this.metadata, this.sb, n, signal);
  }

  /** Where attributes are; undefined on a volume without them. */
  xattrTables(signal: AbortSignal | undefined): Promise<XattrTables | undefined> {
    this.#xattrTables ??= readXattrTables(this.device, this.sb, signal).catch((error: unknown) => {
      this.#xattrTables = undefined;
      throw error;
    });
    return this.#xattrTables;
  }

  /**
   * A compressed block of a file or of fragments, decoded. It is decoded on other threads when there are such and
   * `isBulk` says that there is more to come.
   *
   * @param start Bytes from the start of the device.
   * @param word Stored size and flag, as on the disk.
   * @param into Memory of the bound's size to spare; the block is not kept then, unless it was before.
   * @throws ImageError `corrupt`, `past-end`, `io`, `unsupported`.
   */
  block(start: number, word: number, bound: OutputBound, isBulk: boolean, into?: Uint8Array): Promise<Uint8Array> {
    const key = `${start}:${word}:${"exact" in bound ? bound.exact : "max"}`;
    if (into !== undefined && !this.#blocks.has(key)) return this.#load(start, word, bound, isBulk, into);
    return this.#blocks.get(key, () => this.#load(start, word, bound, isBulk));
  }

  /** Checks that a block lies on the volume and is no longer than one can be. Throws `corrupt`. */
  checkBlock(start: number, word: number): void {
    const size = word % DATA_UNCOMPRESSED;
    if (word >= 2 * DATA_UNCOMPRESSED || size > this.sb.blockSize) {
      throw failure("corrupt", `block of ${size} bytes stored, the block size is ${this.sb.blockSize}`, start);
    }
    if (start + size > this.sb.bytesUsed) {
      const reason = `block of ${size} bytes at byte ${start} passes the ${this.sb.bytesUsed} bytes in use`;
      throw failure("corrupt", reason, start);
    }
  }

  async #load(
    start: number,
    word: number,
    bound: OutputBound,
    isBulk: boolean,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const stored = await this.device.read(start, word % DATA_UNCOMPRESSED);
    if ((word & DATA_UNCOMPRESSED) !== 0) return stored;
    const { codec } = this.sb.compressor;
    try {
      if (isBulk && this.#decompressor !== undefined) {
        return await this.#decompressor.decode(codec, stored, bound, { ...TRAILING, into });
      }
      return this.#decode(stored, bound, { ...TRAILING, into });
    } catch (cause) {
      if (!isImageError(cause)) throw cause;
      // A limit here is the block size, which the volume itself sets.
      const code = cause.code === "unsupported" || cause.code === "io" ? cause.code : "corrupt";
      throw new ImageError(code, `block does not decode: ${cause.reason}`, {
        format: "squashfs",
        offset: start,
        cause,
      });
    }
  }
}

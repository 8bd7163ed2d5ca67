import { allocate, type BlockDevice, ImageError, isImageError, type Report } from "@guestprobe/block";
import type { Decode, Decompressor, OutputBound } from "@guestprobe/codec";
import { placeAt } from "@guestprobe/vfs";
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

/** A compressed block of a file, and memory of as many bytes as it decodes to. */
export interface PackedBlock {
  /** Bytes from the start of the device. */
  readonly start: number;
  /** Stored size and flag, as on the disk. */
  readonly word: number;
  readonly place: Uint8Array;
}

/** Memories for blocks as they are stored that are kept: as many as a reader has runs under way, of a piece of a file each. */
const KEPT_INPUTS = 4;
const KEPT_INPUT_MAX = 1 << 20;

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
  /** The fragment block that was asked for last: files that follow one another share one. */
  lastFragment: { readonly number: number; readonly data: Uint8Array } | undefined;
  readonly #decode: Decode;
  readonly #decompressor: Decompressor | undefined;
  readonly #owners = new Map<number, number>();
  /** Where runs of stored blocks are read to. New memory for each makes V8 look for what is unused every few runs. */
  #inputs: Uint8Array[] = [];
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
   * @throws ImageError `corrupt`, `past-end`, `io`, `unsupported`.
   */
  block(start: number, word: number, bound: OutputBound, isBulk: boolean): Promise<Uint8Array> {
    const key = `${start}:${word}:${"exact" in bound ? bound.exact : "max"}`;
    return this.#blocks.get(key, () => this.#load(start, word, bound, isBulk));
  }

  /**
   * Decodes compressed blocks that are stored one behind the other, each to its place, by one read and past the cache.
   *
   * @param length Bytes that they take on the device, all together.
   * @throws ImageError as `block`, for the first block that fails.
   */
  async run(blocks: readonly PackedBlock[], length: number, isBulk: boolean): Promise<void> {
    const { start: first } = blocks[0]!;
    const fitting = this.#inputs.findIndex((input) => input.length >= length);
    const input = fitting < 0 ? allocate(length) : this.#inputs.splice(fitting, 1)[0]!;
    // Where the run cannot be read, each block is tried by itself, and the error is that of the block.
    const stored = await this.device.read(first, length, undefined, input.subarray(0, length)).catch(() => undefined);
    const done = await Promise.allSettled(
      blocks.map(async ({ start, word, place }) => {
        const bound = { exact: place.length };
        const from = start - first;
        const data = stored?.subarray(from, from + (word % DATA_UNCOMPRESSED));
        const block = await (data === undefined
          ? this.#load(start, word, bound, isBulk, place)
          : this.#unpack(data, start, bound, isBulk, place));
        placeAt(place, 0, block);
      }),
    );
    // Not after a failed read, which may still be writing to it.
    const isKept = input.length <= KEPT_INPUT_MAX && this.#inputs.length < KEPT_INPUTS;
    if (stored !== undefined && isKept) this.#inputs.push(input);
    for (const outcome of done) if (outcome.status === "rejected") throw outcome.reason;
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
    return (word & DATA_UNCOMPRESSED) === 0 ? this.#unpack(stored, start, bound, isBulk, into) : stored;
  }

  /** Decodes what is stored at byte `start`. */
  async #unpack(
    stored: Uint8Array,
    start: number,
    bound: OutputBound,
    isBulk: boolean,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
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

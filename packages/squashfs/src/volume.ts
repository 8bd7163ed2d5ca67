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

/** A decoded block, and what it lies in, if that is ours: used again when nobody reads the block any more. */
interface DecodedBlock {
  readonly data: Uint8Array;
  readonly memory: Uint8Array | undefined;
}

/** Memories for blocks as they are stored that are kept: as many as a reader has runs under way, of a piece of a file each. */
const KEPT_INPUTS = 4;
const KEPT_INPUT_MAX = 1 << 20;
/** Memories for decoded blocks that are kept: each is used for the next that is decoded. */
const KEPT_OUTPUTS = 4;

/** Padding and such after a stream is not looked at, as the kernel does not. */
const TRAILING = { trailing: "ignore" } as const;

/** What every walker of an open volume needs: its device, superblock, tables and decoded blocks. */
export class Volume {
  readonly device: BlockDevice;
  readonly sb: Superblock;
  readonly metadata: Metadata;
  readonly report: Report | undefined;
  /** Decoded blocks of files and fragments, by where they lie, how they are stored and what they must decode to. */
  readonly #blocks: BlockCache<string, DecodedBlock>;
  /** A copy of the fragment block that was asked for last: files that follow one another share one. */
  #lastFragment = { number: -1, data: new Uint8Array(0) };
  readonly #decode: Decode;
  readonly #decompressor: Decompressor | undefined;
  readonly #owners = new Map<number, number>();
  /** Where runs of stored blocks are read to. New memory for each makes V8 look for what is unused every few runs. */
  readonly #inputs: Uint8Array[] = [];
  /** Where blocks are decoded to: a listing of small files unpacks all of a volume, and holds a few blocks of it. */
  readonly #outputs: Uint8Array[] = [];
  #xattrTables: Promise<XattrTables | undefined> | undefined;

  constructor({ device, sb, decode, decompressor, cacheBudget, report }: VolumeParts) {
    this.device = device;
    this.sb = sb;
    this.report = report;
    this.metadata = new Metadata(device, decode, cacheBudget / 4);
    this.#blocks = new BlockCache(
      (cacheBudget * 3) / 4,
      ({ data, memory }) => memory?.length ?? data.length,
      ({ memory }) => this.#keepOutput(memory),
    );
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
   * Calls `work` with a compressed block of a file, decoded; it is good until `work` returns. It is decoded on other threads
   * when there are such and `isBulk` says that there is more to come.
   *
   * @param start Bytes from the start of the device.
   * @param word Stored size and flag, as on the disk.
   * @throws ImageError `corrupt`, `past-end`, `io`, `unsupported`.
   */
  useBlock<T>(
    start: number,
    word: number,
    bound: OutputBound,
    isBulk: boolean,
    work: (data: Uint8Array) => T,
  ): Promise<T> {
    const key = `${start}:${word}:${"exact" in bound ? bound.exact : "max"}`;
    return this.#blocks.use(
      key,
      () => this.#load(start, word, bound, isBulk),
      ({ data }) => work(data),
    );
  }

  /** The same with a block of fragments, which `fragmentNow` answers until the next. */
  useFragment<T>(number: number, { start, size }: Fragment, work: (data: Uint8Array) => T): Promise<T> {
    return this.useBlock(start, size, { max: this.sb.blockSize }, false, (data) => {
      const last = this.#lastFragment;
      if (last.number !== number) {
        const memory = last.data.buffer.byteLength < data.length ? allocate(this.sb.blockSize) : last.data;
        this.#lastFragment = { number, data: new Uint8Array(memory.buffer, 0, data.length) };
        this.#lastFragment.data.set(data);
      }
      return work(data);
    });
  }

  /** Fragment block `number`, if it is the one that was used last; good until another is used. */
  fragmentNow(number: number | undefined): Uint8Array | undefined {
    return this.#lastFragment.number === number ? this.#lastFragment.data : undefined;
  }

  /**
   * Decodes compressed blocks that are stored one behind the other, each to its place, by one read and past the cache.
   *
   * @param length Bytes that they take on the device, all together.
   * @throws ImageError as `block`, for the first block that fails.
   */
  async run(blocks: readonly PackedBlock[], length: number, isBulk: boolean): Promise<void> {
    const { start: first } = blocks[0]!;
    const input = this.#takeInput(length);
    // Where the run cannot be read, each block is tried by itself, and the error is that of the block.
    const stored = await this.device.read(first, length, undefined, input.subarray(0, length)).catch(() => undefined);
    const done = await Promise.allSettled(
      blocks.map(async ({ start, word, place }) => {
        const bound = { exact: place.length };
        const from = start - first;
        const data = stored?.subarray(from, from + (word % DATA_UNCOMPRESSED));
        const block = await (data === undefined
          ? this.#load(start, word, bound, isBulk, place).then((loaded) => loaded.data)
          : this.#unpack(data, start, bound, isBulk, place));
        placeAt(place, 0, block);
      }),
    );
    // Not after a failed read, which may still be writing to it.
    if (stored !== undefined) this.#keepInput(input);
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

  /** `into`: where it is to lie; memory of our own that is used again where none is given. */
  async #load(
    start: number,
    word: number,
    bound: OutputBound,
    isBulk: boolean,
    into?: Uint8Array,
  ): Promise<DecodedBlock> {
    const length = word % DATA_UNCOMPRESSED;
    const memory = into ?? this.#takeOutput("exact" in bound ? bound.exact : bound.max);
    // After a failed read neither memory is kept: it may still be written to.
    let data: Uint8Array;
    if ((word & DATA_UNCOMPRESSED) !== 0) {
      data = await this.device.read(start, length, undefined, memory.subarray(0, length));
    } else {
      const input = this.#takeInput(length);
      const stored = await this.device.read(start, length, undefined, input.subarray(0, length));
      try {
        data = await this.#unpack(stored, start, bound, isBulk, memory);
      } finally {
        this.#keepInput(input);
      }
    }
    if (into === undefined && data.buffer === memory.buffer) return { data, memory };
    if (into === undefined) this.#keepOutput(memory);
    return { data, memory: undefined };
  }

  /** Of the size of a block; a smaller one, the last of a file, has just what it needs. */
  #takeOutput(size: number): Uint8Array {
    const { blockSize } = this.sb;
    return size < blockSize ? allocate(size) : (this.#outputs.pop() ?? allocate(blockSize));
  }

  #takeInput(length: number): Uint8Array {
    const fitting = this.#inputs.findIndex((input) => input.length >= length);
    return fitting < 0 ? allocate(length) : this.#inputs.splice(fitting, 1)[0]!;
  }

  #keepInput(input: Uint8Array): void {
    if (input.length <= KEPT_INPUT_MAX && this.#inputs.length < KEPT_INPUTS) this.#inputs.push(input);
  }

  #keepOutput(memory: Uint8Array | undefined): void {
    if (memory?.length === this.sb.blockSize && this.#outputs.length < KEPT_OUTPUTS) this.#outputs.push(memory);
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

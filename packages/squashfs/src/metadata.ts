import { abortable, type BlockDevice, isImageError, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { Decode } from "@guestprobe/codec";
import { BlockCache } from "./block-cache.js";
import { METADATA_UNCOMPRESSED, SQUASHFS_METADATA_SIZE } from "./layout.js";
import { failure } from "./place.js";
import type { MetadataPosition } from "./superblock.js";

/** A metadata block, decoded, with what leads to the next one. */
export interface MetadataBlock {
  readonly data: Uint8Array;
  readonly view: DataView;
  /** Where the next block begins: bytes from the start of the device. */
  readonly next: number;
  readonly isCompressed: boolean;
}

/** A range of bytes of metadata, which may span blocks. */
export interface MetadataRange {
  readonly data: Uint8Array;
  /** The byte after it; at the end of a block, that block with an offset past its last byte. */
  readonly next: MetadataPosition;
}

/** Block header and the longest block. */
const READ_SIZE = 2 + SQUASHFS_METADATA_SIZE;

/**
 * Metadata: tables cut into blocks of 8 KiB, each compressed by itself behind a u16 that holds its stored size. A chain
 * of blocks only leads forward, and ends at the limit that each reader is given, so no loop can be made of it.
 */
export class Metadata {
  readonly #device: BlockDevice;
  readonly #decode: Decode;
  readonly #cache: BlockCache<number, MetadataBlock>;
  /** The block that was found last. */
  #last: { readonly at: number; readonly block: MetadataBlock } | undefined;

  constructor(device: BlockDevice, decode: Decode, budget: number) {
    this.#device = device;
    this.#decode = decode;
    this.#cache = new BlockCache(budget, (block) => block.data.length);
  }

  /**
   * `length` bytes from `position`, in blocks that begin before byte `limit` of the device.
   *
   * @throws ImageError `corrupt`, `past-end`, `io`, `aborted`.
   */
  async read(
    position: MetadataPosition,
    length: number,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<MetadataRange> {
    let { block: at, offset } = position;
    let block = this.peekBlock(at, limit) ?? (await this.#block(at, limit, signal));
    if (offset === block.data.length) {
      ({ at, block } = await this.#following(block, limit, signal));
      offset = 0;
    }
    if (offset > block.data.length) throw outside(offset, block, at);
    if (length <= block.data.length - offset) {
      return { data: block.data.subarray(offset, offset + length), next: { block: at, offset: offset + length } };
    }
    const data = new Uint8Array(length);
    for (let done = 0; ; ) {
      const piece = block.data.subarray(offset, offset + length - done);
      data.set(piece, done);
      done += piece.length;
      offset += piece.length;
      if (done === length) return { data, next: { block: at, offset } };
      ({ at, block } = await this.#following(block, limit, signal));
      offset = 0;
    }
  }

  /** What is left of the block at `position`, or the next block whole when nothing is; at most `length` bytes. */
  async readSome(
    position: MetadataPosition,
    length: number,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<MetadataRange> {
    const block = this.peekBlock(position.block, limit) ?? (await this.#block(position.block, limit, signal));
    if (position.offset > block.data.length) throw outside(position.offset, block, position.block);
    const left = block.data.length - position.offset;
    if (left > 0) return this.read(position, Math.min(left, length), limit, signal);
    const { at, block: following } = await this.#following(block, limit, signal);
    return this.read({ block: at, offset: 0 }, Math.min(following.data.length, length), limit, signal);
  }

  /** The bytes if they lie in one block that is decoded now. */
  peek(position: MetadataPosition, length: number, limit: number): Uint8Array | undefined {
    const block = this.peekBlock(position.block, limit);
    if (block === undefined || position.offset + length > block.data.length) return undefined;
    return block.data.subarray(position.offset, position.offset + length);
  }

  /** The block that begins at byte `at` of the device, if it is decoded now. */
  peekBlock(at: number, limit: number): MetadataBlock | undefined {
    if (at >= limit) return undefined;
    // The inodes of a directory lie in few blocks.
    if (at === this.#last?.at) return this.#last.block;
    const block = this.#cache.peek(at);
    if (block !== undefined) this.#last = { at, block };
    return block;
  }

  /** Where that byte lies on the device, if its block is decoded now and stored as it is. */
  physical(position: MetadataPosition): number | undefined {
    const block = this.#cache.peek(position.block);
    return block === undefined || block.isCompressed ? undefined : position.block + 2 + position.offset;
  }

  async #block(at: number, limit: number, signal: AbortSignal | undefined): Promise<MetadataBlock> {
    throwIfAborted(signal);
    if (at >= limit) throw failure("corrupt", `metadata runs on past the end of its table at byte ${limit}`, at);
    // The load may be shared: this reader's signal ends its own wait, not the others' read.
    return abortable(
      this.#cache.get(at, () => this.#load(at)),
      signal,
    );
  }

  #following(block: MetadataBlock, limit: number, signal: AbortSignal | undefined) {
    return this.#block(block.next, limit, signal).then((following) => ({ at: block.next, block: following }));
  }

  async #load(at: number): Promise<MetadataBlock> {
    // One read for header and block: the longest that it can be, so that the size need not be known first.
    const raw = await this.#device.read(at, Math.max(2, Math.min(READ_SIZE, this.#device.size - at)));
    const header = raw[0]! | (raw[1]! << 8);
    const size = header & ~METADATA_UNCOMPRESSED;
    if (size === 0 || size > SQUASHFS_METADATA_SIZE) {
      throw failure(
        "corrupt",
        `stored size of a metadata block is ${size}, expected 1 to ${SQUASHFS_METADATA_SIZE}`,
        at,
      );
    }
    if (2 + size > raw.length) throw failure("past-end", `metadata block of ${size} bytes passes the device's end`, at);
    const stored = raw.subarray(2, 2 + size);
    const isCompressed = (header & METADATA_UNCOMPRESSED) === 0;
    const data = isCompressed ? this.#decompress(stored, at) : stored.slice();
    if (data.length === 0) throw failure("corrupt", "metadata block decodes to nothing", at);
    return { data, view: viewOf(data), next: at + 2 + size, isCompressed };
  }

  #decompress(stored: Uint8Array, at: number): Uint8Array {
    try {
      return this.#decode(stored, { max: SQUASHFS_METADATA_SIZE }, { trailing: "ignore" });
    } catch (cause) {
      if (!isImageError(cause)) throw cause;
      const code = cause.code === "unsupported" ? "unsupported" : "corrupt";
      throw failure(code, `metadata block does not decode: ${cause.reason}`, at, cause);
    }
  }
}

function outside(offset: number, block: MetadataBlock, at: number): Error {
  return failure("corrupt", `offset ${offset} is outside a metadata block of ${block.data.length} bytes`, at);
}

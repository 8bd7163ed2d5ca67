import type { CodecName } from "./registry.js";

/**
 * How many bytes a stream may decode to. `exact`: that many, no more and no fewer. `max`: that many or fewer. Either is
 * hard: a decoder never allocates more output than this, whatever the stream claims.
 */
export type OutputBound = { readonly exact: number } | { readonly max: number };

export interface DecodeOptions {
  /**
   * What to do about bytes after the end of the stream, in the formats that know where they end.
   * `refuse` (the default): the input must be used up; the formats that define concatenation (gzip members, zstd frames,
   * xz and bzip2 streams) are decoded to the last of them.
   * `ignore`: the first stream alone is decoded, and what follows is not looked at. File systems that pad to a sector
   * and kernels with their size appended need this.
   */
  readonly trailing?: "refuse" | "ignore" | undefined;
  /**
   * Bytes from the start that the caller needs. A decoder may stop after them (xz does), and then answers at least that
   * many; what it left out is checked only as far as needs no decoding: the stream's structure, its sizes and its end,
   * not the checksum of a block that was cut short. `bound` counts the whole stream all the same.
   */
  readonly enough?: number | undefined;
  /**
   * Memory to spare, of as many bytes as the bound allows or more. The answer may lie at its start, which saves new memory
   * for each block: zlib, zstd, xz and lzma put it there. After an error it may hold anything.
   */
  readonly into?: Uint8Array | undefined;
  /** Looked at between pieces of a long work, some milliseconds apart, by all but lz4, lzo1x and lzop. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Decodes the whole of `src`, synchronously. The result shares no memory with `src`, and is the caller's to keep.
 *
 * @throws ImageError `corrupt` for a stream that is damaged, truncated, or not of the exact size asked for; `limit` when
 *   it holds more than `max`; `bad-checksum` when its own checksum does not match; `unsupported` for a feature by name;
 *   `aborted` when the signal of the options fired; `invalid-argument` for a bound that is no size. Offsets count from the start of `src`.
 */
export type Decode = (src: Uint8Array, bound: OutputBound, options?: DecodeOptions) => Uint8Array;

/** Decodes somewhere: on this thread, or on others. The errors are those of `Decode`. */
export interface Decompressor {
  decode(codec: CodecName, src: Uint8Array, bound: OutputBound, options?: DecodeOptions): Promise<Uint8Array>;
}

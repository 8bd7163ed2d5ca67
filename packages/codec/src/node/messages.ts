import type { ErrorCode } from "@guestprobe/block";
import type { CodecName } from "../registry.js";
import type { DecodeOptions, OutputBound } from "../types.js";

/** A block to decode. Its input lies in the memory that travels with it, and its output goes there. */
export interface Job {
  readonly codec: CodecName;
  /** Bytes of the memory that are the input. */
  readonly from: number;
  readonly length: number;
  /** Where the output goes, and how many bytes there are for it. */
  readonly to: number;
  readonly room: number;
  readonly bound: OutputBound;
  readonly options: Omit<DecodeOptions, "signal" | "into">;
}

/**
 * Blocks for a worker thread: one message for many, since the way there and back costs as much as decoding one. Their
 * memory is shared, and whoever the message is with has it to itself.
 */
export interface Request {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  readonly jobs: readonly Job[];
}

/**
 * What came of a block: its length, if it lies in the memory; the output itself, if it had no room there; or an
 * ImageError taken apart, since classes do not survive the way.
 */
export type Outcome =
  | number
  | Uint8Array<ArrayBuffer>
  | {
      readonly code: ErrorCode;
      readonly reason: string;
      readonly format: string | undefined;
      readonly offset: number | undefined;
    };

/** The answer to the request of that number: one outcome for each block, in order. */
export interface Reply {
  readonly id: number;
  readonly outcomes: readonly Outcome[];
}

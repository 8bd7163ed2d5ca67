import type { ErrorCode } from "@guestprobe/block";
import type { CodecName } from "../registry.js";
import type { DecodeOptions, OutputBound } from "../types.js";

/** A block for a worker thread to decode. `src` is handed over, not copied again. */
export interface Request {
  readonly id: number;
  readonly codec: CodecName;
  readonly src: Uint8Array;
  readonly bound: OutputBound;
  readonly options: Omit<DecodeOptions, "signal">;
}

/** What came of it: the bytes, or an ImageError taken apart, since classes do not survive the way. */
export type Reply =
  | { readonly id: number; readonly out: Uint8Array }
  | {
      readonly id: number;
      readonly error: {
        readonly code: ErrorCode;
        readonly reason: string;
        readonly format: string | undefined;
        readonly offset: number | undefined;
      };
    };

import { allocate, ImageError } from "@guestprobe/block";
import { copyTo, meterOutput } from "../bound.js";
import type { CodecName } from "../registry.js";
import type { DecodeOptions, OutputBound } from "../types.js";
import type { Job, Outcome } from "./messages.js";

/** A block that somebody waits for. */
export interface Waiting {
  readonly codec: CodecName;
  readonly src: Uint8Array;
  readonly bound: OutputBound;
  readonly options: DecodeOptions;
  resolve(out: Uint8Array): void;
  reject(error: unknown): void;
}

/** Most output for which room is made before it is known: a larger one comes in memory of its own. */
const ROOM_MAX = 1 << 20;
/** Inputs and outputs begin at such a multiple, where copying is fastest. */
const ALIGNMENT = 64;
/** Memory comes in sizes from this on, doubling; larger than that, it is not kept. */
const SMALLEST = 256 << 10;
const LARGEST_KEPT = 4 << 20;

/** Most bytes that a block may decode to. */
export const capacityOf = (bound: OutputBound): number => ("exact" in bound ? bound.exact : bound.max);
const roomFor = (bound: OutputBound): number => {
  const capacity = capacityOf(bound);
  return capacity >= 0 && capacity <= ROOM_MAX ? capacity : 0;
};
const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

/** Bytes of a batch's memory that a block takes. */
export function sizeOf({ src, bound }: Waiting): number {
  return aligned(src.length) + aligned(roomFor(bound));
}

/**
 * Memory of batches, used again: to take new memory for each block would cost as much as decoding it. Threads share it:
 * memory that is handed over counts as new on each side, and V8 collects garbage for it after every few batches.
 */
export class BatchMemory {
  readonly #most: number;
  #spares: SharedArrayBuffer[] = [];

  /** @param most How many memories without use are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  /** At least `size` bytes, whatever they hold. Throws `limit` when there is not that much. */
  take(size: number): SharedArrayBuffer {
    const fitting = this.#spares.findIndex((spare) => spare.byteLength >= size);
    if (fitting >= 0) return this.#spares.splice(fitting, 1)[0]!;
    try {
      return new SharedArrayBuffer(SMALLEST * 2 ** Math.max(0, Math.ceil(Math.log2(size / SMALLEST))));
    } catch (cause) {
      throw new ImageError("limit", `no memory for ${size} bytes of blocks to decode`, { cause });
    }
  }

  give(memory: SharedArrayBuffer): void {
    if (memory.byteLength <= LARGEST_KEPT && this.#spares.length < this.#most) this.#spares.push(memory);
  }

  clear(): void {
    this.#spares = [];
  }
}

/** Blocks that go to a thread together, laid out in one memory: their inputs are copied, for the callers keep them. */
export class Batch {
  readonly memory: SharedArrayBuffer;
  readonly jobs: readonly Job[];
  readonly #waiting: readonly Waiting[];

  constructor(memory: SharedArrayBuffer, waiting: readonly Waiting[]) {
    let at = 0;
    this.memory = memory;
    this.#waiting = waiting;
    this.jobs = waiting.map(({ codec, src, bound, options: { trailing, enough } }) => {
      const [from, to, room] = [at, at + aligned(src.length), roomFor(bound)];
      copyTo(new Uint8Array(memory, from, src.length), src);
      at = to + aligned(room);
      return { codec, from, length: src.length, to, room, bound, options: { trailing, enough } };
    });
  }

  /** Hands each block what came of it; `memory` is free afterwards. */
  settle(outcomes: readonly Outcome[]): void {
    for (const [n, { options, resolve, reject }] of this.#waiting.entries()) {
      const outcome = outcomes[n]!;
      // Who gave up waiting may use the memory that was to spare for something else by now.
      if (options.signal?.aborted) continue;
      if (typeof outcome === "object" && "code" in outcome) {
        reject(new ImageError(outcome.code, outcome.reason, outcome));
        continue;
      }
      try {
        const out = typeof outcome === "number" ? this.#take(n, outcome, options.into) : outcome;
        meterOutput(out.length);
        resolve(out);
      } catch (error) {
        reject(error);
      }
    }
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
  }

  #take(n: number, length: number, into: Uint8Array | undefined): Uint8Array {
    const out = into !== undefined && into.length >= length ? into.subarray(0, length) : allocate(length);
    copyTo(out, new Uint8Array(this.memory, this.jobs[n]!.to, length));
    return out;
  }
}

import { ImageError, throwIfAborted, turnFor } from "@guestprobe/block";

/** What a run may use; a script that wants more ends there, and the result says so. */
export interface ScriptLimits {
  /** Commands, and turns of loops. */
  readonly steps: number;
  /** Functions, sourced files, menus and blocks inside each other. */
  readonly depth: number;
  /** Characters of one word or variable. */
  readonly stringLength: number;
  /** Characters made by expansion, and parts that words are made of, in all. */
  readonly expansion: number;
  /** Bytes of files read in all. */
  readonly fileBytes: number;
  /** Files opened. */
  readonly files: number;
  /** Menu entries. */
  readonly entries: number;
  /** Names that patterns were compared with, in all. */
  readonly globbed: number;
  /** Characters of output. */
  readonly output: number;
  /** Steps of the matcher behind `regexp`. */
  readonly matching: number;
  /** Entries started by one boot: an entry that sets `fallback` to what leads back to it goes on for ever. */
  readonly starts: number;
}

export const DEFAULT_LIMITS: ScriptLimits = {
  steps: 300_000,
  depth: 64,
  stringLength: 1 << 20,
  expansion: 1 << 26,
  fileBytes: 1 << 25,
  files: 10_000,
  entries: 100_000,
  globbed: 1_000_000,
  output: 1 << 22,
  matching: 1_000_000,
  starts: 1000,
};

export type LimitName = keyof ScriptLimits;

/** Thrown by `spend`; ends the run, with what was found so far. */
export class LimitReached {
  readonly name: LimitName;
  readonly limit: number;

  constructor(name: LimitName, limit: number) {
    this.name = name;
    this.limit = limit;
  }

  toError(): ImageError {
    return new ImageError("limit", `the script went past the limit of ${this.limit} on ${this.name}`, {
      format: "grub.cfg",
    });
  }
}

/** A command takes some microseconds. */
const LOOK_EVERY = 64;

/** Counts down what a run has left. Shared by all that a run starts, so nesting buys nothing. */
export class Budget {
  readonly limits: ScriptLimits;
  readonly #left: Record<LimitName, number>;

  readonly #signal: AbortSignal | undefined;
  #calls = 0;

  /** @param signal Looked at every so often: a script that loops reads nothing. */
  constructor(limits: Partial<ScriptLimits> = {}, signal?: AbortSignal) {
    this.#signal = signal;
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#left = { ...this.limits };
  }

  spend(name: LimitName, amount = 1): void {
    this.#calls += 1;
    if (this.#calls % LOOK_EVERY === 0) throwIfAborted(this.#signal);
    this.#left[name] -= amount;
    if (this.#left[name] < 0) throw new LimitReached(name, this.limits[name]);
  }

  /** A promise to wait for when others on this thread should have their turn. */
  turn(): Promise<void> | undefined {
    return this.#calls % LOOK_EVERY === 0 ? turnFor(this.#signal) : undefined;
  }

  /** For limits on size, not on a sum. */
  check(name: LimitName, size: number): void {
    if (size > this.limits[name]) throw new LimitReached(name, this.limits[name]);
  }
}

import { Random } from "../../lib/random.js";
import { type Case, makeCase, withInput } from "./cases.js";
import { cpu } from "./job.js";
import { LoadedSeed, type Target } from "./target.js";

/** Most cases that are kept to be changed further. */
const MAX_POOL = 400;

/** Longest input that is kept, bytes: what grew by long runs is tried once, and does not make all later cases dear. */
const MAX_KEPT = 1 << 14;

/** Runs that making one case smaller may take, and processor time, milliseconds: long input is cut byte by byte in the end. */
const MAX_TRIES = 400;
const MAX_SHRINKING = 20_000;

/** A case that ended otherwise than in a value or an ImageError. */
export interface Crash {
  readonly case: Case;
  readonly error: unknown;
}

/** What was thrown, by its first line; what is no Error by its name and fields. */
export function describeFailure(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message.split("\n", 1)[0]}`;
  return `${(error as object | undefined)?.constructor?.name ?? typeof error} ${JSON.stringify(error)}`;
}

/** The run of one target: makes cases, keeps those that led to something new, makes failing ones small. */
export class Session {
  readonly target: Target;
  readonly #random: Random;
  readonly #seeds: readonly LoadedSeed[];
  readonly #seen = new Set<string>();
  readonly #pool: Case[] = [];
  executions = 0;

  private constructor(target: Target, seeds: readonly LoadedSeed[], seed: number) {
    this.target = target;
    this.#seeds = seeds;
    this.#random = new Random(seed);
  }

  static async open(target: Target, seed: number): Promise<Session> {
    const seeds = await target.seeds();
    return new Session(
      target,
      seeds.map((one) => new LoadedSeed(one, target.dissect)),
      seed,
    );
  }

  /** Different things that were seen to happen. */
  get outcomes(): number {
    return this.#seen.size;
  }

  next(): Case {
    const before = this.#pool.length > 0 && this.#random.below(3) > 0 ? this.#random.pick(this.#pool) : undefined;
    return makeCase(this.target, this.#seeds, this.#random, before);
  }

  /** Runs a case; undefined when it ended as it may. */
  async run(one: Case): Promise<Crash | undefined> {
    this.executions += 1;
    try {
      const happened = await withInput(one, this.#seeds, (data) => this.target.exercise(data, one.variant));
      const signature = [...new Set(happened)].sort().join("\n");
      if (!this.#seen.has(signature)) {
        this.#seen.add(signature);
        this.#keep(one);
      }
      return undefined;
    } catch (error) {
      return { case: one, error };
    }
  }

  #keep(one: Case): void {
    if (one.bytes !== undefined && one.bytes.length > MAX_KEPT) return;
    if (this.#pool.length < MAX_POOL) this.#pool.push(one);
    else this.#pool[this.#random.below(MAX_POOL)] = one;
  }

  /** The sound seeds themselves: each must end well, or the harness is broken. */
  async runSeeds(): Promise<Crash | undefined> {
    for (const seed of this.#seeds) {
      const crash = await this.run(
        seed.anatomy === undefined
          ? { target: this.target.name, variant: 0, bytes: Buffer.from(seed.bytes).toString("base64") }
          : { target: this.target.name, variant: 0, seed: seed.name },
      );
      if (crash !== undefined) return crash;
    }
    return undefined;
  }

  /**
   * A smaller case that fails in the same way.
   *
   * @param attempt Runs a candidate, where whoever watches sees it: one that hangs must not do so unseen.
   */
  async minimise(
    { case: failing, error }: Crash,
    attempt: (candidate: Case) => Promise<Crash | undefined> = (candidate) => this.run(candidate),
  ): Promise<Case> {
    let left = MAX_TRIES;
    const started = cpu();
    const same = async (candidate: Case): Promise<boolean> => {
      left -= 1;
      if (left < 0 || cpu() - started > MAX_SHRINKING) {
        left = 0;
        return false;
      }
      const crash = await attempt(candidate);
      return crash !== undefined && describeFailure(crash.error) === describeFailure(error);
    };
    let best = failing;
    if (best.edits !== undefined) {
      for (let n = 0; n < (best.edits ?? []).length; ) {
        const candidate: Case = { ...best, edits: best.edits!.filter((_, index) => index !== n) };
        if (await same(candidate)) best = candidate;
        else n += 1;
      }
      return best;
    }
    let bytes = Buffer.from(best.bytes ?? "", "base64");
    for (let size = bytes.length >> 1; size > 0 && left > 0; size >>= 1) {
      for (let at = 0; at < bytes.length && left > 0; ) {
        const shorter = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
        const candidate: Case = { ...best, bytes: shorter.toString("base64") };
        if (await same(candidate)) {
          bytes = shorter;
          best = candidate;
        } else at += size;
      }
    }
    return best;
  }
}

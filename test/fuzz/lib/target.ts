import { isImageError } from "@guestprobe/block";
import type { Anatomy, Dissect } from "./spots.js";

/** Sound input to start from. */
export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Where the seeds of a target are of different kinds; else the target's own. */
  readonly dissect?: Dissect;
}

/** What is made of one input. Throws what is no ImageError; never writes to `data`. */
export type Exercise = (data: Uint8Array, variant: number) => Promise<readonly string[]>;

/** One reader or parser under test. */
export interface Target {
  readonly name: string;
  seeds(): readonly Seed[] | Promise<readonly Seed[]>;
  /** For images: where their fields and checksums lie. Text and streams have none, and are cut up freely. */
  readonly dissect?: Dissect;
  /** Words of the language, for text. */
  readonly words?: readonly string[];
  /**
   * Does all that can be done with the input. The answer tells apart what happened (codes of errors and findings): an
   * input that leads to something new is worth changing further.
   */
  readonly exercise: Exercise;
}

/** Runs steps of which each may end in an ImageError, and collects what happened. */
export class Happened {
  readonly what: string[] = [];

  note(...words: readonly string[]): void {
    if (this.what.length < 200) this.what.push(...words);
  }

  /** The value, or undefined after an ImageError. Everything else is thrown on. */
  async attempt<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!isImageError(error)) throw error;
      this.note(`${error.code} ${error.structure ?? ""}.${error.field ?? ""}`);
      return undefined;
    }
  }
}

/** A seed with what is known of it, found once. */
export class LoadedSeed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly #dissect: Dissect | undefined;
  #anatomy: Anatomy | undefined;

  constructor(seed: Seed, dissect: Dissect | undefined) {
    this.name = seed.name;
    this.bytes = seed.bytes;
    this.#dissect = seed.dissect ?? dissect;
  }

  /** Undefined for text and streams. */
  get anatomy(): Anatomy | undefined {
    this.#anatomy ??= this.#dissect?.(this.bytes, 400);
    return this.#anatomy;
  }
}

import type { Output } from "./output.js";
import { standardError } from "./standard.js";

/** Nothing is shown before this: most work is over by then. */
const QUIET_MS = 1000;
const EVERY_MS = 200;

/** A line on standard error that counts what was done: on a terminal only, and only past one second. */
export class Progress {
  readonly #shown: boolean;
  readonly #start: number;
  #last = 0;
  #count = 0;
  #written = false;

  constructor(out: Output) {
    this.#shown = standardError.isTerminal && !out.options.quiet;
    // Node loads a dozen modules for the clock.
    this.#start = this.#shown ? performance.now() : 0;
  }

  step(): void {
    this.#count += 1;
    if (!this.#shown || this.#count % 64 !== 0) return;
    const now = performance.now();
    if (now - this.#start < QUIET_MS || now - this.#last < EVERY_MS) return;
    this.#last = now;
    this.#written = true;
    standardError.write(`\r\u001b[K${this.#count} files, ${((now - this.#start) / 1000).toFixed(0)} s`);
  }

  end(): void {
    if (this.#written) standardError.write("\r\u001b[K");
  }
}

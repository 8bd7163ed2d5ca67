import { type BlockDevice, ImageError } from "@guestprobe/block";
import { UsageError } from "./exit.js";
import type { Options } from "./verbs.js";

/** The bounds of one run. */
export interface Limits {
  /** Bytes of resident memory. */
  readonly memory: number;
  /** Milliseconds from the start of the run; undefined when there is no bound. */
  readonly time: number | undefined;
  /** Files and directories visited. */
  readonly entries: number;
  /** Bytes of the largest file whose content is read; undefined for what its volume makes likely. */
  readonly file: number | undefined;
}

const SIZES: Record<string, number> = { "": 1, K: 1024, M: 1 << 20, G: 1 << 30, T: 1024 * (1 << 30) };
const TIMES: Record<string, number> = { ms: 1, s: 1000, "": 1000, m: 60_000, h: 3_600_000 };

/**
 * A size with an optional binary unit: "512", "64K", "256M", "1GiB".
 *
 * @throws UsageError
 */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (SIZES[match[2]!.toUpperCase()] ?? Number.NaN);
  if (!Number.isSafeInteger(Math.floor(value)))
    throw new UsageError(`${option}: "${text}" is not a size`, ["256M", "1G"]);
  return Math.floor(value);
}

export function parseLimits(options: Options): Limits {
  const memory = options.limitMemory === undefined ? 1 << 30 : parseSize(String(options.limitMemory), "--limit-memory");
  const entries = options.limitEntries === undefined ? 10_000_000 : Number(options.limitEntries);
  if (!Number.isSafeInteger(entries) || entries < 1) {
    throw new UsageError(`--limit-entries: "${options.limitEntries}" is not a number of entries`, [
      "--limit-entries 100000",
    ]);
  }
  if (memory < 64 << 20) throw new UsageError("--limit-memory: this program alone needs 64M", ["--limit-memory 256M"]);
  let time: number | undefined;
  if (options.limitTime !== undefined) {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(String(options.limitTime));
    if (match === null) throw new UsageError(`--limit-time: "${options.limitTime}" is not a time`, ["30s", "5m"]);
    time = Number(match[1]) * (TIMES[match[2]!] ?? 1000);
  }
  const file = options.limitFile === undefined ? undefined : parseSize(String(options.limitFile), "--limit-file");
  return { memory, time, entries, file };
}

/** How often memory is looked at: asking the system costs some microseconds. */
const MEMORY_EVERY = 64;

/**
 * Watches time and memory. Reads of the command line's disks block, so no timer would fire between them: the bounds are
 * checked where the work passes by, at each read below the cache and at each entry of a walk.
 */
export class Watch {
  readonly #limits: Limits;
  readonly #start: number;
  #calls = 0;
  #entries = 0;
  #over: ImageError | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
    // Node loads a module for the clock; a run without a limit needs none.
    this.#start = limits.time === undefined ? 0 : performance.now();
  }

  /** The limit that ended the run. */
  get over(): ImageError | undefined {
    return this.#over;
  }

  /**
   * Whether this error says that the run is over. A reader's own limits, which a hostile file can reach, have the same
   * code and end nothing but the work on that file.
   */
  ended(error: unknown): boolean {
    return this.#over !== undefined && error === this.#over;
  }

  /** @throws ImageError `limit`, the same one ever after. */
  check(): void {
    if (this.#over !== undefined) throw this.#over;
    const { time, memory } = this.#limits;
    if (time !== undefined && performance.now() - this.#start > time) {
      this.#end(`the time limit of ${time / 1000} s is over`);
    }
    this.#calls += 1;
    if (this.#calls % MEMORY_EVERY === 0 && process.memoryUsage.rss() > memory) {
      this.#end(`the memory limit of ${memory} bytes is reached`);
    }
  }

  #end(message: string): never {
    this.#over = new ImageError("limit", message);
    throw this.#over;
  }

  /** Counts one file or directory that was visited. Throws ImageError `limit`. */
  countEntry(): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.entries) this.#end(`more than ${this.#limits.entries} entries`);
    this.check();
  }

  /** `device`, with the bounds checked at each read. */
  guard(device: BlockDevice): BlockDevice {
    const guarded: BlockDevice = {
      size: device.size,
      sectorSize: device.sectorSize,
      read: async (offset, length, signal) => {
        this.check();
        return device.read(offset, length, signal);
      },
    };
    if (device.map !== undefined) {
      guarded.map = (offset, length, signal) => device.map?.(offset, length, signal) ?? Promise.resolve([]);
    }
    return guarded;
  }
}

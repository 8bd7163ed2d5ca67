import { type BlockDevice, ImageError, polledSignal } from "@guestprobe/block";
import { LINUX_WALK, type WalkOptions, type WalkPolicy } from "@guestprobe/vfs";
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
  /** Directories inside one another. */
  readonly depth: number;
  /** Symbolic links followed on the way to one file. */
  readonly symlinks: number;
  /** Bytes that decoders make in all. */
  readonly decoded: number;
  /** Bytes read from the images; undefined when there is no bound. */
  readonly reads: number | undefined;
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

/** What holds unless the command line says otherwise. SECURITY.md has the reasons. */
export const DEFAULT_LIMITS: Limits = {
  memory: 1 << 30,
  time: undefined,
  entries: 10_000_000,
  depth: 4096,
  symlinks: LINUX_WALK.maxSymlinks,
  decoded: 1024 * (1 << 30),
  reads: undefined,
  file: undefined,
};

export function parseLimits(options: Options): Limits {
  const size = <T>(key: string, option: string, fallback: T): number | T =>
    options[key] === undefined ? fallback : parseSize(String(options[key]), option);
  const count = (key: string, option: string, fallback: number, least: number): number => {
    const value = options[key] === undefined ? fallback : Number(options[key]);
    if (Number.isSafeInteger(value) && value >= least && options[key] !== "") return value;
    throw new UsageError(`${option}: "${options[key]}" is not a number of them`, [`${option} ${fallback}`]);
  };
  const memory = size("limitMemory", "--limit-memory", DEFAULT_LIMITS.memory);
  if (memory < 64 << 20) throw new UsageError("--limit-memory: this program alone needs 64M", ["--limit-memory 256M"]);
  let time: number | undefined;
  if (options.limitTime !== undefined) {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(String(options.limitTime));
    if (match === null) throw new UsageError(`--limit-time: "${options.limitTime}" is not a time`, ["30s", "5m"]);
    time = Number(match[1]) * (TIMES[match[2]!] ?? 1000);
  }
  return {
    memory,
    time,
    entries: count("limitEntries", "--limit-entries", DEFAULT_LIMITS.entries, 1),
    depth: count("limitDepth", "--limit-depth", DEFAULT_LIMITS.depth, 1),
    symlinks: count("limitSymlinks", "--limit-symlinks", DEFAULT_LIMITS.symlinks, 0),
    decoded: size("limitDecoded", "--limit-decoded", DEFAULT_LIMITS.decoded),
    reads: size("limitReads", "--limit-reads", DEFAULT_LIMITS.reads),
    file: size("limitFile", "--limit-file", DEFAULT_LIMITS.file),
  };
}

/** Calls between two looks at the clock for when memory is to be looked at: a manifest checks its bounds ten times a file. */
const MEMORY_EVERY = 64;
/**
 * Milliseconds between two looks at memory, each of which takes a fifth of one: the more room there is, the longer, for no
 * process fills this many bytes in one.
 */
const MEMORY_PAUSE = { least: 10, most: 100, bytesPerMs: 8 << 20 };

/**
 * Holds a run to its limits: the one place that counts. Reads of the command line's disks block, so no timer would fire
 * between them: the bounds are checked where the work passes by, at each read below the cache, at each entry of a walk,
 * and wherever a reader, a decoder or GRUB's interpreter looks at its signal.
 */
export class Watch {
  readonly #limits: Limits;
  readonly #start: number;
  #calls = 0;
  #memoryLooked = 0;
  #memoryPause = 0;
  #entries = 0;
  #decoded = 0;
  #read = 0;
  #over: ImageError | undefined;

  /** For whatever takes an AbortSignal: ends the work when a limit is reached. */
  readonly signal: AbortSignal = polledSignal(() => this.check());
  /** How the paths of a command line are walked. */
  readonly linuxWalk: WalkPolicy;
  /** How the directories of a command line are walked; the entries are counted here. */
  readonly walk: WalkOptions;

  constructor(limits: Limits) {
    this.#limits = limits;
    // Node loads a module for the clock; a run without a limit needs none.
    this.#start = limits.time === undefined ? 0 : performance.now();
    this.linuxWalk = { ...LINUX_WALK, maxSymlinks: limits.symlinks };
    this.walk = { maxEntries: Number.POSITIVE_INFINITY, maxDepth: limits.depth, signal: this.signal };
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
    if (this.#calls % MEMORY_EVERY !== 0) return;
    const now = Date.now();
    // A clock that is set back must not stop the looking.
    if (Math.abs(now - this.#memoryLooked) < this.#memoryPause) return;
    this.#memoryLooked = now;
    this.#lookAtMemory(memory);
  }

  /**
   * The most that this process ever held is asked for first, which takes less than the file of /proc that says what it holds
   * now. But a process inherits the most from the one that started it, so that above the limit it says nothing.
   */
  #lookAtMemory(memory: number): void {
    const most = process.resourceUsage().maxRSS * 1024;
    if (most > memory && process.memoryUsage.rss() > memory)
      this.#end(`the memory limit of ${memory} bytes is reached`);
    const { least, most: longest, bytesPerMs } = MEMORY_PAUSE;
    this.#memoryPause = Math.min(longest, Math.max(least, (memory - most) / bytesPerMs));
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

  /** Counts what a decoder made, bytes. Throws ImageError `limit`. */
  countDecoded(bytes: number): void {
    this.#decoded += bytes;
    if (this.#decoded > this.#limits.decoded) this.#end(`more than ${this.#limits.decoded} bytes decoded`);
    this.check();
  }

  #countRead(bytes: number): void {
    const { reads } = this.#limits;
    this.#read += bytes;
    if (reads !== undefined && this.#read > reads) this.#end(`more than ${reads} bytes read from the images`);
    this.check();
  }

  /** Whether so many directories inside one another, the first and the last counted, are too many. */
  isTooDeep(directories: number): boolean {
    return directories > this.#limits.depth;
  }

  /** `device`, with the bounds checked at each read. */
  guard(device: BlockDevice): BlockDevice {
    const guarded: BlockDevice = {
      size: device.size,
      sectorSize: device.sectorSize,
      read: async (offset, length, signal, into) => {
        this.#countRead(length);
        return device.read(offset, length, signal, into);
      },
    };
    if (device.readNow !== undefined) {
      guarded.readNow = (offset, length, into) => {
        this.#countRead(length);
        const data = device.readNow?.(offset, length, into);
        // Then `read` is asked for it.
        if (data === undefined) this.#read -= length;
        return data;
      };
    }
    const readParts = device.readParts?.bind(device);
    if (readParts !== undefined) {
      guarded.readParts = async (offset, length, size, signal) => {
        this.#countRead(length);
        return readParts(offset, length, size, signal);
      };
    }
    if (device.map !== undefined) {
      guarded.map = (offset, length, signal) => device.map?.(offset, length, signal) ?? Promise.resolve([]);
    }
    return guarded;
  }
}

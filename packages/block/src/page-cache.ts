import { abortable, throwIfAborted, turnFor } from "./abort.js";
import { allocate, type BlockDevice, checkRange } from "./device.js";
import { ImageError } from "./errors.js";
import { LruCache } from "./lru.js";
import { ReadWindow } from "./read-window.js";
import { isPowerOfTwo } from "./u64.js";

export interface PageCacheOptions {
  /** Bytes in a page; a power of two from 512. Default 16 KiB: small for a probe, few calls for a walk. */
  readonly pageSize?: number;
  /** Bytes of pages kept; at least one page. Default 32 MiB. */
  readonly budget?: number;
  /**
   * Most bytes that one read fetches past what was asked for when reads go on in sequence. Default 1 MiB, and never
   * more than half the budget: pages read ahead must not push each other out before they are used.
   */
  readonly readAhead?: number;
  /** Reads of this many bytes or more pass by the cache. Default 256 KiB. */
  readonly bypass?: number;
  /**
   * Reads that bring memory of their own, which are those of files' contents, pass by the cache too, but for what one
   * held page has: a local file answers in microseconds, less than it takes to keep a copy that nobody comes back for. Wrong
   * where each read waits for a network. Default false.
   */
  readonly direct?: boolean;
}

interface Load {
  readonly promise: Promise<Uint8Array>;
  resolve(data: Uint8Array): void;
  reject(error: unknown): void;
}

/** How many sequential readers are told apart: a walk reads an inode table, directories and files in turn. */
const STREAMS = 8;
/** Most bytes in one read of merged pages, what is read ahead not counted. */
const MAX_RUN = 4 << 20;

/** A device with a page cache in front of it. */
export interface CachedDevice extends BlockDevice {
  /** Bytes of pages held now. */
  readonly held: number;
  /** Drops all that is held. */
  clear(): void;
}

/**
 * Puts a page cache in front of `device`. Pages that are asked for in one turn of the event loop and lie side by side
 * are fetched by one read; a load in flight is shared; a reader that goes on where the last one stopped is read ahead
 * of, twice as far each time. Nothing waits on a timer, so a hit and a lone miss cost no delay.
 *
 * When a page cannot be loaded, just the bytes asked for are tried by themselves: a bad sector hides only itself.
 */
export function cachedDevice(device: BlockDevice, options: PageCacheOptions = {}): CachedDevice {
  return new PageCache(device, options);
}

/** A class, for V8 does not inline what it finds in an object that is written with a getter in it. */
class PageCache implements CachedDevice {
  readonly size: number;
  readonly sectorSize: number | undefined;
  readonly readNow?: BlockDevice["readNow"];
  readonly map?: BlockDevice["map"];
  readonly #device: BlockDevice;
  readonly #pageSize: number;
  readonly #bypass: number;
  readonly #direct: boolean;
  readonly #maxPages: number;
  readonly #maxAhead: number;
  readonly #lastPage: number;
  readonly #pages: LruCache<number, Uint8Array>;
  readonly #window: ReadWindow;
  readonly #loading = new Map<number, Load>();
  #queued: number[] = [];
  /** For each sequential reader: the page it would read next, and how many pages were read ahead last time. */
  readonly #streams: { next: number; ahead: number }[] = [];

  constructor(device: BlockDevice, options: PageCacheOptions) {
    const { pageSize = 16 << 10, budget = 32 << 20, readAhead = 1 << 20, bypass = 256 << 10, direct = false } = options;
    // Written so that NaN is refused too.
    if (!(pageSize >= 512 && isPowerOfTwo(pageSize) && budget >= pageSize && readAhead >= 0 && bypass >= 0)) {
      throw new ImageError("invalid-argument", `a page cache of ${budget} bytes in pages of ${pageSize} bytes`);
    }
    this.size = device.size;
    this.sectorSize = device.sectorSize;
    this.#device = device;
    this.#pageSize = pageSize;
    this.#bypass = bypass;
    this.#direct = direct;
    this.#maxPages = Math.floor(budget / pageSize);
    this.#pages = new LruCache(this.#maxPages * pageSize);
    this.#maxAhead = Math.floor(Math.min(readAhead / pageSize, this.#maxPages / 2));
    this.#lastPage = Math.ceil(device.size / pageSize) - 1;
    this.#window = new ReadWindow(device);
    if (device.readNow !== undefined) {
      this.readNow = (offset, length, into) => this.peek(offset, length) ?? this.#window.readNow(offset, length, into);
    }
    if (device.map !== undefined) {
      this.map = (offset, length, signal) => device.map?.(offset, length, signal) ?? Promise.resolve([]);
    }
  }

  get held(): number {
    return this.#pages.held;
  }

  clear(): void {
    this.#pages.clear();
    this.#window.clear();
  }

  peek(offset: number, length: number): Uint8Array | undefined {
    if (!Number.isInteger(offset) || !Number.isInteger(length) || offset < 0 || length < 0) return undefined;
    const index = Math.floor(offset / this.#pageSize);
    const start = offset - index * this.#pageSize;
    const page = this.#pages.get(index);
    if (page === undefined || start + length > page.length) return undefined;
    if (length === page.length) return page;
    // Not `subarray`, which takes twice as long.
    return new Uint8Array(page.buffer, page.byteOffset + start, length);
  }

  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    const turn = turnFor(signal);
    if (turn !== undefined) return turn.then(() => this.#read(offset, length, signal, into));
    const hit = signal?.aborted ? undefined : this.peek(offset, length);
    return hit === undefined ? this.#read(offset, length, signal, into) : Promise.resolve(hit);
  }

  async #read(
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    checkRange(this.size, offset, length);
    throwIfAborted(signal);
    if (length === 0) return new Uint8Array(0);
    if (length >= this.#bypass || (this.#direct && into !== undefined))
      return this.#fetch(offset, length, signal, into);
    let result: Uint8Array;
    try {
      // The load may be shared: this reader's signal ends its own wait, not the others' read.
      result = await abortable(this.#readPages(offset, length, into), signal);
    } catch {
      throwIfAborted(signal);
      return this.#fetch(offset, length, signal);
    }
    return result;
  }

  async #readPages(offset: number, length: number, into: Uint8Array | undefined): Promise<Uint8Array> {
    const first = Math.floor(offset / this.#pageSize);
    const last = Math.floor((offset + length - 1) / this.#pageSize);
    const parts: (Uint8Array | Promise<Uint8Array>)[] = [];
    for (let index = first; index <= last; index += 1) {
      parts.push(this.#pages.get(index) ?? this.#load(index));
    }
    const loaded = await Promise.all(parts);
    const start = offset - first * this.#pageSize;
    if (loaded.length === 1) return loaded[0]!.subarray(start, start + length);
    const result = into?.length === length ? into : allocate(length);
    let at = 0;
    for (const [n, data] of loaded.entries()) {
      const from = n === 0 ? start : 0;
      const piece = data.subarray(from, Math.min(data.length, from + length - at));
      result.set(piece, at);
      at += piece.length;
    }
    return result;
  }

  #load(index: number): Promise<Uint8Array> {
    const inFlight = this.#loading.get(index);
    if (inFlight !== undefined) return inFlight.promise;
    const started = newLoad();
    this.#loading.set(index, started);
    if (this.#queued.length === 0) queueMicrotask(() => this.#flush());
    this.#queued.push(index);
    return started.promise;
  }

  #flush(): void {
    const wanted = this.#queued.sort((a, b) => a - b);
    this.#queued = [];
    for (let at = 0; at < wanted.length; ) {
      const first = wanted[at]!;
      let count = 1;
      while (wanted[at + count] === first + count && (count + 1) * this.#pageSize <= MAX_RUN) count += 1;
      const ahead = this.#aheadOf(first, count);
      for (let n = 0; n < ahead; n += 1) this.#loading.set(first + count + n, newLoad());
      void this.#loadRun(first, count + ahead);
      at += count;
    }
  }

  /** How many pages to read past a run, and the note of where its reader will go on. */
  #aheadOf(first: number, count: number): number {
    const streams = this.#streams;
    let known = 0;
    while (known < streams.length && streams[known]!.next !== first) known += 1;
    const stream = streams[known];
    let ahead = stream === undefined ? 0 : Math.min(this.#maxAhead, Math.max(count, stream.ahead * 2));
    for (let n = 0; n < ahead; n += 1) {
      const index = first + count + n;
      if (index > this.#lastPage || this.#pages.has(index) || this.#loading.has(index)) ahead = n;
    }
    // To the front: the one that goes on, or a new one, for which the last gives way.
    streams.splice(Math.min(known, STREAMS - 1), 1);
    streams.unshift({ next: first + count + ahead, ahead });
    return ahead;
  }

  async #loadRun(first: number, count: number): Promise<void> {
    const start = first * this.#pageSize;
    const length = Math.min(count * this.#pageSize, this.size - start);
    try {
      const parts = count === 1 ? [await this.#fetch(start, length)] : await this.#fetchParts(start, length);
      const kept = Math.min(count, this.#maxPages);
      this.#pages.makeRoom(kept * this.#pageSize);
      for (let n = 0; n < count; n += 1) {
        const page = parts[n]!;
        if (n >= count - kept) this.#pages.set(first + n, page, page.length);
        this.#loading.get(first + n)?.resolve(page);
        this.#loading.delete(first + n);
      }
    } catch (error) {
      for (let n = 0; n < count; n += 1) {
        this.#loading.get(first + n)?.reject(error);
        this.#loading.delete(first + n);
      }
    }
  }

  /** Any object with `size` and `read` may be the device: bytes that it leaves out must not show as a short page. */
  async #fetch(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    const data = await this.#device.read(offset, length, signal, into);
    if (data.length === length) return data;
    throw new ImageError("io", `${data.length} bytes came back where ${length} were asked for`, { offset });
  }

  /** Pages that keep nothing but themselves in memory. */
  async #fetchParts(offset: number, length: number): Promise<readonly Uint8Array[]> {
    const size = this.#pageSize;
    if (this.#device.readParts !== undefined) return this.#device.readParts(offset, length, size);
    const data = await this.#fetch(offset, length);
    const copies: Uint8Array[] = [];
    // Not `slice`, which of a Node Buffer makes no copy.
    for (let at = 0; at < length; at += size) copies.push(new Uint8Array(data.subarray(at, at + size)));
    return copies;
  }
}

function newLoad(): Load {
  let resolve: Load["resolve"] = () => {};
  let reject: Load["reject"] = () => {};
  const promise = new Promise<Uint8Array>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // A page that was read ahead has no reader yet; its failure is not an unhandled rejection.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

import { abortable, throwIfAborted, turnFor } from "./abort.js";
import { allocate, type BlockDevice, checkRange } from "./device.js";
import { ImageError } from "./errors.js";
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

interface Page {
  readonly data: Uint8Array;
  /** Set on a hit, cleared as eviction passes by: a page that is in use survives one round. */
  used: boolean;
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
  /** Drops all pages. */
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
  const pageSize = options.pageSize ?? 16 << 10;
  const budget = options.budget ?? 32 << 20;
  const readAhead = options.readAhead ?? 1 << 20;
  const bypass = options.bypass ?? 256 << 10;
  const direct = options.direct ?? false;
  // Written so that NaN is refused too.
  if (!(pageSize >= 512 && isPowerOfTwo(pageSize) && budget >= pageSize && readAhead >= 0 && bypass >= 0)) {
    throw new ImageError("invalid-argument", `a page cache of ${budget} bytes in pages of ${pageSize} bytes`);
  }
  const maxPages = Math.floor(budget / pageSize);
  const maxAhead = Math.floor(Math.min(readAhead / pageSize, maxPages / 2));
  const lastPage = Math.ceil(device.size / pageSize) - 1;
  const pages = new Map<number, Page>();
  const loading = new Map<number, Load>();
  let queued: number[] = [];
  /** For each sequential reader: the page it would read next, and how many pages were read ahead last time. */
  const streams: { next: number; ahead: number }[] = [];

  /** Drops the oldest page not used since eviction last passed by; those before it go to the end of the line. */
  const evict = (): void => {
    for (const [oldest, page] of pages) {
      pages.delete(oldest);
      if (!page.used) return;
      page.used = false;
      pages.set(oldest, page);
    }
  };

  /** Before a run is kept, not page by page: its own first pages would be the ones to go when all others are in use. */
  const makeRoom = (count: number): void => {
    while (pages.size > maxPages - count) evict();
  };

  /** Any object with `size` and `read` may be the device: bytes that it leaves out must not show as a short page. */
  const fetch = async (
    offset: number,
    length: number,
    signal?: AbortSignal,
    into?: Uint8Array,
  ): Promise<Uint8Array> => {
    const data = await device.read(offset, length, signal, into);
    if (data.length === length) return data;
    throw new ImageError("io", `${data.length} bytes came back where ${length} were asked for`, { offset });
  };

  /** Pages that keep nothing but themselves in memory. */
  const fetchParts = async (offset: number, length: number): Promise<readonly Uint8Array[]> => {
    if (device.readParts !== undefined) return device.readParts(offset, length, pageSize);
    const data = await fetch(offset, length);
    const copies: Uint8Array[] = [];
    // Not `slice`, which of a Node Buffer makes no copy.
    for (let at = 0; at < length; at += pageSize) copies.push(new Uint8Array(data.subarray(at, at + pageSize)));
    return copies;
  };

  const loadRun = async (first: number, count: number): Promise<void> => {
    const start = first * pageSize;
    const length = Math.min(count * pageSize, device.size - start);
    try {
      const parts = count === 1 ? [await fetch(start, length)] : await fetchParts(start, length);
      const kept = Math.min(count, maxPages);
      makeRoom(kept);
      for (let n = 0; n < count; n += 1) {
        const page = parts[n]!;
        if (n >= count - kept) pages.set(first + n, { data: page, used: false });
        loading.get(first + n)?.resolve(page);
        loading.delete(first + n);
      }
    } catch (error) {
      for (let n = 0; n < count; n += 1) {
        loading.get(first + n)?.reject(error);
        loading.delete(first + n);
      }
    }
  };

  /** How many pages to read past a run, and the note of where its reader will go on. */
  const aheadOf = (first: number, count: number): number => {
    let known = 0;
    while (known < streams.length && streams[known]!.next !== first) known += 1;
    const stream = streams[known];
    let ahead = stream === undefined ? 0 : Math.min(maxAhead, Math.max(count, stream.ahead * 2));
    for (let n = 0; n < ahead; n += 1) {
      const index = first + count + n;
      if (index > lastPage || pages.has(index) || loading.has(index)) ahead = n;
    }
    // To the front: the one that goes on, or a new one, for which the last gives way.
    streams.splice(Math.min(known, STREAMS - 1), 1);
    streams.unshift({ next: first + count + ahead, ahead });
    return ahead;
  };

  const flush = (): void => {
    const wanted = queued.sort((a, b) => a - b);
    queued = [];
    for (let at = 0; at < wanted.length; ) {
      const first = wanted[at]!;
      let count = 1;
      while (wanted[at + count] === first + count && (count + 1) * pageSize <= MAX_RUN) count += 1;
      const ahead = aheadOf(first, count);
      for (let n = 0; n < ahead; n += 1) loading.set(first + count + n, newLoad());
      void loadRun(first, count + ahead);
      at += count;
    }
  };

  const load = (index: number): Promise<Uint8Array> => {
    const inFlight = loading.get(index);
    if (inFlight !== undefined) return inFlight.promise;
    const started = newLoad();
    loading.set(index, started);
    if (queued.length === 0) queueMicrotask(flush);
    queued.push(index);
    return started.promise;
  };

  const peek = (offset: number, length: number): Uint8Array | undefined => {
    if (!Number.isInteger(offset) || !Number.isInteger(length) || offset < 0 || length < 0) return undefined;
    const index = Math.floor(offset / pageSize);
    const start = offset - index * pageSize;
    const page = pages.get(index);
    if (page === undefined || start + length > page.data.length) return undefined;
    page.used = true;
    if (length === page.data.length) return page.data;
    // Not `subarray`, which takes twice as long.
    return new Uint8Array(page.data.buffer, page.data.byteOffset + start, length);
  };

  const readPages = async (offset: number, length: number, into: Uint8Array | undefined): Promise<Uint8Array> => {
    const first = Math.floor(offset / pageSize);
    const last = Math.floor((offset + length - 1) / pageSize);
    const parts: (Uint8Array | Promise<Uint8Array>)[] = [];
    for (let index = first; index <= last; index += 1) {
      const page = pages.get(index);
      if (page !== undefined) page.used = true;
      parts.push(page === undefined ? load(index) : page.data);
    }
    const loaded = await Promise.all(parts);
    const start = offset - first * pageSize;
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
  };

  const read = async (
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array> => {
    checkRange(device.size, offset, length);
    throwIfAborted(signal);
    if (length === 0) return new Uint8Array(0);
    if (length >= bypass || (direct && into !== undefined)) return fetch(offset, length, signal, into);
    let result: Uint8Array;
    try {
      // The load may be shared: this reader's signal ends its own wait, not the others' read.
      result = await abortable(readPages(offset, length, into), signal);
    } catch {
      throwIfAborted(signal);
      return fetch(offset, length, signal);
    }
    return result;
  };

  const cached: CachedDevice = {
    size: device.size,
    sectorSize: device.sectorSize,
    get held() {
      let total = 0;
      for (const page of pages.values()) total += page.data.length;
      return total;
    },
    clear: () => pages.clear(),
    peek,
    read(offset, length, signal, into) {
      const turn = turnFor(signal);
      if (turn !== undefined) return turn.then(() => read(offset, length, signal, into));
      const hit = signal?.aborted ? undefined : peek(offset, length);
      return hit === undefined ? read(offset, length, signal, into) : Promise.resolve(hit);
    },
  };
  if (device.readNow !== undefined) {
    cached.readNow = (offset, length, into) => peek(offset, length) ?? device.readNow?.(offset, length, into);
  }
  if (device.map !== undefined) {
    cached.map = (offset, length, signal) => device.map?.(offset, length, signal) ?? Promise.resolve([]);
  }
  return cached;
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

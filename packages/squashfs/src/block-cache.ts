interface Entry<V> {
  readonly promise: Promise<V>;
  /** Set on a hit, cleared as eviction passes by: a block that is in use survives one round. */
  used: boolean;
  /** The block once it is there, for readers that will not wait. */
  block: V | undefined;
  /** Those that have asked by `use` and are not done. */
  readers: number;
}

/**
 * Decoded blocks under a byte budget; those that are in use are kept. A block that is being decoded is shared, and
 * a failure is not kept.
 */
export class BlockCache<K, V> {
  readonly #budget: number;
  readonly #sizeOf: (block: V) => number;
  readonly #recycle: ((block: V) => void) | undefined;
  readonly #entries = new Map<K, Entry<V>>();
  #held = 0;

  /**
   * @param sizeOf Bytes that a block holds.
   * @param recycle Called with a block that was dropped and has no reader: one that nobody asked for but by `use`.
   */
  constructor(budget: number, sizeOf: (block: V) => number, recycle?: (block: V) => void) {
    this.#budget = budget;
    this.#sizeOf = sizeOf;
    this.#recycle = recycle;
  }

  /** Bytes of decoded blocks held now. */
  get held(): number {
    return this.#held;
  }

  /** The block if it is decoded now. */
  peek(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry?.block === undefined) return undefined;
    entry.used = true;
    return entry.block;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  get(key: K, load: () => Promise<V>): Promise<V> {
    return this.#entry(key, load).promise;
  }

  /** As `get`, for a reader that is done with the block when `work` returns. */
  async use<T>(key: K, load: () => Promise<V>, work: (block: V) => T): Promise<T> {
    const entry = this.#entry(key, load);
    entry.readers += 1;
    try {
      return work(await entry.promise);
    } finally {
      entry.readers -= 1;
    }
  }

  #entry(key: K, load: () => Promise<V>): Entry<V> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.used = true;
      return known;
    }
    const promise = load();
    const entry: Entry<V> = { promise, used: false, block: undefined, readers: 0 };
    this.#entries.set(key, entry);
    promise.then(
      (block) => {
        entry.block = block;
        this.#held += this.#sizeOf(block);
        this.#evict();
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  /** Drops blocks from the oldest on; those that were used since eviction last passed by go to the end of the line. */
  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#held <= this.#budget) return;
      // What is still being decoded holds nothing yet.
      if (entry.block === undefined) continue;
      this.#entries.delete(key);
      if (entry.used) {
        entry.used = false;
        this.#entries.set(key, entry);
      } else {
        this.#held -= this.#sizeOf(entry.block);
        if (entry.readers === 0) this.#recycle?.(entry.block);
      }
    }
  }
}

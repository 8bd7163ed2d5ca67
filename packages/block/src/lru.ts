interface Entry<V> {
  readonly value: V;
  readonly cost: number;
  /** Set on a hit, cleared as eviction passes by: the map is not written to for each hit. */
  used: boolean;
}

/** Values by key within a budget; of those not used of late the oldest go first. A value above the budget is not kept. */
export class LruCache<K, V> {
  readonly #budget: number;
  readonly #entries = new Map<K, Entry<V>>();
  #held = 0;

  /** @param budget What all values together may cost: bytes, or how many there are. */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** What the values that are kept cost together. */
  get held(): number {
    return this.#held;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  set(key: K, value: V, cost = 1): void {
    const before = this.#entries.get(key);
    if (before !== undefined) {
      this.#entries.delete(key);
      this.#held -= before.cost;
    }
    if (cost > this.#budget) return;
    this.makeRoom(cost);
    this.#entries.set(key, { value, cost, used: false });
    this.#held += cost;
  }

  /**
   * Drops values until there is room for `cost` more. Before a value is kept, and before several are that belong together:
   * they would be the ones to go when all others are in use.
   */
  makeRoom(cost: number): void {
    for (const [oldest, entry] of this.#entries) {
      if (this.#held + cost <= this.#budget) return;
      this.#entries.delete(oldest);
      if (entry.used) {
        entry.used = false;
        this.#entries.set(oldest, entry);
      } else {
        this.#held -= entry.cost;
      }
    }
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#held -= entry.cost;
  }

  clear(): void {
    this.#entries.clear();
    this.#held = 0;
  }
}

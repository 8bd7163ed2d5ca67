interface Entry<V> {
  readonly value: V;
  readonly cost: number;
  /** Set on a hit, cleared as eviction passes by: the map is not written to for each hit. */
  used: boolean;
}

/** Values by key within a budget of bytes; of those not used of late the oldest go first. A value above the budget is not kept. */
export class LruCache<K, V> {
  readonly #budget: number;
  readonly #entries = new Map<K, Entry<V>>();
  #held = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  set(key: K, value: V, cost: number): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#held -= before.cost;
    this.#entries.delete(key);
    if (cost > this.#budget) return;
    this.#makeRoom(cost);
    this.#entries.set(key, { value, cost, used: false });
    this.#held += cost;
  }

  /** Before a value is kept: it would be the one to go itself when all others are in use. */
  #makeRoom(cost: number): void {
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
}

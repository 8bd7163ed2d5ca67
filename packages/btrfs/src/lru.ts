/** Values by key within a budget of bytes; those unused for longest go first. A value above the budget is not kept. */
export class LruCache<K, V> {
  readonly #budget: number;
  readonly #entries = new Map<K, { readonly value: V; readonly cost: number }>();
  #held = 0;

  constructor(budget: number) {
    this.#budget = budget;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: K, value: V, cost: number): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#held -= before.cost;
    this.#entries.delete(key);
    if (cost > this.#budget) return;
    this.#entries.set(key, { value, cost });
    this.#held += cost;
    for (const [oldest, entry] of this.#entries) {
      if (this.#held <= this.#budget) return;
      this.#entries.delete(oldest);
      this.#held -= entry.cost;
    }
  }
}

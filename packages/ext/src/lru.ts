/** Keeps the `limit` values that were used last. */
export class Lru<V> {
  readonly #limit: number;
  readonly #values = new Map<number, V>();
  /** Asked for over and over, in a walk: it is the last in the line already. */
  #last: { readonly key: number; readonly value: V } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: number): V | undefined {
    if (this.#last?.key === key) return this.#last.value;
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    this.#last = { key, value };
    return value;
  }

  set(key: number, value: V): void {
    this.#last = { key, value };
    this.#values.set(key, value);
    if (this.#values.size <= this.#limit) return;
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest);
      break;
    }
  }
}

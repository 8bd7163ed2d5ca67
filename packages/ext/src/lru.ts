/** Keeps the `limit` values that were used last. */
export class Lru<V> {
  readonly #limit: number;
  readonly #values = new Map<number, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: number): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: number, value: V): void {
    this.#values.set(key, value);
    if (this.#values.size <= this.#limit) return;
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest);
      break;
    }
  }
}

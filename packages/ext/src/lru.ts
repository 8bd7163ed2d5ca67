/** Keeps `limit` values: past that the oldest goes that was not used since the last one that went was looked for. */
export class Lru<V> {
  readonly #limit: number;
  readonly #kept = new Map<number, { readonly value: V; used: boolean }>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: number): V | undefined {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    // A mark, and not a place further back in the line: a walk asks for a group with each of its inodes.
    found.used = true;
    return found.value;
  }

  set(key: number, value: V): void {
    this.#kept.set(key, { value, used: false });
    if (this.#kept.size <= this.#limit) return;
    for (const [oldest, entry] of this.#kept) {
      this.#kept.delete(oldest);
      if (!entry.used) return;
      entry.used = false;
      this.#kept.set(oldest, entry);
    }
  }
}

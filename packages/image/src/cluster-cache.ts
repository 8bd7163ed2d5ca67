import { abortable } from "@guestprobe/block";

/**
 * Decoded clusters by number, the least recently used dropped first. A cluster that several readers wait for is decoded
 * once; a failure is not kept.
 */
export class ClusterCache {
  readonly #kept = new Map<number, Promise<Uint8Array>>();
  readonly #most: number;

  /** @param clusterSize Bytes of one decoded cluster. At least one is kept, whatever the budget. */
  constructor(budget: number, clusterSize: number) {
    this.#most = Math.max(1, Math.floor(budget / clusterSize));
  }

  get(key: number, signal: AbortSignal | undefined, decode: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = this.#kept.get(key);
    // Taken out and put back: the map's order is the order of use.
    this.#kept.delete(key);
    const cluster = known ?? decode();
    this.#kept.set(key, cluster);
    if (known === undefined) {
      cluster.catch(() => {
        if (this.#kept.get(key) === cluster) this.#kept.delete(key);
      });
      for (const oldest of this.#kept.keys()) {
        if (this.#kept.size <= this.#most) break;
        this.#kept.delete(oldest);
      }
    }
    return abortable(cluster, signal);
  }
}

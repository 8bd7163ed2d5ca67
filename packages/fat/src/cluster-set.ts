/** Clusters in a page of the set. */
const PAGE = 4096;

/** A set of cluster numbers: a bit for each, in pages that exist only where there are members. */
export class ClusterSet {
  readonly #pages = new Map<number, Uint8Array>();

  has(cluster: number): boolean {
    const bit = cluster % PAGE;
    const page = this.#pages.get(Math.floor(cluster / PAGE));
    return page !== undefined && (page[bit >> 3]! & (1 << (bit & 7))) !== 0;
  }

  /** Adds a cluster; false when it was there. */
  add(cluster: number): boolean {
    const index = Math.floor(cluster / PAGE);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE / 8);
      this.#pages.set(index, page);
    }
    const bit = cluster % PAGE;
    const mask = 1 << (bit & 7);
    if ((page[bit >> 3]! & mask) !== 0) return false;
    page[bit >> 3]! |= mask;
    return true;
  }
}

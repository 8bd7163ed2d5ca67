import type { ImageError } from "@guestprobe/block";
import { ClusterSet } from "./cluster-set.js";
import { failure } from "./place.js";
import type { FatTable } from "./table.js";

/** Clusters side by side. */
export interface ClusterRun {
  /** Clusters of the file before this run. */
  readonly index: number;
  /** First cluster on the volume. */
  readonly cluster: number;
  readonly count: number;
}

/** The clusters of one file, followed as far as they were asked for. */
export class ClusterChain {
  readonly #table: FatTable;
  readonly #seen = new ClusterSet();
  readonly #indexes: number[] = [];
  readonly #clusters: number[] = [];
  #length = 0;
  #next: number | undefined;
  /** What ended the chain where it should have gone on. */
  #error: ImageError | undefined;

  /** @param first One of the volume's clusters. */
  constructor(table: FatTable, first: number) {
    this.#table = table;
    this.#next = first;
  }

  /** Clusters known so far. */
  get length(): number {
    return this.#length;
  }

  /** Whether the chain has come to an end, good or bad. */
  get isAtEnd(): boolean {
    return this.#next === undefined;
  }

  /** Why the chain broke off; undefined where its last entry says that it ends. */
  get error(): ImageError | undefined {
    return this.#error;
  }

  /**
   * Follows the chain until it has `count` clusters or ends. A cluster that comes twice, or a link to what is none, ends
   * it with `error`.
   *
   * @throws ImageError `io`, `past-end`, `aborted`: the table itself cannot be read.
   */
  async extend(count: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#length < count && this.#next !== undefined) {
      const window = await this.#table.window(this.#next, signal);
      for (let cluster = this.#next; cluster !== undefined && this.#length < count && window.holds(cluster); ) {
        this.#push(cluster);
        const link = window.link(cluster);
        if (link.kind === "next" && this.#isNew(link.cluster, cluster)) {
          cluster = this.#next = link.cluster;
          continue;
        }
        if (link.kind === "wrong") this.#break(cluster, `leads to ${link.reason}`);
        this.#next = undefined;
        break;
      }
    }
  }

  /** The runs that overlap clusters `from` to before `to` of the file, as far as they are known. */
  runs(from: number, to: number): ClusterRun[] {
    const runs: ClusterRun[] = [];
    for (let n = this.#runOf(from); n < this.#indexes.length && this.#indexes[n]! < to; n += 1) {
      const index = this.#indexes[n]!;
      const end = this.#indexes[n + 1] ?? this.#length;
      const skip = Math.max(0, from - index);
      const count = Math.min(end, to) - index - skip;
      if (count > 0) runs.push({ index: index + skip, cluster: this.#clusters[n]! + skip, count });
    }
    return runs;
  }

  #push(cluster: number): void {
    const last = this.#indexes.length - 1;
    const follows = last >= 0 && this.#clusters[last]! + this.#length - this.#indexes[last]! === cluster;
    if (!follows) {
      this.#indexes.push(this.#length);
      this.#clusters.push(cluster);
    }
    this.#length += 1;
    this.#seen.add(cluster);
  }

  #isNew(cluster: number, from: number): boolean {
    if (!this.#seen.has(cluster)) return true;
    this.#break(from, `leads back to cluster ${cluster}: the chain is a loop`);
    return false;
  }

  #break(cluster: number, reason: string): void {
    const offset = this.#table.entryOffset(cluster);
    this.#error = failure("corrupt", `the entry of cluster ${cluster} ${reason}`, offset, "FAT");
  }

  /** The last run that begins at or before cluster `index` of the file. */
  #runOf(index: number): number {
    let low = 0;
    let high = this.#indexes.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#indexes[middle]! <= index) low = middle;
      else high = middle;
    }
    return low;
  }
}

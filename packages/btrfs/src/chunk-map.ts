import type { Chunk } from "./chunk.js";
import { corrupt } from "./place.js";

/** The chunks of a volume by logical address. */
export class ChunkMap {
  /** Ascending, without overlap. */
  #chunks: Chunk[] = [];

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  /**
   * Replaces all chunks. A chunk of the chunk tree that is in sys_chunk_array too appears once.
   *
   * @throws ImageError `corrupt` when two overlap.
   */
  set(chunks: readonly Chunk[]): void {
    const sorted = [...chunks].sort((a, b) => a.logical - b.logical);
    for (const [index, chunk] of sorted.entries()) {
      const before = sorted[index - 1];
      if (before !== undefined && before.logical + before.length > chunk.logical) {
        throw corrupt(`chunks at logical addresses ${before.logical} and ${chunk.logical} overlap`, {
          structure: "btrfs_chunk",
          field: "length",
          offset: chunk.offset,
        });
      }
    }
    this.#chunks = sorted;
  }

  /** @throws ImageError `corrupt` when no chunk holds the address. */
  find(logical: number): Chunk {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.logical <= logical) low = middle + 1;
      else high = middle;
    }
    const chunk = this.#chunks[low - 1];
    if (chunk === undefined || logical >= chunk.logical + chunk.length) {
      throw corrupt(`logical address ${logical} lies in no chunk`, { structure: "btrfs_chunk" });
    }
    return chunk;
  }
}

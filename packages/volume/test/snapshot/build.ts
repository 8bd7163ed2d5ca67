import { viewOf } from "@guestprobe/block/struct";

/** Bytes of a chunk. */
export const CHUNK = 512;

/** A store of exceptions: each old chunk with the new one that holds its bytes, filled with 100 and the old number. */
export function store(pairs: readonly (readonly [number, number])[], chunks = 80): Uint8Array {
  const data = new Uint8Array(chunks * CHUNK);
  const view = viewOf(data);
  data.set(new TextEncoder().encode("SnAp"));
  view.setUint32(4, 1, true);
  view.setUint32(8, 1, true);
  view.setUint32(12, CHUNK / 512, true);
  for (const [index, [from, to]] of pairs.entries()) {
    // Areas of 32 exceptions, each with the 32 chunks that they lead to behind it.
    const at = (1 + Math.floor(index / 32) * 33) * CHUNK + (index % 32) * 16;
    view.setBigUint64(at, BigInt(from), true);
    view.setBigUint64(at + 8, BigInt(to), true);
    if (to < chunks) data.fill(100 + from, to * CHUNK, (to + 1) * CHUNK);
  }
  return data;
}

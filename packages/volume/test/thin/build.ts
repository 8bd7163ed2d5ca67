/** Metadata of a thin pool, block by block, with checksums that are right. */
import { crc32cRaw } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";

const BLOCK = 4096;
/** Bytes of a data block. */
export const CHUNK = 64 << 10;

/** Renews the checksum of a block: the superblock's is XORed with 160774, a node's with 121107. */
export function seal(data: Uint8Array, xor: number): Uint8Array {
  viewOf(data).setUint32(0, (crc32cRaw(data.subarray(4), 0xffff_ffff) ^ xor) >>> 0, true);
  return data;
}
export function superblock(edit: (view: DataView) => void = () => {}): Uint8Array {
  const data = new Uint8Array(BLOCK);
  const view = viewOf(data);
  view.setBigUint64(32, 27022010n, true);
  view.setUint32(40, 2, true);
  view.setBigUint64(320, 1n, true);
  view.setUint32(336, CHUNK / 512, true);
  view.setUint32(340, 8, true);
  edit(view);
  return seal(data, 160774);
}
export function node(
  block: number,
  flags: number,
  entries: readonly (readonly [number, bigint])[],
  edit: (view: DataView) => void = () => {},
): Uint8Array {
  const data = new Uint8Array(BLOCK);
  const view = viewOf(data);
  view.setUint32(4, flags, true);
  view.setBigUint64(8, BigInt(block), true);
  view.setUint32(16, entries.length, true);
  view.setUint32(20, 252, true);
  view.setUint32(24, 8, true);
  for (const [index, [key, value]] of entries.entries()) {
    view.setBigUint64(32 + index * 8, BigInt(key), true);
    view.setBigUint64(32 + 252 * 8 + index * 8, value, true);
  }
  edit(view);
  return seal(data, 121107);
}
/** Blocks behind one another. */
export function metadata(...blocks: Uint8Array[]): Uint8Array {
  const data = new Uint8Array(blocks.length * BLOCK);
  for (const [index, block] of blocks.entries()) data.set(block, index * BLOCK);
  return data;
}

/** A mapping to a data block; the low bits are a time. */
export const to = (block: number): bigint => (BigInt(block) << 24n) | 0xabcdefn;

import type { BootSector } from "./boot-sector.js";
import { FIRST_CLUSTER } from "./layout.js";

type Bits = BootSector["bits"];

/** What a FAT entry says about its cluster. */
export type Link =
  | { readonly kind: "next"; readonly cluster: number }
  | { readonly kind: "end" }
  /** `free`, `bad` or a number that no cluster has: none of them may stand in a chain. */
  | { readonly kind: "wrong"; readonly reason: string };

/** Values that are no cluster numbers. "FAT Data Structure"; the top four bits of FAT32's entries are reserved. */
const END: { readonly [B in Bits]: number } = { 12: 0xff8, 16: 0xfff8, 32: 0x0fff_fff8 };
const BAD: { readonly [B in Bits]: number } = { 12: 0xff7, 16: 0xfff7, 32: 0x0fff_fff7 };

/** The number at entry `index` of a table whose first byte is byte 0 of `view`. */
export function entryAt(bits: Bits, view: DataView, index: number): number {
  if (bits === 32) return view.getUint32(index * 4, true) & 0x0fff_ffff;
  if (bits === 16) return view.getUint16(index * 2, true);
  const pair = view.getUint16(Math.floor((index * 3) / 2), true);
  return index % 2 === 0 ? pair & 0xfff : pair >> 4;
}

const END_LINK: Link = { kind: "end" };

/** @param clusters How many clusters the volume has. */
export function linkOf(bits: Bits, value: number, clusters: number): Link {
  if (value >= FIRST_CLUSTER && value < clusters + FIRST_CLUSTER) return { kind: "next", cluster: value };
  if (value >= END[bits]) return END_LINK;
  if (value === 0) return { kind: "wrong", reason: "a free cluster" };
  if (value === BAD[bits]) return { kind: "wrong", reason: "the mark of a bad cluster" };
  return { kind: "wrong", reason: `cluster ${value}, there are 2 to ${clusters + 1}` };
}

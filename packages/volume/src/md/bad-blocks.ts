import { type BlockDevice, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";

/** Bytes of a member's data that are not to be believed. */
interface BadRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Decodes a list of bad blocks: words of 64 bits, the number of the first block in the upper 54 and how many in the lower
 * ten; all ones end it. Linux, drivers/md/md.c, super_1_load.
 *
 * @param unit Bytes of a block.
 * @param dataOffset Where the member's data begin; blocks are counted from the start of the member.
 */
export function decodeBadBlocks(list: Uint8Array, unit: number, dataOffset: number): BadRange[] {
  const view = viewOf(list);
  const ranges: BadRange[] = [];
  for (let at = 0; at + 8 <= list.length; at += 8) {
    const word = view.getBigUint64(at, true);
    if (word === 0xffff_ffff_ffff_ffffn) break;
    const count = Number(word & 0x3ffn);
    const start = Number(word >> 10n) * unit - dataOffset;
    if (count > 0) ranges.push({ start, end: start + count * unit });
  }
  return ranges;
}

/** The same device, on which the ranges of the list cannot be read: an array takes them from its other members. */
export function withoutBadBlocks(device: BlockDevice, list: Uint8Array, unit: number, dataOffset: number): BlockDevice {
  const ranges = decodeBadBlocks(list, unit, dataOffset);
  if (ranges.length === 0) return device;
  const isBad = (offset: number, length: number) =>
    ranges.some(({ start, end }) => start < offset + length && end > offset);
  return {
    size: device.size,
    sectorSize: device.sectorSize,
    read(offset, length, signal) {
      if (!isBad(offset, length)) return device.read(offset, length, signal);
      const reason = "the member's superblock lists these blocks as bad";
      const error = new ImageError("io", reason, { format: "md", structure: "bblog", offset: dataOffset + offset });
      return Promise.reject(error);
    },
    peek: (offset, length) => (isBad(offset, length) ? undefined : device.peek?.(offset, length)),
  };
}

import { type BlockDevice, type ByteRange, findingFromError, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { IdentifyOptions } from "./types.js";

/**
 * Where superblocks lie. The start up to the 64 KiB that most formats leave for boot code, with a superblock behind
 * them; UFS2 at 256 KiB; VMFS at 1 and 2 MiB.
 */
const FROM_START: readonly ByteRange[] = [
  { offset: 0, length: 0x1_2000 },
  { offset: 0x4_0000, length: 0x600 },
  { offset: 0x10_0000, length: 0x400 },
  { offset: 0x20_0000, length: 0x400 },
];
/** Bytes at the end: md 0.90 begins up to 128 KiB before it, the second place of a DDF header is 257 sectors before it. */
const AT_END = 0x2_1000;
/** Regions with no more than this between them are one read. */
const JOIN = 0x8000;

/** What is read of a device of `size` bytes to recognise it: in order, apart from one another, at most five ranges. */
export function wantedRegions(size: number): ByteRange[] {
  const wanted = [...FROM_START, { offset: Math.max(0, size - AT_END), length: AT_END }]
    .map(({ offset, length }) => ({ offset, length: Math.min(length, size - offset) }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => a.offset - b.offset);
  const joined: { offset: number; length: number }[] = [];
  for (const { offset, length } of wanted) {
    const last = joined.at(-1);
    if (last !== undefined && offset <= last.offset + last.length + JOIN) {
      last.length = Math.max(last.length, offset + length - last.offset);
    } else {
      joined.push({ offset, length });
    }
  }
  return joined;
}

/** The bytes of a device that are in memory. */
export interface Window {
  /** Bytes of the device. */
  readonly size: number;
  /** The bytes of a range; undefined when not all of them are in memory. */
  bytes(offset: number, length: number): Uint8Array | undefined;
  view(offset: number, length: number): DataView | undefined;
}

/** Reads the regions together. One that cannot be read is reported and left out: what lies elsewhere is still found. */
export async function readWindow(device: BlockDevice, { report, signal }: IdentifyOptions): Promise<Window> {
  const parts = await Promise.all(
    wantedRegions(device.size).map(async ({ offset, length }) => {
      try {
        return { offset, data: await readUpTo(device, offset, length, signal) };
      } catch (error) {
        if (!isImageError(error) || error.code === "aborted") throw error;
        report?.(findingFromError(error));
        return { offset, data: new Uint8Array(0) };
      }
    }),
  );
  const bytes = (offset: number, length: number): Uint8Array | undefined => {
    const part = parts.find((each) => offset >= each.offset && offset + length <= each.offset + each.data.length);
    return part?.data.subarray(offset - part.offset, offset - part.offset + length);
  };
  return {
    size: device.size,
    bytes,
    view: (offset, length) => {
      const data = bytes(offset, length);
      return data && viewOf(data);
    },
  };
}

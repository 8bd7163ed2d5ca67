import { crc32cRaw, finding, ImageError, throwIfAborted } from "@guestprobe/block";
import { BAD_BITMAP } from "./findings.js";
import { type GroupDesc, isWideDesc } from "./group-desc.js";
import { EXT4_BG_BLOCK_UNINIT, EXT4_BG_INODE_UNINIT, ext4_group_desc } from "./layout.js";
import { hex, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** One of the two bitmaps of a group. Kernel: ext4_block_bitmap_csum_verify, ext4_inode_bitmap_csum_verify. */
interface Bitmap {
  readonly what: "block" | "inode";
  readonly block: number;
  /** Bits that the checksum covers. */
  readonly bits: number;
  readonly stored: number;
  readonly isWritten: boolean;
}

function bitmapsOf(volume: Volume, desc: GroupDesc): Bitmap[] {
  const { sb } = volume;
  const clusters = Math.floor(sb.blocksPerGroup / (sb.clusterSize / sb.blockSize));
  return [
    {
      what: "block",
      block: desc.blockBitmap,
      bits: clusters,
      stored: desc.blockBitmapCsum,
      isWritten: (desc.flags & EXT4_BG_BLOCK_UNINIT) === 0,
    },
    {
      what: "inode",
      block: desc.inodeBitmap,
      bits: sb.inodesPerGroup,
      stored: desc.inodeBitmapCsum,
      isWritten: (desc.flags & EXT4_BG_INODE_UNINIT) === 0,
    },
  ];
}

/** How many bitmaps of the volume do not match their checksums; 0 without metadata_csum. */
export async function checkBitmaps(volume: Volume, signal: AbortSignal | undefined): Promise<number> {
  const { sb } = volume;
  if (sb.csumSeed === undefined) return 0;
  let wrong = 0;
  for (let group = 0; group < sb.groupCount; group += 1) {
    throwIfAborted(signal);
    const desc = await volume.group(group, signal);
    for (const { what, block, bits, stored, isWritten } of bitmapsOf(volume, desc)) {
      if (!isWritten) continue;
      const place = placeOf(ext4_group_desc, `bg_${what}_bitmap_lo`, desc.offset);
      if (block <= sb.firstDataBlock || block >= sb.blocksCount) {
        throw new ImageError("corrupt", `group ${group}: ${what} bitmap in block ${block}`, place);
      }
      const data = await volume.readBlock(block, signal);
      const full = crc32cRaw(data.subarray(0, Math.floor(bits / 8)), sb.csumSeed);
      const computed = isWideDesc(sb) ? full : full & 0xffff;
      if (computed === stored) continue;
      wrong += 1;
      const message = `${what} bitmap of group ${group}: the checksum is ${hex(stored)}, computed ${hex(computed)}`;
      volume.report?.(finding(BAD_BITMAP, message, { ...place, offset: block * sb.blockSize }));
    }
  }
  return wrong;
}

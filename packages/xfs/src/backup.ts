import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { hasGoodCrc } from "./context.js";
import { XFS_AGI_MAGIC } from "./layout/inode.js";
import { XFS_AGF_MAGIC, XFS_SB_CRC_OFF, XFS_SB_MAGIC, xfs_ag_header } from "./layout/superblock.js";
import { decodeSuperblock, type Superblock } from "./superblock.js";

/** Bytes read to look at a superblock: more than its fields take, and the smallest sector. */
export const SUPERBLOCK_READ = 512;

const BLOCK_SIZES = [4096, 1024, 512, 2048, 8192, 16384, 32768, 65536];
const SECTOR_SIZES = [512, 4096, 1024, 2048];
/** Into how many groups mkfs.xfs divides a volume: four as a rule, others by its size and how many disks lie below. */
const GROUP_COUNTS = [4, 2, 16, 32];

/** A superblock that reads and, on version 5, whose checksum holds; undefined otherwise. */
export async function readSoundSuperblock(
  device: BlockDevice,
  at: number,
  signal: AbortSignal | undefined,
): Promise<Superblock | undefined> {
  if (at < 0 || at + SUPERBLOCK_READ > device.size) return undefined;
  try {
    const sb = decodeSuperblock(await device.read(at, SUPERBLOCK_READ, signal), at);
    if (at + sb.sectorSize > device.size) return undefined;
    const sector = await device.read(at, sb.sectorSize, signal);
    return sb.version === 4 || hasGoodCrc(viewOf(sector), 0, sector.length, XFS_SB_CRC_OFF) ? sb : undefined;
  } catch (error) {
    if (isImageError(error, "aborted")) throw error;
    return undefined;
  }
}

/**
 * A copy of the superblock, for a volume whose first one is damaged: the first sound one that names the root inode.
 *
 * Where the second group begins is told by the headers that follow the damaged superblock, which hold the length of
 * the first group; without them the places that mkfs.xfs would choose for a device of this size are tried.
 */
export async function findBackup(device: BlockDevice, signal?: AbortSignal): Promise<Superblock | undefined> {
  const tried = new Set<number>();
  for (const at of [...(await fromGroupHeaders(device, signal)), ...fromSize(device)]) {
    if (tried.has(at)) continue;
    tried.add(at);
    const first = await readSoundSuperblock(device, at, signal);
    if (first === undefined || first.agBlocks * first.blockSize !== at) continue;
    const withRoot = await namingRoot(device, first, signal);
    if (withRoot !== undefined) return withRoot;
  }
  return undefined;
}

/** mkfs.xfs writes the number of the root inode into the last copy and the one in the middle. */
async function namingRoot(
  device: BlockDevice,
  first: Superblock,
  signal: AbortSignal | undefined,
): Promise<Superblock | undefined> {
  if (first.rootInode !== undefined) return first;
  for (const group of [first.agCount - 1, Math.floor(first.agCount / 2)]) {
    const sb = await readSoundSuperblock(device, group * first.agBlocks * first.blockSize, signal);
    if (sb?.rootInode !== undefined && sb.agBlocks === first.agBlocks && sb.blockSize === first.blockSize) return sb;
  }
  return undefined;
}

/** Where the second group begins, by the length of the first, for each block size. */
async function fromGroupHeaders(device: BlockDevice, signal: AbortSignal | undefined): Promise<number[]> {
  const head = await readSafely(device, 0, 3 * Math.max(...SECTOR_SIZES), signal);
  const view = viewOf(head);
  const lengths = new Set<number>();
  for (const sector of SECTOR_SIZES) {
    for (const at of [sector, 2 * sector]) {
      if (at + xfs_ag_header.$size > head.length) continue;
      const magic = xfs_ag_header.magicnum(view, at);
      if (magic !== XFS_AGF_MAGIC && magic !== XFS_AGI_MAGIC) continue;
      if (xfs_ag_header.seqno(view, at) === 0) lengths.add(xfs_ag_header.length(view, at));
    }
  }
  return [...lengths].flatMap((length) => BLOCK_SIZES.map((size) => length * size));
}

/**
 * Where the second group begins if mkfs.xfs made the volume as large as the device is, with blocks of 4 KiB. Few places:
 * every device that is not recognised is asked this.
 */
function fromSize(device: BlockDevice): number[] {
  const blocks = Math.floor(device.size / 4096);
  return GROUP_COUNTS.flatMap((groups) => [Math.floor(blocks / groups) * 4096, Math.ceil(blocks / groups) * 4096]);
}

async function readSafely(
  device: BlockDevice,
  at: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  try {
    return await readUpTo(device, at, length, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return new Uint8Array(0);
  }
}

/** Whether the device begins with the magic. Never throws but for `aborted`. */
export async function hasMagic(device: BlockDevice, signal: AbortSignal | undefined): Promise<boolean> {
  const head = await readSafely(device, 0, SUPERBLOCK_READ, signal);
  return head.length === SUPERBLOCK_READ && viewOf(head).getUint32(0) === XFS_SB_MAGIC;
}

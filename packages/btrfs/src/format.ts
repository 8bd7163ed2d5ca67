import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";
import type { FileSystem, FileSystemFormat, OpenOptions } from "@guestprobe/vfs";
import type { BtrfsFileSystem } from "./filesystem.js";
import { SUPER_OFFSETS, SUPER_SIZE } from "./layout.js";
import { hasSuperMagic } from "./superblock.js";

async function hasMagicAt(device: BlockDevice, offset: number, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const data = await readUpTo(device, offset, SUPER_SIZE, signal);
    return data.length === SUPER_SIZE && hasSuperMagic(data);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return false;
  }
}

/** btrfs, on one device or, with `OpenOptions.members`, on several. */
export const btrfs = {
  name: "btrfs",

  probe(device: BlockDevice, signal?: AbortSignal): Promise<boolean> {
    return hasMagicAt(device, SUPER_OFFSETS[0], signal);
  },

  async probeBackup(device: BlockDevice, signal?: AbortSignal): Promise<boolean> {
    const found = await Promise.all(SUPER_OFFSETS.slice(1).map((offset) => hasMagicAt(device, offset, signal)));
    return found.includes(true);
  },

  // The reader is loaded when there is something to read: who lists every format pays for those that he meets.
  async open(device: BlockDevice, options?: OpenOptions): Promise<BtrfsFileSystem> {
    return (await import("./filesystem.js")).openBtrfs(device, options);
  },
} as const satisfies FileSystemFormat;

/** Whether a file system that was opened by some format is btrfs. */
export function isBtrfs(fs: FileSystem): fs is BtrfsFileSystem {
  return fs.kind === "btrfs" && "openSubvolume" in fs;
}

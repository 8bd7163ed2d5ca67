import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";
import type { Decompressor } from "@guestprobe/codec";
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

export interface BtrfsOptions {
  /**
   * Where compressed extents are decoded: `workerDecompressor()` of "@guestprobe/codec/node" spreads them over threads.
   * Default: on the calling thread.
   */
  readonly decompressor?: Decompressor;
}

/** btrfs whose compressed extents are decoded as `options` say. */
export function btrfsWith({ decompressor }: BtrfsOptions) {
  return {
    name: "btrfs",

    probe(device: BlockDevice, signal?: AbortSignal): Promise<boolean> {
      return hasMagicAt(device, SUPER_OFFSETS[0], signal);
    },

    async probeBackup(device: BlockDevice, signal?: AbortSignal): Promise<boolean> {
      const found = await Promise.all(SUPER_OFFSETS.slice(1).map((offset) => hasMagicAt(device, offset, signal)));
      return found.includes(true);
    },

    // The reader is loaded when there is something to read: who lists every format pays for those that he meets.
    async open(device: BlockDevice, openOptions?: OpenOptions): Promise<BtrfsFileSystem> {
      return (await import("./filesystem.js")).openBtrfs(device, openOptions, decompressor);
    },
  } as const satisfies FileSystemFormat;
}

/** btrfs, on one device or, with `OpenOptions.members`, on several. */
export const btrfs = btrfsWith({});

/** Whether a file system that was opened by some format is btrfs. */
export function isBtrfs(fs: FileSystem): fs is BtrfsFileSystem {
  return fs.kind === "btrfs" && "openSubvolume" in fs;
}

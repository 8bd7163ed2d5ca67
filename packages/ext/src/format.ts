import { throwIfAborted } from "@guestprobe/block";
import type { FileSystemFormat } from "@guestprobe/vfs";
import { findBackups, readAt } from "./backup.js";
import { SUPERBLOCK_OFFSET } from "./layout.js";
import { hasMagic } from "./superblock.js";

/**
 * ext2, ext3 and ext4. `open` uses a copy of the superblock when the first one is damaged, and says so by the finding
 * ext-backup-superblock. Of `OpenOptions` it heeds `checksums`, `journal`, `report` and `signal`.
 */
export const ext: FileSystemFormat = {
  name: "ext",

  async probe(device, signal) {
    throwIfAborted(signal);
    return hasMagic(await readAt(device, SUPERBLOCK_OFFSET, signal));
  },

  async probeBackup(device, signal) {
    throwIfAborted(signal);
    return (await findBackups(device, signal)).length > 0;
  },

  // The reader is loaded when there is something to read: who lists every format pays for those that he meets.
  open: async (device, options) => (await import("./filesystem.js")).openExt(device, options),
};

import type { FileSystemFormat } from "@guestprobe/vfs";
import { findBackup, hasMagic } from "./backup.js";

/** XFS, versions 4 and 5. */
export const xfs: FileSystemFormat = {
  name: "xfs",
  probe: (device, signal) => hasMagic(device, signal),
  probeBackup: async (device, signal) => (await findBackup(device, signal)) !== undefined,
  // The reader is loaded when there is something to read: who lists every format pays for those that he meets.
  open: async (device, options) => (await import("./filesystem.js")).openXfs(device, options),
};

import { type BlockDevice, cachedDevice, countReads, type ReadStats } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { type FileSystemFormat, GRUB_WALK, resolve } from "@guestprobe/vfs";

/** The paths that a boot under Xen looks for, on the root volume and on a volume for /boot. */
export const BOOT_PATHS = [
  "/boot/xen/pvboot-x86_64.elf",
  "/boot/xen/pvboot-i386.elf",
  "/boot/grub/grub.cfg",
  "/boot/grub/menu.lst",
  "/xen/pvboot-x86_64.elf",
  "/xen/pvboot-i386.elf",
  "/grub/grub.cfg",
  "/grub/menu.lst",
] as const;

/** Opens a volume through a cache, looks the eight paths up, and tells which were there and what was read for it. */
export async function probeBootPaths(
  device: BlockDevice,
  format: FileSystemFormat = ext,
): Promise<{ hits: string[]; stats: ReadStats }> {
  const counted = countReads(device);
  const fs = await format.open(cachedDevice(counted));
  const hits: string[] = [];
  for (const path of BOOT_PATHS) {
    if ((await resolve(fs, path, { policy: GRUB_WALK }))?.inode.stat.type === "file") hits.push(path);
  }
  return { hits, stats: counted.stats };
}

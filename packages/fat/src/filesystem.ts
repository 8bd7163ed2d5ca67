import { type BlockDevice, finding, isImageError, readUpTo, throwIfAborted } from "@guestprobe/block";
import { type FileSystem, type FileSystemFormat, InodeIndex, type OpenOptions } from "@guestprobe/vfs";
import { type BootSector, decodeBootSector, formatSerial, isBootSector } from "./boot-sector.js";
import { checkVolume, labelOf } from "./checks.js";
import type { FatEntry } from "./directory.js";
import { openEntryAt, openRoot, ROOT_INO } from "./fat-inode.js";
import { BACKUP_BOOT_SECTOR } from "./findings.js";
import { fat_boot_sector } from "./layout.js";
import { failure, placeOf } from "./place.js";
import { Volume } from "./volume.js";

/** Where FAT32 keeps the copy of its boot sector unless told otherwise. "Backup Boot Sector" */
const BACKUP_SECTOR = 6 * 512;

/** FAT12, FAT16 and FAT32, as Linux's vfat reads them. exFAT is known by its name and refused. */
export const fat: FileSystemFormat = {
  name: "vfat",

  probe: (device, signal) => hasBootSector(device, 0, signal),

  probeBackup: async (device, signal) =>
    (await hasBootSector(device, BACKUP_SECTOR, signal)) && (await usableBackup(device, signal)) !== undefined,

  async open(device, options = {}) {
    throwIfAborted(options.signal);
    return openVolume(device, await readBootSector(device, options), options);
  },
};

async function hasBootSector(device: BlockDevice, offset: number, signal: AbortSignal | undefined): Promise<boolean> {
  throwIfAborted(signal);
  try {
    return isBootSector(await readUpTo(device, offset, fat_boot_sector.$size, signal));
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return false;
  }
}

/** The boot sector, or its copy where there is nothing of the kind at byte 0. */
async function readBootSector(device: BlockDevice, { signal, report }: OpenOptions): Promise<BootSector> {
  try {
    return decodeBootSector(await readUpTo(device, 0, fat_boot_sector.$size, signal), 0);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "unsupported") throw error;
    const backup = await usableBackup(device, signal).catch(() => undefined);
    if (backup === undefined) throw error;
    report?.(finding(BACKUP_BOOT_SECTOR, error.reason, placeOf(fat_boot_sector, "BS_jmpBoot", 0)));
    return backup;
  }
}

/** The copy, where it is FAT32's and says that it lies there. */
async function usableBackup(device: BlockDevice, signal: AbortSignal | undefined): Promise<BootSector | undefined> {
  const data = await readUpTo(device, BACKUP_SECTOR, fat_boot_sector.$size, signal);
  if (!isBootSector(data)) return undefined;
  try {
    const copy = decodeBootSector(data, BACKUP_SECTOR);
    return copy.backup === BACKUP_SECTOR ? copy : undefined;
  } catch (error) {
    if (!isImageError(error, "corrupt") && !isImageError(error, "unsupported")) throw error;
    return undefined;
  }
}

async function openVolume(device: BlockDevice, bs: BootSector, { report, signal }: OpenOptions): Promise<FileSystem> {
  const volume = new Volume(device, bs, report);
  const root = await openRoot(volume, signal);
  await checkVolume(volume, signal);
  const index = new InodeIndex(root, ({ ref }) => (ref as FatEntry).offset);
  return {
    kind: "vfat",
    label: await labelOf(volume, signal),
    uuid: bs.serial === undefined ? undefined : formatSerial(bs.serial),
    blockSize: bs.clusterSize,
    size: bs.size,
    features: [`FAT${bs.bits}`],

    async root(rootSignal) {
      throwIfAborted(rootSignal);
      return root;
    },

    async inode(ino, inodeSignal) {
      throwIfAborted(inodeSignal);
      if (ino === ROOT_INO) return root;
      const offset = await index.find(ino, inodeSignal);
      if (offset === undefined) throw failure("not-found", `no entry of a directory has the number ${ino}`);
      return openEntryAt(volume, offset, inodeSignal);
    },
  };
}

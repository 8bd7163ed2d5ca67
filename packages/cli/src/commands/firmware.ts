import { findingFromError, isImageError, type Report } from "@guestprobe/block";
import { type BootEntry, isIso9660 } from "@guestprobe/iso9660";
import { childPath, type FileSystem, type Inode, resolve, textPair } from "@guestprobe/vfs";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { imageErrorOnly } from "../output/output.js";

/** What firmware, not GRUB under Xen, would boot from a volume. */
export interface Firmware {
  /** FAT only: loaders one directory below /EFI, as the volume spells it. */
  readonly efiLoaders: readonly Uint8Array[];
  /** ISO 9660 only: the El Torito catalogue. */
  readonly bootEntries: readonly BootEntry[];
}

export const NO_FIRMWARE: Firmware = { efiLoaders: [], bootEntries: [] };

/** Directories and loaders of an EFI partition that are told; a hostile one could have any number. */
const MAX_LOADERS = 100;

export async function firmwareBoot(fs: FileSystem, device: string, report: Report): Promise<Firmware> {
  try {
    return {
      efiLoaders: fs.kind === "vfat" ? await efiLoaders(fs) : [],
      bootEntries: isIso9660(fs) ? await fs.bootEntries() : [],
    };
  } catch (cause) {
    report(findingFromError(imageErrorOnly(cause), { device }));
    return NO_FIRMWARE;
  }
}

/** UEFI specification, 3.5: each vendor has a directory under \EFI, and \EFI\BOOT is what an unprepared machine looks for. */
async function efiLoaders(fs: FileSystem): Promise<readonly Uint8Array[]> {
  const efi = await resolve(fs, "/EFI");
  const loaders: Uint8Array[] = [];
  if (efi?.inode.stat.type !== "dir") return loaders;
  for await (const { path, inode } of children(efi.inode, efi.path)) {
    if (inode.stat.type !== "dir") continue;
    for await (const file of children(inode, path)) {
      if (file.inode.stat.type === "file" && /\.efi$/i.test(Buffer.from(file.path).toString("latin1"))) {
        loaders.push(file.path);
      }
      if (loaders.length >= MAX_LOADERS) return loaders;
    }
  }
  return loaders;
}

/** The entries of a directory that can be opened, with their paths. */
async function* children(
  directory: Inode,
  path: Uint8Array,
): AsyncGenerator<{ readonly path: Uint8Array; readonly inode: Inode }> {
  for await (const batch of directory.entries()) {
    for (const dirent of batch) {
      const inode = await directory.child(dirent).catch((error: unknown) => {
        if (!isImageError(error) || error.code === "aborted" || error.code === "limit") throw error;
        return undefined;
      });
      if (inode !== undefined) yield { path: childPath(path, dirent.name), inode };
    }
  }
}

export function firmwareJson({ efiLoaders, bootEntries }: Firmware): Record<string, unknown> {
  return {
    ...(efiLoaders.length === 0 ? {} : { efiLoaders: efiLoaders.map((path) => textPair("path", path)) }),
    ...(bootEntries.length === 0
      ? {}
      : {
          bootEntries: bootEntries.map(({ platform, bootable, emulation, offset, length, id }) => ({
            platform,
            bootable,
            emulation,
            start: offset,
            bytes: length,
            ...textPair("id", id),
          })),
        }),
  };
}

/** "(xen/xvda,gpt1)/EFI/BOOT/BOOTX64.EFI", "(xen/xvda) El Torito, efi: 6144 bytes at byte 221184": a line for each. */
export function firmwareLines(device: string, { efiLoaders, bootEntries }: Firmware): string[] {
  return [
    ...efiLoaders.map((path) => `  ${deviceText(device)}${escapeGuestText(path)}`),
    ...bootEntries.map(({ platform, bootable, emulation, offset, length }) => {
      const what = `${bootable ? "" : "not bootable, "}${emulation === "none" ? "" : `emulates ${emulation}, `}`;
      return `  ${deviceText(device)} El Torito, ${platform}: ${what}${length} bytes at byte ${offset}`;
    }),
  ];
}

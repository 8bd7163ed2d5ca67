import { type BlockDevice, type FindingKind, finding, findingFromError, isImageError } from "@guestprobe/block";
import type { FileSystem, FileSystemFormat, OpenOptions } from "./types.js";

export const AMBIGUOUS_FILE_SYSTEM: FindingKind = {
  code: "fs-ambiguous",
  severity: "warning",
  title: "A device carries the magic of more than one file system",
  explanation:
    "A device was formatted twice and the older superblock was left in place, or someone prepared it to be read " +
    "differently by different programs. The first format in the list of readers is used. Another program, GRUB among " +
    "them, may choose the other one.",
  next: ["compare with `wipefs --no-act DEVICE` and `blkid -p DEVICE`", "wipe the stale signature inside the guest"],
};

/**
 * The formats whose magic is on the device, in the order of `formats`. Only when there is none are copies of the
 * superblock looked for.
 */
export async function probeFileSystem(
  device: BlockDevice,
  formats: readonly FileSystemFormat[],
  signal?: AbortSignal,
): Promise<FileSystemFormat[]> {
  // Asked together: what lies side by side is one read of the cache below.
  const first = await Promise.all(formats.map((format) => format.probe(device, signal)));
  const found = formats.filter((_, index) => first[index]);
  if (found.length > 0) return found;
  const second = await Promise.all(formats.map((format) => format.probeBackup?.(device, signal) ?? false));
  return formats.filter((_, index) => second[index]);
}

/**
 * Opens the file system on `device` with the first of `formats` that knows it; undefined when none does.
 *
 * When two magics match and the first format cannot be opened, the next is tried; the first error is thrown if all
 * fail. Each error is reported, so that the choice can be understood.
 *
 * @throws ImageError from the format's `open`.
 */
export async function openFileSystem(
  device: BlockDevice,
  formats: readonly FileSystemFormat[],
  options: OpenOptions = {},
): Promise<FileSystem | undefined> {
  const candidates = await probeFileSystem(device, formats, options.signal);
  if (candidates.length > 1) {
    const names = candidates.map((format) => format.name).join(" and ");
    options.report?.(finding(AMBIGUOUS_FILE_SYSTEM, `the device carries the magic of ${names}`));
  }
  let first: unknown;
  for (const format of candidates) {
    try {
      return await format.open(device, options);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      if (candidates.length > 1) options.report?.(findingFromError(error));
      first ??= error;
    }
  }
  if (first !== undefined) throw first;
  return undefined;
}

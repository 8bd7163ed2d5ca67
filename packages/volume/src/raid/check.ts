import { ImageError } from "@guestprobe/block";

/** Most members of one array: more than md (384 in 0.90, 1920 in 1.x) and LVM (253) take. */
export const MAX_RAID_MEMBERS = 4096;

/**
 * A geometry as it was read from an image.
 *
 * @throws ImageError `corrupt` unless there are `least` to `MAX_RAID_MEMBERS` members, and chunks of whole sectors.
 */
export function checkGeometry(name: string, members: number, least: number, chunk?: number): void {
  if (!Number.isInteger(members) || members < least || members > MAX_RAID_MEMBERS) {
    throw new ImageError("corrupt", `${name} of ${members} members, expected ${least} to ${MAX_RAID_MEMBERS}`);
  }
  if (chunk !== undefined && (!Number.isSafeInteger(chunk) || chunk < 512 || chunk % 512 !== 0)) {
    throw new ImageError("corrupt", `${name} with chunks of ${chunk} bytes`);
  }
}

/** @throws ImageError `corrupt` unless `size` is a number of bytes, none included. */
export function checkSize(name: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new ImageError("corrupt", `${name} of ${size} bytes`);
}

import { type ErrorPlace, ImageError, isImageError } from "@guestprobe/block";

const FORMAT = "btrfs";

/** A `corrupt` error of this format. `place.offset` is in bytes from the start of the device. */
export function corrupt(reason: string, place: ErrorPlace = {}): ImageError {
  return new ImageError("corrupt", reason, { format: FORMAT, ...place });
}

/** An `unsupported` error of this format; the reason names the feature. */
export function unsupported(reason: string, place: ErrorPlace = {}): ImageError {
  return new ImageError("unsupported", reason, { format: FORMAT, ...place });
}

/**
 * Runs a decoder. What its field readers throw knows the field but not where the structure lies: the place is added,
 * and `offset` then is where the structure begins.
 */
export function decodeAt<T>(offset: number | undefined, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!isImageError(error) || error.offset !== undefined) throw error;
    const { code, reason, structure, field } = error;
    throw new ImageError(code, reason, { format: FORMAT, structure, field, offset, cause: error });
  }
}

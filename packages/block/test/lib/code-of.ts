import { type ErrorCode, isImageError } from "@guestprobe/block";

/** The code of the ImageError that `action` throws; any other error passes through, none is undefined. */
export function codeOf(action: () => unknown): ErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (isImageError(error)) return error.code;
    throw error;
  }
  return undefined;
}

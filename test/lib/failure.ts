import { type ErrorCode, isImageError } from "@guestprobe/block";

/** Code, reason and byte offset of the ImageError that `work` ends in. */
export function failure(work: () => unknown): [ErrorCode, string, number | undefined] {
  try {
    work();
  } catch (error) {
    if (!isImageError(error)) throw error;
    return [error.code, error.reason, error.offset];
  }
  throw new Error("it was accepted");
}

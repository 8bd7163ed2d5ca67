/**
 * Why reading stopped. The set is closed: callers may switch over it.
 *
 * - `past-end`: a read beyond the end of the device (a truncated image, or a pointer that lies).
 * - `io`: the host could not deliver the bytes; `cause` holds its error.
 * - `aborted`: an AbortSignal fired.
 * - `not-this-format`: the magic does not match. Nothing else is ever reported with this code.
 * - `corrupt`: the magic matches and something else is wrong.
 * - `bad-checksum`: a stored checksum does not match, under the policy `require`.
 * - `unsupported`: a feature this toolkit does not read; the message names it.
 * - `encrypted`: the bytes are there, the key is not.
 * - `limit`: a bound set by the caller (memory, entries, size) was reached.
 * - `not-found`, `not-a-directory`, `is-a-directory`, `not-a-symlink`, `symlink-loop`: answers of a path walk.
 * - `invalid-argument`: the caller's own value is out of range.
 */
export const ERROR_CODES = [
  "past-end",
  "io",
  "aborted",
  "not-this-format",
  "corrupt",
  "bad-checksum",
  "unsupported",
  "encrypted",
  "limit",
  "not-found",
  "not-a-directory",
  "is-a-directory",
  "not-a-symlink",
  "symlink-loop",
  "invalid-argument",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Where an error or a finding happened. */
export interface ErrorPlace {
  /** The format at work: "ext", "gpt", "qcow2". */
  readonly format?: string | undefined;
  /** The on-disk structure, as its specification spells it: "ext4_inode". */
  readonly structure?: string | undefined;
  /** The field of that structure: "i_size". */
  readonly field?: string | undefined;
  /** Bytes from the start of the device that the format was opened on. */
  readonly offset?: number | undefined;
}

export interface ImageErrorOptions extends ErrorPlace {
  readonly cause?: unknown;
}

/** A name that survives duplicate copies of this package, where `instanceof` would not. */
const BRAND = Symbol.for("guestprobe.ImageError");

/** The one error class of the toolkit: a code, a message for people, and the place on the device. */
export class ImageError extends Error {
  readonly code: ErrorCode;
  readonly format: string | undefined;
  readonly structure: string | undefined;
  readonly field: string | undefined;
  /** Bytes from the start of the device that the format was opened on. */
  readonly offset: number | undefined;
  /** The message without format and place, for callers that print those themselves. */
  readonly reason: string;

  constructor(code: ErrorCode, reason: string, options: ImageErrorOptions = {}) {
    const place = describePlace(options);
    const prefix = options.format === undefined ? "" : `${options.format}: `;
    super(
      `${prefix}${reason}${place === "" ? "" : ` (${place})`}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = "ImageError";
    this.code = code;
    this.reason = reason;
    this.format = options.format;
    this.structure = options.structure;
    this.field = options.field;
    this.offset = options.offset;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** "ext4_inode.i_size at byte 65792", or as much of it as is known. */
export function describePlace(place: ErrorPlace): string {
  const name = [place.structure, place.field].filter((part) => part !== undefined).join(".");
  if (place.offset === undefined) return name;
  return `${name}${name === "" ? "" : " "}at byte ${place.offset}`;
}

/** Whether `error` is an ImageError (of that code, if one is given), from any copy of this package. */
export function isImageError(error: unknown, code?: ErrorCode): error is ImageError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as { code?: unknown }).code === code;
}

import { type ErrorCode, type ErrorPlace, ImageError } from "@guestprobe/block";

export const FORMAT = "squashfs";

/** What a struct tells about its fields, as far as naming a place needs it. */
interface Layout<K extends string> {
  readonly $name: string;
  readonly $fields: { readonly [P in K]: { readonly offset: number } };
}

/**
 * The place of a field. Inside metadata that is compressed a byte has no place of its own on the device: `offset` is
 * then that of the metadata block.
 */
export function placeOf<K extends string>(layout: Layout<K>, field: K, offset: number): ErrorPlace {
  return { format: FORMAT, structure: layout.$name, field, offset };
}

/** `corrupt`, for what a field says. */
export function corrupt<K extends string>(layout: Layout<K>, field: K, offset: number, reason: string): ImageError {
  return new ImageError("corrupt", reason, placeOf(layout, field, offset));
}

/** An error about no field in particular. */
export function failure(code: ErrorCode, reason: string, offset?: number, cause?: unknown): ImageError {
  return new ImageError(code, reason, { format: FORMAT, offset, cause });
}

export const hex = (value: number): string => `0x${value.toString(16)}`;

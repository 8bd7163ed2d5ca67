import { type ErrorCode, type ErrorPlace, ImageError } from "@guestprobe/block";

export const FORMAT = "iso9660";

/** What a struct tells about its fields, as far as naming a place needs it. */
interface Layout<K extends string> {
  readonly $name: string;
  readonly $fields: { readonly [P in K]: { readonly offset: number } };
}

/** The place of a field of a structure that lies at byte `base` of the device. */
export function placeOf<K extends string>(layout: Layout<K>, field: K, base: number): ErrorPlace {
  return { format: FORMAT, structure: layout.$name, field, offset: base + layout.$fields[field].offset };
}

/** `corrupt`, for what a field of a structure at byte `base` says. */
export function corrupt<K extends string>(layout: Layout<K>, field: K, base: number, reason: string): ImageError {
  return new ImageError("corrupt", reason, placeOf(layout, field, base));
}

/** An error about no field in particular. */
export function failure(code: ErrorCode, reason: string, offset?: number, structure?: string): ImageError {
  return new ImageError(code, reason, { format: FORMAT, structure, offset });
}

export const hex = (value: number): string => `0x${value.toString(16)}`;

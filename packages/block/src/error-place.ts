import { type ErrorCode, type ErrorPlace, ImageError } from "./errors.js";

/** What a struct tells about its fields, as far as naming a place needs it. */
export interface FieldOffsets<K extends string> {
  readonly $name: string;
  readonly $fields: { readonly [P in K]: { readonly offset: number } };
}

/** The errors of one format, each with its place. `base` and `offset` are in bytes from the start of the device. */
export interface FormatErrors {
  /** The place of a field of a structure that lies at byte `base`. */
  placeOf<K extends string>(layout: FieldOffsets<K>, field: K, base: number): ErrorPlace;
  /** `corrupt`, for what a field of a structure at byte `base` says. */
  corrupt<K extends string>(layout: FieldOffsets<K>, field: K, base: number, reason: string): ImageError;
  /** An error about no field in particular. */
  failure(code: ErrorCode, reason: string, offset?: number, structure?: string): ImageError;
}

/** How the errors of a format are made. */
export function errorsOf(format: string): FormatErrors {
  const placeOf: FormatErrors["placeOf"] = (layout, field, base) => ({
    format,
    structure: layout.$name,
    field,
    offset: base + layout.$fields[field].offset,
  });
  return {
    placeOf,
    corrupt: (layout, field, base, reason) => new ImageError("corrupt", reason, placeOf(layout, field, base)),
    failure: (code, reason, offset, structure) => new ImageError(code, reason, { format, structure, offset }),
  };
}

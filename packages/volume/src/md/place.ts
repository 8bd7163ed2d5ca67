import { type ErrorCode, ImageError } from "@guestprobe/block";

/** An error of md's. `offset` is in bytes from the start of the member. */
export function mdError(code: ErrorCode, reason: string, structure: string, field: string, offset: number): ImageError {
  return new ImageError(code, reason, { format: "md", structure, field, offset });
}

/** A structure whose fields are read at a known place, so that what a reader throws names it. */
interface Table {
  readonly $name: string;
  readonly $fields: Readonly<Record<string, { readonly offset: number }>>;
}

/** Makes errors about fields of `table`, which lies at byte `base` of its device. */
export function errorsAbout<T extends Table>(table: T, base: number) {
  return (code: ErrorCode, field: keyof T["$fields"] & string, reason: string): ImageError =>
    mdError(code, reason, table.$name, field, base + table.$fields[field]!.offset);
}

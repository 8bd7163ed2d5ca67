import { ImageError } from "./errors.js";
import { joinU64 } from "./u64.js";

/** Byte order of a structure. */
export type Endian = "LE" | "BE";
export const LE = "LE";
export const BE = "BE";

/** Reads one field of the structure that starts at byte `base` of `view`. */
export type Reader<T> = (view: DataView, base: number) => T;

/** A field before it is bound to a byte order. Offsets and sizes are in bytes from the start of the structure. */
export interface Field<T> {
  readonly offset: number;
  readonly size: number;
  /** @param structure Its name and that of the field, for errors. */
  bind(little: boolean, structure: string, field: string): Reader<T>;
}

const field = <T>(offset: number, size: number, bind: Field<T>["bind"]): Field<T> => ({ offset, size, bind });

export const u8 = (at: number): Field<number> => field(at, 1, () => (view, base) => view.getUint8(base + at));
export const i8 = (at: number): Field<number> => field(at, 1, () => (view, base) => view.getInt8(base + at));
export const u16 = (at: number): Field<number> =>
  field(at, 2, (little) => (view, base) => view.getUint16(base + at, little));
export const i16 = (at: number): Field<number> =>
  field(at, 2, (little) => (view, base) => view.getInt16(base + at, little));
export const u32 = (at: number): Field<number> =>
  field(at, 4, (little) => (view, base) => view.getUint32(base + at, little));
export const i32 = (at: number): Field<number> =>
  field(at, 4, (little) => (view, base) => view.getInt32(base + at, little));

/** 64 bits as a number; the reader throws `corrupt`, naming the field, for 2^53 and above. */
export const u64 = (at: number): Field<number> =>
  field(at, 8, (little, structure, name) => (view, base) => {
    const first = view.getUint32(base + at, little);
    const second = view.getUint32(base + at + 4, little);
    const hi = little ? second : first;
    if (hi >= 0x20_0000) return joinU64(hi, little ? first : second, { structure, field: name });
    return hi * 0x1_0000_0000 + (little ? first : second);
  });

/** As `u64`, with all ones (the "none" of many formats) as undefined. */
export const u64OrNone = (at: number): Field<number | undefined> =>
  field(at, 8, (little, structure, name) => {
    const read = u64(at).bind(little, structure, name);
    return (view, base) =>
      view.getUint32(base + at) === 0xffff_ffff && view.getUint32(base + at + 4) === 0xffff_ffff
        ? undefined
        : read(view, base);
  });

/** The full 64 bits as a bigint, for words where all of them mean something (ids, flags). */
export const u64big = (at: number): Field<bigint> =>
  field(at, 8, (little) => (view, base) => view.getBigUint64(base + at, little));
export const i64big = (at: number): Field<bigint> =>
  field(at, 8, (little) => (view, base) => view.getBigInt64(base + at, little));

/** `size` bytes, as a view of the same memory. */
export const bytes = (at: number, size: number): Field<Uint8Array> =>
  field(at, size, () => (view, base) => new Uint8Array(view.buffer, view.byteOffset + base + at, size));

type Fields = Record<string, Field<unknown>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;

/** A declared structure: one reader per field, and what tests and tools need to know about the layout. */
export type Struct<F extends Fields> = { readonly [K in keyof F]: Reader<ValueOf<F[K]>> } & {
  readonly $name: string;
  /** Size in bytes. */
  readonly $size: number;
  readonly $fields: { readonly [K in keyof F]: { readonly offset: number; readonly size: number } };
  /** All fields as an object. Slow (it is a loop): for people and tests, not for hot code. */
  $dump(view: DataView, base: number): { [K in keyof F]: ValueOf<F[K]> };
};

/**
 * Declares an on-disk structure with explicit offsets, so that a table may hold only the fields in use and a wrong
 * offset breaks one field, not all after it. The readers do no bounds check of their own beyond DataView's: callers
 * hand them a view that holds the whole structure.
 *
 * The readers are inherited, and so are left out of a copy by spreading.
 *
 * @throws ImageError `invalid-argument` if a field passes the declared size: a mistake in the table.
 */
export function struct<F extends Fields>(name: string, size: number, endian: Endian, fields: F): Struct<F> {
  const little = endian === LE;
  // An object without a prototype is a hash table to V8, into which a reader goes for little; as the prototype of another it
  // is made fast, and its readers are constants to optimised code. A hundred properties that are added to a plain object
  // one by one took ten times as long, most of the garbage of a short run, and left a hash table in the end.
  const readers: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(fields)) {
    const spec = fields[key]!;
    if (spec.offset < 0 || spec.offset + spec.size > size) {
      throw new ImageError("invalid-argument", `${name}.${key} ends past the structure's ${size} bytes`);
    }
    readers[key] = spec.bind(little, name, key);
  }
  readers.$name = name;
  readers.$size = size;
  readers.$dump = (view: DataView, base: number) =>
    Object.fromEntries(Object.keys(fields).map((key) => [key, (readers[key] as Reader<unknown>)(view, base)]));
  let places: Record<string, { offset: number; size: number }> | undefined;
  Object.defineProperty(readers, "$fields", {
    get: () => {
      // Copied, for the same reason.
      places ??= { ...Object.fromEntries(Object.entries(fields).map(([key, spec]) => [key, placeOf(spec)])) };
      return places;
    },
  });
  return Object.create(readers);
}

const placeOf = ({ offset, size }: Field<unknown>): { offset: number; size: number } => ({ offset, size });

/** A DataView over the same memory as `data`. */
export function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

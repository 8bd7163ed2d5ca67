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
  bind(this: Field<T>, little: boolean, structure: string, field: string): Reader<T>;
}

// A table has a hundred fields, and most are declared for one run: what a field is made of is counted in a start. So each
// kind has one function to bind with, and no field a closure of its own.

export const u8 = (offset: number): Field<number> => ({ offset, size: 1, bind: bindU8 });
export const i8 = (offset: number): Field<number> => ({ offset, size: 1, bind: bindI8 });
export const u16 = (offset: number): Field<number> => ({ offset, size: 2, bind: bindU16 });
export const i16 = (offset: number): Field<number> => ({ offset, size: 2, bind: bindI16 });
export const u32 = (offset: number): Field<number> => ({ offset, size: 4, bind: bindU32 });
export const i32 = (offset: number): Field<number> => ({ offset, size: 4, bind: bindI32 });
/** 64 bits as a number; the reader throws `corrupt`, naming the field, for 2^53 and above. */
export const u64 = (offset: number): Field<number> => ({ offset, size: 8, bind: bindU64 });
/** As `u64`, with all ones (the "none" of many formats) as undefined. */
export const u64OrNone = (offset: number): Field<number | undefined> => ({ offset, size: 8, bind: bindU64OrNone });
/** The full 64 bits as a bigint, for words where all of them mean something (ids, flags). */
export const u64big = (offset: number): Field<bigint> => ({ offset, size: 8, bind: bindU64big });
export const i64big = (offset: number): Field<bigint> => ({ offset, size: 8, bind: bindI64big });
/** `size` bytes, as a view of the same memory. */
export const bytes = (offset: number, size: number): Field<Uint8Array> => ({ offset, size, bind: bindBytes });

function bindU8(this: Field<number>): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getUint8(base + offset);
}

function bindI8(this: Field<number>): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getInt8(base + offset);
}

function bindU16(this: Field<number>, little: boolean): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getUint16(base + offset, little);
}

function bindI16(this: Field<number>, little: boolean): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getInt16(base + offset, little);
}

function bindU32(this: Field<number>, little: boolean): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getUint32(base + offset, little);
}

function bindI32(this: Field<number>, little: boolean): Reader<number> {
  const { offset } = this;
  return (view, base) => view.getInt32(base + offset, little);
}

function bindU64(this: Field<unknown>, little: boolean, structure: string, field: string): Reader<number> {
  const { offset } = this;
  return (view, base) => {
    const first = view.getUint32(base + offset, little);
    const second = view.getUint32(base + offset + 4, little);
    const hi = little ? second : first;
    if (hi >= 0x20_0000) return joinU64(hi, little ? first : second, { structure, field });
    return hi * 0x1_0000_0000 + (little ? first : second);
  };
}

function bindU64OrNone(
  this: Field<unknown>,
  little: boolean,
  structure: string,
  field: string,
): Reader<number | undefined> {
  const { offset } = this;
  const read = bindU64.call(this, little, structure, field);
  return (view, base) =>
    view.getUint32(base + offset) === 0xffff_ffff && view.getUint32(base + offset + 4) === 0xffff_ffff
      ? undefined
      : read(view, base);
}

function bindU64big(this: Field<bigint>, little: boolean): Reader<bigint> {
  const { offset } = this;
  return (view, base) => view.getBigUint64(base + offset, little);
}

function bindI64big(this: Field<bigint>, little: boolean): Reader<bigint> {
  const { offset } = this;
  return (view, base) => view.getBigInt64(base + offset, little);
}

function bindBytes(this: Field<Uint8Array>): Reader<Uint8Array> {
  const { offset, size } = this;
  return (view, base) => new Uint8Array(view.buffer, view.byteOffset + base + offset, size);
}

type Fields = Record<string, Field<unknown>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;

/** A declared structure: one reader per field, and what tests and tools need to know about the layout. */
export type Struct<F extends Fields> = { readonly [K in keyof F]: Reader<ValueOf<F[K]>> } & {
  readonly $name: string;
  /** Size in bytes. */
  readonly $size: number;
  /** As they were declared: where each lies, and how long it is. */
  readonly $fields: F;
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
  readers.$fields = fields;
  return Object.create(readers);
}

/** A DataView over the same memory as `data`. */
export function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

import { type BlockDevice, cachedDevice, type ErrorPlace, ImageError, isImageError } from "@guestprobe/block";

/** Small enough that a probe of a remote file stays cheap; one page of qcow2 L2 entries maps 128 MiB of 64 KiB clusters. */
const PAGE = 16 << 10;

/**
 * The same file, with its mapping tables kept under `budget` bytes. Nothing is read ahead: tables are looked up here
 * and there. The guest's data must not pass through it.
 */
export function tableDevice(file: BlockDevice, budget: number): BlockDevice {
  return cachedDevice(file, { pageSize: PAGE, budget: Math.max(budget, 4 * PAGE), readAhead: 0 });
}

/**
 * `length` bytes of a table. Only a miss costs a turn of the event loop.
 *
 * @throws ImageError `past-end`, naming the structure, when the file ends before it.
 */
export async function readTable(
  tables: BlockDevice,
  offset: number,
  length: number,
  place: ErrorPlace,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (offset + length > tables.size) {
    const reason = `${length} bytes from byte ${offset} pass the end of the file, ${tables.size} bytes`;
    throw new ImageError("past-end", reason, { offset, ...place });
  }
  return tables.peek?.(offset, length) ?? tables.read(offset, length, signal);
}

/** A declared structure, as far as its errors need it. */
interface Layout {
  readonly $name: string;
  readonly $fields: Readonly<Record<string, { readonly offset: number }>>;
}

/** Makes the errors of one structure that starts at byte `base` of the file. */
export interface Failer {
  place(field?: string): ErrorPlace;
  corrupt(field: string, reason: string): ImageError;
  unsupported(field: string, reason: string): ImageError;
  /** Runs a decoder; an error that a field's reader throws gets its place in the file. */
  guard<T>(decode: () => T): T;
}

export function failer(format: string, structure: Layout, base: number): Failer {
  const place = (field?: string): ErrorPlace => {
    const inside = field === undefined ? 0 : (structure.$fields[field]?.offset ?? 0);
    return { format, structure: structure.$name, field, offset: base + inside };
  };
  return {
    place,
    corrupt: (field, reason) => new ImageError("corrupt", `${field} ${reason}`, place(field)),
    unsupported: (field, reason) => new ImageError("unsupported", reason, place(field)),
    guard(decode) {
      try {
        return decode();
      } catch (error) {
        if (!isImageError(error) || error.offset !== undefined) throw error;
        throw new ImageError(error.code, error.reason, { ...place(error.field), cause: error });
      }
    },
  };
}

/** Where the fields of an image's structures lie, and how its checksums are made right after a field was changed. */

/** A field of a structure, at its place in an image. Offsets and sizes in bytes. */
export interface Spot {
  /** "ext4_inode.i_size_lo" */
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly big: boolean;
}

/** Changes an image; the caller remembers what was there. */
export type Write = (at: number, bytes: Uint8Array) => void;

/** A stretch of an image that carries a checksum. */
export interface Seal {
  readonly at: number;
  readonly length: number;
  /** Computes the checksum anew. */
  renew(image: Uint8Array, write: Write): void;
}

/** What is known of one image. */
export interface Anatomy {
  readonly spots: readonly Spot[];
  /** In the order in which they are renewed: what is covered by another one comes first. */
  readonly seals: readonly Seal[];
}

/** A layout table, as `struct` of @guestprobe/block makes one. */
interface Table {
  readonly $name: string;
  readonly $size: number;
  readonly $fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

/** The same structure under a name of its own. */
export const renamed = ({ $size, $fields }: Table, $name: string): Table => ({ $name, $size, $fields });

/** Longest run of bytes whose words are spots of their own: the 60 bytes of a block map, not a boot sector. */
const MAX_WORDS = 15;

/** Collects the spots and seals of one image. */
export class AnatomyBuilder {
  readonly image: Uint8Array;
  readonly spots: Spot[] = [];
  readonly seals: Seal[] = [];
  readonly #big: boolean;
  readonly #most: number;
  readonly #count = new Map<string, number>();

  /** @param most Structures of one name that are taken; the first ones. */
  constructor(image: Uint8Array, byteOrder: "LE" | "BE", most: number) {
    this.image = image;
    this.#big = byteOrder === "BE";
    this.#most = most;
  }

  /** Whether there is room for another structure of that name. */
  wants(name: string): boolean {
    return (this.#count.get(name) ?? 0) < this.#most;
  }

  /** The fields of the structure at byte `base`; a field longer than eight bytes is taken word by word. */
  add(table: Table, base: number, big = this.#big): this {
    const { $name: name } = table;
    if (base < 0 || !this.wants(name)) return this;
    this.#count.set(name, (this.#count.get(name) ?? 0) + 1);
    for (const [key, { offset, size }] of Object.entries(table.$fields)) {
      this.#words(`${name}.${key}`, base + offset, size, big);
    }
    return this;
  }

  /** A stretch without a table: its words of `size` bytes. */
  words(name: string, at: number, length: number, size: 1 | 2 | 4 | 8 = 4, big = this.#big): this {
    for (let n = 0; n + size <= length; n += size) {
      if (!this.wants(name)) return this;
      this.#count.set(name, (this.#count.get(name) ?? 0) + 1);
      this.#push({ name: `${name}[${n / size}]`, at: at + n, size, big });
    }
    return this;
  }

  seal(at: number, length: number, renew: Seal["renew"]): this {
    if (at >= 0 && at + length <= this.image.length) this.seals.push({ at, length, renew });
    return this;
  }

  #words(name: string, at: number, size: number, big: boolean): void {
    if (size <= 8) this.#push({ name, at, size, big });
    else {
      for (let n = 0; n < Math.min(MAX_WORDS, size >> 2); n += 1) {
        this.#push({ name: `${name}[${n}]`, at: at + 4 * n, size: 4, big });
      }
    }
  }

  #push(spot: Spot): void {
    if (spot.at + spot.size <= this.image.length) this.spots.push(spot);
  }
}

/** Finds what is known of an image. It is sound: it may be believed. */
export type Dissect = (image: Uint8Array, most: number) => Anatomy;

/** A number as the bytes of a field. */
export function fieldBytes({ size, big }: Pick<Spot, "size" | "big">, value: bigint): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let n = 0; n < size; n += 1, rest >>= 8n) bytes[big ? size - 1 - n : n] = Number(rest & 0xffn);
  return bytes;
}

export function fieldValue(image: Uint8Array, { at, size, big }: Spot): bigint {
  let value = 0n;
  for (let n = 0; n < size; n += 1) value = (value << 8n) | BigInt(image[at + (big ? n : size - 1 - n)]!);
  return value;
}

/** 0, 1, the maximum, and one more and one less than what is there; what is there is left out. */
export function edgeValues(image: Uint8Array, spot: Spot): readonly bigint[] {
  const original = fieldValue(image, spot);
  const limit = 1n << BigInt(spot.size * 8);
  const wanted = [0n, 1n, limit - 1n, (original + 1n) % limit, (original + limit - 1n) % limit];
  return [...new Set(wanted)].filter((value) => value !== original);
}

/** A seal whose checksum is one 32-bit little-endian word inside it, which counts as zero. */
export function wordSeal(field: number, compute: (covered: Uint8Array) => number) {
  return (at: number, length: number): Seal => ({
    at,
    length,
    renew(image, write) {
      const covered = image.slice(at, at + length);
      covered.fill(0, field, field + 4);
      write(at + field, fieldBytes({ size: 4, big: false }, BigInt(compute(covered))));
    },
  });
}

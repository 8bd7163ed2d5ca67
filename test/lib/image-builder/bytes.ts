/** A file under construction: grows as it is written to; what was never written is zero. */
export class FileBytes {
  #data = new Uint8Array(1 << 16);
  size = 0;

  /** The file so far. Shares no memory with later writes. */
  finish(size = this.size): Uint8Array {
    this.#reserve(size);
    return this.#data.slice(0, size);
  }

  bytes(at: number, data: Uint8Array): this {
    this.#reserve(at + data.length);
    this.#data.set(data, at);
    return this;
  }

  text(at: number, text: string): this {
    return this.bytes(at, new TextEncoder().encode(text));
  }

  utf16le(at: number, text: string): this {
    return this.bytes(at, utf16le(text));
  }

  be(at: number, width: 1 | 2 | 4 | 8, value: number | bigint): this {
    return this.bytes(at, integer(width, value));
  }

  le(at: number, width: 1 | 2 | 4 | 8, value: number | bigint): this {
    return this.bytes(at, integer(width, value).reverse());
  }

  /** A GUID in its text form, stored with the first three parts little-endian. */
  guid(at: number, text: string): this {
    const digits = text.replaceAll("-", "").replace(/[{}]/g, "");
    const data = Uint8Array.from({ length: 16 }, (_, n) => Number.parseInt(digits.slice(n * 2, n * 2 + 2), 16));
    const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    return this.bytes(
      at,
      Uint8Array.from(order, (index) => data[index]!),
    );
  }

  /** The first multiple of `unit` at or past the end. */
  end(unit: number): number {
    return Math.ceil(this.size / unit) * unit;
  }

  #reserve(size: number): void {
    if (size > this.#data.length) {
      const grown = new Uint8Array(Math.max(size, this.#data.length * 2));
      grown.set(this.#data);
      this.#data = grown;
    }
    this.size = Math.max(this.size, size);
  }
}

function integer(width: number, value: number | bigint): Uint8Array {
  const data = new Uint8Array(width);
  let rest = BigInt.asUintN(64, BigInt(value));
  for (let at = width - 1; at >= 0; at -= 1) {
    data[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return data;
}

export function utf16le(text: string): Uint8Array {
  return Uint8Array.from(Array.from(text).flatMap((char) => [char.charCodeAt(0) & 0xff, char.charCodeAt(0) >> 8]));
}

/** `length` bytes, each of that value. */
export const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

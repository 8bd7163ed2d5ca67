/** A small reproducible generator (xorshift32): the same seed gives the same run everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** An unsigned 32-bit number. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** From 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** A damaged copy: bits flipped, bytes set, the end cut or grown, or a stretch repeated, dropped or zeroed. */
export function mutate(random: Random, data: Uint8Array): Uint8Array {
  const bytes = [...data];
  // Damage near the start hits headers, where there is most to get wrong.
  const place = (): number => random.below(random.below(3) === 0 ? Math.min(bytes.length, 24) : bytes.length);
  for (let times = 1 + random.below(3); times > 0 && bytes.length > 0; times--) {
    const at = place();
    const span = 1 + random.below(8);
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 3:
        bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
        break;
      case 4:
        bytes.length = at;
        break;
      case 5:
        bytes.splice(at, span);
        break;
      case 6:
        bytes.splice(at, 0, ...bytes.slice(at, at + span));
        break;
      case 7:
        bytes.push(...random.bytes(span));
        break;
    }
  }
  return Uint8Array.from(bytes);
}

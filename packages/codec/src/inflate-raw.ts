import { corrupt } from "./bound.js";

/** DEFLATE data, decoded. */
export interface Inflated {
  readonly out: Uint8Array;
  /** Byte of the input after the stream, and after its trailer once that was looked at. */
  readonly end: number;
}

/** Codes up to this long are looked up at once; longer ones are rare, and decoded bit by bit. */
const FAST_BITS = 10;
const MAX_BITS = 15;
const END_OF_BLOCK = 256;
const MATCH_MAX = 258;
/** Output to make room for at first where its size is not known. */
const FIRST_ROOM = 256 * 1024;

/** Base and extra bits of length symbols 257 to 285 and distance symbols 0 to 29 (RFC 1951, section 3.2.5). */
const LENGTH_EXTRA = Uint8Array.of(
  ...[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
);
const LENGTH_BASE = bases(LENGTH_EXTRA, 3);
LENGTH_BASE[28] = MATCH_MAX;
const DISTANCE_EXTRA = Uint8Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const DISTANCE_BASE = bases(DISTANCE_EXTRA, 1);
/** The order in which the lengths of the code length code are stored (section 3.2.7). */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function bases(extra: Uint8Array, first: number): Uint16Array {
  let next = first;
  return Uint16Array.from(extra, (bits) => {
    const base = next;
    next += 1 << bits;
    return base;
  });
}

interface Code {
  /** By the next FAST_BITS bits: the symbol and, in the low four bits, how long its code is; 0 if it is longer. */
  readonly fast: Uint16Array;
  /** How many codes there are of each length, and all symbols in the order of their codes. */
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/**
 * A canonical code of these lengths; undefined if it is over-subscribed or incomplete. `mayBeSingle`: a code of one bit
 * alone, or none at all, will do, as it must where a block has one distance or none.
 */
function makeCode(lengths: Uint8Array, mayBeSingle: boolean): Code | undefined {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) counts[length]!++;
  counts[0] = 0;
  const firstSymbol = new Uint16Array(MAX_BITS + 2);
  const nextCode = new Uint16Array(MAX_BITS + 2);
  let left = 1;
  let longest = 0;
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    left = left * 2 - counts[bits]!;
    if (left < 0) return undefined;
    if (counts[bits]! > 0) longest = bits;
    firstSymbol[bits + 1] = firstSymbol[bits]! + counts[bits]!;
    nextCode[bits + 1] = (nextCode[bits]! + counts[bits]!) << 1;
  }
  if (left > 0 && !(mayBeSingle && longest <= 1)) return undefined;
  const fast = new Uint16Array(1 << FAST_BITS);
  const symbols = new Uint16Array(lengths.length);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    symbols[firstSymbol[length]!++] = symbol;
    const code = nextCode[length]!++;
    if (length > FAST_BITS) continue;
    // Codes are packed from their most significant bit on, into bytes from the least.
    let reversed = 0;
    for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
    for (let i = reversed; i < fast.length; i += 1 << length) fast[i] = (symbol << 4) | length;
  }
  return { fast, counts, symbols };
}

const FIXED_LENGTHS = new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
let fixedCodes: readonly [Code, Code] | undefined;

/** Reads bits, least significant first. Past the end of the input come zeros, which `check` then refuses. */
class BitReader {
  readonly #format: string;
  readonly #src: Uint8Array;
  p: number;
  buffer = 0;
  held = 0;

  constructor(format: string, src: Uint8Array, at: number) {
    this.#format = format;
    this.#src = src;
    this.p = at;
  }

  /** Sees to it that at least 25 bits are held. */
  fill(): void {
    while (this.held < 25) {
      this.buffer |= (this.#src[this.p++] ?? 0) << this.held;
      this.held += 8;
    }
  }

  /** The next `count` bits, at most 16. */
  bits(count: number): number {
    this.fill();
    const value = this.buffer & ((1 << count) - 1);
    this.buffer >>>= count;
    this.held -= count;
    this.check();
    return value;
  }

  /** The first byte of input that no bit was taken from. */
  get position(): number {
    return this.p - (this.held >> 3);
  }

  check(): void {
    if (this.position > this.#src.length) throw this.error("input ends inside DEFLATE data");
  }

  symbol(code: Code): number {
    this.fill();
    const entry = code.fast[this.buffer & ((1 << FAST_BITS) - 1)]!;
    if (entry === 0) return this.#longSymbol(code);
    this.buffer >>>= entry & 15;
    this.held -= entry & 15;
    this.check();
    return entry >> 4;
  }

  #longSymbol({ counts, symbols }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_BITS; length++) {
      code |= (this.buffer >>> (length - 1)) & 1;
      const count = counts[length]!;
      if (code - first < count) {
        this.buffer >>>= length;
        this.held -= length;
        this.check();
        return symbols[index + code - first]!;
      }
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    this.check();
    throw this.error("no such Huffman code");
  }

  /** Drops the rest of a byte, and hands back the bytes held. */
  align(): number {
    this.p = this.position;
    this.buffer = 0;
    this.held = 0;
    return this.p;
  }

  error(reason: string): Error {
    return corrupt(this.#format, reason, Math.min(this.position, this.#src.length));
  }
}

/**
 * Inflates the raw DEFLATE data at `at` (RFC 1951), as strictly as zlib: no incomplete codes but of one bit, no
 * distance past the start of the output, no symbol that is not defined.
 *
 * @param isExact Whether `capacity` bytes are what is expected, and not only the most there may be.
 * @returns undefined when the stream holds more than `capacity` bytes.
 */
export function inflateRaw(
  format: string,
  src: Uint8Array,
  at: number,
  capacity: number,
  isExact: boolean,
): Inflated | undefined {
  const reader = new BitReader(format, src, at);
  const sink = new Sink(capacity, isExact ? capacity : FIRST_ROOM);
  for (let last = false; !last; ) {
    last = reader.bits(1) === 1;
    const type = reader.bits(2);
    if (type === 3) throw reader.error("block type 3 is reserved");
    const fits = type === 0 ? stored(reader, src, sink) : compressed(reader, codes(reader, type), sink);
    if (!fits) return undefined;
  }
  return { out: sink.op === sink.out.length ? sink.out : sink.out.slice(0, sink.op), end: reader.position };
}

/** Output that grows as data really decodes, and never past its capacity. */
class Sink {
  readonly #capacity: number;
  out: Uint8Array;
  op = 0;

  constructor(capacity: number, guess: number) {
    this.#capacity = capacity;
    this.out = new Uint8Array(Math.min(capacity, guess));
  }

  /** Makes room for `count` more bytes; false when the capacity is less. */
  reserve(count: number): boolean {
    const needed = this.op + count;
    if (needed <= this.out.length) return true;
    if (needed > this.#capacity) return false;
    const larger = new Uint8Array(Math.min(this.#capacity, Math.max(needed, this.out.length * 2)));
    larger.set(this.out.subarray(0, this.op));
    this.out = larger;
    return true;
  }
}

function stored(reader: BitReader, src: Uint8Array, sink: Sink): boolean {
  reader.align();
  const length = reader.bits(16);
  if ((reader.bits(16) ^ 0xffff) !== length) throw reader.error("length of a stored block and its check differ");
  const from = reader.align();
  if (length > src.length - from) throw reader.error("input ends inside a stored block");
  if (!sink.reserve(length)) return false;
  sink.out.set(src.subarray(from, from + length), sink.op);
  sink.op += length;
  reader.p = from + length;
  return true;
}

/** The literal and length code and the distance code of a block (section 3.2.7). */
function codes(reader: BitReader, type: number): readonly [Code, Code] {
  if (type === 1) {
    // Symbols that no stream may use complete both codes.
    fixedCodes ??= [makeCode(FIXED_LENGTHS, false)!, makeCode(new Uint8Array(32).fill(5), false)!];
    return fixedCodes;
  }
  const literals = reader.bits(5) + 257;
  const distances = reader.bits(5) + 1;
  const stored = reader.bits(4) + 4;
  if (literals > 286 || distances > 30) throw reader.error(`${literals} length and ${distances} distance symbols`);
  const own = new Uint8Array(19);
  for (let i = 0; i < stored; i++) own[CODE_LENGTH_ORDER[i]!] = reader.bits(3);
  const code = makeCode(own, false);
  if (code === undefined) throw reader.error("code length code is not a complete code");
  const lengths = new Uint8Array(literals + distances);
  for (let i = 0; i < lengths.length; ) {
    const symbol = reader.symbol(code);
    if (symbol < 16) {
      lengths[i++] = symbol;
      continue;
    }
    if (symbol === 16 && i === 0) throw reader.error("the first code length repeats the one before");
    const value = symbol === 16 ? lengths[i - 1]! : 0;
    const count = symbol === 16 ? 3 + reader.bits(2) : symbol === 17 ? 3 + reader.bits(3) : 11 + reader.bits(7);
    if (count > lengths.length - i) throw reader.error("code lengths repeat past the last symbol");
    lengths.fill(value, i, i + count);
    i += count;
  }
  if (lengths[END_OF_BLOCK] === 0) throw reader.error("a block without a code for its end");
  const pair = [makeCode(lengths.subarray(0, literals), true), makeCode(lengths.subarray(literals), true)] as const;
  if (pair[0] === undefined || pair[1] === undefined) throw reader.error("code lengths do not make a complete code");
  return [pair[0], pair[1]];
}

/** Decodes symbols to the end of the block. The bits are kept in variables here, where nearly all the time goes. */
function compressed(reader: BitReader, [literalCode, distanceCode]: readonly [Code, Code], sink: Sink): boolean {
  const { fast } = literalCode;
  for (;;) {
    if (!sink.reserve(1)) {
      // Only the end of the block still fits.
      if (reader.symbol(literalCode) === END_OF_BLOCK) return true;
      return false;
    }
    const { out } = sink;
    let op = sink.op;
    reader.fill();
    // Literals, as long as there is room for one and the code is short.
    let entry = fast[reader.buffer & ((1 << FAST_BITS) - 1)]!;
    while (entry !== 0 && entry < END_OF_BLOCK << 4 && op < out.length) {
      out[op++] = entry >> 4;
      reader.buffer >>>= entry & 15;
      reader.held -= entry & 15;
      if (reader.held < 15) {
        reader.check();
        reader.fill();
      }
      entry = fast[reader.buffer & ((1 << FAST_BITS) - 1)]!;
    }
    sink.op = op;
    reader.check();
    if (op === out.length) continue;
    const symbol = reader.symbol(literalCode);
    if (symbol < END_OF_BLOCK) {
      out[sink.op++] = symbol;
      continue;
    }
    if (symbol === END_OF_BLOCK) return true;
    if (!match(reader, symbol - 257, distanceCode, sink)) return false;
  }
}

function match(reader: BitReader, lengthSymbol: number, distanceCode: Code, sink: Sink): boolean {
  const base = LENGTH_BASE[lengthSymbol];
  if (base === undefined) throw reader.error(`length symbol ${lengthSymbol + 257} is not defined`);
  const count = base + reader.bits(LENGTH_EXTRA[lengthSymbol]!);
  const distanceSymbol = reader.symbol(distanceCode);
  const distanceBase = DISTANCE_BASE[distanceSymbol];
  if (distanceBase === undefined) throw reader.error(`distance symbol ${distanceSymbol} is not defined`);
  const distance = distanceBase + reader.bits(DISTANCE_EXTRA[distanceSymbol]!);
  if (distance > sink.op) throw reader.error(`match at distance ${distance} after ${sink.op} bytes of output`);
  if (!sink.reserve(count)) return false;
  const { out, op } = sink;
  if (distance >= count && count > 32) out.copyWithin(op, op - distance, op - distance + count);
  else for (let to = op, stop = op + count; to < stop; to++) out[to] = out[to - distance]!;
  sink.op = op + count;
  return true;
}

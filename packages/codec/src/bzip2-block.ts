import { corrupt } from "./bound.js";

export const FORMAT = "bzip2";

const MAX_CODE_LENGTH = 20;
const GROUP_SIZE = 50;
/** More selectors than this are read and dropped, as bzip2 1.0.8 does for the sake of other encoders. */
const MAX_SELECTORS = 18_002;
const RUN_B = 1;

/** Reads bits, most significant first. */
export class SymbolReader {
  readonly #src: Uint8Array;
  #at: number;
  #buffer = 0;
  #held = 0;

  constructor(src: Uint8Array, at: number) {
    this.#src = src;
    this.#at = at;
  }

  /** The first byte of input that no bit was taken from. */
  get position(): number {
    return this.#at - (this.#held >> 3);
  }

  /** The next `count` bits, at most 24. */
  bits(count: number): number {
    while (this.#held < count) {
      if (this.#at >= this.#src.length) throw corrupt(FORMAT, "input ends inside a stream", this.#at);
      this.#buffer = (this.#buffer << 8) | this.#src[this.#at++]!;
      this.#held += 8;
    }
    this.#held -= count;
    return (this.#buffer >>> this.#held) & ((1 << count) - 1);
  }
}

/** A canonical Huffman code, decoded by length: for each, the first code past it and where its symbols begin. */
interface Table {
  readonly shortest: number;
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

/** What a block's header and its symbols say of the last column of its transform. */
export interface BlockSymbols {
  readonly count: number;
  readonly origin: number;
  readonly isRandomised: boolean;
}

/** Decodes one block up to the last column of its transform, with the links that undo it. */
export function decodeBlockSymbols(reader: SymbolReader, out: Uint32Array): BlockSymbols {
  const start = reader.position;
  const isRandomised = reader.bits(1) === 1;
  const origin = reader.bits(24);
  const used = readUsedBytes(reader);
  const alphabet = used.length + 2;
  const groups = reader.bits(3);
  const selectorCount = reader.bits(15);
  if (groups < 2 || groups > 6) throw corrupt(FORMAT, `${groups} Huffman tables, expected 2 to 6`, start);
  if (selectorCount < 1) throw corrupt(FORMAT, "block has no selectors", start);
  const selectors = readSelectors(reader, selectorCount, groups);
  const tables = Array.from({ length: groups }, () => readTable(reader, alphabet));

  const moveToFront = Uint8Array.from(used);
  const counts = new Uint32Array(256);
  const endOfBlock = alphabet - 1;
  let count = 0;
  let run = 0;
  let runBit = 1;
  let table = tables[0]!;
  for (let i = 0; ; i++) {
    if (i % GROUP_SIZE === 0) {
      const selector = selectors[i / GROUP_SIZE];
      if (selector === undefined) throw corrupt(FORMAT, "block goes on past its selectors", reader.position);
      table = tables[selector]!;
    }
    const symbol = readSymbol(reader, table);
    if (symbol <= RUN_B) {
      // Runs of the front byte, in digits 1 and 2 of a bijective binary number, lowest first.
      if (runBit > out.length) throw corrupt(FORMAT, "run is longer than a block", reader.position);
      run += runBit << symbol;
      runBit <<= 1;
      continue;
    }
    if (run > 0) {
      if (run > out.length - count) throw corrupt(FORMAT, "block is longer than its level allows", reader.position);
      const byte = moveToFront[0]!;
      counts[byte]! += run;
      out.fill(byte, count, count + run);
      count += run;
      run = 0;
      runBit = 1;
    }
    if (symbol === endOfBlock) break;
    if (count >= out.length) throw corrupt(FORMAT, "block is longer than its level allows", reader.position);
    const index = symbol - 1;
    const byte = moveToFront[index]!;
    moveToFront.copyWithin(1, 0, index);
    moveToFront[0] = byte;
    counts[byte]!++;
    out[count++] = byte;
  }
  if (origin >= count) throw corrupt(FORMAT, `origin ${origin} is outside the block of ${count} bytes`, start);
  link(out, count, counts);
  return { count, origin, isRandomised };
}

/** The byte values that occur: a map of 16 ranges, then 16 bits for each range in use. */
function readUsedBytes(reader: SymbolReader): number[] {
  const ranges = reader.bits(16);
  const used: number[] = [];
  for (let range = 0; range < 16; range++) {
    if (((ranges >> (15 - range)) & 1) === 0) continue;
    const map = reader.bits(16);
    for (let i = 0; i < 16; i++) if ((map >> (15 - i)) & 1) used.push(range * 16 + i);
  }
  if (used.length === 0) throw corrupt(FORMAT, "block uses no byte value", reader.position);
  return used;
}

/** Which table each group of 50 symbols uses, moved to front and in unary. */
function readSelectors(reader: SymbolReader, count: number, groups: number): Uint8Array {
  const selectors = new Uint8Array(Math.min(count, MAX_SELECTORS));
  const order = Uint8Array.from({ length: groups }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    let index = 0;
    while (reader.bits(1) === 1) {
      if (++index >= groups) throw corrupt(FORMAT, "selector is past the tables", reader.position);
    }
    if (i >= MAX_SELECTORS) continue;
    const selector = order[index]!;
    order.copyWithin(1, 0, index);
    order[0] = selector;
    selectors[i] = selector;
  }
  return selectors;
}

/** Code lengths, each as steps up or down from the one before, made into a canonical code. */
function readTable(reader: SymbolReader, alphabet: number): Table {
  const lengths = new Uint8Array(alphabet);
  let length = reader.bits(5);
  for (let i = 0; i < alphabet; i++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_LENGTH) {
        throw corrupt(FORMAT, `code length ${length}, expected 1 to ${MAX_CODE_LENGTH}`, reader.position);
      }
      if (reader.bits(1) === 0) break;
      length += reader.bits(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  const perLength = new Int32Array(MAX_CODE_LENGTH + 2);
  for (const value of lengths) perLength[value]!++;
  const symbols = new Uint16Array(alphabet);
  const limit = new Int32Array(MAX_CODE_LENGTH + 1);
  const base = new Int32Array(MAX_CODE_LENGTH + 1);
  let at = 0;
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_LENGTH; bits++) {
    base[bits] = at - code;
    for (let i = 0; i < alphabet; i++) if (lengths[i] === bits) symbols[at++] = i;
    code += perLength[bits]!;
    limit[bits] = code;
    code <<= 1;
  }
  return { shortest: Math.min(...lengths), limit, base, symbols };
}

function readSymbol(reader: SymbolReader, table: Table): number {
  let length = table.shortest;
  let code = reader.bits(length);
  while (code >= table.limit[length]!) {
    if (++length > MAX_CODE_LENGTH) throw corrupt(FORMAT, "no such Huffman code", reader.position);
    code = (code << 1) | reader.bits(1);
  }
  const symbol = table.symbols[table.base[length]! + code];
  if (symbol === undefined) throw corrupt(FORMAT, "no such Huffman code", reader.position);
  return symbol;
}

/** Writes into the upper 24 bits of each entry where the byte that follows it stands. */
function link(out: Uint32Array, count: number, counts: Uint32Array): void {
  const next = new Uint32Array(256);
  for (let byte = 1; byte < 256; byte++) next[byte] = next[byte - 1]! + counts[byte - 1]!;
  for (let i = 0; i < count; i++) {
    const byte = out[i]! & 0xff;
    const place = next[byte]!++;
    out[place] = (out[place]! & 0xff) | (i << 8);
  }
}

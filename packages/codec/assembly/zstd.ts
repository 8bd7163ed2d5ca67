/**
 * One zstd block at a time (RFC 8878, section 3.1.1.2) in AssemblyScript. The memory holds the tables below, then the
 * input, then the output, which is the window too; the caller lays out input and output, and all positions are byte
 * addresses. Before the input there must be INPUT_SLACK bytes, after it 8, after the output OUTPUT_SLACK.
 *
 * Bit streams that are read backwards are a position in bits from their start: what lies there is loaded anew each time.
 * A position below zero is damage, and seen after the symbol at the latest.
 */

const BLOCK_MAX: u32 = 128 * 1024;
const HUFFMAN_BITS: u32 = 11;

/** Literals' Huffman code: by the next bits, symbol << 8 | length. */
const HUFFMAN: u32 = 1024;
/** FSE states, 8 bytes each: value's base (u32), next state's base (u16), bits of the next state, bits of the value. */
const LITERALS_LENGTH: u32 = HUFFMAN + (2 << HUFFMAN_BITS);
const OFFSET: u32 = LITERALS_LENGTH + (8 << 9);
const MATCH_LENGTH: u32 = OFFSET + (8 << 8);
/** For the code of the Huffman weights. */
const WEIGHT_STATES: u32 = MATCH_LENGTH + (8 << 9);
const WEIGHTS: u32 = WEIGHT_STATES + (8 << 6);
/** Probabilities (i16) by symbol while a table is built, and which state each symbol gets next (u16). */
const NORM: u32 = WEIGHTS + 256;
const NEXT: u32 = NORM + 2 * 256;
/** States' entries by symbol while a table is built, without what depends on the state. */
const VALUES: u32 = NEXT + 2 * 256;
/** More symbols than any code of lengths or offsets has. */
const SYMBOLS: u32 = 64;
const LITERALS: u32 = VALUES + 8 * 256;
const COPY_SLACK: u32 = 16;
/** A match from so far back is copied in one go. */
const FAR: u32 = 128;

export const INPUT_SLACK: u32 = 16;
export const INPUT: u32 = LITERALS + BLOCK_MAX + COPY_SLACK + INPUT_SLACK;
export const OUTPUT_SLACK: u32 = COPY_SLACK;

/** What `decodeBlock` answers. */
export const DONE: i32 = 0;
export const DAMAGED: i32 = 1;
export const TOO_LONG: i32 = 2;

let op: u32 = 0;
let frameStart: u32 = 0;
let windowSize: u32 = 0;
let hasHuffman: bool = false;
let huffmanBits: u32 = 0;
let hasSequences: bool = false;
let literalsLengthLog: u32 = 0;
let offsetLog: u32 = 0;
let matchLengthLog: u32 = 0;
let offset1: u32 = 0;
let offset2: u32 = 0;
let offset3: u32 = 0;
/** Where the block's literals lie, and how many there are. */
let literals: u32 = 0;
let literalCount: u32 = 0;
/** Log of the table that was read last. */
let tableLog: u32 = 0;

/** Begins a frame whose output starts at `at`. */
export function startFrame(at: u32, size: u32): void {
  op = frameStart = at;
  windowSize = size;
  hasHuffman = hasSequences = false;
  offset1 = 1;
  offset2 = 4;
  offset3 = 8;
}

export function getOutput(): u32 {
  return op;
}

/** A block of bytes stored as they are; there must be room. */
export function copyBlock(from: u32, size: u32): void {
  memory.copy(op, from, size);
  op += size;
}

/** A block of one byte repeated; there must be room. */
export function fillBlock(from: u32, size: u32): void {
  memory.fill(op, load<u8>(from), size);
  op += size;
}

/** A compressed block from `from` to `end`, whose output may reach `limit`. */
export function decodeBlock(from: u32, end: u32, limit: u32): i32 {
  const at = readLiterals(from, end);
  if (at === 0) return DAMAGED;
  return decodeSequences(at, end, limit);
}

/** Reads the literals section and answers where it ends, or 0. */
function readLiterals(from: u32, end: u32): u32 {
  if (from >= end) return 0;
  const head = load<u32>(from);
  const type = head & 3;
  const format = (head >>> 2) & 3;
  if (type < 2) {
    let at = from;
    if ((format & 1) === 0) {
      literalCount = (head & 0xff) >>> 3;
      at += 1;
    } else if (format === 1) {
      literalCount = (head & 0xffff) >>> 4;
      at += 2;
    } else {
      literalCount = (head & 0xff_ffff) >>> 4;
      at += 3;
    }
    const stored = type === 0 ? literalCount : 1;
    if (literalCount > BLOCK_MAX || at > end || stored > end - at) return 0;
    literals = LITERALS;
    if (type === 0) memory.copy(LITERALS, at, literalCount);
    else memory.fill(LITERALS, load<u8>(at), literalCount);
    return at + stored;
  }
  let at = from + 3;
  let stored: u32 = 0;
  const long = load<u64>(from) >>> 4;
  if (format < 2) {
    literalCount = <u32>long & 0x3ff;
    stored = <u32>(long >>> 10) & 0x3ff;
  } else if (format === 2) {
    literalCount = <u32>long & 0x3fff;
    stored = <u32>(long >>> 14) & 0x3fff;
    at = from + 4;
  } else {
    literalCount = <u32>long & 0x3_ffff;
    stored = <u32>(long >>> 18) & 0x3_ffff;
    at = from + 5;
  }
  if (literalCount > BLOCK_MAX || at > end || stored > end - at) return 0;
  const stop = at + stored;
  if (type === 2) {
    at = readHuffman(at, stop);
    if (at === 0) return 0;
    hasHuffman = true;
  } else if (!hasHuffman) {
    return 0;
  }
  literals = LITERALS;
  if (literalCount === 0) return 0;
  const isSound = format === 0 ? decodeStream(at, stop, LITERALS, literalCount) : decodeStreams(at, stop);
  return isSound ? stop : 0;
}

/** Position after the last bit of the stream from `from` to `end`, in bits; -1 for a stream without its mark. */
function streamBits(from: u32, end: u32): i32 {
  if (from >= end) return -1;
  const last: u32 = load<u8>(end - 1);
  if (last === 0) return -1;
  return ((end - from) << 3) - clz<u32>(last) + 23;
}

/** `count` bits, at most 56, of the stream that starts at `base`, from bit `position` on. */
function bitsAt(base: u32, position: i32, count: u32): u32 {
  return <u32>((load<u64>(base + (position >> 3)) >>> (position & 7)) & (((<u64>1) << count) - 1));
}

/**
 * The bits before `position` of the stream that starts at `base`, at least 57 of them, the last at the top. `position`
 * may be 0, and what lies before the stream comes along.
 */
function wordBefore(base: u32, position: i32): u64 {
  return load<u64>(base + ((position + 7) >> 3) - 8) << (-position & 7);
}

/** The `count` highest bits of a word; none for 0. */
function highBits(word: u64, count: u32): u32 {
  return <u32>((word >>> 1) >>> (63 - count));
}

/** Reads the description of a Huffman code (section 4.2.1), makes its table, and answers where it ends, or 0. */
function readHuffman(from: u32, end: u32): u32 {
  if (from >= end) return 0;
  const head: u32 = load<u8>(from);
  let at = from + 1;
  let count: u32 = 0;
  if (head >= 128) {
    count = head - 127;
    if ((count + 1) >>> 1 > end - at) return 0;
    for (let i: u32 = 0; i < count; i++) {
      const pair: u32 = load<u8>(at + (i >>> 1));
      store<u8>(WEIGHTS + i, i & 1 ? pair & 15 : pair >>> 4);
    }
    at += (count + 1) >>> 1;
  } else {
    if (head > end - at) return 0;
    count = readWeights(at, at + head);
    if (count === 0) return 0;
    at += head;
  }
  return makeHuffman(count) ? at : 0;
}

/** Weights coded by two FSE states in turn; answers how many, or 0. */
function readWeights(from: u32, end: u32): u32 {
  const start = readTable(from, end, 6, 255);
  if (start === 0) return 0;
  makeTable(WEIGHT_STATES, 0);
  let position = streamBits(start, end);
  if (position < 0) return 0;
  const log = tableLog;
  position -= log;
  if (position < 0) return 0;
  let state = bitsAt(start, position, log);
  position -= log;
  if (position < 0) return 0;
  let other = bitsAt(start, position, log);
  let count: u32 = 0;
  while (count < 254) {
    const entry = WEIGHT_STATES + (state << 3);
    store<u8>(WEIGHTS + count++, load<u32>(entry));
    const bits: u32 = load<u8>(entry + 6);
    position -= bits;
    if (position < 0) {
      // The state that is still whole has the last weight.
      store<u8>(WEIGHTS + count++, load<u32>(WEIGHT_STATES + (other << 3)));
      return count;
    }
    state = other;
    other = <u32>load<u16>(entry + 4) + bitsAt(start, position, bits);
  }
  return 0;
}

/** Makes the table of the code with these weights; the last weight is what is missing from a power of two. */
function makeHuffman(given: u32): bool {
  let count = given;
  let total: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const weight: u32 = load<u8>(WEIGHTS + i);
    if (weight > HUFFMAN_BITS) return false;
    if (weight > 0) total += 1 << (weight - 1);
  }
  if (total === 0) return false;
  huffmanBits = 32 - clz<u32>(total);
  if (huffmanBits > HUFFMAN_BITS) return false;
  const rest: u32 = (1 << huffmanBits) - total;
  if ((rest & (rest - 1)) !== 0) return false;
  store<u8>(WEIGHTS + count++, 32 - clz<u32>(rest));
  let longest: u32 = 0;
  let at: u32 = HUFFMAN;
  for (let weight: u32 = 1; weight <= huffmanBits; weight++) {
    const span: u32 = 1 << (weight - 1);
    const length = huffmanBits + 1 - weight;
    for (let symbol: u32 = 0; symbol < count; symbol++) {
      if (load<u8>(WEIGHTS + symbol) !== weight) continue;
      if (weight === 1) longest++;
      const entry = (symbol << 8) | length;
      for (let i: u32 = 0; i < span; i++, at += 2) store<u16>(at, entry);
    }
  }
  return longest >= 2 && (longest & 1) === 0;
}

/** Decodes `count` literals to `to` from one stream, which must be used up. */
function decodeStream(from: u32, end: u32, to: u32, count: u32): bool {
  const position = streamBits(from, end);
  return position >= 0 && finishStream(from, position, to, to + count);
}

function finishStream(base: u32, from: i32, to: u32, stop: u32): bool {
  const bits = huffmanBits;
  let position = from;
  for (let at = to; at < stop; at++) {
    const next = position - bits;
    // Before the start of the stream there are zeros.
    const index = next >= 0 ? bitsAt(base, next, bits) : bitsAt(base, 0, position) << -next;
    const entry: u32 = load<u16>(HUFFMAN + (index << 1));
    store<u8>(at, entry >>> 8);
    position -= entry & 0xff;
    if (position < 0) return false;
  }
  return position === 0;
}

/** Decodes the literals from four streams of a quarter each. */
function decodeStreams(from: u32, end: u32): bool {
  if (end - from < 10) return false;
  const quarter = (literalCount + 3) >>> 2;
  if (literalCount < 6) return false;
  const base1 = from + 6;
  const base2 = base1 + load<u16>(from);
  const base3 = base2 + load<u16>(from + 2);
  const base4 = base3 + load<u16>(from + 4);
  if (base4 >= end) return false;
  let position1 = streamBits(base1, base2);
  let position2 = streamBits(base2, base3);
  let position3 = streamBits(base3, base4);
  let position4 = streamBits(base4, end);
  if (position1 < 0 || position2 < 0 || position3 < 0 || position4 < 0) return false;
  let at: u32 = 0;
  const bits = huffmanBits;
  const mask: u64 = (1 << bits) - 1;
  const last = literalCount - 3 * quarter;
  const top: u64 = 56 - bits;
  // Five codes of at most 11 bits from each load.
  while (at + 5 <= last && position1 >= 56 && position2 >= 56 && position3 >= 56 && position4 >= 56) {
    let word1 = load<u64>(base1 + ((position1 - 56) >> 3)) >>> ((position1 - 56) & 7);
    let word2 = load<u64>(base2 + ((position2 - 56) >> 3)) >>> ((position2 - 56) & 7);
    let word3 = load<u64>(base3 + ((position3 - 56) >> 3)) >>> ((position3 - 56) & 7);
    let word4 = load<u64>(base4 + ((position4 - 56) >> 3)) >>> ((position4 - 56) & 7);
    const stop = at + 5;
    do {
      const entry1: u32 = load<u16>(HUFFMAN + ((<u32>((word1 >>> top) & mask)) << 1));
      const entry2: u32 = load<u16>(HUFFMAN + ((<u32>((word2 >>> top) & mask)) << 1));
      const entry3: u32 = load<u16>(HUFFMAN + ((<u32>((word3 >>> top) & mask)) << 1));
      const entry4: u32 = load<u16>(HUFFMAN + ((<u32>((word4 >>> top) & mask)) << 1));
      const to = LITERALS + at;
      store<u8>(to, entry1 >>> 8);
      store<u8>(to + quarter, entry2 >>> 8);
      store<u8>(to + 2 * quarter, entry3 >>> 8);
      store<u8>(to + 3 * quarter, entry4 >>> 8);
      word1 <<= entry1 & 0xff;
      word2 <<= entry2 & 0xff;
      word3 <<= entry3 & 0xff;
      word4 <<= entry4 & 0xff;
      position1 -= entry1 & 0xff;
      position2 -= entry2 & 0xff;
      position3 -= entry3 & 0xff;
      position4 -= entry4 & 0xff;
      at++;
    } while (at < stop);
  }
  const to = LITERALS + at;
  return (
    finishStream(base1, position1, to, LITERALS + quarter) &&
    finishStream(base2, position2, to + quarter, LITERALS + 2 * quarter) &&
    finishStream(base3, position3, to + 2 * quarter, LITERALS + 3 * quarter) &&
    finishStream(base4, position4, to + 3 * quarter, LITERALS + literalCount)
  );
}

/** Reads probabilities (section 4.1.1) into NORM, their log into `tableLog`, and answers where they end, or 0. */
function readTable(from: u32, end: u32, maxLog: u32, maxSymbol: u32): u32 {
  if (from >= end) return 0;
  memory.fill(NORM, 0, 2 * 256);
  const log: u32 = (load<u8>(from) & 15) + 5;
  if (log > maxLog) return 0;
  let position: i32 = 4;
  const stop: i32 = (end - from) << 3;
  let remaining: i32 = 1 << log;
  let symbol: u32 = 0;
  while (remaining > 0) {
    if (symbol > maxSymbol) return 0;
    const bits = 32 - clz<u32>(remaining + 1);
    let value: i32 = bitsAt(from, position, bits);
    const half: i32 = (1 << (bits - 1)) - 1;
    const threshold: i32 = (1 << bits) - 2 - remaining;
    position += bits;
    if ((value & half) < threshold) {
      position--;
      value &= half;
    } else if (value > half) {
      value -= threshold;
    }
    if (position > stop) return 0;
    const probability = value - 1;
    remaining -= probability < 0 ? 1 : probability;
    store<i16>(NORM + 2 * symbol++, probability);
    if (probability !== 0) continue;
    for (;;) {
      const repeat = bitsAt(from, position, 2);
      position += 2;
      if (position > stop) return 0;
      symbol += repeat;
      if (symbol > maxSymbol + 1) return 0;
      if (repeat < 3) break;
    }
  }
  if (remaining !== 0) return 0;
  tableLog = log;
  return from + ((position + 7) >>> 3);
}

/** What symbols of a table stand for: themselves, or lengths or offsets with a base and further bits. */
const AS_WEIGHT: u32 = 0;
const AS_LITERALS_LENGTH: u32 = 1;
const AS_OFFSET: u32 = 2;
const AS_MATCH_LENGTH: u32 = 3;

/** Bits of a literals length symbol from 16 on, and of a match length symbol from 32 on (section 3.1.1.3.2.1.1). */
function extraBits(symbol: u32, kind: u32): u32 {
  if (kind === AS_OFFSET) return symbol;
  if (kind === AS_LITERALS_LENGTH) {
    if (symbol < 16) return 0;
    if (symbol < 20) return 1;
    if (symbol < 22) return 2;
    if (symbol < 24) return 3;
    return symbol === 24 ? 4 : symbol - 19;
  }
  if (kind === AS_MATCH_LENGTH) {
    if (symbol < 32) return 0;
    if (symbol < 36) return 1;
    if (symbol < 38) return 2;
    if (symbol < 40) return 3;
    if (symbol < 42) return 4;
    return symbol === 42 ? 5 : symbol - 36;
  }
  return 0;
}

/** What symbol 0 stands for. Each further one begins where the values of the one before it end. */
function firstBase(kind: u32): u32 {
  return kind === AS_MATCH_LENGTH ? 3 : kind === AS_OFFSET ? 1 : 0;
}

function baseOf(symbol: u32, kind: u32): u32 {
  let base = firstBase(kind);
  for (let before: u32 = 0; before < symbol; before++) base += 1 << extraBits(before, kind);
  return base;
}

/** Makes the states of the code in NORM (section 4.1.1). */
function makeTable(table: u32, kind: u32): void {
  const size: u32 = 1 << tableLog;
  const mask = size - 1;
  const symbols: u32 = kind === AS_WEIGHT ? 256 : SYMBOLS;
  let high = size;
  let base = firstBase(kind);
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const extra = extraBits(symbol, kind);
    store<u64>(VALUES + (symbol << 3), <u64>base | ((<u64>extra) << 56));
    base += 1 << extra;
    const probability: i32 = load<i16>(NORM + 2 * symbol);
    if (probability < 0) {
      high--;
      store<u32>(table + (high << 3), symbol);
    }
    store<u16>(NEXT + 2 * symbol, probability < 0 ? 1 : probability);
  }
  const step = (size >>> 1) + (size >>> 3) + 3;
  let at: u32 = 0;
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const probability: i32 = load<i16>(NORM + 2 * symbol);
    for (let i = 0; i < probability; i++) {
      store<u32>(table + (at << 3), symbol);
      do at = (at + step) & mask;
      while (at >= high);
    }
  }
  for (let state: u32 = 0; state < size; state++) {
    const entry = table + (state << 3);
    const symbol = load<u32>(entry);
    const next: u32 = load<u16>(NEXT + 2 * symbol);
    store<u16>(NEXT + 2 * symbol, next + 1);
    const bits = tableLog - (31 - clz<u32>(next));
    const after = ((next << bits) - size) | (bits << 16);
    store<u64>(entry, load<u64>(VALUES + (symbol << 3)) | ((<u64>after) << 32));
  }
}

/** The probabilities that need not be stored (section 3.1.1.3.2.2). */
function predefined(kind: u32): void {
  memory.fill(NORM, 0, 2 * 256);
  if (kind === AS_LITERALS_LENGTH) {
    tableLog = 6;
    fillNorm(0, 32, 1);
    store<i16>(NORM, 4);
    store<i16>(NORM + 2, 3);
    fillNorm(2, 11, 2);
    fillNorm(16, 9, 2);
    store<i16>(NORM + 2 * 25, 3);
    store<i16>(NORM + 2 * 26, 2);
    fillNorm(32, 4, -1);
  } else if (kind === AS_OFFSET) {
    tableLog = 5;
    fillNorm(0, 24, 1);
    fillNorm(6, 3, 2);
    fillNorm(24, 5, -1);
  } else {
    tableLog = 6;
    fillNorm(0, 46, 1);
    store<i16>(NORM + 2, 4);
    store<i16>(NORM + 4, 3);
    fillNorm(3, 6, 2);
    fillNorm(46, 7, -1);
  }
}

function fillNorm(from: u32, count: u32, probability: i32): void {
  for (let i = from; i < from + count; i++) store<i16>(NORM + 2 * i, probability);
}

/** Reads the code of one kind by its mode, and answers where it ends, or 0. */
function readCode(mode: u32, table: u32, kind: u32, maxLog: u32, maxSymbol: u32, at: u32, end: u32): u32 {
  if (mode === 3) return hasSequences ? at : 0;
  if (mode === 1) {
    if (at >= end) return 0;
    const symbol: u32 = load<u8>(at);
    if (symbol > maxSymbol) return 0;
    tableLog = 0;
    store<u32>(table, baseOf(symbol, kind));
    store<u32>(table + 4, 0);
    store<u8>(table + 7, extraBits(symbol, kind));
    return at + 1;
  }
  let next = at;
  if (mode === 0) predefined(kind);
  else next = readTable(at, end, maxLog, maxSymbol);
  if (next !== 0) makeTable(table, kind);
  return next;
}

/** Reads the sequences section and carries the sequences out. */
function decodeSequences(from: u32, end: u32, limit: u32): i32 {
  if (from >= end) return DAMAGED;
  let count: u32 = load<u8>(from);
  let at = from + 1;
  if (count > 127) {
    if (count < 255) {
      count = ((count - 128) << 8) + load<u8>(at);
      at += 1;
    } else {
      count = <u32>load<u16>(at) + 0x7f00;
      at += 2;
    }
  }
  if (at > end) return DAMAGED;
  if (count === 0) return at === end ? appendLiterals(literals, limit) : DAMAGED;
  if (at >= end) return DAMAGED;
  // The two low bits are reserved, and no decoder of today's kernels looks at them.
  const modes: u32 = load<u8>(at++);
  tableLog = literalsLengthLog;
  at = readCode(modes >>> 6, LITERALS_LENGTH, AS_LITERALS_LENGTH, 9, 35, at, end);
  literalsLengthLog = tableLog;
  if (at === 0) return DAMAGED;
  tableLog = offsetLog;
  at = readCode((modes >>> 4) & 3, OFFSET, AS_OFFSET, 8, 31, at, end);
  offsetLog = tableLog;
  if (at === 0) return DAMAGED;
  tableLog = matchLengthLog;
  at = readCode((modes >>> 2) & 3, MATCH_LENGTH, AS_MATCH_LENGTH, 9, 52, at, end);
  matchLengthLog = tableLog;
  if (at === 0) return DAMAGED;
  hasSequences = true;
  return runSequences(count, at, end, limit);
}

function runSequences(count: u32, base: u32, end: u32, limit: u32): i32 {
  let position = streamBits(base, end);
  if (position < 0) return DAMAGED;
  let lit = literals;
  const litEnd = literals + literalCount;
  let to = op;
  position -= literalsLengthLog;
  let litState = bitsAt(base, position, literalsLengthLog);
  position -= offsetLog;
  let offState = bitsAt(base, position, offsetLog);
  position -= matchLengthLog;
  let matchState = bitsAt(base, position, matchLengthLog);
  if (position < 0) return DAMAGED;
  let recent1 = offset1;
  let recent2 = offset2;
  let recent3 = offset3;
  for (let left = count; ; left--) {
    const litEntry = load<u64>(LITERALS_LENGTH + (litState << 3));
    const offEntry = load<u64>(OFFSET + (offState << 3));
    const matchEntry = load<u64>(MATCH_LENGTH + (matchState << 3));
    const offBits = <u32>(offEntry >>> 56);
    const matchBits = <u32>(matchEntry >>> 56);
    const litBits = <u32>(litEntry >>> 56);
    let word = wordBefore(base, position);
    let offset = <u32>offEntry + highBits(word, offBits);
    position -= offBits;
    // After so long an offset the lengths may pass the word.
    if (offBits > 24) word = wordBefore(base, position);
    else word <<= offBits;
    const matchLength = <u32>matchEntry + highBits(word, matchBits);
    word <<= matchBits;
    const litLength = <u32>litEntry + highBits(word, litBits);
    position -= matchBits + litBits;
    if (position < 0) return DAMAGED;
    if (offBits > 1) {
      offset -= 3;
      recent3 = recent2;
      recent2 = recent1;
      recent1 = offset;
    } else {
      // One of the last three offsets; after no literals, those but the last, and one less than the last.
      const index = litLength === 0 ? offset + 1 : offset;
      if (index === 1) {
        offset = recent1;
      } else {
        if (index === 2) {
          offset = recent2;
        } else {
          offset = index === 3 ? recent3 : recent1 - 1;
          recent3 = recent2;
        }
        recent2 = recent1;
        recent1 = offset;
      }
    }

    if (litLength > litEnd - lit) return DAMAGED;
    if (litLength + matchLength > limit - to) return TOO_LONG;
    let stop = to + litLength;
    while (to < stop) {
      v128.store(to, v128.load(lit));
      to += 16;
      lit += 16;
    }
    lit -= to - stop;
    to = stop;
    if (offset - 1 >= min<u32>(to - frameStart, windowSize)) return DAMAGED;
    stop = to + matchLength;
    // A match that overlaps itself is a pattern, and what was copied of it is twice as far back: to load what was stored
    // just now, across two stores, would make the processor wait each time.
    let distance = offset;
    do {
      const turn = offset >= FAR ? stop : min<u32>(to + distance, stop);
      let source = to - distance;
      do {
        v128.store(to, v128.load(source));
        to += 16;
        source += 16;
      } while (to < turn);
      to = turn;
      distance <<= 1;
    } while (to < stop);
    if (left === 1) break;

    word = wordBefore(base, position);
    let bits = <u32>(litEntry >>> 48) & 0xff;
    litState = (<u32>(litEntry >>> 32) & 0xffff) + highBits(word, bits);
    word <<= bits;
    position -= bits;
    bits = <u32>(matchEntry >>> 48) & 0xff;
    matchState = (<u32>(matchEntry >>> 32) & 0xffff) + highBits(word, bits);
    word <<= bits;
    position -= bits;
    bits = <u32>(offEntry >>> 48) & 0xff;
    offState = (<u32>(offEntry >>> 32) & 0xffff) + highBits(word, bits);
    position -= bits;
  }
  if (position !== 0) return DAMAGED;
  offset1 = recent1;
  offset2 = recent2;
  offset3 = recent3;
  op = to;
  return appendLiterals(lit, limit);
}

/** What literals are left after the last sequence. */
function appendLiterals(from: u32, limit: u32): i32 {
  const count = literals + literalCount - from;
  if (count > limit - op) return TOO_LONG;
  memory.copy(op, from, count);
  op += count;
  return DONE;
}

const PRIME1: u64 = 0x9e3779b185ebca87;
const PRIME2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME3: u64 = 0x165667b19e3779f9;
const PRIME4: u64 = 0x85ebca77c2b2ae63;
const PRIME5: u64 = 0x27d4eb2f165667c5;

function round(sum: u64, word: u64): u64 {
  return rotl<u64>(sum + word * PRIME2, 31) * PRIME1;
}

function merge(hash: u64, sum: u64): u64 {
  return (hash ^ round(0, sum)) * PRIME1 + PRIME4;
}

/** The low half of the XXH64 of the frame's output, as a frame stores it. */
export function checksum(): u32 {
  let at = frameStart;
  const length: u64 = op - frameStart;
  let hash: u64 = PRIME5;
  if (length >= 32) {
    let sum1: u64 = PRIME1 + PRIME2;
    let sum2: u64 = PRIME2;
    let sum3: u64 = 0;
    let sum4: u64 = 0 - PRIME1;
    do {
      sum1 = round(sum1, load<u64>(at));
      sum2 = round(sum2, load<u64>(at + 8));
      sum3 = round(sum3, load<u64>(at + 16));
      sum4 = round(sum4, load<u64>(at + 24));
      at += 32;
    } while (op - at >= 32);
    hash = rotl<u64>(sum1, 1) + rotl<u64>(sum2, 7) + rotl<u64>(sum3, 12) + rotl<u64>(sum4, 18);
    hash = merge(merge(merge(merge(hash, sum1), sum2), sum3), sum4);
  }
  hash += length;
  for (; op - at >= 8; at += 8) hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME1 + PRIME4;
  if (op - at >= 4) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME1), 23) * PRIME2 + PRIME3;
    at += 4;
  }
  for (; at < op; at++) hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME5), 11) * PRIME1;
  hash = (hash ^ (hash >>> 33)) * PRIME2;
  hash = (hash ^ (hash >>> 29)) * PRIME3;
  return <u32>(hash ^ (hash >>> 32));
}

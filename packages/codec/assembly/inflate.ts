/**
 * DEFLATE data (RFC 1951) and Adler-32 (RFC 1950) in AssemblyScript. The memory holds the tables below, then the input, then
 * the output, which is the window too; the caller lays out input and output, and all positions are byte addresses. After
 * the input there must be INPUT_SLACK bytes, after the output OUTPUT_SLACK.
 *
 * Decoding stops where the output passes what there is room for, and goes on from there when it is called again.
 */

/** Bits of a code that are looked up at once; longer codes have a second table. */
const LITERAL_BITS: u32 = 10;
const DISTANCE_BITS: u32 = 8;
const LENGTHS_BITS: u32 = 7;
/** Entries of both tables together: no complete code has more (zlib's `enough` says 1332 and 402), and more are refused. */
const LITERAL_ENTRIES: u32 = 2048;
const DISTANCE_ENTRIES: u32 = 512;
const SYMBOLS: u32 = 288;
const CODE_MAX: u32 = 15;

/** Index of each of the 16 bytes of a match that repeats its last n bytes, for n below 16: 16 bytes for each n. */
const PATTERNS: u32 = 1024;
const LITERAL_TABLE: u32 = PATTERNS + 256;
const DISTANCE_TABLE: u32 = LITERAL_TABLE + 4 * LITERAL_ENTRIES;
const LENGTHS_TABLE: u32 = DISTANCE_TABLE + 4 * DISTANCE_ENTRIES;
/** Lengths of the codes of all literals, lengths and distances (u8), while they are read. */
const LENGTHS: u32 = LENGTHS_TABLE + (4 << LENGTHS_BITS);
/** Codes of each length, and where the next of them goes, while a table is made (u16). */
const COUNTS: u32 = LENGTHS + 512;
const STARTS: u32 = COUNTS + 32;
/** Symbols in the order of their codes (u16). */
const SORTED: u32 = STARTS + 32;

export const INPUT: u32 = (SORTED + 2 * SYMBOLS + 63) & ~63;
export const INPUT_SLACK: u32 = 40;
/** The longest match, two literals before it, and what a copy of 16 bytes at a time writes past its end. */
export const OUTPUT_SLACK: u32 = 258 + 2 + 16;

/** What `inflate` answers. */
export const DONE: i32 = 0;
export const DAMAGED: i32 = 1;
/** The input ends inside the data. */
export const CUT: i32 = 2;
/** The output has passed what there is room for. */
export const FULL: i32 = 3;

/**
 * An entry of a table has the bits to take away in its lowest byte, further bits of the value included, the code's own
 * bits above them, and the value's base or the literal from bit 16 on. One of these says what it is; none, a length or a
 * distance.
 */
const IS_LITERAL: u32 = 1 << 15;
const IS_SPECIAL: u32 = 1 << 14;
/** With IS_SPECIAL: another table, whose index stands in place of a base, and its bits in place of the further ones. */
const IS_LINK: u32 = 1 << 13;
/** With IS_SPECIAL: the end of the block. Without either, a code that nothing may use. */
const IS_END: u32 = 1 << 12;

/** What codes stand for. */
const LITERALS: u32 = 0;
const DISTANCES: u32 = 1;
const CODE_LENGTHS: u32 = 2;

/** What comes next. */
const HEADER: u32 = 0;
const STORED: u32 = 1;
const CODED: u32 = 2;
const FINISHED: u32 = 3;

let state: u32 = HEADER;
let isLast: bool = false;
/** The next bits of the input, lowest first, and how many of them count; the ones above are those that come next. */
let bits: u64 = 0;
let count: u32 = 0;
let ip: u32 = 0;
let end: u32 = 0;
let op: u32 = 0;
let start: u32 = 0;
/** Bytes of a stored block that are still to be copied. */
let left: u32 = 0;
let hasPatterns: bool = false;
/** Whether the tables are those of the fixed codes. */
let isFixed: bool = false;

/** Begins with the data from `from` to `to`, whose output starts at `at`. */
export function begin(from: u32, to: u32, at: u32): void {
  ip = from;
  end = to;
  op = start = at;
  bits = 0;
  count = 0;
  state = HEADER;
  isLast = false;
  if (!hasPatterns) makePatterns();
}

/** Where the output ends. */
export function getOutput(): u32 {
  return op;
}

/** First byte of the input that was not used. */
export function getInput(): u32 {
  return min<u32>(ip - (count >>> 3), end);
}

/** The byte with the first bit that was not used: where damage was noticed. */
export function getDamage(): u32 {
  return min<u32>(ip - ((count + 7) >>> 3), end);
}

function makePatterns(): void {
  for (let n: u32 = 1; n < 16; n++) {
    for (let at: u32 = 0; at < 16; at++) store<u8>(PATTERNS + (n << 4) + at, at % n);
  }
  hasPatterns = true;
}

/** Fills up to 56 bits or more. */
function refill(): void {
  bits |= load<u64>(ip) << count;
  ip += (63 - count) >>> 3;
  count |= 56;
}

function take(n: u32): u32 {
  const value = <u32>bits & ((1 << n) - 1);
  bits >>>= n;
  count -= n;
  return value;
}

/** Whether more bits were taken than the input has. */
function isPastEnd(): bool {
  return ip - (count >>> 3) > end;
}

/** Decodes until the data ends or the output passes `limit`. */
export function inflate(limit: u32): i32 {
  let status = DONE;
  while (status === DONE && state !== FINISHED) {
    if (op > limit) return FULL;
    if (state === HEADER) status = readHeader();
    else if (state === STORED) status = copyStored(limit);
    else status = decodeBlock(limit);
    if (isPastEnd()) status = CUT;
  }
  return status;
}

/** Reads the header of a block and, where it has codes, makes their tables. */
function readHeader(): i32 {
  refill();
  isLast = take(1) !== 0;
  const type = take(2);
  if (type === 0) {
    take(count & 7);
    // What was read ahead is given back.
    ip -= count >>> 3;
    bits = 0;
    count = 0;
    if (ip > end || end - ip < 4) return giveUp();
    left = load<u16>(ip);
    if ((left ^ load<u16>(ip + 2)) !== 0xffff) return DAMAGED;
    ip += 4;
    state = STORED;
    return DONE;
  }
  if (type === 3) return DAMAGED;
  state = CODED;
  return type === 1 ? makeFixed() : readCodes();
}

/** The input ends here. */
function giveUp(): i32 {
  ip = end;
  return CUT;
}

function copyStored(limit: u32): i32 {
  const wanted = min(left, limit + 1 - op);
  const size = min(wanted, end - ip);
  memory.copy(op, ip, size);
  op += size;
  ip += size;
  left -= size;
  if (size < wanted) return CUT;
  if (left === 0) state = isLast ? FINISHED : HEADER;
  return op > limit ? FULL : DONE;
}

/** The fixed codes (section 3.2.6). */
function makeFixed(): i32 {
  if (isFixed) return DONE;
  memory.fill(LENGTHS, 8, 144);
  memory.fill(LENGTHS + 144, 9, 112);
  memory.fill(LENGTHS + 256, 7, 24);
  memory.fill(LENGTHS + 280, 8, 8);
  makeTable(LITERAL_TABLE, LITERAL_BITS, LITERAL_ENTRIES, LENGTHS, 288, LITERALS);
  memory.fill(LENGTHS, 5, 32);
  makeTable(DISTANCE_TABLE, DISTANCE_BITS, DISTANCE_ENTRIES, LENGTHS, 32, DISTANCES);
  isFixed = true;
  return DONE;
}

/** The order in which lengths of the code of lengths are stored (section 3.2.7), five bits each, first lowest. */
function placeOf(n: u32): u32 {
  if (n < 3) return 16 + n;
  if (n === 3) return 0;
  return n & 1 ? 7 - ((n - 5) >>> 1) : 8 + ((n - 4) >>> 1);
}

/** Reads the codes of a block (section 3.2.7) and makes their tables. */
function readCodes(): i32 {
  isFixed = false;
  const literals = take(5) + 257;
  const distances = take(5) + 1;
  const lengths = take(4) + 4;
  // As zlib: the codes of 286 and 287, and of 30 and 31, may not be there at all.
  if (literals > 286 || distances > 30) return DAMAGED;
  memory.fill(LENGTHS, 0, 19);
  for (let n: u32 = 0; n < lengths; n++) {
    if ((n & 15) === 0) refill();
    store<u8>(LENGTHS + placeOf(n), take(3));
  }
  if (!makeTable(LENGTHS_TABLE, LENGTHS_BITS, 1 << LENGTHS_BITS, LENGTHS, 19, CODE_LENGTHS)) return DAMAGED;
  const total = literals + distances;
  let last: u32 = 0;
  for (let n: u32 = 0; n < total; ) {
    refill();
    if (ip > end + 8) return CUT;
    const entry = load<u32>(LENGTHS_TABLE + ((<u32>bits & ((1 << LENGTHS_BITS) - 1)) << 2));
    if ((entry & IS_SPECIAL) !== 0) return DAMAGED;
    take(entry & 0xff);
    const symbol = entry >>> 16;
    if (symbol < 16) {
      last = symbol;
      store<u8>(LENGTHS + n++, symbol);
      continue;
    }
    let repeat: u32 = 0;
    if (symbol === 16) {
      if (n === 0) return DAMAGED;
      repeat = 3 + take(2);
    } else {
      last = 0;
      repeat = symbol === 17 ? 3 + take(3) : 11 + take(7);
    }
    if (repeat > total - n) return DAMAGED;
    memory.fill(LENGTHS + n, <u8>last, repeat);
    n += repeat;
  }
  // A block without an end is none.
  if (load<u8>(LENGTHS + 256) === 0) return DAMAGED;
  if (!makeTable(LITERAL_TABLE, LITERAL_BITS, LITERAL_ENTRIES, LENGTHS, literals, LITERALS)) return DAMAGED;
  return makeTable(DISTANCE_TABLE, DISTANCE_BITS, DISTANCE_ENTRIES, LENGTHS + literals, distances, DISTANCES)
    ? DONE
    : DAMAGED;
}

/** The entry of a symbol without its code's bits (section 3.2.5); further bits in the lowest byte. */
function entryOf(symbol: u32, kind: u32): u32 {
  if (kind === CODE_LENGTHS) return symbol << 16;
  if (kind === DISTANCES) {
    if (symbol > 29) return IS_SPECIAL;
    if (symbol < 4) return (symbol + 1) << 16;
    const extra = (symbol >>> 1) - 1;
    return ((((2 + (symbol & 1)) << extra) + 1) << 16) | extra;
  }
  if (symbol < 256) return (symbol << 16) | IS_LITERAL;
  if (symbol === 256) return IS_SPECIAL | IS_END;
  if (symbol > 285) return IS_SPECIAL;
  if (symbol === 285) return 258 << 16;
  if (symbol < 265) return (symbol - 254) << 16;
  const extra = (symbol - 261) >>> 2;
  return ((((4 + ((symbol - 261) & 3)) << extra) + 3) << 16) | extra;
}

/** `code`, the first of whose `length` bits is the highest, with the first as the lowest. */
function reversed(code: u32, length: u32): u32 {
  let v = code;
  v = ((v >>> 1) & 0x5555) | ((v & 0x5555) << 1);
  v = ((v >>> 2) & 0x3333) | ((v & 0x3333) << 2);
  v = ((v >>> 4) & 0x0f0f) | ((v & 0x0f0f) << 4);
  v = ((v >>> 8) & 0x00ff) | ((v & 0x00ff) << 8);
  return v >>> (16 - length);
}

/**
 * Makes the table of the code whose lengths are the `given` bytes from `lengths` on (section 3.2.2). As zlib: a code must
 * be complete, but for one of literals or distances that has no more than one symbol, of one bit, and one of no symbols.
 */
function makeTable(table: u32, tableBits: u32, entries: u32, lengths: u32, given: u32, kind: u32): bool {
  memory.fill(COUNTS, 0, 32);
  for (let n: u32 = 0; n < given; n++) {
    const at = COUNTS + ((<u32>load<u8>(lengths + n)) << 1);
    store<u16>(at, load<u16>(at) + 1);
  }
  let longest = CODE_MAX;
  while (longest > 0 && load<u16>(COUNTS + (longest << 1)) === 0) longest--;
  let free: i32 = 1;
  let next: u32 = 0;
  for (let length: u32 = 1; length <= CODE_MAX; length++) {
    const symbols: u32 = load<u16>(COUNTS + (length << 1));
    free = (free << 1) - <i32>symbols;
    if (free < 0) return false;
    store<u16>(STARTS + (length << 1), next);
    next += symbols;
  }
  if (free > 0 && longest > 0 && (kind === CODE_LENGTHS || longest !== 1)) return false;
  if (free > 0) {
    // What has no code is refused when it is met.
    for (let at: u32 = 0; at < 1 << tableBits; at++) store<u32>(table + (at << 2), IS_SPECIAL);
  }
  for (let n: u32 = 0; n < given; n++) {
    const length: u32 = load<u8>(lengths + n);
    if (length === 0) continue;
    const at = STARTS + (length << 1);
    const place: u32 = load<u16>(at);
    store<u16>(SORTED + (place << 1), n);
    store<u16>(at, place + 1);
  }
  let code: u32 = 0;
  let at: u32 = SORTED;
  let used: u32 = 1 << tableBits;
  let prefix: u32 = u32.MAX_VALUE;
  let sub: u32 = 0;
  let subBits: u32 = 0;
  for (let length: u32 = 1; length <= longest; length++) {
    code <<= 1;
    for (let rest: u32 = load<u16>(COUNTS + (length << 1)); rest > 0; rest--) {
      const symbol: u32 = load<u16>(at);
      at += 2;
      const value = entryOf(symbol, kind);
      const place = reversed(code++, length);
      if (length <= tableBits) {
        const entry = value + ((length << 8) | length);
        for (let n = place; n < 1 << tableBits; n += 1 << length) store<u32>(table + (n << 2), entry);
        continue;
      }
      const low = place & ((1 << tableBits) - 1);
      if (low !== prefix) {
        // As many bits as the codes that begin like this one need: the rest of them are no shorter.
        prefix = low;
        sub = used;
        subBits = length - tableBits;
        let room: i32 = (1 << subBits) - <i32>rest;
        while (room > 0 && subBits + tableBits < longest) {
          subBits++;
          room = (room << 1) - <i32>load<u16>(COUNTS + ((subBits + tableBits) << 1));
        }
        used += 1 << subBits;
        if (used > entries) return false;
        store<u32>(table + (low << 2), (sub << 16) | IS_SPECIAL | IS_LINK | (subBits << 8) | tableBits);
      }
      const own = length - tableBits;
      const entry = value + ((own << 8) | own);
      for (let n = place >>> tableBits; n < 1 << subBits; n += 1 << own) store<u32>(table + ((sub + n) << 2), entry);
    }
  }
  return true;
}

/** Decodes a block with codes until it ends or the output passes `limit`. */
function decodeBlock(limit: u32): i32 {
  let word = bits;
  let have = count;
  let from = ip;
  let to = op;
  const first = start;
  // Past this, what is decoded is no longer there.
  const stop = end + 8;
  let status = FULL;
  word |= load<u64>(from) << have;
  from += (63 - have) >>> 3;
  have |= 56;
  let entry = literalAt(word);
  while (to <= limit) {
    if (from > stop) {
      status = CUT;
      break;
    }
    if (entry & IS_LITERAL) {
      // At most ten bits each, so that after two of them there are enough for a length, which takes 20.
      word >>>= entry & 0xff;
      have -= entry & 0xff;
      store<u8>(to++, entry >>> 16);
      entry = literalAt(word);
      if (entry & IS_LITERAL) {
        word >>>= entry & 0xff;
        have -= entry & 0xff;
        store<u8>(to++, entry >>> 16);
        entry = literalAt(word);
        if (entry & IS_LITERAL) {
          word >>>= entry & 0xff;
          have -= entry & 0xff;
          store<u8>(to++, entry >>> 16);
          word |= load<u64>(from) << have;
          from += (63 - have) >>> 3;
          have |= 56;
          entry = literalAt(word);
          continue;
        }
      }
    }
    if (entry & IS_SPECIAL) {
      if (entry & IS_LINK) {
        word >>>= LITERAL_BITS;
        have -= LITERAL_BITS;
        const more = (entry >>> 8) & 15;
        entry = load<u32>(LITERAL_TABLE + (((entry >>> 16) + (<u32>word & ((1 << more) - 1))) << 2));
        if (entry & IS_LITERAL) {
          word >>>= entry & 0xff;
          have -= entry & 0xff;
          store<u8>(to++, entry >>> 16);
          word |= load<u64>(from) << have;
          from += (63 - have) >>> 3;
          have |= 56;
          entry = literalAt(word);
          continue;
        }
      }
      if (entry & IS_SPECIAL) {
        if (entry & IS_END) {
          word >>>= entry & 0xff;
          have -= entry & 0xff;
          state = isLast ? FINISHED : HEADER;
          status = DONE;
        } else {
          status = DAMAGED;
        }
        break;
      }
    }
    // A length: the bits behind those of its code.
    const length: u32 = (entry >>> 16) + ((<u32>word & ((1 << (entry & 0xff)) - 1)) >>> ((entry >>> 8) & 15));
    word >>>= entry & 0xff;
    have -= entry & 0xff;
    word |= load<u64>(from) << have;
    from += (63 - have) >>> 3;
    have |= 56;
    entry = load<u32>(DISTANCE_TABLE + ((<u32>word & ((1 << DISTANCE_BITS) - 1)) << 2));
    if (entry & IS_SPECIAL) {
      if (entry & IS_LINK) {
        word >>>= DISTANCE_BITS;
        have -= DISTANCE_BITS;
        const more = (entry >>> 8) & 15;
        entry = load<u32>(DISTANCE_TABLE + (((entry >>> 16) + (<u32>word & ((1 << more) - 1))) << 2));
      }
      if (entry & IS_SPECIAL) {
        status = DAMAGED;
        break;
      }
    }
    const distance: u32 = (entry >>> 16) + ((<u32>word & ((1 << (entry & 0xff)) - 1)) >>> ((entry >>> 8) & 15));
    word >>>= entry & 0xff;
    have -= entry & 0xff;
    if (distance > to - first) {
      status = DAMAGED;
      break;
    }
    // What comes next is looked up before the copy, so that the processor does both at once.
    word |= load<u64>(from) << have;
    from += (63 - have) >>> 3;
    have |= 56;
    entry = literalAt(word);
    let source = to - distance;
    const stopAt = to + length;
    if (distance >= 16) {
      do {
        v128.store(to, v128.load(source));
        to += 16;
        source += 16;
      } while (to < stopAt);
    } else {
      // The last bytes over and over, of which a multiple of the distance is written each time.
      const pattern = v128.swizzle(v128.load(source), v128.load(PATTERNS + (distance << 4)));
      const step = 16 - (16 % distance);
      do {
        v128.store(to, pattern);
        to += step;
      } while (to < stopAt);
    }
    to = stopAt;
  }
  bits = word;
  count = have;
  ip = from;
  op = to;
  return status;
}

/** The entry for the next bits, of a literal or a length. */
function literalAt(word: u64): u32 {
  return load<u32>(LITERAL_TABLE + ((<u32>word & ((1 << LITERAL_BITS) - 1)) << 2));
}

const ADLER: u32 = 65521;
/** Bytes for which no sum passes 32 bits (zlib's NMAX), in pieces of 16. */
const ADLER_RUN: u32 = 5552 & ~15;

/** Adler-32 of `length` bytes from `from` on (RFC 1950, section 8.2). */
export function adler32(from: u32, length: u32): u32 {
  let a: u32 = 1;
  let b: u32 = 0;
  let at = from;
  let rest = length;
  const high = i8x16(16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
  while (rest >= 16) {
    const run = min(rest & ~15, ADLER_RUN);
    let sums = i32x4.splat(0);
    let before = i32x4.splat(0);
    let weighted = i32x4.splat(0);
    for (const stop = at + run; at < stop; at += 16) {
      const bytes = v128.load(at);
      before = i32x4.add(before, sums);
      sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bytes)));
      const products = i32x4.add(
        i32x4.extadd_pairwise_i16x8_u(i16x8.extmul_low_i8x16_u(bytes, high)),
        i32x4.extadd_pairwise_i16x8_u(i16x8.extmul_high_i8x16_u(bytes, high)),
      );
      weighted = i32x4.add(weighted, products);
    }
    b = (b + a * run + 16 * total(before) + total(weighted)) % ADLER;
    a = (a + total(sums)) % ADLER;
    rest -= run;
  }
  for (; rest > 0; rest--, at++) {
    a += load<u8>(at);
    b += a;
  }
  return ((b % ADLER) << 16) | (a % ADLER);
}

function total(lanes: v128): u32 {
  return (
    i32x4.extract_lane(lanes, 0) +
    i32x4.extract_lane(lanes, 1) +
    i32x4.extract_lane(lanes, 2) +
    i32x4.extract_lane(lanes, 3)
  );
}

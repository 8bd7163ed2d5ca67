/**
 * The LZMA core (LZMA SDK, lzma-specification.txt) in AssemblyScript. The memory holds, in this order: the
 * probabilities, the input with INPUT_SLACK bytes of zeros after it, and the output, which is the dictionary too, with
 * OUTPUT_SLACK bytes after it; the caller lays it out, and all positions are byte addresses in it.
 *
 * Each bit is decoded where it is needed, on local variables: a function could not hand back the three words of the
 * range coder, and in globals they cost half the speed. In the loops over trees there is no branch on the bit, which
 * no processor could predict: `zero` is all ones for a 0 and none for a 1. The probabilities of a node's two children lie
 * side by side, and are loaded before it is known which one is next. Only where data is repetitive, and a bit nearly
 * always what its probability says, are there branches: the processor then goes on before it knows.
 */

/** Addresses of the probabilities, 16 bits each; those of the literals follow the rest. */
const IS_MATCH: u32 = 1024;
const IS_REP: u32 = IS_MATCH + 2 * 12 * 16;
const IS_REP_G0: u32 = IS_REP + 2 * 12;
const IS_REP_G1: u32 = IS_REP_G0 + 2 * 12;
const IS_REP_G2: u32 = IS_REP_G1 + 2 * 12;
const IS_REP0_LONG: u32 = IS_REP_G2 + 2 * 12;
const POS_SLOT: u32 = IS_REP0_LONG + 2 * 12 * 16;
const POS_SPECIAL: u32 = POS_SLOT + 2 * 4 * 64;
const POS_ALIGN: u32 = POS_SPECIAL + 2 * 128;
const MATCH_LENGTH: u32 = POS_ALIGN + 2 * 16;
/** A length coder: two choices, then low and mid trees of 8 per position state, then one high tree of 256. */
const LENGTH_LOW: u32 = 2 * 2;
const LENGTH_MID: u32 = LENGTH_LOW + 2 * 16 * 8;
const LENGTH_HIGH: u32 = LENGTH_MID + 2 * 16 * 8;
const LENGTH_SIZE: u32 = LENGTH_HIGH + 2 * 256;
const REP_LENGTH: u32 = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL: u32 = REP_LENGTH + LENGTH_SIZE;
/** Where the input may begin: lc + lp is at most 4. */
export const INPUT: u32 = LITERAL + 2 * (0x300 << 4);
/** What one symbol reads past the end of the input before that is noticed. */
export const INPUT_SLACK: u32 = 32;
/** What a match writes past its end. */
export const OUTPUT_SLACK: u32 = 16;
/** A match from so far back is copied in one go. */
const FAR: u32 = 128;

/** 1024, four times. */
const PROB_INIT: u64 = 0x0400_0400_0400_0400;
const TOP: u32 = 1 << 24;

/** What `run` answers. */
export const DONE: i32 = 0;
export const MARKER: i32 = 1;
export const INPUT_ENDS: i32 = 2;
export const DISTANCE: i32 = 3;
export const PAST_SIZE: i32 = 4;
export const UNEXPECTED_MARKER: i32 = 5;

let lc: u32 = 0;
let lp: u32 = 0;
let pb: u32 = 0;
let range: u32 = 0;
let code: u32 = 0;
let ip: u32 = 0;
let op: u32 = 0;
let dictionaryStart: u32 = 0;
let dictionary: u32 = 0;
let state: u32 = 0;
let rep0: u32 = 0;
let rep1: u32 = 0;
let rep2: u32 = 0;
let rep3: u32 = 0;

export function setProperties(newLc: u32, newLp: u32, newPb: u32): void {
  lc = newLc;
  lp = newLp;
  pb = newPb;
}

export function resetState(): void {
  const end = LITERAL + 2 * (0x300 << (lc + lp));
  // Four at a time, which is what their number is a multiple of.
  for (let p = IS_MATCH; p < end; p += 8) store<u64>(p, PROB_INIT);
  state = rep0 = rep1 = rep2 = rep3 = 0;
}

/** No match reaches before `start`, nor further back than `size` bytes. */
export function setDictionary(start: u32, size: u32): void {
  dictionaryStart = start;
  dictionary = size;
}

export function setOutput(at: u32): void {
  op = at;
}

export function getOutput(): u32 {
  return op;
}

/** The byte of the input that the range coder would read next. */
export function getInput(): u32 {
  return ip;
}

/** Whether the range coder is where an encoder leaves it at the end of its data. */
export function isFinished(): bool {
  return code === 0;
}

/** Starts the range coder at the byte after the first, which is always 0. */
export function startRange(at: u32): void {
  range = 0xffff_ffff;
  code = bswap<u32>(load<u32>(at + 1));
  ip = at + 5;
}

/**
 * Decodes symbols until the output reaches `soft`. A match may go on to `hard`, no further; the input may be read to
 * `end`, no further, for which there must be slack after it. `isRepetitive` says how, not what: bits are branched on.
 */
export function run(soft: u32, hard: u32, end: u32, allowMarker: bool, isRepetitive: bool): i32 {
  let r = range;
  let c = code;
  let p = ip;
  let o = op;
  let s = state;
  let d = rep0;
  const start = dictionaryStart;
  const posMask: u32 = (1 << pb) - 1;
  const literalMask: u32 = (1 << lp) - 1;
  const literalShift: u32 = lc;
  let result = DONE;
  let prob: u32 = 0;
  let bound: u32 = 0;
  let isZero: bool = false;
  let zero: u32 = 0;
  let pair: u32 = 0;

  // At `soft` itself only an end marker may follow, and only the caller knows whether to look for it.
  let first = allowMarker && o === soft;
  while (o < soft || first) {
    first = false;
    if (p > end) {
      result = INPUT_ENDS;
      break;
    }
    const position = o - start;
    const posState = position & posMask;

    let at = IS_MATCH + (((s << 4) + posState) << 1);
    prob = load<u16>(at);
    bound = (r >>> 11) * prob;
    if (c < bound) {
      r = bound;
      store<u16>(at, prob + ((2048 - prob) >>> 5));
      if (r < TOP) {
        r <<= 8;
        c = (c << 8) | load<u8>(p++);
      }
      if (o >= soft) {
        result = PAST_SIZE;
        break;
      }
      const previous: u32 = position > 0 ? load<u8>(o - 1) : 0;
      const base = LITERAL + 0x600 * (((position & literalMask) << literalShift) + (previous >>> (8 - literalShift)));
      let symbol: u32 = 1;
      if (s < 7) {
        if (isRepetitive) {
          do {
            at = base + (symbol << 1);
            prob = load<u16>(at);
            bound = (r >>> 11) * prob;
            symbol <<= 1;
            if (c < bound) {
              r = bound;
              store<u16>(at, prob + ((2048 - prob) >>> 5));
            } else {
              r -= bound;
              c -= bound;
              store<u16>(at, prob - (prob >>> 5));
              symbol += 1;
            }
            if (r < TOP) {
              r <<= 8;
              c = (c << 8) | load<u8>(p++);
            }
          } while (symbol < 0x100);
        } else {
          prob = load<u16>(base + 2);
          do {
            at = base + (symbol << 1);
            pair = load<u32>(base + (symbol << 2));
            bound = (r >>> 11) * prob;
            zero = 0 - <u32>(c < bound);
            r -= bound;
            r += zero & (bound - r);
            c -= bound & ~zero;
            // Towards 2048 or 0 by a 32nd; 31 makes the second round as a subtraction of the shifted would.
            store<u16>(at, prob + (<i32>((zero & 2017) + 31 - prob) >> 5));
            prob = (pair >>> (16 & ~zero)) & 0xffff;
            symbol = (symbol << 1) + 1 + zero;
            if (r < TOP) {
              r <<= 8;
              c = (c << 8) | load<u8>(p++);
            }
          } while (symbol < 0x100);
        }
        s = select<u32>(0, s - 3, s < 4);
      } else {
        if (d >= position) {
          result = DISTANCE;
          break;
        }
        // After a match, the byte at the last distance steers the choice of coder until a bit differs.
        let matched: u32 = load<u8>(o - d - 1);
        let offset: u32 = 0x100;
        if (isRepetitive) {
          do {
            matched <<= 1;
            const matchBit = matched & offset;
            at = base + ((offset + matchBit + symbol) << 1);
            prob = load<u16>(at);
            bound = (r >>> 11) * prob;
            symbol <<= 1;
            if (c < bound) {
              r = bound;
              store<u16>(at, prob + ((2048 - prob) >>> 5));
              offset &= ~matchBit;
            } else {
              r -= bound;
              c -= bound;
              store<u16>(at, prob - (prob >>> 5));
              symbol += 1;
              offset &= matchBit;
            }
            if (r < TOP) {
              r <<= 8;
              c = (c << 8) | load<u8>(p++);
            }
          } while (symbol < 0x100);
        } else
          do {
            matched <<= 1;
            const matchBit = matched & offset;
            at = base + ((offset + matchBit + symbol) << 1);
            prob = load<u16>(at);
            bound = (r >>> 11) * prob;
            zero = 0 - <u32>(c < bound);
            r -= bound;
            r += zero & (bound - r);
            c -= bound & ~zero;
            store<u16>(at, prob + (<i32>((zero & 2017) + 31 - prob) >> 5));
            symbol = (symbol << 1) + 1 + zero;
            offset &= matchBit ^ zero;
            if (r < TOP) {
              r <<= 8;
              c = (c << 8) | load<u8>(p++);
            }
          } while (symbol < 0x100);
        s = select<u32>(s - 3, s - 6, s < 10);
      }
      store<u8>(o++, symbol);
      continue;
    }
    r -= bound;
    c -= bound;
    store<u16>(at, prob - (prob >>> 5));
    if (r < TOP) {
      r <<= 8;
      c = (c << 8) | load<u8>(p++);
    }

    let lengths: u32 = REP_LENGTH;
    let isMatch = false;
    at = IS_REP + (s << 1);
    prob = load<u16>(at);
    bound = (r >>> 11) * prob;
    if (c < bound) {
      r = bound;
      store<u16>(at, prob + ((2048 - prob) >>> 5));
      if (r < TOP) {
        r <<= 8;
        c = (c << 8) | load<u8>(p++);
      }
      isMatch = true;
      lengths = MATCH_LENGTH;
    } else {
      r -= bound;
      c -= bound;
      store<u16>(at, prob - (prob >>> 5));
      if (r < TOP) {
        r <<= 8;
        c = (c << 8) | load<u8>(p++);
      }
      at = IS_REP_G0 + (s << 1);
      prob = load<u16>(at);
      bound = (r >>> 11) * prob;
      if (c < bound) {
        r = bound;
        store<u16>(at, prob + ((2048 - prob) >>> 5));
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
        at = IS_REP0_LONG + (((s << 4) + posState) << 1);
        prob = load<u16>(at);
        bound = (r >>> 11) * prob;
        if (c < bound) {
          // One byte at the last distance.
          r = bound;
          store<u16>(at, prob + ((2048 - prob) >>> 5));
          if (r < TOP) {
            r <<= 8;
            c = (c << 8) | load<u8>(p++);
          }
          s = select<u32>(9, 11, s < 7);
          if (d >= position || d >= dictionary) {
            result = DISTANCE;
            break;
          }
          if (o >= soft) {
            result = PAST_SIZE;
            break;
          }
          store<u8>(o, load<u8>(o - d - 1));
          o++;
          continue;
        }
        r -= bound;
        c -= bound;
        store<u16>(at, prob - (prob >>> 5));
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
      } else {
        r -= bound;
        c -= bound;
        store<u16>(at, prob - (prob >>> 5));
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
        let distance = rep1;
        at = IS_REP_G1 + (s << 1);
        prob = load<u16>(at);
        bound = (r >>> 11) * prob;
        if (c < bound) {
          r = bound;
          store<u16>(at, prob + ((2048 - prob) >>> 5));
        } else {
          r -= bound;
          c -= bound;
          store<u16>(at, prob - (prob >>> 5));
          if (r < TOP) {
            r <<= 8;
            c = (c << 8) | load<u8>(p++);
          }
          distance = rep2;
          at = IS_REP_G2 + (s << 1);
          prob = load<u16>(at);
          bound = (r >>> 11) * prob;
          if (c < bound) {
            r = bound;
            store<u16>(at, prob + ((2048 - prob) >>> 5));
          } else {
            r -= bound;
            c -= bound;
            store<u16>(at, prob - (prob >>> 5));
            distance = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
        rep1 = d;
        d = distance;
      }
    }

    // A length: one of three trees, and what the shortest of it stands for.
    let tree = lengths + LENGTH_LOW + (posState << 4);
    let leaves: u32 = 8;
    let count: u32 = 2;
    at = lengths;
    prob = load<u16>(at);
    bound = (r >>> 11) * prob;
    if (c < bound) {
      r = bound;
      store<u16>(at, prob + ((2048 - prob) >>> 5));
    } else {
      r -= bound;
      c -= bound;
      store<u16>(at, prob - (prob >>> 5));
      if (r < TOP) {
        r <<= 8;
        c = (c << 8) | load<u8>(p++);
      }
      at = lengths + 2;
      prob = load<u16>(at);
      bound = (r >>> 11) * prob;
      if (c < bound) {
        r = bound;
        store<u16>(at, prob + ((2048 - prob) >>> 5));
        tree = lengths + LENGTH_MID + (posState << 4);
        count = 10;
      } else {
        r -= bound;
        c -= bound;
        store<u16>(at, prob - (prob >>> 5));
        tree = lengths + LENGTH_HIGH;
        leaves = 256;
        count = 18;
      }
    }
    if (r < TOP) {
      r <<= 8;
      c = (c << 8) | load<u8>(p++);
    }
    let node: u32 = 1;
    if (isRepetitive) {
      do {
        at = tree + (node << 1);
        prob = load<u16>(at);
        bound = (r >>> 11) * prob;
        node <<= 1;
        if (c < bound) {
          r = bound;
          store<u16>(at, prob + ((2048 - prob) >>> 5));
        } else {
          r -= bound;
          c -= bound;
          store<u16>(at, prob - (prob >>> 5));
          node += 1;
        }
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
      } while (node < leaves);
    } else {
      prob = load<u16>(tree + 2);
      do {
        at = tree + (node << 1);
        pair = load<u32>(tree + (node << 2));
        bound = (r >>> 11) * prob;
        zero = 0 - <u32>(c < bound);
        r -= bound;
        r += zero & (bound - r);
        c -= bound & ~zero;
        store<u16>(at, prob + (<i32>((zero & 2017) + 31 - prob) >> 5));
        prob = (pair >>> (16 & ~zero)) & 0xffff;
        node = (node << 1) + 1 + zero;
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
      } while (node < leaves);
    }
    count += node - leaves;

    if (isMatch) {
      rep3 = rep2;
      rep2 = rep1;
      rep1 = d;
      s = select<u32>(7, 10, s < 7);
      tree = POS_SLOT + (min<u32>(count - 2, 3) << 7);
      node = 1;
      prob = load<u16>(tree + 2);
      do {
        at = tree + (node << 1);
        pair = load<u32>(tree + (node << 2));
        bound = (r >>> 11) * prob;
        zero = 0 - <u32>(c < bound);
        r -= bound;
        r += zero & (bound - r);
        c -= bound & ~zero;
        store<u16>(at, prob + (<i32>((zero & 2017) + 31 - prob) >> 5));
        prob = (pair >>> (16 & ~zero)) & 0xffff;
        node = (node << 1) + 1 + zero;
        if (r < TOP) {
          r <<= 8;
          c = (c << 8) | load<u8>(p++);
        }
      } while (node < 64);
      const slot = node - 64;
      d = slot;
      if (slot >= 4) {
        let footer = (slot >>> 1) - 1;
        d = (2 | (slot & 1)) << footer;
        tree = POS_ALIGN;
        if (slot < 14) {
          tree = POS_SPECIAL + ((d - slot) << 1);
        } else {
          let direct: u32 = 0;
          for (footer -= 4; footer > 0; footer--) {
            r >>>= 1;
            isZero = c < r;
            c = select<u32>(c, c - r, isZero);
            direct = (direct << 1) + select<u32>(0, 1, isZero);
            if (r < TOP) {
              r <<= 8;
              c = (c << 8) | load<u8>(p++);
            }
          }
          d += direct << 4;
          footer = 4;
        }
        node = 1;
        let value: u32 = 0;
        for (let bit: u32 = 0; bit < footer; bit++) {
          at = tree + (node << 1);
          prob = load<u16>(at);
          bound = (r >>> 11) * prob;
          zero = 0 - <u32>(c < bound);
          r -= bound;
          r += zero & (bound - r);
          c -= bound & ~zero;
          store<u16>(at, prob + (<i32>((zero & 2017) + 31 - prob) >> 5));
          const one = 1 + zero;
          node = (node << 1) + one;
          value |= one << bit;
          if (r < TOP) {
            r <<= 8;
            c = (c << 8) | load<u8>(p++);
          }
        }
        d += value;
        if (d === 0xffff_ffff) {
          result = allowMarker ? (p > end ? INPUT_ENDS : MARKER) : UNEXPECTED_MARKER;
          break;
        }
      }
    } else {
      s = select<u32>(8, 11, s < 7);
    }

    // One less than the distance.
    if (d >= position || d >= dictionary) {
      result = DISTANCE;
      break;
    }
    if (count > hard - o || o >= soft) {
      result = PAST_SIZE;
      break;
    }
    const stop = o + count;
    // A match that overlaps itself is a pattern, and what was copied of it is twice as far back: to load what was stored
    // just now, across two stores, would make the processor wait each time.
    let distance = d + 1;
    do {
      const turn = d >= FAR ? stop : min<u32>(o + distance, stop);
      let from = o - distance;
      do {
        v128.store(o, v128.load(from));
        o += 16;
        from += 16;
      } while (o < turn);
      o = turn;
      distance <<= 1;
    } while (o < stop);
  }
  if (result === DONE && p > end) result = INPUT_ENDS;
  range = r;
  code = c;
  ip = p;
  op = o;
  state = s;
  rep0 = d;
  return result;
}

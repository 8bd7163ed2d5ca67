import type { ImageError } from "@guestprobe/block";
import { corrupt } from "../bound.js";

/** Indices into the one array of probabilities; the literal coders follow the rest. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + 12 * 16;
const IS_REP_G0 = IS_REP + 12;
const IS_REP_G1 = IS_REP_G0 + 12;
const IS_REP_G2 = IS_REP_G1 + 12;
const IS_REP0_LONG = IS_REP_G2 + 12;
const POS_SLOT = IS_REP0_LONG + 12 * 16;
const POS_SPECIAL = POS_SLOT + 4 * 64;
const POS_ALIGN = POS_SPECIAL + 128;
const MATCH_LENGTH = POS_ALIGN + 16;
/** A length coder: two choices, then low and mid trees of 8 per position state, then one high tree of 256. */
const LENGTH_LOW = 2;
const LENGTH_MID = LENGTH_LOW + 16 * 8;
const LENGTH_HIGH = LENGTH_MID + 16 * 8;
const REP_LENGTH = MATCH_LENGTH + LENGTH_HIGH + 256;
const LITERAL = REP_LENGTH + LENGTH_HIGH + 256;

const PROB_INIT = 1024;
/** Flips the sign bit, so that a signed comparison orders unsigned words. */
const FLIP = -0x8000_0000;

/** Slots of the range coder's state: 32-bit words that stay unboxed in an Int32Array. */
const RANGE = 0;
const CODE = 1;
const IP = 2;

export interface LzmaProperties {
  readonly lc: number;
  readonly lp: number;
  readonly pb: number;
}

/** Decodes the properties byte; undefined unless lc + lp is at most 4 and pb at most 4, the limits of the xz format. */
export function lzmaProperties(byte: number): LzmaProperties | undefined {
  if (byte >= 9 * 5 * 5) return undefined;
  const lc = byte % 9;
  const lp = Math.floor(byte / 9) % 5;
  return lc + lp > 4 ? undefined : { lc, lp, pb: Math.floor(byte / 45) };
}

/**
 * The LZMA core, shared by LZMA-alone and LZMA2. The output array is also the dictionary, so nothing is copied twice.
 * Source: LZMA specification (LZMA SDK, lzma-specification.txt).
 */
export class LzmaDecoder {
  /** Where output goes; the owner may replace it by a larger copy between runs. */
  out: Uint8Array;
  /** Bytes of output so far. */
  op: number;
  /** No match reaches before this byte of output, nor further back than `dictionary` bytes. */
  dictionaryStart: number;
  dictionary: number;

  readonly #src: Uint8Array;
  readonly #format: string;
  readonly #pastSize: (ip: number) => ImageError;
  #probs = new Uint16Array(0);
  #properties: LzmaProperties = { lc: 0, lp: 0, pb: 0 };
  readonly #rc = new Int32Array(3);
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  /** `pastSize` makes the error for data that goes on where it should end. */
  constructor(
    format: string,
    src: Uint8Array,
    out: Uint8Array,
    op: number,
    dictionary: number,
    pastSize: (ip: number) => ImageError,
  ) {
    this.#format = format;
    this.#pastSize = pastSize;
    this.#src = src;
    this.out = out;
    this.op = op;
    this.dictionaryStart = op;
    // The reference decoder rounds so; a stream may use what its encoder was not promised.
    this.dictionary = Math.ceil(Math.max(dictionary, 4096) / 16) * 16;
  }

  setProperties(properties: LzmaProperties): void {
    this.#properties = properties;
    const size = LITERAL + (0x300 << (properties.lc + properties.lp));
    if (this.#probs.length !== size) this.#probs = new Uint16Array(size);
  }

  resetState(): void {
    this.#probs.fill(PROB_INIT);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Starts the range coder at byte `ip` of the input; `end` bounds what it may read. */
  startRange(ip: number, end: number): void {
    if (end - ip < 5) throw corrupt(this.#format, "input ends inside the first bytes of LZMA data", ip);
    if (this.#src[ip] !== 0) throw corrupt(this.#format, "LZMA data does not start with a zero byte", ip);
    this.#rc[RANGE] = -1;
    this.#rc[CODE] = new DataView(this.#src.buffer, this.#src.byteOffset).getInt32(ip + 1);
    this.#rc[IP] = ip + 5;
  }

  /** The byte of the input that the range coder would read next. */
  get ip(): number {
    return this.#rc[IP]!;
  }

  /** Whether the range coder is where an encoder leaves it at the end of its data. */
  get isFinished(): boolean {
    return this.#rc[CODE] === 0;
  }

  /**
   * Decodes symbols until `soft` bytes of output are reached. A match may go on to `hard`, no further; the input may be
   * read to `end`, no further.
   *
   * @returns true when the end marker was met, which only `allowMarker` permits.
   */
  run(soft: number, hard: number, end: number, allowMarker: boolean): boolean {
    const src = this.#src;
    const out = this.out;
    const probs = this.#probs;
    const rc = this.#rc;
    const { lc, lp, pb } = this.#properties;
    const posMask = (1 << pb) - 1;
    const literalMask = (1 << lp) - 1;
    const start = this.dictionaryStart;
    let op = this.op;
    let state = this.#state;
    let rep0 = this.#rep0;

    // At `soft` itself only an end marker may follow, and only the caller knows whether to look for it.
    for (let first = allowMarker && op === soft; op < soft || first; first = false) {
      const position = op - start;
      const posState = position & posMask;
      let range = rc[RANGE]!;
      let code = rc[CODE]!;
      let ip = rc[IP]!;
      if (ip > end) throw corrupt(this.#format, "input ends inside LZMA data", end);

      // The bit decoder is written out here and in the literals, which are most of the work.
      let index = IS_MATCH + (state << 4) + posState;
      let prob = probs[index]!;
      let split = Math.imul(range >>> 11, prob);
      if ((code ^ FLIP) < (split ^ FLIP)) {
        range = split;
        probs[index] = prob + ((2048 - prob) >> 5);
        if (range >>> 24 === 0) {
          range <<= 8;
          code = (code << 8) | src[ip++]!;
        }
        const previous = position > 0 ? out[op - 1]! : 0;
        const base = LITERAL + 0x300 * (((position & literalMask) << lc) + (previous >> (8 - lc)));
        let symbol = 1;
        // After a match, the byte at the last distance steers the choice of coder until a bit differs.
        let matched = 0;
        let offset = 0;
        if (state >= 7) {
          if (rep0 >= position) throw corrupt(this.#format, "match distance passes the start of the output", ip);
          matched = out[op - rep0 - 1]!;
          offset = 0x100;
        }
        do {
          matched <<= 1;
          const matchBit = matched & offset;
          index = base + offset + matchBit + symbol;
          prob = probs[index]!;
          split = Math.imul(range >>> 11, prob);
          if ((code ^ FLIP) < (split ^ FLIP)) {
            range = split;
            probs[index] = prob + ((2048 - prob) >> 5);
            symbol <<= 1;
            offset &= ~matchBit;
          } else {
            range -= split;
            code -= split;
            probs[index] = prob - (prob >> 5);
            symbol = (symbol << 1) | 1;
            offset &= matchBit;
          }
          if (range >>> 24 === 0) {
            range <<= 8;
            code = (code << 8) | src[ip++]!;
          }
        } while (symbol < 0x100);
        if (op >= soft) throw this.#pastSize(ip);
        out[op++] = symbol;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        rc[RANGE] = range;
        rc[CODE] = code;
        rc[IP] = ip;
        continue;
      }
      rc[RANGE] = range - split;
      rc[CODE] = code - split;
      probs[index] = prob - (prob >> 5);
      if (rc[RANGE]! >>> 24 === 0) shift(rc, src);

      let count: number;
      if (bit(rc, src, probs, IS_REP + state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = rep0;
        count = lengthOf(rc, src, probs, MATCH_LENGTH, posState);
        state = state < 7 ? 7 : 10;
        rep0 = distanceOf(rc, src, probs, count);
        if (rep0 === -1) {
          if (!allowMarker) throw corrupt(this.#format, "end marker where the size is known", rc[IP]!);
          this.op = op;
          if (rc[IP]! > end) throw corrupt(this.#format, "input ends inside LZMA data", end);
          return true;
        }
      } else {
        if (bit(rc, src, probs, IS_REP_G0 + state) === 0) {
          if (bit(rc, src, probs, IS_REP0_LONG + (state << 4) + posState) === 0) {
            count = 1;
            state = state < 7 ? 9 : 11;
          } else {
            count = 0;
          }
        } else {
          count = 0;
          const distance = this.#takeRep(state);
          this.#rep1 = rep0;
          rep0 = distance;
        }
        if (count === 0) {
          count = lengthOf(rc, src, probs, REP_LENGTH, posState);
          state = state < 7 ? 8 : 11;
        }
      }
      // rep0 is one less than the distance, and an unsigned word.
      if (rep0 < 0 || rep0 >= position || rep0 >= this.dictionary) {
        throw corrupt(this.#format, "match distance passes the start of the output or the dictionary", rc[IP]!);
      }
      if (count > hard - op || op >= soft) throw this.#pastSize(rc[IP]!);
      if (count > 48 && rep0 >= count) {
        out.copyWithin(op, op - rep0 - 1, op - rep0 - 1 + count);
        op += count;
      } else {
        for (const stop = op + count; op < stop; op++) out[op] = out[op - rep0 - 1]!;
      }
    }
    if (rc[IP]! > end) throw corrupt(this.#format, "input ends inside LZMA data", end);
    this.op = op;
    this.#state = state;
    this.#rep0 = rep0;
    return false;
  }

  /** One of the three older distances; it and those before it move down one place. */
  #takeRep(state: number): number {
    const probs = this.#probs;
    if (bit(this.#rc, this.#src, probs, IS_REP_G1 + state) === 0) return this.#rep1;
    let distance = this.#rep2;
    if (bit(this.#rc, this.#src, probs, IS_REP_G2 + state) === 1) {
      distance = this.#rep3;
      this.#rep3 = this.#rep2;
    }
    this.#rep2 = this.#rep1;
    return distance;
  }
}

/** Takes in one more byte of input. Past the end of the input zeros are read; the caller checks after each symbol. */
function shift(rc: Int32Array, src: Uint8Array): void {
  rc[RANGE] = rc[RANGE]! << 8;
  rc[CODE] = (rc[CODE]! << 8) | src[rc[IP]!]!;
  rc[IP] = rc[IP]! + 1;
}

function bit(rc: Int32Array, src: Uint8Array, probs: Uint16Array, index: number): 0 | 1 {
  const prob = probs[index]!;
  const range = rc[RANGE]!;
  const split = Math.imul(range >>> 11, prob);
  let result: 0 | 1;
  if ((rc[CODE]! ^ FLIP) < (split ^ FLIP)) {
    rc[RANGE] = split;
    probs[index] = prob + ((2048 - prob) >> 5);
    result = 0;
  } else {
    rc[RANGE] = range - split;
    rc[CODE] = rc[CODE]! - split;
    probs[index] = prob - (prob >> 5);
    result = 1;
  }
  if (rc[RANGE]! >>> 24 === 0) shift(rc, src);
  return result;
}

/** A symbol of `bits` bits from the tree at `base`, most significant bit first. */
function tree(rc: Int32Array, src: Uint8Array, probs: Uint16Array, base: number, bits: number): number {
  let symbol = 1;
  for (let i = 0; i < bits; i++) symbol = (symbol << 1) | bit(rc, src, probs, base + symbol);
  return symbol - (1 << bits);
}

/** A symbol of `bits` bits, least significant bit first. */
function reverseTree(rc: Int32Array, src: Uint8Array, probs: Uint16Array, base: number, bits: number): number {
  let symbol = 1;
  let value = 0;
  for (let i = 0; i < bits; i++) {
    const b = bit(rc, src, probs, base + symbol);
    symbol = (symbol << 1) | b;
    value |= b << i;
  }
  return value;
}

/** A match length, 2 to 273. */
function lengthOf(rc: Int32Array, src: Uint8Array, probs: Uint16Array, base: number, posState: number): number {
  if (bit(rc, src, probs, base) === 0) return 2 + tree(rc, src, probs, base + LENGTH_LOW + posState * 8, 3);
  if (bit(rc, src, probs, base + 1) === 0) return 10 + tree(rc, src, probs, base + LENGTH_MID + posState * 8, 3);
  return 18 + tree(rc, src, probs, base + LENGTH_HIGH, 8);
}

/** A match distance less one, as a signed word: -1 is the end marker, and what is below that is 2^31 and more. */
function distanceOf(rc: Int32Array, src: Uint8Array, probs: Uint16Array, count: number): number {
  const slot = tree(rc, src, probs, POS_SLOT + Math.min(count - 2, 3) * 64, 6);
  if (slot < 4) return slot;
  const footerBits = (slot >> 1) - 1;
  const distance = (2 | (slot & 1)) << footerBits;
  if (slot < 14) return distance + reverseTree(rc, src, probs, POS_SPECIAL + distance - slot, footerBits);
  let direct = 0;
  for (let i = 4; i < footerBits; i++) {
    rc[RANGE] = rc[RANGE]! >>> 1;
    rc[CODE] = rc[CODE]! - rc[RANGE]!;
    // The sign of the difference as a mask: all ones when the bit is 0, and the subtraction is undone.
    const borrow = rc[CODE]! >> 31;
    rc[CODE] = rc[CODE]! + (rc[RANGE]! & borrow);
    direct = (direct << 1) + (borrow + 1);
    if (rc[RANGE]! >>> 24 === 0) shift(rc, src);
  }
  return distance + (direct << 4) + reverseTree(rc, src, probs, POS_ALIGN, 4);
}

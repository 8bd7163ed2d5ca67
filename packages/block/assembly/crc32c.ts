/**
 * CRC-32C (Castagnoli), in AssemblyScript. JavaScript by tables takes V8 the first 32 KiB, some milliseconds, to make fast:
 * longer than all else that a small disk needs.
 *
 * A sum is what is left of the data, a polynomial, after division by another one, P. Of all multiples of P there is one with
 * six terms only, at bytes 0, 71, 88, 121, 143 and 266: so sixteen bytes may be taken out of the data where they are added
 * 123, 145, 178, 195 and 266 bytes further on, and the remainder is the same. What is long is moved so, to its last bytes,
 * at some 10 GB/s; those are divided by tables, at 2.
 *
 * The memory holds the tables, sixteen of 256 words, as crc.ts describes them; a register and an expected sum for each
 * record; zeros, which the first bytes find where others find what lies before them; the data of one call; and its last bytes.
 */

const TABLES: u32 = 16 * 256 * 4;
/** A word for each record: where its sum starts, and afterwards the sum. */
export const REGISTERS: u32 = TABLES;
/** Most records of one call. */
export const RECORDS: u32 = 512;
/** A word for each record: what its sum should be. */
export const EXPECTED: u32 = REGISTERS + 4 * RECORDS;
/** How far bytes are moved at most. */
const REACH: u32 = 266;
/** Where the data of a call lies, and how many bytes there may be. */
export const DATA: u32 = EXPECTED + 4 * RECORDS + 272;
export const ROOM: u32 = 0x8000;
/** The bytes that the others were moved to. */
const REST: u32 = DATA + ROOM + 272;
/** Below this many bytes moving them takes as long as the tables. */
const LONG: u32 = 768;

export function makeTables(polynomial: u32): void {
  for (let byte: u32 = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (polynomial & (0 - (crc & 1)));
    store<u32>(byte << 2, crc);
  }
  for (let at: u32 = 0x400; at < TABLES; at += 4) {
    const before = load<u32>(at - 0x400);
    store<u32>(at, (before >>> 8) ^ load<u32>((before << 2) & 0x3fc));
  }
}

/** The register after the eight bytes at `at`. */
function step8(register: u32, at: u32): u32 {
  const a = register ^ load<u32>(at);
  const b = load<u32>(at, 4);
  return (
    load<u32>((a << 2) & 0x3fc, 0x1c00) ^
    load<u32>((a >>> 6) & 0x3fc, 0x1800) ^
    load<u32>((a >>> 14) & 0x3fc, 0x1400) ^
    load<u32>((a >>> 22) & 0x3fc, 0x1000) ^
    load<u32>((b << 2) & 0x3fc, 0xc00) ^
    load<u32>((b >>> 6) & 0x3fc, 0x800) ^
    load<u32>((b >>> 14) & 0x3fc, 0x400) ^
    load<u32>((b >>> 22) & 0x3fc)
  );
}

/** The register after bytes `from` to `to` of the memory. */
function serial(register: u32, from: u32, to: u32): u32 {
  let crc = register;
  let at = from;
  for (const end = from + ((to - from) & ~15); at < end; at += 16) {
    const a = crc ^ load<u32>(at);
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    crc =
      load<u32>((a << 2) & 0x3fc, 0x3c00) ^
      load<u32>((a >>> 6) & 0x3fc, 0x3800) ^
      load<u32>((a >>> 14) & 0x3fc, 0x3400) ^
      load<u32>((a >>> 22) & 0x3fc, 0x3000) ^
      load<u32>((b << 2) & 0x3fc, 0x2c00) ^
      load<u32>((b >>> 6) & 0x3fc, 0x2800) ^
      load<u32>((b >>> 14) & 0x3fc, 0x2400) ^
      load<u32>((b >>> 22) & 0x3fc, 0x2000) ^
      load<u32>((c << 2) & 0x3fc, 0x1c00) ^
      load<u32>((c >>> 6) & 0x3fc, 0x1800) ^
      load<u32>((c >>> 14) & 0x3fc, 0x1400) ^
      load<u32>((c >>> 22) & 0x3fc, 0x1000) ^
      load<u32>((d << 2) & 0x3fc, 0xc00) ^
      load<u32>((d >>> 6) & 0x3fc, 0x800) ^
      load<u32>((d >>> 14) & 0x3fc, 0x400) ^
      load<u32>((d >>> 22) & 0x3fc);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ load<u32>(((crc ^ load<u8>(at)) & 0xff) << 2);
  return crc;
}

/** What those before them move to the sixteen bytes at `at`. */
function moved(at: u32): v128 {
  const near = v128.xor(v128.load(at - 123), v128.load(at - 145));
  return v128.xor(v128.xor(near, v128.load(at - 178)), v128.xor(v128.load(at - 195), v128.load(at - REACH)));
}

/** Runs the bare register over the first `length` bytes of the data, which are spent by it. */
export function update(register: u32, length: u32): u32 {
  if (length < LONG) return serial(register, DATA, DATA + length);
  store<u32>(DATA, load<u32>(DATA) ^ register);
  const end = DATA + ((length - REACH) & ~15);
  for (let at = DATA; at < end; at += 16) v128.store(at, v128.xor(v128.load(at), moved(at)));
  const left = DATA + length - end;
  memory.copy(REST, end, left);
  // The last bytes themselves are moved no further.
  memory.fill(end, 0, REACH);
  for (let n: u32 = 0; n < REACH; n += 16) v128.store(REST + n, v128.xor(v128.load(REST + n), moved(end + n)));
  return serial(0, REST, REST + left);
}

/** Makes `bytes` bytes from byte `at` of each of `count` records zeros. */
export function clear(at: u32, bytes: u32, count: u32, size: u32): void {
  for (let record = DATA + at, end = record + count * size; record < end; record += size) memory.fill(record, 0, bytes);
}

/**
 * Whether the sums of all records are as expected, by one sum over them. It meets each record's register in its first four
 * bytes, and with it what the sum of the one before should be: where it is that, the two cancel each other out. The data are
 * spent by it.
 */
export function areAsExpected(count: u32, size: u32): bool {
  let before: u32 = 0;
  for (let n: u32 = 0; n < count; n += 1) {
    const record = DATA + n * size;
    store<u32>(record, load<u32>(record) ^ load<u32>(REGISTERS + (n << 2)) ^ before);
    before = load<u32>(EXPECTED + (n << 2));
  }
  return update(0, count * size) === before;
}

/**
 * Runs each of `count` registers over a record of its own: `size` bytes of the data, a multiple of eight, one behind the
 * other.
 */
export function updateRecords(count: u32, size: u32): void {
  let n: u32 = 0;
  for (; n + 4 <= count; n += 4) {
    const registers = REGISTERS + (n << 2);
    let first = load<u32>(registers);
    let second = load<u32>(registers, 4);
    let third = load<u32>(registers, 8);
    let fourth = load<u32>(registers, 12);
    for (let at = DATA + n * size, end = at + size; at < end; at += 8) {
      first = step8(first, at);
      second = step8(second, at + size);
      third = step8(third, at + 2 * size);
      fourth = step8(fourth, at + 3 * size);
    }
    store<u32>(registers, first);
    store<u32>(registers, second, 4);
    store<u32>(registers, third, 8);
    store<u32>(registers, fourth, 12);
  }
  for (; n < count; n += 1) {
    const from = DATA + n * size;
    store<u32>(REGISTERS + (n << 2), serial(load<u32>(REGISTERS + (n << 2)), from, from + size));
  }
}

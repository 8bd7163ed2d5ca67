/**
 * CRC-32C (Castagnoli) by tables, in AssemblyScript. JavaScript by the same method takes V8 the first 32 KiB, some
 * milliseconds, to make fast: longer than all else that a small disk needs.
 *
 * A sum by itself waits for each of its steps, so that four are run side by side wherever there is something to sum in
 * four parts: records of a table, or quarters of one long range, whose sums are joined afterwards.
 *
 * The memory holds the tables, sixteen of 256 words, as crc.ts describes them; those that move a register past a quarter;
 * a register for each record; and the data of one call.
 */

/** Bytes of a long range's quarter. */
const QUARTER: u32 = 1024;
const TABLES: u32 = 16 * 256 * 4;
/** Four tables of 256 words, one for each byte of a register: what it is after so many zero bytes. */
const PAST_QUARTER: u32 = TABLES;
const TABLES_END: u32 = PAST_QUARTER + 4 * 256 * 4;
/** A word for each record: where its sum starts, and afterwards the sum. */
export const REGISTERS: u32 = TABLES_END;
/** Most records of one call. */
export const RECORDS: u32 = 512;
/** Where the data of a call lies, and how many bytes there may be. */
export const DATA: u32 = REGISTERS + 4 * RECORDS;
export const ROOM: u32 = 0x8000;

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
  makePastQuarter();
}

/** What a register is after as many zero bytes as the tables at `PAST_QUARTER` stand for. */
function pastQuarter(register: u32): u32 {
  return (
    load<u32>((register << 2) & 0x3fc, PAST_QUARTER) ^
    load<u32>((register >>> 6) & 0x3fc, PAST_QUARTER + 0x400) ^
    load<u32>((register >>> 14) & 0x3fc, PAST_QUARTER + 0x800) ^
    load<u32>((register >>> 22) & 0x3fc, PAST_QUARTER + 0xc00)
  );
}

/** Makes the tables for one zero byte, then each time those for twice as many: what they do is linear. */
function makePastQuarter(): void {
  for (let n: u32 = 0; n < 4; n += 1) {
    for (let byte: u32 = 0; byte < 256; byte += 1) {
      const register = byte << (n << 3);
      store<u32>(PAST_QUARTER + (n << 10) + (byte << 2), (register >>> 8) ^ load<u32>((register << 2) & 0x3fc));
    }
  }
  for (let bytes: u32 = 1; bytes < QUARTER; bytes += bytes) {
    // Of single bits first, all from the old tables, into room that no call uses yet.
    for (let bit: u32 = 0; bit < 32; bit += 1)
      store<u32>(DATA + (bit << 2), pastQuarter(pastQuarter((1 as u32) << bit)));
    for (let n: u32 = 0; n < 4; n += 1) {
      const table = PAST_QUARTER + (n << 10);
      store<u32>(table, 0);
      for (let byte: u32 = 1; byte < 256; byte += 1) {
        const lowest = load<u32>(DATA + (n << 5) + (ctz(byte) << 2));
        store<u32>(table + (byte << 2), load<u32>(table + ((byte & (byte - 1)) << 2)) ^ lowest);
      }
    }
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

/** Runs the bare register over the first `length` bytes of the data. */
export function update(register: u32, length: u32): u32 {
  let crc = register;
  let from = DATA;
  const to = DATA + length;
  for (; to - from >= 4 * QUARTER; from += 4 * QUARTER) {
    let second: u32 = 0;
    let third: u32 = 0;
    let fourth: u32 = 0;
    for (let at = from, end = from + QUARTER; at < end; at += 8) {
      crc = step8(crc, at);
      second = step8(second, at + QUARTER);
      third = step8(third, at + 2 * QUARTER);
      fourth = step8(fourth, at + 3 * QUARTER);
    }
    crc = pastQuarter(pastQuarter(pastQuarter(crc) ^ second) ^ third) ^ fourth;
  }
  return serial(crc, from, to);
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

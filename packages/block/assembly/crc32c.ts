/**
 * CRC-32C (Castagnoli) by sixteen tables, in AssemblyScript. JavaScript by the same method is as fast once V8 has
 * optimised it, which takes the first 32 KiB, some milliseconds: longer than all else that a small disk needs.
 *
 * The memory holds the tables, sixteen of 256 words, as crc.ts describes them, and behind them the data of one call.
 */

/** Where the data of a call lies, and how many bytes there may be. */
export const DATA: u32 = 16 * 256 * 4;
export const ROOM: u32 = 0x10000 - DATA;

export function makeTables(polynomial: u32): void {
  for (let byte: u32 = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (polynomial & (0 - (crc & 1)));
    store<u32>(byte << 2, crc);
  }
  for (let at: u32 = 0x400; at < DATA; at += 4) {
    const before = load<u32>(at - 0x400);
    store<u32>(at, (before >>> 8) ^ load<u32>((before & 0xff) << 2));
  }
}

/** Runs the bare register over the first `length` bytes of the data. */
export function update(register: u32, length: u32): u32 {
  let crc = register;
  let at = DATA;
  for (const end = DATA + (length & ~15); at < end; at += 16) {
    const a = crc ^ load<u32>(at);
    const b = load<u32>(at, 4);
    const c = load<u32>(at, 8);
    const d = load<u32>(at, 12);
    crc =
      load<u32>((a & 0xff) << 2, 0x3c00) ^
      load<u32>(((a >>> 8) & 0xff) << 2, 0x3800) ^
      load<u32>(((a >>> 16) & 0xff) << 2, 0x3400) ^
      load<u32>((a >>> 24) << 2, 0x3000) ^
      load<u32>((b & 0xff) << 2, 0x2c00) ^
      load<u32>(((b >>> 8) & 0xff) << 2, 0x2800) ^
      load<u32>(((b >>> 16) & 0xff) << 2, 0x2400) ^
      load<u32>((b >>> 24) << 2, 0x2000) ^
      load<u32>((c & 0xff) << 2, 0x1c00) ^
      load<u32>(((c >>> 8) & 0xff) << 2, 0x1800) ^
      load<u32>(((c >>> 16) & 0xff) << 2, 0x1400) ^
      load<u32>((c >>> 24) << 2, 0x1000) ^
      load<u32>((d & 0xff) << 2, 0xc00) ^
      load<u32>(((d >>> 8) & 0xff) << 2, 0x800) ^
      load<u32>(((d >>> 16) & 0xff) << 2, 0x400) ^
      load<u32>((d >>> 24) << 2);
  }
  for (const end = DATA + length; at < end; at += 1) crc = (crc >>> 8) ^ load<u32>(((crc ^ load<u8>(at)) & 0xff) << 2);
  return crc;
}

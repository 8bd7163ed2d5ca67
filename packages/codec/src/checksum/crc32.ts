/** Eight tables of 256, for slicing by eight; polynomial 0xedb88320 (reflected), as in IEEE 802.3, gzip and xz. */
const TABLES = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
    tables[byte] = value;
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256]!;
    tables[i] = (previous >>> 8) ^ tables[previous & 0xff]!;
  }
  return tables;
}

/** CRC-32 as an unsigned number; `seed` is the CRC of what came before. */
export function crc32(data: Uint8Array, seed = 0): number {
  const t = TABLES;
  const length = data.length;
  let crc = ~seed;
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    crc =
      t[0x700 + ((crc ^ data[at]!) & 0xff)]! ^
      t[0x600 + (((crc >>> 8) ^ data[at + 1]!) & 0xff)]! ^
      t[0x500 + (((crc >>> 16) ^ data[at + 2]!) & 0xff)]! ^
      t[0x400 + ((crc >>> 24) ^ data[at + 3]!)]! ^
      t[0x300 + data[at + 4]!]! ^
      t[0x200 + data[at + 5]!]! ^
      t[0x100 + data[at + 6]!]! ^
      t[data[at + 7]!]!;
  }
  for (; at < length; at++) crc = t[(crc ^ data[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Four tables of 256 words, low and high halves apart; polynomial 0xc96c5795d7870f42 (ECMA-182, reflected). */
const LOW = new Uint32Array(4 * 256);
const HIGH = new Uint32Array(4 * 256);

for (let byte = 0; byte < 256; byte++) {
  let lo = byte;
  let hi = 0;
  for (let bit = 0; bit < 8; bit++) {
    const carry = lo & 1;
    lo = (lo >>> 1) | (hi << 31);
    hi >>>= 1;
    if (carry) {
      lo ^= 0xd787_0f42;
      hi ^= 0xc96c_5795;
    }
  }
  LOW[byte] = lo;
  HIGH[byte] = hi;
}
for (let i = 256; i < LOW.length; i++) {
  const lo = LOW[i - 256]!;
  const hi = HIGH[i - 256]!;
  LOW[i] = ((lo >>> 8) | (hi << 24)) ^ LOW[lo & 0xff]!;
  HIGH[i] = (hi >>> 8) ^ HIGH[lo & 0xff]!;
}

/** CRC-64 as xz uses it (ECMA-182, reflected, inverted), as its two unsigned halves. */
export function crc64(data: Uint8Array): { readonly hi: number; readonly lo: number } {
  let lo = -1;
  let hi = -1;
  let at = 0;
  for (; at + 4 <= data.length; at += 4) {
    const a = 0x300 + ((lo ^ data[at]!) & 0xff);
    const b = 0x200 + (((lo >>> 8) ^ data[at + 1]!) & 0xff);
    const c = 0x100 + (((lo >>> 16) ^ data[at + 2]!) & 0xff);
    const d = (lo >>> 24) ^ data[at + 3]!;
    lo = hi ^ LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]!;
    hi = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]!;
  }
  for (; at < data.length; at++) {
    const i = (lo ^ data[at]!) & 0xff;
    lo = ((lo >>> 8) | (hi << 24)) ^ LOW[i]!;
    hi = (hi >>> 8) ^ HIGH[i]!;
  }
  return { hi: ~hi >>> 0, lo: ~lo >>> 0 };
}

import { decodeTextStrict } from "@guestprobe/block";
import { isUsableName } from "@guestprobe/vfs";
import { CASE_LOWER_BASE, CASE_LOWER_EXT, ENTRY_DELETED, ENTRY_E5 } from "./layout.js";

/** Code page 437 from 0x80 on: what Linux takes short names for unless it is told another. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
const CODE_PAGE: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? String.fromCharCode(byte) : CP437[byte - 0x80]!,
);
/** The code points of each byte; and the same in lower case, as far as the code page has the letter. */
const POINTS: readonly number[] = CODE_PAGE.map((letter) => letter.charCodeAt(0));
const LOWER_POINTS: readonly number[] = CODE_PAGE.map((letter) => {
  const lower = letter.toLowerCase();
  return (CODE_PAGE.includes(lower) ? lower : letter).charCodeAt(0);
});

/**
 * A short name as Linux shows it, in UTF-8; empty where there is none. fs/fat/dir.c, fat_parse_short, with the default
 * `shortname=mixed`.
 *
 * @param raw The eleven bytes of `DIR_Name`.
 * @param caseBits `DIR_NTRes`.
 */
export function shortName(raw: Uint8Array, caseBits: number): Uint8Array {
  // Eleven letters and a dot, of three bytes at most.
  const utf8 = new Uint8Array(36);
  const base = putPart(utf8, 0, raw.subarray(0, 8), (caseBits & CASE_LOWER_BASE) !== 0);
  const dot = putUtf8(utf8, base, 0x2e);
  const end = putPart(utf8, dot, raw.subarray(8, 11), (caseBits & CASE_LOWER_EXT) !== 0);
  return utf8.slice(0, end === dot ? base : end);
}

/** Writes one part of a short name at byte `at`; where it ends. */
function putPart(utf8: Uint8Array, at: number, raw: Uint8Array, isLower: boolean): number {
  const points = isLower ? LOWER_POINTS : POINTS;
  let end = at;
  let used = at;
  for (let n = 0; n < raw.length && raw[n] !== 0; n += 1) {
    const byte = at === 0 && n === 0 && raw[n] === ENTRY_E5 ? ENTRY_DELETED : raw[n]!;
    end = putUtf8(utf8, end, points[byte]!);
    // Blanks fill the field; those between letters belong to the name.
    if (byte !== 0x20) used = end;
  }
  return used;
}

/** The checksum that ties the parts of a long name to their short name. "Name Limits and Character Sets", ChkSum. */
export function shortNameChecksum(raw: Uint8Array): number {
  let sum = 0;
  for (const byte of raw) sum = ((sum << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}

/**
 * A long name in UTF-8, and whether halves of surrogate pairs had to be left out, as Linux leaves them out (fs/nls/
 * nls_base.c, utf16s_to_utf8s).
 *
 * @param units UTF-16LE, ended by a NUL or by their end.
 */
export function longName(units: Uint8Array): { readonly name: Uint8Array; readonly isMended: boolean } {
  const utf8 = new Uint8Array((units.length / 2) * 3);
  let length = 0;
  let isMended = false;
  for (let at = 0; at + 1 < units.length; at += 2) {
    const unit = units[at]! | (units[at + 1]! << 8);
    if (unit === 0) break;
    let point = unit;
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = at + 3 < units.length ? units[at + 2]! | (units[at + 3]! << 8) : 0;
      if (unit >= 0xdc00 || low < 0xdc00 || low > 0xdfff) {
        isMended = true;
        continue;
      }
      point = 0x1_0000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
      at += 2;
    }
    length = putUtf8(utf8, length, point);
  }
  return { name: utf8.slice(0, length), isMended };
}

/** Writes a code point at byte `at`; where the next one goes. */
function putUtf8(utf8: Uint8Array, at: number, point: number): number {
  let end = at;
  if (point < 0x80) {
    utf8[end++] = point;
    return end;
  }
  const tail = point < 0x800 ? 1 : point < 0x1_0000 ? 2 : 3;
  utf8[end++] = ([0, 0xc0, 0xe0, 0xf0][tail] ?? 0) | (point >> (6 * tail));
  for (let left = tail - 1; left >= 0; left -= 1) utf8[end++] = 0x80 | ((point >> (6 * left)) & 0x3f);
  return end;
}

const fold = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);

/**
 * What two names share that Linux takes for one, with the default `iocharset=ascii`: the case of ASCII letters does not
 * count, nor do dots at the end. Undefined for what no name can be.
 */
export function nameKey(name: Uint8Array): string | undefined {
  const bare = withoutTrailingDots(name);
  return isUsableName(bare) ? decodeTextStrict(bare.map(fold)) : undefined;
}

/** The name without the dots at its end, which Linux and Windows drop before they look for it. */
function withoutTrailingDots(name: Uint8Array): Uint8Array {
  let end = name.length;
  while (end > 0 && name[end - 1] === 0x2e) end -= 1;
  return name.subarray(0, end);
}

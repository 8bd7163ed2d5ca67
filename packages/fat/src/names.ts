import { decodeUtf16, encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { CASE_LOWER_BASE, CASE_LOWER_EXT, ENTRY_DELETED, ENTRY_E5 } from "./layout.js";

/** Code page 437 from 0x80 on: what Linux takes short names for unless it is told another. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
const CODE_PAGE: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 ? String.fromCharCode(byte) : CP437[byte - 0x80]!,
);
/** The same in lower case, as far as the code page has the letter. */
const LOWER: readonly string[] = CODE_PAGE.map((letter) => {
  const lower = letter.toLowerCase();
  return CODE_PAGE.includes(lower) ? lower : letter;
});

/**
 * A short name as Linux shows it, in UTF-8; empty where there is none. fs/fat/dir.c, fat_parse_short, with the default
 * `shortname=mixed`.
 *
 * @param raw The eleven bytes of `DIR_Name`.
 * @param caseBits `DIR_NTRes`.
 */
export function shortName(raw: Uint8Array, caseBits: number): Uint8Array {
  const base = shortPart(raw.subarray(0, 8), (caseBits & CASE_LOWER_BASE) !== 0, true);
  const extension = shortPart(raw.subarray(8, 11), (caseBits & CASE_LOWER_EXT) !== 0, false);
  return encodeText(extension === "" ? base : `${base}.${extension}`);
}

function shortPart(raw: Uint8Array, isLower: boolean, isBase: boolean): string {
  const table = isLower ? LOWER : CODE_PAGE;
  let text = "";
  let used = 0;
  for (const [n, byte] of raw.entries()) {
    if (byte === 0) break;
    text += table[isBase && n === 0 && byte === ENTRY_E5 ? ENTRY_DELETED : byte];
    // Blanks fill the field; those between letters belong to the name.
    if (byte !== 0x20) used = text.length;
  }
  return text.slice(0, used);
}

/** The checksum that ties the parts of a long name to their short name. "Name Limits and Character Sets", ChkSum. */
export function shortNameChecksum(raw: Uint8Array): number {
  let sum = 0;
  for (const byte of raw) sum = ((sum << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/**
 * A long name in UTF-8, and whether halves of surrogate pairs had to be left out, as Linux leaves them out (fs/nls/
 * nls_base.c, utf16s_to_utf8s).
 *
 * @param units UTF-16LE, ended by a NUL or by their end.
 */
export function longName(units: Uint8Array): { readonly name: Uint8Array; readonly isMended: boolean } {
  const text = decodeUtf16(units);
  if (!text.includes("\ufffd")) return { name: encodeText(text), isMended: false };
  const view = viewOf(units);
  let kept = "";
  let isMended = false;
  for (let at = 0; at + 1 < units.length; at += 2) {
    const unit = view.getUint16(at, true);
    if (unit === 0) break;
    const next = at + 3 < units.length ? view.getUint16(at + 2, true) : 0;
    if (!isSurrogate(unit)) {
      kept += String.fromCharCode(unit);
    } else if (unit < 0xdc00 && next >= 0xdc00 && next <= 0xdfff) {
      kept += String.fromCharCode(unit, next);
      at += 2;
    } else {
      isMended = true;
    }
  }
  return { name: encodeText(kept), isMended };
}

/** Whether a path can hold the name. */
export function isUsableName(name: Uint8Array): boolean {
  const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
  return name.length > 0 && !isDots && !name.includes(0x2f) && !name.includes(0);
}

const fold = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);

/** Equality without regard to the case of ASCII letters: Linux, with the default `iocharset=ascii`. */
export function equalsFolded(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (fold(a[at]!) !== fold(b[at]!)) return false;
  return true;
}

/** The name without the dots at its end, which Linux and Windows drop before they look for it. */
export function withoutTrailingDots(name: Uint8Array): Uint8Array {
  let end = name.length;
  while (end > 0 && name[end - 1] === 0x2e) end -= 1;
  return name.subarray(0, end);
}

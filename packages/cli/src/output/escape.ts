import { decodeTextStrict } from "@guestprobe/block";

/**
 * Characters that could move the cursor, recolour, hide or reorder what a person sees: control characters, line and
 * paragraph separators, bidirectional marks, overrides and isolates, zero-width and tag characters, and the byte order
 * mark.
 */
export const UNSAFE =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: the class lists code points one by one, on purpose
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/**
 * Text from a guest, safe to print: the one function that writes such text. Control bytes and invalid UTF-8 become
 * `\x1b`, invisible and bidirectional characters `\u202e`, and a backslash `\\`, so that the result is unambiguous.
 */
export function escapeGuestText(text: Uint8Array | string): string {
  const clean = typeof text === "string" ? text : decodeTextStrict(text);
  if (clean !== undefined) return escapeCharacters(clean);
  return escapeInvalid(text as Uint8Array);
}

/** A device as paths begin with it. Names of logical volumes are the guest's choice. */
export const deviceText = (device: string): string => `(${escapeGuestText(device)})`;

/** The bytes of a text as `escapeGuestText` writes it; what is no such escape stands for itself. */
export function unescapeGuestText(text: string): Uint8Array {
  const pieces = text.split(/(\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\u\{[0-9a-f]{5,6}\})/i);
  return Buffer.concat(
    pieces.map((piece, index) => {
      if (index % 2 === 0) return Buffer.from(piece);
      if (piece === "\\\\") return Buffer.from("\\");
      const code = Number.parseInt(piece.replace(/[\\xu{}]/gi, ""), 16);
      if (piece[1] === "x") return Buffer.of(code);
      return Buffer.from(code <= 0x10ffff ? String.fromCodePoint(code) : piece);
    }),
  );
}

/** What nearly every text is made of: printable ASCII without the backslash. */
const PLAIN = /^[ -[\]-~]*$/;

/** Whether bytes `from` to `to` are such a text. */
export function isPlain(data: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = data[at]!;
    if (byte < 0x20 || byte > 0x7e || byte === 0x5c) return false;
  }
  return true;
}

function escapeCharacters(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    // From 0x80 on, a byte that is no UTF-8 is written as \\xNN, and a character must not look like one.
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** Valid stretches as text, each byte that begins no valid sequence as `\xNN`. */
function escapeInvalid(data: Uint8Array): string {
  let result = "";
  for (let at = 0; at < data.length; ) {
    const length = sequenceLength(data[at]!);
    const sequence = length === 0 ? undefined : decodeTextStrict(data.subarray(at, at + length));
    if (sequence === undefined || at + length > data.length) {
      result += `\\x${data[at]!.toString(16).padStart(2, "0")}`;
      at += 1;
    } else {
      result += escapeCharacters(sequence);
      at += length;
    }
  }
  return result;
}

/** Bytes in the UTF-8 sequence that `lead` begins; 0 for a byte that begins none. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

import { decodeTextStrict, encodeText } from "@guestprobe/block";

/**
 * Names that JavaScript's own case mapping would fold differently: the dotless i folds to itself, and Cherokee folds
 * to its capitals.
 */
function foldCodePoint(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code === 0x131 || (code >= 0x13a0 && code <= 0x13f5)) return char;
  if (code >= 0x13f8 && code <= 0x13fd) return String.fromCodePoint(code - 8);
  if (code >= 0xab70 && code <= 0xabbf) return String.fromCodePoint(code - 0xab70 + 0x13a0);
  // By single characters, so that no rule for words (the final sigma) applies. Down, up and down again brings
  // characters together that have no capital of their own, such as the sharp s.
  return char.toLowerCase().toUpperCase().toLowerCase();
}

/**
 * The form of a name by which casefold directories compare and hash it: canonical decomposition, full case folding,
 * ignorable characters left out. Undefined for bytes that are not UTF-8, which are compared as they are.
 *
 * The kernel does this by its tables of Unicode 12.1, here JavaScript's own and perhaps newer tables do: characters
 * assigned since then are folded here and compared as they are by the kernel.
 */
export function foldName(name: Uint8Array): Uint8Array | undefined {
  const text = decodeTextStrict(name);
  if (text === undefined) return undefined;
  const folded = Array.from(text.normalize("NFD"), foldCodePoint).join("").normalize("NFD");
  return encodeText(folded.replace(/\p{Default_Ignorable_Code_Point}/gu, ""));
}

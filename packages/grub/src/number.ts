/** A number at the start of a text, and where it ends. */
export interface ParsedNumber {
  readonly value: number;
  readonly end: number;
}

/**
 * Reads a number as GRUB's grub_strtoull with base 0 does (kern/misc.c): leading blanks are skipped, "0x" makes it
 * hexadecimal, a zero before an octal digit makes it octal, so that "08" is eight and "010" too. Undefined where there
 * is no digit, or the number is beyond what any disk has.
 */
export function parseNumber(text: string, from = 0): ParsedNumber | undefined {
  const match = /^[ \t\n\v\f\r]*(?:0x([0-9a-fA-F]+)|(?!0x)(?:(0[0-7]+)|([0-9]+)))/.exec(text.slice(from));
  if (match === null) return undefined;
  const [whole, hex, octal, decimal] = match;
  const value =
    hex !== undefined ? Number.parseInt(hex, 16) : octal !== undefined ? Number.parseInt(octal, 8) : Number(decimal);
  return Number.isSafeInteger(value) ? { value, end: from + whole.length } : undefined;
}

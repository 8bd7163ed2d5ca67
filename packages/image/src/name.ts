/** Control characters, line and paragraph separators, bidirectional controls and lone surrogates. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;
const LONGEST = 256;

/**
 * A name from an image, in double quotes, fit for a message: what could move the cursor or turn text around is escaped,
 * and what is too long to read is cut. Backslashes stay as they are: many of these names are Windows paths.
 */
export function quoteName(name: string): string {
  const shown = name.length > LONGEST ? `${name.slice(0, LONGEST)}...` : name;
  return `"${shown.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}

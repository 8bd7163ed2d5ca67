import { UNSAFE } from "./escape.js";

/** What nearly every document is made of. */
const PLAIN = /^[\n -~]*$/;

/**
 * As `JSON.stringify`, but with what a terminal would obey, or a person not see, escaped: U+009B begins a sequence of
 * control on some terminals, and JSON would let it stand. A parser reads the same.
 */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  // Line feeds are of the layout: those in a string are escaped already.
  return PLAIN.test(text) ? text : text.replace(UNSAFE, (found) => (found === "\n" ? found : escapeUnits(found)));
}

const escapeUnits = (character: string): string =>
  character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");

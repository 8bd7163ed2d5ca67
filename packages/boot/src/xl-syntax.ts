import { decodeTextStrict, ImageError } from "@guestprobe/block";

/** A value of an xl configuration. */
export type XlValue = string | number | readonly XlValue[];

/** Bounds: real configurations have a few kilobytes. */
const MAX_BYTES = 1 << 20;
const MAX_DEPTH = 16;

/**
 * Reads an xl configuration: assignments `key = value`, ended by a newline or `;`. Xen 4.17, tools/libs/util/libxlu_cfg_l.l and
 * libxlu_cfg_y.y: it looks like Python and is not, so there are no expressions, variables or continued lines.
 *
 * @throws ImageError `corrupt` with the line, for what xl would refuse too; `limit` past 1 MiB or 16 nested lists.
 */
export function parseXlSyntax(bytes: Uint8Array): ReadonlyMap<string, XlValue> {
  if (bytes.length > MAX_BYTES)
    throw new ImageError("limit", `${bytes.length} bytes, ${MAX_BYTES} at most`, { format: "xl.cfg" });
  const text = decodeTextStrict(bytes);
  if (text === undefined) throw new ImageError("corrupt", "not UTF-8", { format: "xl.cfg", offset: 0 });
  return new Parser(text).document();
}

class Parser {
  readonly #text: string;
  #at = 0;
  readonly #found = new Map<string, XlValue>();

  constructor(text: string) {
    this.#text = text;
  }

  document(): ReadonlyMap<string, XlValue> {
    for (;;) {
      this.#skip(true);
      while (this.#peek() === ";") {
        this.#at += 1;
        this.#skip(true);
      }
      if (this.#at >= this.#text.length) return this.#found;
      this.#assignment();
    }
  }

  #assignment(): void {
    const key = this.#match(/[a-z][._0-9a-z]*/y);
    if (key === undefined) throw this.#fault("a key was expected");
    this.#skip(false);
    const operator = this.#match(/\+?=/y);
    if (operator === undefined) throw this.#fault(`"=" was expected after ${key}`);
    this.#skip(false);
    const value = this.#value(0);
    this.#found.set(key, operator === "=" ? value : this.#appended(key, value));
    this.#skip(false);
    const end = this.#peek();
    if (end !== undefined && end !== "\n" && end !== ";")
      throw this.#fault(`the end of the line was expected after ${key}`);
  }

  #appended(key: string, value: XlValue): XlValue {
    const before = this.#found.get(key);
    if (before === undefined) return value;
    if (typeof before === "object" && typeof value === "object") return [...before, ...value];
    if (typeof before === "string" && typeof value === "string") return before + value;
    throw this.#fault(`${key} += joins values of different kinds`);
  }

  #value(depth: number): XlValue {
    if (depth > MAX_DEPTH) {
      throw new ImageError("limit", `lists inside each other, ${MAX_DEPTH} at most`, { format: "xl.cfg" });
    }
    const start = this.#peek();
    if (start === "'" || start === '"') return this.#string(start);
    if (start === "[") return this.#list(depth);
    const number = this.#match(/(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.])/y);
    if (number === undefined) throw this.#fault("a string, a number or a list was expected");
    const octal = /^0[0-9]+$/.test(number);
    if (octal && !/^[0-7]+$/.test(number)) throw this.#fault(`${number} is no octal number`);
    return octal ? Number.parseInt(number, 8) : Number(number);
  }

  #string(quote: string): string {
    const from = this.#at;
    let value = "";
    for (this.#at += 1; ; this.#at += 1) {
      const character = this.#peek();
      if (character === undefined || character === "\n") {
        this.#at = from;
        throw this.#fault("a string without its end on the line");
      }
      if (character === quote) break;
      if (character === "\\") {
        const pattern = /\\(?:x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[^\n])/y;
        pattern.lastIndex = this.#at;
        const found = pattern.exec(this.#text)?.[0];
        if (found === undefined) throw this.#fault("a backslash before the end of the line");
        value += unescapeXl(found);
        this.#at += found.length - 1;
      } else value += character;
    }
    this.#at += 1;
    return value;
  }

  #list(depth: number): readonly XlValue[] {
    const values: XlValue[] = [];
    this.#at += 1;
    for (;;) {
      this.#skip(true);
      if (this.#peek() === "]") break;
      values.push(this.#value(depth + 1));
      this.#skip(true);
      if (this.#peek() === ",") this.#at += 1;
      else if (this.#peek() !== "]") throw this.#fault('"," or "]" was expected in a list');
    }
    this.#at += 1;
    return values;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** Blanks and comments; newlines too where they mean nothing. */
  #skip(newlines: boolean): void {
    this.#match(newlines ? /(?:[ \t\r\n]|#[^\n]*)*/y : /(?:[ \t\r]|#[^\n]*)*/y);
  }

  #fault(reason: string): ImageError {
    const line = this.#text.slice(0, this.#at).split("\n").length;
    return new ImageError("corrupt", `line ${line}: ${reason}`, { format: "xl.cfg", offset: this.#at });
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

function unescapeXl(text: string): string {
  const rest = text.slice(1);
  if (/^x[0-9a-fA-F]/.test(rest)) return String.fromCharCode(Number.parseInt(rest.slice(1), 16));
  if (/^[0-7]/.test(rest)) return String.fromCharCode(Number.parseInt(rest, 8) & 0xff);
  return ESCAPES[rest] ?? rest;
}

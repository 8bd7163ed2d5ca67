import { decodeText, type ErrorPlace, ImageError } from "@guestprobe/block";

/** A number that no exact integer holds is NaN: whoever needs it refuses it. */
export type Scalar = string | number;
export type Value = Scalar | readonly Scalar[];

/** `name { ... }`, and the whole text. Keys in the order of the text. */
export interface Section {
  readonly values: ReadonlyMap<string, Value>;
  readonly sections: ReadonlyMap<string, Section>;
  /** Bytes from the start of the text. */
  readonly at: number;
}

/** Sections in sections: LVM's own text has four levels. */
const MAX_DEPTH = 16;
/** Keys, values and sections of one text. Half of a text of the largest size that is read, in the shortest form. */
const MAX_NODES = 4_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HASH = 0x23;
const LINE_FEED = 0x0a;
const EQUALS = 0x3d;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
/** What ends a bare word: white space, and each byte that means something by itself. */
const ENDS_WORD: ReadonlySet<number> = new Set([
  ...[0x00, QUOTE, HASH, EQUALS, COMMA, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE],
]);

interface Open {
  readonly name: string;
  readonly values: Map<string, Value>;
  readonly sections: Map<string, Section>;
  readonly at: number;
}

/**
 * Parses LVM's text format: `key = value`, `name { ... }`, comments from "#" to the end of the line, strings in double quotes
 * with "\" before a quote or a backslash, arrays in brackets. lvm.conf(5), and LVM2, libdm/libdm-config.c. The text ends at
 * its first NUL or at its last byte.
 *
 * Iterative: no nesting of the input is a nesting of calls.
 *
 * @throws ImageError `corrupt` with the offset in the text, `limit`.
 */
export function parseConfig(text: Uint8Array): Section {
  const lexer = new Lexer(text);
  const root: Open = { name: "", values: new Map(), sections: new Map(), at: 0 };
  const stack: Open[] = [root];
  for (;;) {
    const current = stack.at(-1)!;
    const byte = lexer.skipSpace();
    const at = lexer.at;
    if (byte === undefined) {
      if (stack.length > 1) throw lexer.corrupt(`the text ends inside the section "${current.name}"`);
      return root;
    }
    if (byte === CLOSE_BRACE) {
      if (stack.length === 1) throw lexer.corrupt("a brace closes no section");
      lexer.at += 1;
      stack.pop();
      stack.at(-1)!.sections.set(current.name, current);
      continue;
    }
    const name = byte === QUOTE ? lexer.string() : lexer.word();
    lexer.count();
    const next = lexer.skipSpace();
    lexer.at += 1;
    if (current.values.has(name) || current.sections.has(name)) {
      lexer.at = at;
      throw lexer.corrupt(`"${name}" is given twice`);
    }
    if (next === OPEN_BRACE) {
      if (stack.length > MAX_DEPTH) throw lexer.corrupt(`more than ${MAX_DEPTH} sections in one another`);
      stack.push({ name, values: new Map(), sections: new Map(), at });
    } else if (next === EQUALS) {
      current.values.set(name, lexer.value());
    } else {
      lexer.at -= 1;
      throw lexer.corrupt(`neither "=" nor "{" follows "${name}"`);
    }
  }
}

class Lexer {
  at = 0;
  readonly #text: Uint8Array;
  readonly #end: number;
  #nodes = 0;

  constructor(text: Uint8Array) {
    this.#text = text;
    const nul = text.indexOf(0);
    this.#end = nul < 0 ? text.length : nul;
  }

  corrupt(reason: string): ImageError {
    const place: ErrorPlace = { format: "lvm2", structure: "metadata text", offset: this.at };
    return new ImageError("corrupt", reason, place);
  }

  count(): void {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) {
      throw new ImageError("limit", `more than ${MAX_NODES} keys and values`, { format: "lvm2", offset: this.at });
    }
  }

  /** The next byte that is neither white space nor in a comment; undefined at the end. */
  skipSpace(): number | undefined {
    while (this.at < this.#end) {
      const byte = this.#text[this.at]!;
      if (byte === HASH) {
        const line = this.#text.indexOf(LINE_FEED, this.at);
        this.at = line < 0 || line > this.#end ? this.#end : line;
      } else if (!isSpace(byte)) return byte;
      else this.at += 1;
    }
    return undefined;
  }

  /** A bare word, up to white space or a byte that means something. */
  word(): string {
    const start = this.at;
    while (this.at < this.#end && !isSpace(this.#text[this.at]!) && !ENDS_WORD.has(this.#text[this.at]!)) this.at += 1;
    if (this.at === start)
      throw this.corrupt(`"${String.fromCharCode(this.#text[start] ?? 0)}" where a name should be`);
    return decodeText(this.#text.subarray(start, this.at));
  }

  string(): string {
    const start = this.at + 1;
    let escapes = false;
    for (let at = start; at < this.#end; at += 1) {
      const byte = this.#text[at];
      if (byte === BACKSLASH) {
        escapes = true;
        at += 1;
      } else if (byte === QUOTE) {
        this.at = at + 1;
        const text = decodeText(this.#text.subarray(start, at));
        return escapes ? text.replace(/\\([\\"])/g, "$1") : text;
      }
    }
    throw this.corrupt("a string does not end");
  }

  scalar(byte: number | undefined): Scalar {
    this.count();
    if (byte === QUOTE) return this.string();
    const word = this.word();
    if (!/^[-+]?[0-9]+(\.[0-9]*)?$/.test(word)) return word;
    const number = Number(word);
    return Number.isInteger(number) && !Number.isSafeInteger(number) ? Number.NaN : number;
  }

  value(): Value {
    const byte = this.skipSpace();
    if (byte !== OPEN_BRACKET) return this.scalar(byte);
    this.at += 1;
    const items: Scalar[] = [];
    for (;;) {
      const next = this.skipSpace();
      if (next === CLOSE_BRACKET) {
        this.at += 1;
        return items;
      }
      if (next === undefined) throw this.corrupt("an array does not end");
      items.push(this.scalar(next));
      const after = this.skipSpace();
      if (after === COMMA) this.at += 1;
      else if (after !== CLOSE_BRACKET) throw this.corrupt("neither a comma nor the end of the array follows a value");
    }
  }
}

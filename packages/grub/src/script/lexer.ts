import type { WordPart } from "./ast.js";
import { type Position, positionIn, type Source } from "./source.js";

export const KEYWORDS: ReadonlySet<string> = new Set([
  "case",
  "do",
  "done",
  "elif",
  "else",
  "esac",
  "fi",
  "for",
  "function",
  "if",
  "in",
  "select",
  "then",
  "until",
  "while",
]);

export type TokenKind = "newline" | ";" | "{" | "}" | "operator" | "keyword" | "name" | "word" | "end" | "bad";

export class Token {
  readonly kind: TokenKind;
  /** The characters of a keyword, name or operator; empty for words. */
  readonly text: string;
  readonly parts: readonly WordPart[];
  /** Index into the lines of the source and into that line, of the first character. */
  readonly line: number;
  readonly index: number;
  readonly #source: Source;
  #at: Position | undefined;

  constructor(source: Source, line: number, index: number, kind: TokenKind, text: string, parts: readonly WordPart[]) {
    this.#source = source;
    this.line = line;
    this.index = index;
    this.kind = kind;
    this.text = text;
    this.parts = parts;
  }

  /** Worked out when asked for: most tokens are never asked. */
  get at(): Position {
    this.#at ??= placeIn(this.#source, this.line, this.index);
    return this.#at;
  }
}

function placeIn(source: Source, line: number, index: number): Position {
  const found = source.lines[Math.max(line, 0)];
  if (found === undefined) return { file: source.file, line: 1, column: 1, byte: 0 };
  return positionIn(source.file, found, Math.min(index, found.text.length));
}

function isLive(code: number): boolean {
  return code < 128 && LIVE[code] === 1;
}

const NO_PARTS: readonly WordPart[] = [];

function kindOf(plain: string): TokenKind {
  if (KEYWORDS.has(plain)) return "keyword";
  if (NAME.test(plain)) return "name";
  return plain === "[[" || plain === "]]" ? "operator" : "word";
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** After the `$`. The lexer of GRUB 2.06 (script/yylex.l, VARIABLE) knows these forms and no other. */
const VARIABLE = /(?:([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#*@])|\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#*@])\})/y;
/** Characters with which a word goes on after plain ones. */
const JOINS = "\\'\"$";
/** Characters that end a run of plain ones outside quotes. */
const LIVE = new Uint8Array(128);
for (const character of "{}|&$;<> \t\n'\"\\") LIVE[character.charCodeAt(0)] = 1;

/**
 * Splits a source into tokens, as the lexer of GRUB 2.06 does (script/yylex.l): line by line, and further lines are
 * asked for only inside quotes, after a backslash at the end of a line, and while the parser has a construct open.
 * Unlike GRUB's, which scans an unfinished word again with every line added, it never goes back.
 */
export class Lexer {
  /** Constructs open in the parser: while there are some, the end of a line is not the end of the unit. */
  open = 0;
  /** What GRUB's lexer itself complained of in this unit. */
  complaint: string | undefined;
  #next = 0;
  #number = -1;
  #text = "";
  #index = 0;
  #ended = false;

  readonly source: Source;

  constructor(source: Source) {
    this.source = source;
  }

  /** Makes the next line the start of a unit; false at the end of the source. */
  startUnit(): boolean {
    this.open = 0;
    this.complaint = undefined;
    this.#ended = false;
    return this.#loadLine();
  }

  get position(): Position {
    return placeIn(this.source, this.#number, this.#index);
  }

  #loadLine(): boolean {
    const { lines, skipsHashLines } = this.source;
    while (skipsHashLines && lines[this.#next]?.text.startsWith("#")) this.#next += 1;
    const line = lines[this.#next];
    if (line === undefined) return false;
    this.#number = this.#next;
    this.#next += 1;
    this.#text = `${line.text}\n`;
    this.#index = 0;
    return true;
  }

  /** As GRUB puts it when a construct or a quote is open at the end: "out of memory". */
  #runOut(): Token {
    this.#ended = true;
    this.complaint ??= "out of memory";
    return this.#token("bad", "");
  }

  #token(kind: TokenKind, text: string): Token {
    return new Token(this.source, this.#number, this.#index, kind, text, NO_PARTS);
  }

  next(): Token {
    if (this.complaint !== undefined) return this.#token("bad", "");
    while (!this.#ended) {
      if (this.#index >= this.#text.length) {
        if (this.open === 0) this.#ended = true;
        else if (!this.#loadLine()) return this.#runOut();
        continue;
      }
      const character = this.#text[this.#index]!;
      if (character === " " || character === "\t") this.#index += 1;
      else if (character === "#") this.#index = this.#text.length - 1;
      else return this.#lex(character);
    }
    return this.#token("end", "");
  }

  #lex(character: string): Token {
    if (character === "\n") return this.#advance("newline", 1);
    if (character === "{" || character === "}") return this.#advance(character, 1);
    if (character === ";" && this.#text[this.#index + 1] !== ";") return this.#advance(";", 1);
    if (";|&<>".includes(character)) {
      const doubled = this.#text[this.#index + 1] === character && ";|&".includes(character);
      return this.#advance("operator", doubled ? 2 : 1);
    }
    const [line, index] = [this.#number, this.#index];
    const plain = this.#plainWord();
    if (plain !== undefined) return new Token(this.source, line, index, kindOf(plain), plain, NO_PARTS);
    const word = this.#word();
    if (word === "bad") return new Token(this.source, line, index, "bad", "", NO_PARTS);
    const kind = word.plain === undefined ? "word" : kindOf(word.plain);
    return new Token(this.source, line, index, kind, word.plain ?? "", word.parts);
  }

  /** A word that ends before anything but plain characters, as most do; undefined, and nothing passed over, for others. */
  #plainWord(): string | undefined {
    const text = this.#text;
    let end = this.#index;
    while (end < text.length && !isLive(text.charCodeAt(end))) end += 1;
    if (end === this.#index || JOINS.includes(text[end] ?? "$")) return undefined;
    const word = text.slice(this.#index, end);
    this.#index = end;
    return word;
  }

  #advance(kind: TokenKind, length: number): Token {
    const token = this.#token(kind, this.#text.slice(this.#index, this.#index + length));
    this.#index += length;
    return token;
  }

  /** A word; `plain` is its text when it has no quote, escape or variable. */
  #word(): "bad" | { plain: string | undefined; parts: readonly WordPart[] } {
    const parts: WordPart[] = [];
    let text = "";
    let plain = true;
    let bad = false;
    const flush = (kind: WordPart["kind"] = "text") => {
      if (text !== "") parts.push({ kind, text });
      text = "";
    };
    scan: for (;;) {
      const start = this.#index;
      while (this.#index < this.#text.length && !isLive(this.#text.charCodeAt(this.#index))) this.#index += 1;
      if (this.#index > start) text += this.#text.slice(start, this.#index);
      const character = this.#text[this.#index];
      switch (character) {
        case "\\":
          plain = false;
          if (this.#text[this.#index + 1] === "\n") {
            this.#index += 2;
            if (this.#index >= this.#text.length && !this.#loadLine()) {
              this.#runOut();
              return "bad";
            }
          } else {
            text += this.#text.slice(this.#index, this.#index + 2);
            this.#index += 2;
          }
          break;
        case "'":
        case '"': {
          plain = false;
          flush();
          this.#index += 1;
          const sound = character === "'" ? this.#singleQuoted(parts) : this.#doubleQuoted(parts);
          if (sound === "unfinished") return "bad";
          bad ||= sound === "bad";
          break;
        }
        case "$": {
          if (this.#text[this.#index + 1] === '"') {
            plain = false;
            // GRUB hands the text before `$"` on as if it were inside (yylex.l, SPLIT).
            flush("translated");
            this.#index += 2;
            if (!this.#translated(parts)) return "bad";
            break;
          }
          const name = this.#variable();
          if (name === undefined) {
            // `a$` is the word `a`, and then a character that belongs to nothing.
            if (text !== "" || parts.length > 0 || !plain) break scan;
            this.complaint = "$";
            return "bad";
          }
          plain = false;
          flush();
          parts.push({ kind: "variable", text: name });
          break;
        }
        default:
          break scan;
      }
    }
    if (bad) return "bad";
    const bare = plain ? text : undefined;
    flush();
    return { plain: bare, parts };
  }

  /** The variable at a `$`, which is passed over with it. */
  #variable(): string | undefined {
    VARIABLE.lastIndex = this.#index + 1;
    const match = VARIABLE.exec(this.#text);
    if (match === null) return undefined;
    this.#index += 1 + match[0].length;
    return match[1] ?? match[2];
  }

  #needLine(): boolean {
    if (this.#loadLine()) return true;
    this.#runOut();
    return false;
  }

  #singleQuoted(parts: WordPart[]): "sound" | "unfinished" {
    const pieces: string[] = [];
    for (;;) {
      const end = this.#text.indexOf("'", this.#index);
      pieces.push(this.#text.slice(this.#index, end < 0 ? undefined : end));
      if (end >= 0) {
        this.#index = end + 1;
        parts.push({ kind: "quoted", text: pieces.join("") });
        return "sound";
      }
      if (!this.#needLine()) return "unfinished";
    }
  }

  #doubleQuoted(parts: WordPart[]): "sound" | "bad" | "unfinished" {
    let text = "";
    let result: "sound" | "bad" = "sound";
    for (;;) {
      const character = this.#text[this.#index];
      if (character === undefined) {
        if (!this.#needLine()) return "unfinished";
      } else if (character === '"') {
        this.#index += 1;
        parts.push({ kind: "quoted", text });
        return result;
      } else if (character === "\\") {
        const next = this.#text[this.#index + 1]!;
        if (next === "$" || next === "\\" || next === '"') text += next;
        else if (next !== "\n") text += `\\${next}`;
        this.#index += 2;
      } else if (character === "$") {
        const name = this.#variable();
        if (name === undefined) {
          // Noticed only once the word is complete, so its other lines are lost with it.
          result = "bad";
          this.#index += 1;
          continue;
        }
        parts.push({ kind: "quoted", text }, { kind: "quotedVariable", text: name });
        text = "";
      } else {
        QUOTED_RUN.lastIndex = this.#index;
        const run = QUOTED_RUN.exec(this.#text)![0];
        text += run;
        this.#index += run.length;
      }
    }
  }

  #translated(parts: WordPart[]): boolean {
    let text = "";
    for (;;) {
      const character = this.#text[this.#index];
      if (character === undefined) {
        if (!this.#needLine()) return false;
      } else if (character === '"') {
        this.#index += 1;
        parts.push({ kind: "translated", text });
        return true;
      } else if (character === "\\") {
        const next = this.#text[this.#index + 1]!;
        if (next === '"') text += '"';
        else if (next !== "\n") text += `\\${next}`;
        this.#index += 2;
      } else {
        text += character;
        this.#index += 1;
      }
    }
  }
}

const QUOTED_RUN = /[^"$\\]+/y;

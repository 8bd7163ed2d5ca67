import { decodeText, textLength } from "./text.js";

/** Where something stands in a configuration file. */
export interface Position {
  /** The file as GRUB would name it: "(xen/xvda,msdos1)/boot/grub/grub.cfg". */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** From the start of the file, in bytes. */
  readonly byte: number;
}

/** One line, or the part of it that belongs to a block; without its newline. */
export interface SourceLine {
  readonly text: string;
  readonly line: number;
  /** Column and byte of the first character of `text`. */
  readonly column: number;
  readonly byte: number;
}

/** Text to be parsed, line by line, as GRUB's readers hand it to the parser. */
export interface Source {
  readonly file: string;
  readonly lines: readonly SourceLine[];
  /**
   * Lines whose first character is `#` never reach the lexer, not even inside quotes (normal/main.c,
   * read_config_file_getline). True for configuration files, false for bodies of entries and `eval`.
   */
  readonly skipsHashLines: boolean;
}

/**
 * A configuration file. GRUB drops carriage returns wherever they are, and its lines are C strings: whatever follows a
 * NUL byte in a line is not seen (normal/main.c, grub_file_getline).
 */
export function sourceFromFile(file: string, bytes: Uint8Array): Source {
  const lines: SourceLine[] = [];
  // One call for the whole file where that gives one character for each byte: a call for each line is far dearer.
  const whole = decodeText(bytes);
  const ascii = whole.length === bytes.length;
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    let text = ascii ? whole.slice(start, end) : decodeText(bytes.subarray(start, end));
    if (text.includes("\r")) text = text.replaceAll("\r", "");
    const nul = text.indexOf("\0");
    if (nul >= 0) text = text.slice(0, nul);
    lines.push({ text, line, column: 1, byte: start });
    start = end + 1;
  }
  return { file, lines, skipsHashLines: true };
}

/** Text made while running (`eval`, a translated menu): every line is placed where the command that made it stands. */
export function sourceFromText(at: Position, text: string): Source {
  const lines = text.split("\n").map((line) => ({ text: line, line: at.line, column: at.column, byte: at.byte }));
  return { file: at.file, lines, skipsHashLines: false };
}

/**
 * The last place worked out: the next one is most often further on in the same line, and counted from there. One slot
 * and not one for each line: a weak map of 100,000 lines costs more in every garbage collection than it saves.
 */
const counted: { line: SourceLine | undefined; index: number; bytes: number } = { line: undefined, index: 0, bytes: 0 };

/** The place of character `index` of `line`. */
export function positionIn(file: string, line: SourceLine, index: number): Position {
  if (counted.line !== line || counted.index > index) Object.assign(counted, { line, index: 0, bytes: 0 });
  counted.bytes += textLength(line.text, counted.index, index);
  counted.index = index;
  return { file, line: line.line, column: line.column + index, byte: line.byte + counted.bytes };
}

/** Where a part of a source starts or ends, as indices into its lines and into that line. */
export interface SourcePlace {
  readonly line: number;
  readonly index: number;
}

/** The pieces of the lines from one character (included) to another (excluded). */
function* pieces(source: Source, start: SourcePlace, end: SourcePlace): Generator<{ line: SourceLine; text: string }> {
  for (let number = start.line; number <= end.line; number++) {
    const line = source.lines[number]!;
    const from = number === start.line ? start.index : 0;
    // Only whole lines can be skipped: a block that opens in a line shows that the line was read.
    if (from === 0 && source.skipsHashLines && line.text.startsWith("#")) continue;
    yield { line, text: line.text.slice(from, number === end.line ? end.index : undefined) };
  }
}

/** The text of a block. */
export function sliceText(source: Source, start: SourcePlace, end: SourcePlace): string {
  if (start.line === end.line && start.index > 0) return source.lines[start.line]!.text.slice(start.index, end.index);
  return Array.from(pieces(source, start, end), ({ text }) => text).join("\n");
}

/** The body of a block as a source of its own; `at` is the place of its first character. */
export function sliceSource(source: Source, start: SourcePlace, end: SourcePlace, at: Position): Source {
  const lines = Array.from(pieces(source, start, end), ({ line, text }): SourceLine => {
    const first = line === source.lines[start.line];
    return { text, line: line.line, column: first ? at.column : line.column, byte: first ? at.byte : line.byte };
  });
  return { file: source.file, lines, skipsHashLines: false };
}

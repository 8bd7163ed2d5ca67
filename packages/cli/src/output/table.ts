/** How wide a text shows on a terminal: wide East Asian characters and emoji take two columns, combining marks none. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text.replace(ANSI, "")) {
    const code = character.codePointAt(0) ?? 0;
    if (/\p{Mark}/u.test(character)) continue;
    width += isWide(code) ? 2 : 1;
  }
  return width;
}

const PLAIN = /^[ -~]*$/;
const ANSI = /\u001b\[[0-9;]*m/g;

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be cut to make the table fit. */
  readonly flexible?: boolean;
}

/**
 * Lines of a table, columns two blanks apart. With `width`, flexible columns are cut, the widest first, until the
 * table fits; a cut text ends in "…".
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width?: number): string[] {
  const widths = columnWidths(columns, rows);
  if (width !== undefined) fit(columns, widths, width);
  return [columns.map((column) => column.title), ...rows].map((row) => tableLine(columns, widths, row).trimEnd());
}

/** How wide each column must be for its title and all rows. */
export function columnWidths(columns: readonly Column[], rows: Iterable<readonly string[]>): number[] {
  const widths = columns.map((column) => displayWidth(column.title));
  for (const row of rows) {
    for (let index = 0; index < widths.length; index += 1) {
      widths[index] = Math.max(widths[index]!, displayWidth(row[index] ?? ""));
    }
  }
  return widths;
}

/** One row, each text at its column's width, the last one's too. */
export function tableLine(columns: readonly Column[], widths: readonly number[], row: readonly string[]): string {
  let line = "";
  for (const [index, column] of columns.entries()) {
    const text = cut(row[index] ?? "", widths[index] ?? 0);
    const gap = " ".repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text)));
    line += `${index === 0 ? "" : "  "}${column.align === "right" ? gap + text : text + gap}`;
  }
  return line;
}

function fit(columns: readonly Column[], widths: number[], width: number): void {
  const total = (): number => widths.reduce((sum, each) => sum + each, 0) + 2 * (widths.length - 1);
  while (total() > width) {
    let widest = -1;
    for (const [index, column] of columns.entries()) {
      if (column.flexible && (widths[index] ?? 0) > (widths[widest] ?? 8)) widest = index;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let result = "";
  for (const character of text) {
    if (displayWidth(result + character) > width - 1) break;
    result += character;
  }
  return `${result}…`;
}

/** Bytes for people: "512 B", "8.0 MiB", "1.5 TiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${bytes} B` : `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

import { type Position, positionIn, sourceFromFile } from "../script/source.js";
import { compareText } from "../script/text.js";

export interface BlsField {
  readonly key: string;
  readonly value: string;
  readonly at: Position;
}

/** An entry of the Boot Loader Specification, type 1: a file of keys and values. */
export interface BlsEntry {
  /** The file's name without ".conf", by which `saved_entry` knows it. */
  readonly id: string;
  readonly file: string;
  readonly fields: readonly BlsField[];
}

/** Whether GRUB's blscfg reads a file of this name. */
export function isBlsFileName(name: string): boolean {
  return !name.startsWith(".") && name.length > 5 && name.endsWith(".conf");
}

/**
 * Reads an entry as Red Hat's blscfg does: a key, blanks, and the rest of the line; `#` starts a comment line; reading
 * ends at the first other line without a value. systemd-boot reads on, so `strict` false does.
 */
export function parseBlsEntry(file: string, bytes: Uint8Array, strict = true): BlsEntry {
  const fields: BlsField[] = [];
  for (const line of sourceFromFile(file, bytes).lines) {
    const text = line.text.replace(/^[ \t]+/, "");
    if (text.startsWith("#")) continue;
    const match = /^([^ \t]+)[ \t]+(.+)$/s.exec(text);
    if (match === null) {
      if (strict) break;
      continue;
    }
    fields.push({ key: match[1]!, value: match[2]!, at: positionIn(file, line, line.text.length - text.length) });
  }
  return { id: file.slice(file.lastIndexOf("/") + 1).replace(/\.conf$/, ""), file, fields };
}

export function blsField(entry: BlsEntry, key: string): BlsField | undefined {
  return entry.fields.find((field) => field.key === key);
}

export function blsFields(entry: BlsEntry, key: string): readonly BlsField[] {
  return entry.fields.filter((field) => field.key === key);
}

const DIGIT = /[0-9]/;
const ALPHA = /[A-Za-z]/;

/** Order of two versions as RPM has it: positive when `left` is newer. */
export function compareVersions(left: string, right: string): number {
  if (left === right) return 0;
  let a = 0;
  let b = 0;
  const skip = (text: string, at: number) => {
    let index = at;
    while (index < text.length && !DIGIT.test(text[index]!) && !ALPHA.test(text[index]!) && text[index] !== "~")
      index += 1;
    return index;
  };
  const segment = (text: string, at: number, kind: RegExp) => {
    let end = at;
    while (end < text.length && kind.test(text[end]!)) end += 1;
    return text.slice(at, end);
  };
  while (a < left.length || b < right.length) {
    a = skip(left, a);
    b = skip(right, b);
    // A tilde sorts before everything, the end included.
    if (left[a] === "~" || right[b] === "~") {
      if (left[a] !== "~") return 1;
      if (right[b] !== "~") return -1;
      a += 1;
      b += 1;
      continue;
    }
    if (a >= left.length || b >= right.length) break;
    const numeric = DIGIT.test(left[a]!);
    const one = segment(left, a, numeric ? DIGIT : ALPHA);
    const two = segment(right, b, numeric ? DIGIT : ALPHA);
    if (two === "") return numeric ? 1 : -1;
    a += one.length;
    b += two.length;
    const x = numeric ? one.replace(/^0+/, "") : one;
    const y = numeric ? two.replace(/^0+/, "") : two;
    if (numeric && x.length !== y.length) return x.length - y.length;
    const order = compareText(x, y);
    if (order !== 0) return order;
  }
  return (a < left.length ? 1 : 0) - (b < right.length ? 1 : 0);
}

/** Newest first, as blscfg lists them: the ids compared by name, version and release. */
export function sortBlsEntries(entries: readonly BlsEntry[]): readonly BlsEntry[] {
  const parts = (id: string): [string, string, string] => {
    const release = id.lastIndexOf("-");
    const version = release < 0 ? -1 : id.lastIndexOf("-", release - 1);
    if (release < 0) return [id, "", ""];
    if (version < 0) return [id.slice(0, release), id.slice(release + 1), ""];
    return [id.slice(0, version), id.slice(version + 1, release), id.slice(release + 1)];
  };
  const newest = (left: BlsEntry, right: BlsEntry) => {
    const a = parts(left.id);
    const b = parts(right.id);
    return compareVersions(b[0], a[0]) || compareVersions(b[1], a[1]) || compareVersions(b[2], a[2]);
  };
  return [...entries].sort(newest);
}

/** `$name` and `${name}` in `options`, from GRUB's variables; others become nothing. */
export function expandBlsValue(value: string, variable: (name: string) => string | undefined): string {
  return value.replace(
    /\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g,
    (_, braced?: string, bare?: string) => variable(braced ?? bare!) ?? "",
  );
}

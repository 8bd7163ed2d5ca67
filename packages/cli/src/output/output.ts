import { type Finding, FindingLog, ImageError, isImageError } from "@guestprobe/block";
import { ENTRY_BYTES, type PathSource, type Stat, textPair, writeEntry } from "@guestprobe/vfs";
import { deviceText, escapeGuestText, isPlain } from "./escape.js";
import { JsonDocument } from "./json-document.js";
import { jsonText } from "./json-text.js";
import { standardError, standardOutput } from "./standard.js";
import { STYLES } from "./styles.js";

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: "auto" | "always" | "never";
}

type Style = keyof typeof STYLES;

/** Bytes collected before they are handed to standard output. */
const CHUNK = 64 << 10;
/** Bytes of memory in which they are; those that are not needed are never touched. */
const BLOCK = 4 * CHUNK;
/** Most bytes that are copied there, and do not go out as a piece of their own. */
const COPIED = 4096;
/** Bytes of UTF-8 for one UTF-16 code unit, at most. */
const MOST_OF_A_LETTER = 3;

/** Where a verb writes: answers to standard output, all else to standard error. */
export class Output {
  readonly options: OutputOptions;
  readonly log = new FindingLog();
  /** Columns of the terminal; undefined when standard output is none. */
  readonly width: number | undefined;
  readonly #isColoured: boolean;
  /** What goes before the bytes in the block. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Memory that is filled again once it was written out: new memory costs more than what is done with it. */
  #block: Buffer | undefined;
  /** The bytes of the block that are pending. */
  #from = 0;
  #to = 0;
  /** Lines that are not bytes yet: many are encoded at once. */
  #text = "";
  /** The document that is being written. */
  #document: JsonDocument | undefined;

  constructor(options: OutputOptions) {
    this.options = options;
    this.width = standardOutput.width;
    // https://no-color.org: any value but the empty string turns colour off.
    const allowed = standardOutput.isTerminal && !process.env.NO_COLOR && process.env.TERM !== "dumb";
    this.#isColoured = options.color === "always" || (options.color === "auto" && allowed);
  }

  get isTerminal(): boolean {
    return standardOutput.isTerminal;
  }

  style(style: Style, text: string): string {
    return this.#isColoured ? STYLES[style](text) : text;
  }

  /** A line of the answer. Text from the guest must have been escaped. */
  line(text = ""): void {
    this.#text += `${text}\n`;
  }

  /** A piece of the answer, as `line` takes it. */
  text(text: string): void {
    this.#text += text;
  }

  lines(texts: readonly string[]): void {
    for (const text of texts) this.line(text);
  }

  /** Bytes of the answer, as they are; they must not change before they are flushed. */
  bytes(data: Uint8Array): void {
    this.#encode();
    if (data.length <= COPIED) {
      this.#room(data.length).set(data, this.#to);
      this.#to += data.length;
    } else {
      this.#cut();
      this.#pending.push(data);
      this.#pendingBytes += data.length;
    }
  }

  /** A path of the guest as it is, with a NUL behind it. */
  endedPath(source: PathSource): void {
    this.#path(source, 0);
  }

  /** A path of the guest as a line of its own. */
  pathLine(source: PathSource & { readonly path: Uint8Array }): void {
    const from = this.#path(source, 0x0a);
    if (isPlain(this.#block!, from, this.#to - 1)) return;
    this.#to = from;
    this.line(escapeGuestText(source.path));
  }

  /**
   * A file as a line of JSON, with the members `before` in front of those of its entry; answers whether it is of those that `writeEntry`
   * writes.
   */
  entryLine(before: Uint8Array, source: PathSource, stat: Stat, sha256: string | null): boolean {
    this.#encode();
    const block = this.#room(before.length + source.pathLength + ENTRY_BYTES + 1);
    const end = writeEntry(block, this.#to, before, source, stat, sha256);
    if (end === undefined) return false;
    block[end] = 0x0a;
    this.#to = end + 1;
    return true;
  }

  /** Answers where it begins in the block. */
  #path(source: PathSource, end: number): number {
    this.#encode();
    const block = this.#room(source.pathLength + 1);
    const from = this.#to;
    const at = source.copyPath(block, from);
    block[at] = end;
    this.#to = at + 1;
    return from;
  }

  #encode(): void {
    const text = this.#text;
    if (text === "") return;
    this.#text = "";
    const block = this.#room(text.length * MOST_OF_A_LETTER);
    this.#to += block.write(text, this.#to);
  }

  /** The block, with so many free bytes from `#to` on. */
  #room(bytes: number): Buffer {
    if (this.#block !== undefined && this.#block.length - this.#to >= bytes) return this.#block;
    this.#cut();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, bytes));
    this.#from = 0;
    this.#to = 0;
    return this.#block;
  }

  /** Makes a piece of what is pending in the block, so that another can go behind it. */
  #cut(): void {
    if (this.#from === this.#to) return;
    this.#pending.push(this.#block!.subarray(this.#from, this.#to));
    this.#pendingBytes += this.#to - this.#from;
    this.#from = this.#to;
  }

  /** The one document of `--json`. */
  json(document: Record<string, unknown>): void {
    this.line(jsonText(document, 2));
  }

  /** The same for an answer that may be long: its members follow, and `endDocument` is the last of them. */
  beginDocument(schema: string): JsonDocument {
    this.#document = new JsonDocument(this);
    this.#document.beginObject();
    this.#document.value(schema, "schema");
    return this.#document;
  }

  /** Ends the document that was begun: with the findings, and with the error that ended the work. */
  endDocument(error?: ImageError): void {
    const document = this.#document;
    if (document === undefined) return;
    this.#document = undefined;
    document.endTo(1);
    document.members({ findings: this.log.findings.map(findingJson), error: error && errorJson(error) });
    document.endTo(0);
  }

  /** What `--json` prints where an error ended the work. What was told before it is kept. */
  jsonError(error: ImageError): void {
    if (this.#document !== undefined) this.endDocument(error);
    else {
      const findings = this.log.findings.map(findingJson);
      this.json({ schema: "guestprobe/error/1", error: errorJson(error), findings });
    }
  }

  /** Whether enough is pending to wait for its reader. */
  get isFull(): boolean {
    return this.#pendingBytes + this.#to - this.#from + this.#text.length >= CHUNK;
  }

  /** Waits for a slow reader once enough is pending, so that a long answer does not pile up in memory. */
  async pace(): Promise<void> {
    if (this.isFull) await this.flush();
  }

  async flush(): Promise<void> {
    this.#encode();
    this.#cut();
    if (this.#pendingBytes === 0) return;
    const data = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
    const block = this.#block;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#block = undefined;
    this.#from = 0;
    this.#to = 0;
    try {
      await standardOutput.deliver(data);
    } catch (cause) {
      throw outputFailure(cause as NodeJS.ErrnoException);
    }
    // All of it was written, so nobody looks at it any more.
    if (block?.length === BLOCK) this.#block ??= block;
  }

  /** A remark for people; `--quiet` silences it. */
  remark(text: string): void {
    if (!this.options.quiet) standardError.write(`guestprobe: ${text}\n`);
  }

  /** Shows an error: what, where, why, and the next step. */
  error(error: unknown, next: readonly string[] = []): void {
    standardError.write(`guestprobe: ${escapeGuestText(messageOf(error))}\n`);
    for (const step of next) standardError.write(`  try: ${step}\n`);
  }

  /** The findings, most severe first, as remarks on standard error. */
  showFindings(): void {
    if (this.options.quiet) return;
    const order = { error: 0, warning: 1, note: 2 };
    const shown = this.log.findings
      .filter((entry) => entry.severity !== "note" || this.options.verbose)
      .toSorted((a, b) => order[a.severity] - order[b.severity]);
    for (const entry of shown) {
      const place = [
        entry.device === undefined ? "" : deviceText(entry.device),
        entry.path ? escapeGuestText(entry.path) : "",
      ];
      const where = place.join("");
      standardError.write(
        `guestprobe: ${entry.severity}: ${where === "" ? "" : `${where}: `}${escapeGuestText(messageWithOffset(entry))} [${entry.code}]\n`,
      );
    }
    for (const [code, count] of this.log.suppressed) {
      standardError.write(`guestprobe: ${count} more of ${code}\n`);
    }
    const explainable = shown.find((entry) => entry.next.length > 0);
    if (explainable) standardError.write(`guestprobe: more about it: guestprobe explain ${explainable.code}\n`);
  }
}

/** A full disk is the host's failure; a reader that went away is none, and keeps its own error. */
function outputFailure(cause: NodeJS.ErrnoException): Error {
  return cause.code === "EPIPE" ? cause : new ImageError("io", `standard output: ${cause.message}`, { cause });
}

function messageWithOffset(entry: Finding): string {
  const known = entry.offset === undefined || entry.message.includes(`at byte ${entry.offset}`);
  return known ? entry.message : `${entry.message} (at byte ${entry.offset})`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A finding as JSON. */
export function findingJson(entry: Finding): Record<string, unknown> {
  return {
    code: entry.code,
    severity: entry.severity,
    message: escapeGuestText(entry.message),
    where: {
      device: entry.device ?? null,
      ...(entry.path === undefined ? { path: null } : textPair("path", entry.path)),
      line: entry.line ?? null,
      offset: entry.offset ?? null,
      structure: entry.structure ?? null,
      field: entry.field ?? null,
    },
    next: entry.next,
  };
}

/** What an error says, as the `error` key of an entry. */
export function errorJson(error: ImageError): { code: string; message: string } {
  return { code: error.code, message: error.message };
}

/** Rethrows what is not about the image: mistakes of this program must not pass as damage of a disk. */
export function imageErrorOnly(error: unknown): ImageError {
  if (!isImageError(error)) throw error;
  return error;
}

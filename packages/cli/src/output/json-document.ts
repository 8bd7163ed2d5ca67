import { jsonText } from "./json-text.js";

/** Where a document is written to, piece by piece. */
export interface TextSink {
  text(text: string): void;
}

/**
 * The one document of `--json`, written as it grows and laid out as `jsonText` does with an indent of two: a list of
 * all files of a guest, held until its end, would take gigabytes. What is undefined is left out.
 */
export class JsonDocument {
  readonly #sink: TextSink;
  /** What ends each object and list that is open, outermost first, and whether anything is in it yet. */
  readonly #open: { readonly end: "}" | "]"; isEmpty: boolean }[] = [];

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  /** Objects and lists that are open. */
  get depth(): number {
    return this.#open.length;
  }

  /** Begins an object; what is written next is in it. `key` where it is inside another object. */
  beginObject(key?: string): void {
    this.#begin(key, "{", "}");
  }

  beginList(key?: string): void {
    this.#begin(key, "[", "]");
  }

  value(value: unknown, key?: string): void {
    if (value === undefined) return;
    const text = jsonText(value, 2);
    // A line break in a string is escaped: those that are left are of the layout.
    this.#sink.text(this.#lead(key) + text.replaceAll("\n", `\n${this.#indent()}`));
  }

  /** Members of the open object. */
  members(all: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(all)) this.value(value, key);
  }

  /** Ends objects and lists until only `depth` are open. */
  endTo(depth: number): void {
    while (this.#open.length > depth) {
      const { end, isEmpty } = this.#open.pop()!;
      this.#sink.text(isEmpty ? end : `\n${this.#indent()}${end}`);
    }
    if (depth === 0) this.#sink.text("\n");
  }

  #begin(key: string | undefined, start: "{" | "[", end: "}" | "]"): void {
    this.#sink.text(this.#lead(key) + start);
    this.#open.push({ end, isEmpty: true });
  }

  /** What stands before a value. */
  #lead(key: string | undefined): string {
    const inside = this.#open.at(-1);
    if (inside === undefined) return "";
    const comma = inside.isEmpty ? "" : ",";
    inside.isEmpty = false;
    return `${comma}\n${this.#indent()}${key === undefined ? "" : `${JSON.stringify(key)}: `}`;
  }

  #indent(): string {
    return "  ".repeat(this.#open.length);
  }
}

import { describePlace, type ErrorPlace, type ImageError } from "./errors.js";
import { toHex } from "./text.js";

export type Severity = "error" | "warning" | "note";

/** What kind of thing was found. Each package lists its kinds in one table; `guestprobe explain CODE` prints them. */
export interface FindingKind {
  /** Stable identifier, lower-case words joined by dashes: "ext-journal-dirty". */
  readonly code: string;
  readonly severity: Severity;
  /** One line. */
  readonly title: string;
  /** A paragraph or two: what it means, what follows from it. */
  readonly explanation: string;
  /** What a person can do about it, most useful first. */
  readonly next: readonly string[];
}

/** Something worth telling that did not stop the work. */
export interface Finding extends ErrorPlace {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** GRUB's name of the device, where the caller knows it. */
  readonly device?: string | undefined;
  /** Path on its volume, in bytes. */
  readonly path?: Uint8Array | undefined;
  /** Line of a text file, from 1. */
  readonly line?: number | undefined;
  readonly next: readonly string[];
}

/** Takes findings as they come. Readers call it with the kind, what was seen, and where. */
export type Report = (finding: Finding) => void;

/** Makes a finding of its kind; `where` adds the place, and may name the path. */
export function finding(
  kind: FindingKind,
  message: string,
  where: Omit<Partial<Finding>, "code" | "severity" | "message"> = {},
): Finding {
  return { next: kind.next, ...where, code: kind.code, severity: kind.severity, message };
}

/** Errors that say what this toolkit cannot do, not that something is wrong with the image. */
const NO_DAMAGE: readonly string[] = ["unsupported", "encrypted", "not-this-format"];

/** An error that stopped one part of the work, as a finding about that part: damage, or a warning if it is none. */
export function findingFromError(
  error: ImageError,
  where: { device?: string | undefined; path?: Uint8Array | undefined } = {},
): Finding {
  const { code, message, format, structure, field, offset } = error;
  const severity = NO_DAMAGE.includes(code) ? "warning" : "error";
  return { code, severity, message, format, structure, field, offset, ...where, next: [] };
}

/**
 * Collects findings: one that says the same of the same place once, and no more than `limit` of one code, so that a hostile
 * image cannot fill memory with them. `suppressed` counts what was dropped, by code.
 */
export class FindingLog {
  readonly #all: Finding[] = [];
  readonly #seen = new Set<string>();
  readonly #perCode = new Map<string, number>();
  readonly suppressed = new Map<string, number>();
  readonly #limit: number;

  constructor(limit = 100) {
    this.#limit = limit;
  }

  readonly report: Report = (entry) => {
    const { code, device, format, path, line, message } = entry;
    const key = JSON.stringify([code, device, format, describePlace(entry), path && toHex(path), line, message]);
    if (this.#seen.has(key)) return;
    const count = this.#perCode.get(entry.code) ?? 0;
    if (count >= this.#limit) {
      this.suppressed.set(entry.code, (this.suppressed.get(entry.code) ?? 0) + 1);
      return;
    }
    this.#perCode.set(entry.code, count + 1);
    this.#seen.add(key);
    this.#all.push(entry);
  };

  get findings(): readonly Finding[] {
    return this.#all;
  }
}

import { GRUB_ERRNO } from "../../errno.js";
import { listDirectory, openFile, openVolume, splitFileName } from "../files.js";
import { findEntry } from "../glob.js";
import type { Machine } from "../machine.js";
import { compareText, parseNumber, withoutEnd } from "../text.js";

const STRING_TESTS: Readonly<Record<string, (order: number) => boolean>> = {
  "=": (order) => order === 0,
  "==": (order) => order === 0,
  "!=": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

const NUMBER_TESTS: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  "-eq": (left, right) => left === right,
  "-ne": (left, right) => left !== right,
  "-lt": (left, right) => left < right,
  "-le": (left, right) => left <= right,
  "-gt": (left, right) => left > right,
  "-ge": (left, right) => left >= right,
};

/** `grub_strtosl` of GRUB 2.06: an `int`, whatever the digits. A text that is no number is 0, and an error. */
function signed(machine: Machine, text: string): number {
  const negative = text.startsWith("-");
  const value = BigInt.asIntN(32, number(machine, negative ? text.slice(1) : text));
  return Number(BigInt.asIntN(32, negative ? -value : value));
}

function number(machine: Machine, text: string): bigint {
  const { value, fault } = parseNumber(text);
  if (fault === "none") machine.fail(GRUB_ERRNO["bad-number"], "unrecognized number");
  if (fault === "overflow") machine.fail(GRUB_ERRNO["out-of-range"], "overflow is detected");
  return value;
}

interface FileFacts {
  readonly exists: boolean;
  readonly directory: boolean;
  readonly mtime: number | undefined;
}

const MISSING: FileFacts = { exists: false, directory: false, mtime: undefined };

/** What the directory says of a name: links are not followed (commands/test.c, get_fileinfo). */
async function fileFacts(machine: Machine, name: string): Promise<FileFacts> {
  const file = splitFileName(machine, name);
  const volume = file === undefined ? undefined : await openVolume(machine, file.device);
  if (file === undefined || volume === undefined) return MISSING;
  if ((await volume.probe()).fs === undefined) {
    machine.fail(GRUB_ERRNO["unknown-fs"], "unknown filesystem");
    return MISSING;
  }
  const path = withoutEnd(file.path, "/");
  if (path === "") return { exists: true, directory: true, mtime: undefined };
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "/" : path.slice(0, slash + 1);
  machine.budget.spend("files");
  const entries = await listDirectory(machine, `(${file.device})${directory}`);
  machine.budget.spend("globbed", entries?.length ?? 0);
  if (entries === undefined) {
    machine.fail(GRUB_ERRNO["file-not-found"], `file \`${directory}' not found`);
    return MISSING;
  }
  const entry = findEntry(entries, path.slice(slash + 1));
  if (entry === undefined) return MISSING;
  return { exists: true, directory: entry.type === "directory", mtime: entry.mtime };
}

async function newer(machine: Machine, left: string, operator: string, right: string): Promise<boolean> {
  const a = await fileFacts(machine, left);
  const b = await fileFacts(machine, right);
  const bias = operator.length > 3 ? signed(machine, operator.slice(3)) : 0;
  const times = a.mtime !== undefined && b.mtime !== undefined ? a.mtime + bias - b.mtime : undefined;
  if (operator.startsWith("-nt")) return (a.exists && !b.exists) || (times !== undefined && times > 0);
  return (!a.exists && b.exists) || (times !== undefined && times < 0);
}

/** Compares the numbers that follow a common prefix, for versions: `vmlinuz-2 -plt vmlinuz-11`. */
function afterPrefix(machine: Machine, left: string, right: string): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at += 1;
  at -= 1;
  while (at > 0 && /[0-9]/.test(left[at]!)) at -= 1;
  at += 1;
  const a = number(machine, left.slice(at));
  const b = number(machine, right.slice(at));
  return a < b ? -1 : a > b ? 1 : 0;
}

class Expression {
  #at = 0;

  readonly machine: Machine;
  readonly words: readonly string[];

  constructor(machine: Machine, words: readonly string[]) {
    this.machine = machine;
    this.words = words;
  }

  /**
   * Left to right: what stands side by side is joined by "and", `-o` closes a group, nothing at all is true. A closing
   * parenthesis ends the innermost call, and outside of one the whole.
   */
  async value(depth = 0): Promise<boolean> {
    this.machine.budget.check("depth", depth);
    let or = false;
    let and = true;
    let invert = false;
    const take = (truth: boolean) => {
      and = and && truth !== invert;
      invert = false;
    };
    while (this.#at < this.words.length) {
      const truth = await this.#term();
      if (truth !== undefined) {
        take(truth);
        continue;
      }
      const word = this.words[this.#at++]!;
      if (word === ")") return or || and;
      if (word === "(") take(await this.value(depth + 1));
      else if (word === "!") invert = !invert;
      else if (word === "-o") {
        or = or || and;
        and = true;
      } else if (word !== "-a") take(word !== "");
    }
    return or || and;
  }

  /** A test of two or three words, if one starts here. */
  async #term(): Promise<boolean | undefined> {
    const { machine } = this;
    const [first, second, third] = this.words.slice(this.#at, this.#at + 3) as readonly (string | undefined)[];
    if (first === undefined || second === undefined) return undefined;
    if (third !== undefined) {
      const length = this.#at;
      this.#at += 3;
      const text = STRING_TESTS[second];
      if (text !== undefined) return text(compareText(first, third));
      const numeric = NUMBER_TESTS[second];
      if (numeric !== undefined) return numeric(signed(machine, first), signed(machine, third));
      if (second === "-pgt") return afterPrefix(machine, first, third) > 0;
      if (second === "-plt") return afterPrefix(machine, first, third) < 0;
      if (second.startsWith("-nt") || second.startsWith("-ot")) return newer(machine, first, second, third);
      this.#at = length;
    }
    if (!["-d", "-e", "-f", "-s", "-n", "-z"].includes(first)) return undefined;
    this.#at += 2;
    if (first === "-n") return second !== "";
    if (first === "-z") return second === "";
    if (first === "-s") {
      const file = await openFile(machine, second);
      machine.takeError();
      return file !== undefined && file.size !== 0;
    }
    const facts = await fileFacts(machine, second);
    if (first === "-d") return facts.directory;
    return first === "-e" ? facts.exists : facts.exists && !facts.directory;
  }
}

/** The arguments of `test`, without a closing `]`. */
export function evaluateTest(machine: Machine, words: readonly string[]): Promise<boolean> {
  return new Expression(machine, words).value();
}

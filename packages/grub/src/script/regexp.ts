/**
 * POSIX extended regular expressions as GRUB's `regexp` has them: GNU's matcher in the C locale. The first of the
 * longest matches wins. Run as a set of threads over the text, so time is bounded by the product of the lengths of
 * both, whatever the expression.
 */

/** Sizes past which GNU's matcher, too, gives up ("Regular expression too big"). */
const MAX_PROGRAM = 20_000;
const MAX_REPEAT = 0x7fff;
const MAX_DEPTH = 500;

type Test = (code: number) => boolean;
type Assertion = "start" | "end" | "wordBoundary" | "notBoundary" | "wordStart" | "wordEnd";

type Instruction =
  | { readonly op: "match" }
  | { readonly op: "test"; readonly test: Test }
  | { readonly op: "assert"; readonly assertion: Assertion }
  | { readonly op: "save"; readonly slot: number }
  | { op: "split"; first: number; second: number }
  | { op: "jump"; to: number };

type Node =
  | { readonly kind: "empty" }
  | { readonly kind: "test"; readonly test: Test }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "group"; readonly index: number; readonly body: Node }
  | { readonly kind: "sequence" | "either"; readonly items: readonly Node[] }
  | { readonly kind: "repeat"; readonly body: Node; readonly min: number; readonly max: number };

/** Why an expression was not compiled. "back reference": GNU's matcher takes it, this one does not. */
export class RegexpRefusal {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

export interface Regexp {
  readonly groups: number;
  /**
   * Start and end of the match and of each group; a group that took no part is undefined. `work` is told of every
   * step, and may throw to end it.
   */
  match(
    text: string,
    work: (amount: number) => void,
  ): readonly ({ start: number; end: number } | undefined)[] | undefined;
}

const CLASSES: Readonly<Record<string, RegExp>> = {
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  alnum: /[A-Za-z0-9]/,
  upper: /[A-Z]/,
  lower: /[a-z]/,
  space: /[ \t\n\r\f\v]/,
  blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/,
  print: /[ -~]/,
  graph: /[!-~]/,
  cntrl: /[\0-\x1f\x7f]/,
  xdigit: /[0-9A-Fa-f]/,
};

const ofClass =
  (name: string, negated = false): Test =>
  (code) =>
    (CLASSES[name]?.test(String.fromCharCode(code)) ?? false) !== negated;

const isWord: Test = (code) => /[A-Za-z0-9_]/.test(String.fromCharCode(code));

const ESCAPES: Readonly<Record<string, Node>> = {
  w: { kind: "test", test: isWord },
  W: { kind: "test", test: (code) => !isWord(code) },
  s: { kind: "test", test: ofClass("space") },
  S: { kind: "test", test: ofClass("space", true) },
  b: { kind: "assert", assertion: "wordBoundary" },
  B: { kind: "assert", assertion: "notBoundary" },
  "<": { kind: "assert", assertion: "wordStart" },
  ">": { kind: "assert", assertion: "wordEnd" },
  "`": { kind: "assert", assertion: "start" },
  "'": { kind: "assert", assertion: "end" },
};

class Parser {
  #at = 0;
  #depth = 0;
  groups = 0;

  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  parse(): Node {
    return this.#either(0);
  }

  #either(open: number): Node {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new RegexpRefusal("Regular expression too big");
    const items = [this.#sequence(open)];
    while (this.text[this.#at] === "|") {
      this.#at += 1;
      items.push(this.#sequence(open));
    }
    this.#depth -= 1;
    return items.length === 1 ? items[0]! : { kind: "either", items };
  }

  #sequence(open: number): Node {
    const items: Node[] = [];
    while (this.#at < this.text.length && this.text[this.#at] !== "|") {
      if (this.text[this.#at] === ")" && open > 0) break;
      items.push(this.#repeated(this.#atom(open)));
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  #atom(open: number): Node {
    const character = this.text[this.#at++]!;
    switch (character) {
      case "(": {
        const index = ++this.groups;
        const body = this.text[this.#at] === ")" ? ({ kind: "empty" } as const) : this.#either(open + 1);
        if (this.text[this.#at] !== ")") throw new RegexpRefusal("Unmatched ( or \\(");
        this.#at += 1;
        return { kind: "group", index, body };
      }
      case "[":
        return { kind: "test", test: this.#bracket() };
      case ".":
        return { kind: "test", test: (code) => code !== 0 };
      case "^":
        return { kind: "assert", assertion: "start" };
      case "$":
        return { kind: "assert", assertion: "end" };
      case "*":
      case "+":
      case "?":
        throw new RegexpRefusal("Invalid preceding regular expression");
      case "{":
        throw new RegexpRefusal("Invalid preceding regular expression");
      case "\\": {
        const next = this.text[this.#at++];
        if (next === undefined) throw new RegexpRefusal("Trailing backslash");
        if (/[1-9]/.test(next)) throw new RegexpRefusal("back reference");
        return ESCAPES[next] ?? literal(next);
      }
      default:
        return literal(character);
    }
  }

  #repeated(atom: Node): Node {
    let node = atom;
    for (;;) {
      const character = this.text[this.#at];
      if (character === "*") node = { kind: "repeat", body: node, min: 0, max: Number.POSITIVE_INFINITY };
      else if (character === "+") node = { kind: "repeat", body: node, min: 1, max: Number.POSITIVE_INFINITY };
      else if (character === "?") node = { kind: "repeat", body: node, min: 0, max: 1 };
      else if (character === "{") {
        const bounds = /\{([0-9]*)(,?)([0-9]*)\}/y;
        bounds.lastIndex = this.#at;
        const match = bounds.exec(this.text);
        if (match === null || (match[1] === "" && match[2] === ""))
          throw new RegexpRefusal("Invalid content of \\{\\}");
        const min = Number(match[1] || 0);
        const max = match[2] === "" ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
        if (min > max) throw new RegexpRefusal("Invalid content of \\{\\}");
        if (min > MAX_REPEAT || (max !== Number.POSITIVE_INFINITY && max > MAX_REPEAT)) {
          throw new RegexpRefusal("Regular expression too big");
        }
        node = { kind: "repeat", body: node, min, max };
        this.#at += match[0].length - 1;
      } else return node;
      this.#at += 1;
    }
  }

  #bracket(): Test {
    const negated = this.text[this.#at] === "^";
    if (negated) this.#at += 1;
    const tests: Test[] = [];
    const start = this.#at;
    for (;;) {
      const character = this.text[this.#at];
      if (character === undefined) throw new RegexpRefusal("Unmatched [, [^, [:, [., or [=");
      if (character === "]" && this.#at > start) break;
      const named = /\[:([a-z]+):\]/y;
      named.lastIndex = this.#at;
      const match = named.exec(this.text);
      if (match !== null) {
        if (CLASSES[match[1]!] === undefined) throw new RegexpRefusal("Invalid character class name");
        tests.push(ofClass(match[1]!));
        this.#at += match[0].length;
        continue;
      }
      const first = this.#element();
      if (this.text[this.#at] === "-" && this.text[this.#at + 1] !== "]" && this.text[this.#at + 1] !== undefined) {
        this.#at += 1;
        const last = this.#element();
        if (last < first) throw new RegexpRefusal("Invalid range end");
        tests.push((code) => code >= first && code <= last);
      } else tests.push((code) => code === first);
    }
    this.#at += 1;
    return (code) => tests.some((test) => test(code)) !== negated;
  }

  #element(): number {
    const collating = /\[([.=])(.)\1\]/y;
    collating.lastIndex = this.#at;
    const match = collating.exec(this.text);
    this.#at += match === null ? 1 : match[0].length;
    return (match?.[2] ?? this.text[this.#at - 1]!).charCodeAt(0);
  }
}

function literal(character: string): Node {
  const wanted = character.charCodeAt(0);
  return { kind: "test", test: (code) => code === wanted };
}

function emit(program: Instruction[], node: Node): void {
  if (program.length > MAX_PROGRAM) throw new RegexpRefusal("Regular expression too big");
  switch (node.kind) {
    case "empty":
      return;
    case "test":
      program.push({ op: "test", test: node.test });
      return;
    case "assert":
      program.push({ op: "assert", assertion: node.assertion });
      return;
    case "group":
      program.push({ op: "save", slot: node.index * 2 });
      emit(program, node.body);
      program.push({ op: "save", slot: node.index * 2 + 1 });
      return;
    case "sequence":
      for (const item of node.items) emit(program, item);
      return;
    case "either": {
      const jumps: { op: "jump"; to: number }[] = [];
      for (const [index, item] of node.items.entries()) {
        if (index === node.items.length - 1) emit(program, item);
        else {
          const split = { op: "split" as const, first: program.length + 1, second: 0 };
          program.push(split);
          emit(program, item);
          const jump = { op: "jump" as const, to: 0 };
          program.push(jump);
          jumps.push(jump);
          split.second = program.length;
        }
      }
      for (const jump of jumps) jump.to = program.length;
      return;
    }
    case "repeat": {
      for (let count = 0; count < node.min; count++) emit(program, node.body);
      if (node.max === Number.POSITIVE_INFINITY) {
        const split = { op: "split" as const, first: program.length + 1, second: 0 };
        const start = program.length;
        program.push(split);
        emit(program, node.body);
        program.push({ op: "jump", to: start });
        split.second = program.length;
        return;
      }
      const splits: { op: "split"; first: number; second: number }[] = [];
      for (let count = node.min; count < node.max; count++) {
        const split = { op: "split" as const, first: program.length + 1, second: 0 };
        splits.push(split);
        program.push(split);
        emit(program, node.body);
      }
      for (const split of splits) split.second = program.length;
    }
  }
}

function holds(assertion: Assertion, text: string, at: number): boolean {
  if (assertion === "start") return at === 0;
  if (assertion === "end") return at === text.length;
  const before = at > 0 && isWord(text.charCodeAt(at - 1));
  const after = at < text.length && isWord(text.charCodeAt(at));
  if (assertion === "wordStart") return !before && after;
  if (assertion === "wordEnd") return before && !after;
  return (before !== after) === (assertion === "wordBoundary");
}

/** Throws RegexpRefusal. */
export function compileRegexp(expression: string): Regexp {
  const parser = new Parser(expression);
  const node = parser.parse();
  const program: Instruction[] = [];
  emit(program, { kind: "group", index: 0, body: node });
  program.push({ op: "match" });
  const { groups } = parser;
  return {
    groups,
    match(text, work) {
      for (let start = 0; start <= text.length; start++) {
        const slots = run(program, text, start, work);
        if (slots === undefined) continue;
        return Array.from({ length: groups + 1 }, (_, group) => {
          const from = slots[group * 2];
          const to = slots[group * 2 + 1];
          return from === undefined || to === undefined ? undefined : { start: from, end: to };
        });
      }
      return undefined;
    },
  };
}

type Slots = readonly (number | undefined)[];

/** The longest match that starts at `start`; of equally long ones that of the most eager thread. */
function run(
  program: readonly Instruction[],
  text: string,
  start: number,
  work: (amount: number) => void,
): Slots | undefined {
  let threads = new Map<number, Slots>();
  let best: Slots | undefined;
  const add = (into: Map<number, Slots>, from: number, slotsFrom: Slots, at: number) => {
    const stack: [number, Slots][] = [[from, slotsFrom]];
    const seen = into;
    const passed = new Set<number>();
    while (stack.length > 0) {
      const [counter, slots] = stack.pop()!;
      if (seen.has(counter) || passed.has(counter)) continue;
      const instruction = program[counter]!;
      if (instruction.op === "test" || instruction.op === "match") {
        into.set(counter, slots);
        continue;
      }
      passed.add(counter);
      if (instruction.op === "jump") stack.push([instruction.to, slots]);
      else if (instruction.op === "split") stack.push([instruction.second, slots], [instruction.first, slots]);
      else if (instruction.op === "save") {
        const changed = slots.slice();
        changed[instruction.slot] = at;
        stack.push([counter + 1, changed]);
      } else if (holds(instruction.assertion, text, at)) stack.push([counter + 1, slots]);
    }
  };
  add(threads, 0, [], start);
  for (let at = start; threads.size > 0; at++) {
    const following = new Map<number, Slots>();
    work(threads.size);
    for (const [counter, slots] of threads) {
      const instruction = program[counter]!;
      if (instruction.op === "match") best = slots;
      else if (instruction.op === "test" && at < text.length && instruction.test(text.charCodeAt(at))) {
        add(following, counter + 1, slots, at + 1);
      }
    }
    threads = following;
  }
  return best;
}

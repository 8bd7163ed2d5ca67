import { GRUB_ERRNO } from "../../errno.js";
import type { Machine } from "../machine.js";
import type { Call, CommandSpec } from "../machine-types.js";
import { compileRegexp, RegexpRefusal } from "../regexp.js";
import { sourceFromText } from "../source.js";
import { parseNumber } from "../text.js";
import { evaluateTest } from "./test.js";

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\",
  a: "\x07",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** `echo [-n] [-e] WORD...`: an escape that is none vanishes with its letter; `\c` keeps the newline away. */
async function echo(machine: Machine, { args, options }: Call): Promise<number> {
  let newline = !options.given.has("n");
  let text = args.join(" ");
  if (options.given.has("e")) {
    text = args
      .map((arg) =>
        arg.replace(/\\([\s\S]?)/g, (_, letter: string) => {
          if (letter === "c") newline = false;
          return ESCAPES[letter] ?? "";
        }),
      )
      .join(" ");
  }
  machine.print(newline ? `${text}\n` : text);
  return GRUB_ERRNO.none;
}

async function set(machine: Machine, { args }: Call): Promise<number> {
  const [first] = args;
  if (first === undefined) {
    const lines = machine.environment.sorted().map(([name, { value }]) => `${name}=${value}\n`);
    machine.print(lines.join(""));
    return GRUB_ERRNO.none;
  }
  const equals = first.indexOf("=");
  if (equals < 0) return machine.fail(GRUB_ERRNO["bad-argument"], "not an assignment");
  machine.set(first.slice(0, equals), first.slice(equals + 1), machine.argumentDoubt);
  return GRUB_ERRNO.none;
}

async function unset(machine: Machine, { args }: Call): Promise<number> {
  if (args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
  machine.environment.unset(args[0]!, machine.at);
  return GRUB_ERRNO.none;
}

async function exportNames(machine: Machine, { args }: Call): Promise<number> {
  if (args.length === 0) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
  for (const name of args) machine.environment.export(name, machine.at);
  return GRUB_ERRNO.none;
}

async function test(machine: Machine, { args }: Call): Promise<number> {
  const words = args.at(-1) === "]" ? args.slice(0, -1) : args;
  return (await evaluateTest(machine, words)) ? GRUB_ERRNO.none : machine.fail(GRUB_ERRNO["test-failure"], "false");
}

/** `break` and `continue`. */
async function leave(machine: Machine, { name, args }: Call): Promise<number> {
  if (args.length > 1) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
  let count = 1;
  if (args[0] !== undefined) {
    const { value, end, fault } = parseNumber(args[0], 10);
    if (fault === "overflow") return machine.fail(GRUB_ERRNO["out-of-range"], "overflow is detected");
    if (fault !== undefined) return machine.fail(GRUB_ERRNO["bad-number"], "unrecognized number");
    if (end !== args[0].length) return machine.fail(GRUB_ERRNO["bad-argument"], "unrecognized number");
    if (value === 0n) return machine.fail(GRUB_ERRNO["bad-argument"], "can't break 0 loops");
    count = Number(value);
  }
  machine.leaveLoops(count, name === "continue");
  return GRUB_ERRNO.none;
}

async function returnFrom(machine: Machine, { args }: Call): Promise<number> {
  if (machine.scope === undefined || args.length > 1)
    return machine.fail(GRUB_ERRNO["bad-argument"], "not in function body");
  if (args[0] === undefined) {
    machine.leaveFunction();
    return Number(parseNumber(machine.environment.value("?") ?? "0", 10).value);
  }
  const { value, end, fault } = parseNumber(args[0], 10);
  if (fault !== undefined) return machine.fail(GRUB_ERRNO["bad-number"], "unrecognized number");
  if (end !== args[0].length) return machine.fail(GRUB_ERRNO["bad-argument"], "unrecognized number");
  machine.leaveFunction();
  const status = Number(BigInt.asIntN(32, value));
  return status === 0 ? GRUB_ERRNO.none : machine.fail(status, "false");
}

async function shift(machine: Machine, { args }: Call): Promise<number> {
  const { scope } = machine;
  if (scope === undefined) return GRUB_ERRNO.none;
  if (args.length > 1) return GRUB_ERRNO["bad-argument"];
  const { value, end, fault } = parseNumber(args[0] ?? "1", 10);
  if (fault === "none") machine.fail(GRUB_ERRNO["bad-number"], "unrecognized number");
  if ((args[0] !== undefined && end !== args[0].length) || value > BigInt(scope.args.length))
    return GRUB_ERRNO["bad-argument"];
  scope.args = scope.args.slice(Number(value));
  return GRUB_ERRNO.none;
}

async function setparams(machine: Machine, { args }: Call): Promise<number> {
  if (machine.scope === undefined) return GRUB_ERRNO["invalid-command"];
  machine.scope.args = args;
  return GRUB_ERRNO.none;
}

async function evaluate(machine: Machine, { args, at }: Call): Promise<number> {
  if (args.length === 0) return GRUB_ERRNO.none;
  const text = args.join(" ");
  machine.budget.spend("expansion", text.length);
  return machine.nested(() => machine.runText(sourceFromText(at, text)));
}

async function regexp(machine: Machine, { args, options }: Call): Promise<number> {
  const [expression, text] = args;
  if (expression === undefined || text === undefined || args.length !== 2) {
    return machine.fail(GRUB_ERRNO["bad-argument"], "two arguments expected");
  }
  let groups: readonly ({ start: number; end: number } | undefined)[] | undefined;
  try {
    groups = compileRegexp(expression).match(text, (amount) => machine.budget.spend("matching", amount));
  } catch (refusal) {
    if (!(refusal instanceof RegexpRefusal)) throw refusal;
    if (refusal.reason === "back reference") machine.doubt(`whether \`${expression}', with a back reference, matches`);
    return machine.fail(GRUB_ERRNO["test-failure"], refusal.reason);
  }
  if (groups === undefined) return machine.fail(GRUB_ERRNO["test-failure"], "No match");
  for (const request of options.given.get("set") ?? []) {
    const [before, after] = [request!.split(":")[0]!, request!.slice(request!.indexOf(":") + 1)];
    const variable = request!.includes(":") ? after : request!;
    let number = 1n;
    if (request!.includes(":")) {
      const parsed = parseNumber(before, 10);
      if (parsed.end !== before.length) {
        return machine.fail(GRUB_ERRNO["bad-argument"], `invalid variable name format ${request}`);
      }
      number = parsed.value;
    }
    const group = number < BigInt(groups.length) ? groups[Number(number)] : undefined;
    if (group === undefined) machine.environment.unset(variable, machine.at);
    else machine.set(variable, text.slice(group.start, group.end), machine.argumentDoubt);
  }
  return GRUB_ERRNO.none;
}

const status = (value: number, message: string) => async (machine: Machine) =>
  value === 0 ? GRUB_ERRNO.none : machine.fail(value, message);

/** Commands of the language itself. */
export const BASIC_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  echo: {
    run: echo,
    options: {
      acceptDash: true,
      atStart: true,
      options: [
        { long: "n", short: "n" },
        { long: "e", short: "e" },
      ],
    },
  },
  set: { run: set },
  unset: { run: unset },
  export: { run: exportNames },
  true: { run: status(0, "") },
  false: { run: status(GRUB_ERRNO["test-failure"], "false") },
  test: { run: test },
  "[": { run: test },
  break: { run: leave },
  continue: { run: leave },
  return: { run: returnFrom },
  shift: { run: shift },
  setparams: { run: setparams },
  eval: { run: evaluate },
  regexp: {
    run: regexp,
    options: { options: [{ long: "set", short: "s", value: "string", repeatable: true }] },
  },
};

import { GRUB_ERRNO } from "../errno.js";
import { parseNumber } from "./text.js";

/** An option of a command, as GRUB declares it (include/grub/lib/arg.h). */
export interface OptionSpec {
  readonly long: string;
  readonly short?: string;
  /** Absent: the option takes no value. */
  readonly value?: "string" | "int";
  /** The value may be left out. */
  readonly optional?: boolean;
  readonly repeatable?: boolean;
}

export interface OptionTable {
  readonly options: readonly OptionSpec[];
  /** Words that look like options and are none are arguments (GRUB_COMMAND_ACCEPT_DASH). */
  readonly acceptDash?: boolean;
  /** Options end at the first argument (GRUB_COMMAND_OPTIONS_AT_START). */
  readonly atStart?: boolean;
}

export interface ParsedOptions {
  /** By long name; a value left out is undefined. Not present: not given. */
  readonly given: ReadonlyMap<string, readonly (string | undefined)[]>;
  readonly args: readonly string[];
}

export type OptionResult = ParsedOptions | { readonly error: number; readonly message: string | undefined };

/** `grub_arg_parse` of GRUB 2.06 (lib/arg.c), with its ways of taking the next word for a value. */
export function parseOptions(table: OptionTable, words: readonly string[]): OptionResult {
  const given = new Map<string, (string | undefined)[]>();
  const args: string[] = [];
  const fail = (message: string): OptionResult => ({ error: GRUB_ERRNO["bad-argument"], message });
  const byShort = (letter: string) =>
    table.options.find((option) => option.short === letter) ?? BUILT_IN.find((option) => option.short === letter);
  const byLong = (name: string) =>
    table.options.find((option) => option.long === name) ?? BUILT_IN.find((option) => option.long === name);

  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if ((table.atStart && args.length > 0) || !word.startsWith("-") || word.length === 1) {
      args.push(word);
      continue;
    }
    let option: OptionSpec | undefined;
    let value: string | undefined;
    if (word[1] !== "-") {
      const letters = [...word.slice(1)];
      if (table.acceptDash && letters.some((letter) => byShort(letter) === undefined)) {
        args.push(word);
        continue;
      }
      for (const [place, letter] of letters.entries()) {
        option = byShort(letter);
        if (option === undefined) return fail(`unknown argument \`-${letter}'`);
        if (place === letters.length - 1) break;
        if (option.value !== undefined && !option.optional) {
          return fail(`missing mandatory option for \`${option.long}'`);
        }
        if (BUILT_IN.includes(option)) return { error: GRUB_ERRNO.none, message: undefined };
        record(given, option, undefined);
      }
      const next = words[index + 1];
      if (option!.value !== undefined && next !== undefined) {
        if (!option!.optional || next.length < 2 || !next.startsWith("-")) {
          value = next;
          index += 1;
        }
      }
    } else {
      if (word.length === 2) {
        args.push(...words.slice(index + 1));
        break;
      }
      const equals = word.indexOf("=");
      if (equals >= 0) value = word.slice(equals + 1);
      option = byLong(word.slice(2, equals < 0 ? undefined : equals));
      const next = words[index + 1];
      if (equals < 0 && next !== undefined && !next.startsWith("-") && option?.value !== undefined) {
        value = next;
        index += 1;
      }
      if (option === undefined) {
        if (!table.acceptDash) return fail(`unknown argument \`${word}'`);
        args.push(word);
        continue;
      }
    }
    if (BUILT_IN.includes(option!)) return { error: GRUB_ERRNO.none, message: undefined };
    if (option!.value === undefined || (value === undefined && option!.optional)) {
      if (value !== undefined) {
        return fail(`a value was assigned to the argument \`${word}' while it doesn't require an argument`);
      }
    } else {
      if (value === undefined) return fail(`missing mandatory option for \`${option!.long}'`);
      if (option!.value === "int") {
        const { end, fault } = parseNumber(value);
        if (fault !== undefined || end !== value.length) return fail(`the argument \`${word}' requires an integer`);
      }
    }
    record(given, option!, value);
  }
  return { given, args };
}

/** Every command knows them; they print a text about the command and do nothing. */
const BUILT_IN: readonly OptionSpec[] = [
  { long: "help", short: "h" },
  { long: "usage", short: "u" },
];

function record(given: Map<string, (string | undefined)[]>, option: OptionSpec, value: string | undefined): void {
  const values = given.get(option.long) ?? [];
  if (!option.repeatable) values.length = 0;
  values.push(value);
  given.set(option.long, values);
}

import type { Word } from "./ast.js";
import type { Budget } from "./budget.js";
import type { Environment } from "./environment.js";
import { expandGlob, type GlobView, mayBePattern } from "./glob.js";

/** Arguments of the function or entry that is running: `$1` and so on. */
export interface Scope {
  args: readonly string[];
}

export interface ExpandContext {
  readonly environment: Environment;
  readonly scope: Scope | undefined;
  readonly budget: Budget;
  /** Undefined: patterns stand for themselves, as without GRUB's regexp module. */
  readonly glob: GlobView | undefined;
}

export interface Expansion {
  readonly args: readonly string[];
  /** Why, if something in the words cannot be known from the image. */
  readonly unknown: string | undefined;
}

/**
 * Words to arguments, as GRUB 2.06 does it (script/execute.c, grub_script_arglist_to_argv): variables, splitting, then
 * patterns. An argument that nothing was put into vanishes; quotes put something in even when they are empty. A promise
 * only where a pattern has to be looked for.
 */
export function expandWords(words: readonly Word[], context: ExpandContext): Expansion | Promise<Expansion> {
  const { built, unknown } = buildWords(words, context);
  const { glob } = context;
  if (glob !== undefined && built.some(mayBePattern)) return expandPatterns(built, unknown, glob, context.budget);
  return { args: built.map(unprotect), unknown };
}

async function expandPatterns(
  built: readonly string[],
  unknown: string | undefined,
  glob: GlobView,
  budget: Budget,
): Promise<Expansion> {
  const args: string[] = [];
  for (const word of built) {
    const expanded = mayBePattern(word) ? await expandGlob(word, glob, budget) : undefined;
    if (expanded === undefined) args.push(unprotect(word));
    else {
      for (const path of expanded) {
        budget.spend("expansion", path.length);
        args.push(path);
      }
    }
  }
  return { args, unknown };
}

/** Variables put in and split; what is to stand for itself is protected. */
function buildWords(
  words: readonly Word[],
  context: ExpandContext,
): { readonly built: readonly string[]; readonly unknown: string | undefined } {
  const { budget } = context;
  const built: (string | undefined)[] = [];
  let unknown: string | undefined;
  const next = () => {
    if (built.length === 0 || built.at(-1) !== undefined) built.push(undefined);
  };
  const append = (text: string) => {
    budget.spend("expansion", text.length);
    const joined = (built.at(-1) ?? "") + text;
    budget.check("stringLength", joined.length);
    built[built.length - 1] = joined;
  };
  for (const word of words) {
    next();
    for (const part of word.parts) {
      // A loop over a word of thousands of variables that are empty would cost nothing otherwise.
      budget.spend("expansion");
      if (part.kind === "text") append(part.text);
      else if (part.kind === "quoted") append(protect(part.text));
      else if (part.kind === "translated") append(protect(interpolate(part.text, context)));
      else {
        const split = part.kind === "variable";
        unknown ??= context.environment.get(part.text)?.unknown;
        for (const [index, value] of variableValues(part.text, split, context).entries()) {
          if (index > 0) next();
          append(split ? protectBackslashes(value) : protect(value));
        }
      }
    }
  }
  return { built: built.filter((word) => word !== undefined), unknown };
}

/** Marks characters that are to stand for themselves. */
function protect(text: string): string {
  return !/[*?\\]/.test(text) ? text : text.replace(/[*?\\]/g, "\\$&");
}

/** In a variable outside quotes `*` and `?` are live, and a backslash before them is one of the value. */
function protectBackslashes(text: string): string {
  return text.replace(/\\([*?]?)/g, (_, live: string) => (live === "" ? "\\\\" : `\\\\\\${live}`));
}

function unprotect(text: string): string {
  return text.includes("\\") ? text.replace(/\\([\s\S]?)/g, "$1") : text;
}

function words(text: string): string[] {
  return text.split(/[ \t\n\r]+/).filter((word) => word !== "");
}

function isSpecial(name: string): boolean {
  return /^[0-9#*@]/.test(name);
}

/** The arguments a variable becomes; none when it is empty. */
function variableValues(name: string, split: boolean, context: ExpandContext): readonly string[] {
  const divide = (value: string) => (split ? words(value) : [value]);
  if (!isSpecial(name)) {
    const value = context.environment.value(name);
    return value === undefined || value === "" ? [] : divide(value);
  }
  const { scope } = context;
  if (scope === undefined) return [];
  if (name === "#") return [String(scope.args.length)];
  if (name === "@") return scope.args.flatMap(divide);
  if (name === "*") return split ? scope.args.flatMap(divide) : scope.args.length === 0 ? [] : [scope.args.join(" ")];
  const value = scope.args[Number(name) - 1];
  return value === undefined ? [] : divide(value);
}

const NAME_AT = /[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#]/y;

/**
 * The text of `$"..."` after translation (GRUB without a catalogue translates a text to itself): `\$` and `\\` are
 * escapes, `$name` and `${name}` are variables; `$1` is not the argument but a variable of that name.
 */
function interpolate(text: string, context: ExpandContext): string {
  let out = "";
  let escaped = false;
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    if (character === "\\") {
      escaped = !escaped;
      if (!escaped) out += "\\";
      at += 1;
    } else if (character === "$" && !escaped) {
      at += 1;
      let name: string | undefined;
      if (text[at] === "{") {
        const end = text.indexOf("}", at);
        if (end < 0) return out;
        name = text.slice(at + 1, end);
        at = end + 1;
      } else {
        NAME_AT.lastIndex = at;
        name = NAME_AT.exec(text)?.[0];
        at += name?.length ?? 0;
      }
      if (name === undefined) out += "$";
      else if (name === "#") out += String(context.scope?.args.length ?? 0);
      else out += context.environment.value(name) ?? "";
    } else {
      if (escaped && character !== "$") out += "\\";
      escaped = false;
      out += character;
      at += 1;
    }
  }
  return out;
}

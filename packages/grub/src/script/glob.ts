import type { Budget } from "./budget.js";
import type { WorldEntry } from "./world.js";

/** What globbing needs of the world. */
export interface GlobView {
  devices(): Promise<readonly string[]>;
  /** Entries of a directory given as the script would write it, "(device)/dir" or "/dir". */
  list(directory: string): Promise<readonly WorldEntry[] | undefined>;
}

/** Whether a word can hold a pattern at all: a word that cannot is spared the wait for an answer. */
export function mayBePattern(word: string): boolean {
  const first = word[0];
  return first === "/" || first === "(" || first === "*";
}

/**
 * Expands `*` and `?` in a word, as GRUB's regexp module does (commands/wildcard.c): only words that start with `/`,
 * `(` or `*`, first over devices, then directory by directory. A backslash protects the next character. Undefined: the
 * word stands for itself.
 */
export async function expandGlob(word: string, view: GlobView, budget: Budget): Promise<readonly string[] | undefined> {
  if (!mayBePattern(word)) return undefined;
  let paths: string[] | undefined;
  for (let start = 0; start < word.length; ) {
    const { literalEnd, end } = split(word, start);
    if (literalEnd === end) {
      const rest = unprotect(word.slice(start, end));
      if (paths === undefined) return [rest];
      paths = await keepExisting(paths, rest, view, budget);
    } else {
      const pattern = wildcardMatcher(word.slice(literalEnd, end));
      const directory = unprotect(word.slice(start, literalEnd));
      if (paths === undefined && start === literalEnd)
        paths = await matchDevices(pattern, word[start] === "(", view, budget);
      else paths = await matchFiles(paths ?? [""], directory, pattern, view, budget);
    }
    if (paths.length === 0) return undefined;
    start = end;
  }
  return paths;
}

/** The part before the first component with a pattern, and the end of that component. */
function split(word: string, start: number): { literalEnd: number; end: number } {
  let literalEnd = start;
  let live = false;
  let at = start;
  for (; at < word.length; at++) {
    const character = word[at]!;
    if (character === "\\" && at + 1 < word.length) at += 1;
    else if (character === "*" || character === "?") live = true;
    else if (character === "/") {
      if (live) break;
      literalEnd = at + 1;
    }
  }
  return { literalEnd: live ? literalEnd : at, end: at };
}

function unprotect(text: string): string {
  return text.replace(/\\([\s\S])/g, "$1").replace(/\\$/, "");
}

type Matcher = (name: string) => boolean;

/** A pattern of `*` and `?`, a backslash before a literal, matched in time proportional to the product of the lengths, whatever it holds. */
export function wildcardMatcher(pattern: string): Matcher {
  const items: { kind: "any" | "one" | "literal"; character: string }[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (character === "\\" && at + 1 < pattern.length) items.push({ kind: "literal", character: pattern[++at]! });
    else if (character === "*") {
      if (items.at(-1)?.kind !== "any") items.push({ kind: "any", character });
    } else items.push({ kind: character === "?" ? "one" : "literal", character });
  }
  return (name) => {
    let item = 0;
    let at = 0;
    let retryItem = -1;
    let retryAt = 0;
    while (at < name.length) {
      const current = items[item];
      if (current?.kind === "any") {
        retryItem = item++;
        retryAt = at;
      } else if (current !== undefined && (current.kind === "one" || current.character === name[at])) {
        item += 1;
        at += 1;
      } else if (retryItem >= 0) {
        item = retryItem + 1;
        at = ++retryAt;
      } else return false;
    }
    while (items[item]?.kind === "any") item += 1;
    return item === items.length;
  };
}

async function matchDevices(matches: Matcher, partitions: boolean, view: GlobView, budget: Budget): Promise<string[]> {
  const names = await view.devices();
  budget.spend("globbed", names.length);
  return names
    .filter((name) => partitions || !name.includes(","))
    .map((name) => `(${name})`)
    .filter(matches);
}

async function matchFiles(
  prefixes: readonly string[],
  directory: string,
  matches: Matcher,
  view: GlobView,
  budget: Budget,
): Promise<string[]> {
  const found: string[] = [];
  for (const prefix of prefixes) {
    const entries = (await view.list(prefix + directory)) ?? [];
    budget.spend("globbed", entries.length + 1);
    for (const { name } of entries) if (matches(name)) found.push(prefix + directory + name);
  }
  return found;
}

/** Those of `prefixes` under which `rest` is there. */
async function keepExisting(
  prefixes: readonly string[],
  rest: string,
  view: GlobView,
  budget: Budget,
): Promise<string[]> {
  const kept: string[] = [];
  const listings = new Map<string, Promise<readonly WorldEntry[] | undefined>>();
  for (const prefix of prefixes) {
    const path = prefix + rest;
    const slash = path.lastIndexOf("/");
    if (slash >= 0) {
      const directory = path.slice(0, slash);
      if (!listings.has(directory))
        listings.set(directory, view.list(directory === "" || directory.endsWith(")") ? `${directory}/` : directory));
      const entries = await listings.get(directory)!;
      budget.spend("globbed", (entries?.length ?? 0) + 1);
      if (entries === undefined || !hasEntry(entries, path.slice(slash + 1))) continue;
    }
    kept.push(path);
  }
  return kept;
}

/** Whether a directory holds `name`; an empty name is the directory itself. */
export function hasEntry(entries: readonly WorldEntry[], name: string): boolean {
  return name === "" || findEntry(entries, name) !== undefined;
}

export function findEntry(entries: readonly WorldEntry[], name: string): WorldEntry | undefined {
  const folded = name.toLowerCase();
  return entries.find((entry) => entry.name === name || (entry.caseInsensitive && entry.name.toLowerCase() === folded));
}

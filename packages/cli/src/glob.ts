import { UsageError } from "./exit.js";

/**
 * A shell pattern (`*`, `?`, `[a-z]`, `[!a]`, `\` before a literal) over bytes, so that it meets names of any encoding;
 * each byte stands as one Latin-1 character. Letter case is folded for ASCII only.
 */
export function globMatcher(pattern: string, ignoreCase: boolean): (name: Uint8Array) => boolean {
  const tokens = parse(latin1(new TextEncoder().encode(pattern)), ignoreCase);
  return (name) => match(tokens, ignoreCase ? latin1(name).toLowerCase() : latin1(name));
}

type Token = { readonly kind: "any" } | { readonly kind: "one"; test(character: string): boolean };

const latin1 = (data: Uint8Array): string => Buffer.from(data).toString("latin1");

function parse(source: string, ignoreCase: boolean): Token[] {
  const text = ignoreCase ? source.toLowerCase() : source;
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    const end = character === "[" ? text.indexOf("]", at + (/[!^]/.test(text[at + 1] ?? "") ? 3 : 2)) : -1;
    if (character === "*") tokens.push({ kind: "any" });
    else if (character === "?") tokens.push({ kind: "one", test: () => true });
    else if (end > 0) {
      tokens.push({ kind: "one", test: classTest(text.slice(at + 1, end)) });
      at = end;
    } else {
      if (character === "\\") at += 1;
      const literal = text[at];
      if (literal === undefined) throw new UsageError("a pattern ends in a lone backslash");
      tokens.push({ kind: "one", test: (each) => each === literal });
    }
  }
  return tokens;
}

function classTest(body: string): (character: string) => boolean {
  const negated = /^[!^]/.test(body);
  const set = negated ? body.slice(1) : body;
  return (character) => {
    let inside = false;
    for (let at = 0; at < set.length; at += 1) {
      if (set[at + 1] === "-" && at + 2 < set.length) {
        inside ||= character >= set[at]! && character <= set[at + 2]!;
        at += 2;
      } else inside ||= character === set[at];
    }
    return inside !== negated;
  };
}

/** Greedy with one point of return: linear for one star, never exponential. */
function match(tokens: readonly Token[], text: string): boolean {
  let token = 0;
  let at = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const current = tokens[token];
    if (current?.kind === "any") {
      star = token;
      resume = at;
      token += 1;
    } else if (current?.test(text[at]!)) {
      token += 1;
      at += 1;
    } else if (star >= 0) {
      resume += 1;
      at = resume;
      token = star + 1;
    } else return false;
  }
  while (tokens[token]?.kind === "any") token += 1;
  return token === tokens.length;
}

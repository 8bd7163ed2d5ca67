import type { Position } from "./source.js";

export interface Variable {
  readonly value: string;
  readonly exported: boolean;
  /** Where it got its value; undefined for what GRUB itself sets. */
  readonly at: Position | undefined;
  /** Set when the value cannot be known from the image: why. */
  readonly unknown: string | undefined;
}

/** Variables that GRUB watches: `unset` empties them and leaves them there (kern/env.c, grub_env_unset). */
const HOOKED: ReadonlySet<string> = new Set(["root", "prefix", "pager", "debug", "color_normal", "color_highlight"]);

/**
 * Variables of one file, say. Those of the contexts around it are not copied but looked up there: nothing changes in them
 * before this one is closed.
 */
interface Context {
  /** What was set since it was opened; undefined where a variable was taken away. */
  readonly own: Map<string, Variable | undefined>;
  readonly outer: Context | undefined;
  /** How many variables it has, its own and those that it sees of `outer`. */
  size: number;
  /** How many of them are exported. */
  exported: number;
}

/** GRUB's variables: a stack of contexts; a new one starts with copies of the exported variables (normal/context.c). */
export class Environment {
  #context: Context;

  constructor(initial: Context = { own: new Map(), outer: undefined, size: 0, exported: 0 }) {
    this.#context = initial;
  }

  /** A copy that shares nothing that changes. */
  fork(): Environment {
    const copy = (context: Context): Context => ({
      ...context,
      own: new Map(context.own),
      outer: context.outer === undefined ? undefined : copy(context.outer),
    });
    return new Environment(copy(this.#context));
  }

  get(name: string): Variable | undefined {
    const { own, outer } = this.#context;
    return own.get(name) ?? (own.has(name) ? undefined : exportedBy(outer, name));
  }

  value(name: string): string | undefined {
    return this.get(name)?.value;
  }

  set(name: string, value: string, at?: Position, unknown?: string): void {
    const kept =
      name === "root" && value.startsWith("(") && value.endsWith(")") && value.length > 1 ? value.slice(1, -1) : value;
    this.#put(name, { value: kept, exported: this.get(name)?.exported ?? false, at, unknown });
  }

  unset(name: string, at?: Position): void {
    if (this.get(name) === undefined) return;
    if (HOOKED.has(name)) this.set(name, "", at);
    else this.#put(name, undefined);
  }

  /** Makes a variable visible in contexts opened later; it is created empty if need be. */
  export(name: string, at?: Position): void {
    if (this.get(name) === undefined) this.set(name, "", at);
    this.#put(name, { ...this.get(name)!, exported: true });
  }

  open(): void {
    const { exported } = this.#context;
    this.#context = { own: new Map(), outer: this.#context, size: exported, exported };
  }

  close(): void {
    if (this.#context.outer !== undefined) this.#context = this.#context.outer;
  }

  /** Names in GRUB's order, with their variables. */
  sorted(): [string, Variable][] {
    const names = new Set<string>();
    for (let context: Context | undefined = this.#context; context !== undefined; context = context.outer)
      for (const name of context.own.keys()) names.add(name);
    return [...names]
      .flatMap((name): [string, Variable][] => {
        const variable = this.get(name);
        return variable === undefined ? [] : [[name, variable]];
      })
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get size(): number {
    return this.#context.size;
  }

  #put(name: string, variable: Variable | undefined): void {
    const before = this.get(name);
    const context = this.#context;
    context.size += Number(variable !== undefined) - Number(before !== undefined);
    context.exported += Number(variable?.exported ?? false) - Number(before?.exported ?? false);
    if (variable === undefined && exportedBy(context.outer, name) === undefined) context.own.delete(name);
    else context.own.set(name, variable);
  }
}

/** What a context opened in `context` sees under `name`. */
function exportedBy(context: Context | undefined, name: string): Variable | undefined {
  for (let at = context; at !== undefined; at = at.outer) {
    const variable = at.own.get(name);
    if (variable !== undefined || at.own.has(name)) return variable?.exported ? variable : undefined;
  }
  return undefined;
}

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

interface Context {
  readonly variables: Map<string, Variable>;
  readonly outer: Context | undefined;
}

/** GRUB's variables: a stack of contexts; a new one starts with copies of the exported variables (normal/context.c). */
export class Environment {
  #context: Context;

  constructor(initial: Context = { variables: new Map(), outer: undefined }) {
    this.#context = initial;
  }

  /** A copy that shares nothing that changes. */
  fork(): Environment {
    const copy = (context: Context): Context => ({
      variables: new Map(context.variables),
      outer: context.outer === undefined ? undefined : copy(context.outer),
    });
    return new Environment(copy(this.#context));
  }

  get(name: string): Variable | undefined {
    return this.#context.variables.get(name);
  }

  value(name: string): string | undefined {
    return this.#context.variables.get(name)?.value;
  }

  set(name: string, value: string, at?: Position, unknown?: string): void {
    const kept =
      name === "root" && value.startsWith("(") && value.endsWith(")") && value.length > 1 ? value.slice(1, -1) : value;
    const exported = this.#context.variables.get(name)?.exported ?? false;
    this.#context.variables.set(name, { value: kept, exported, at, unknown });
  }

  unset(name: string, at?: Position): void {
    if (!this.#context.variables.has(name)) return;
    if (HOOKED.has(name)) this.set(name, "", at);
    else this.#context.variables.delete(name);
  }

  /** Makes a variable visible in contexts opened later; it is created empty if need be. */
  export(name: string, at?: Position): void {
    if (!this.#context.variables.has(name)) this.set(name, "", at);
    this.#context.variables.set(name, { ...this.#context.variables.get(name)!, exported: true });
  }

  open(): void {
    const exported = [...this.#context.variables].filter(([, variable]) => variable.exported);
    this.#context = { variables: new Map(exported), outer: this.#context };
  }

  close(): void {
    if (this.#context.outer !== undefined) this.#context = this.#context.outer;
  }

  /** Names in GRUB's order, with their variables. */
  sorted(): [string, Variable][] {
    return [...this.#context.variables].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get size(): number {
    return this.#context.variables.size;
  }
}

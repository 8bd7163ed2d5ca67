import { GRUB_ERRNO } from "../errno.js";
import type { FunctionDefinition } from "./ast.js";
import type { Budget } from "./budget.js";
import type { Dialect, Platform } from "./dialect.js";
import { Environment } from "./environment.js";
import type { Scope } from "./expand.js";
import type { Doubt, Entry, Loaded, MachineSetup, TranscriptEntry } from "./machine-types.js";
import type { Position } from "./source.js";
import type { Volume, World } from "./world.js";

/** Everything that the commands of a script can change, and what a run prints and remarks. */
export class MachineState {
  readonly world: World;
  readonly budget: Budget;
  readonly dialect: Dialect;
  readonly platform: Platform;
  environment = new Environment();
  functions: Map<string, FunctionDefinition> = new Map();
  scope: Scope | undefined;
  /** Entries of the menu of each context, innermost last; undefined where none was begun. */
  menus: (Entry[] | undefined)[] = [undefined];
  loaded: Loaded | undefined;
  /** Which loader `legacy_kernel` settled on; it stays for the entries after it. */
  legacyKernel: "linux" | "multiboot" | undefined;
  loopbacks: ReadonlyMap<string, Volume | "unknown"> = new Map();
  /** Files as `save_env` would have left them. */
  written: ReadonlyMap<string, Uint8Array> = new Map();
  /** First device that each search ever found, by kind and name. */
  searchCache: ReadonlyMap<string, string> = new Map();
  transcript: TranscriptEntry[] = [];
  doubts: Doubt[] = [];
  /** Errors printed so far. */
  printedErrors = 0;
  at: Position | undefined;
  #errno = 0;
  #message = "";
  #doubt: string | undefined;

  readonly setup: MachineSetup;

  constructor(setup: MachineSetup) {
    this.setup = setup;
    this.world = setup.world;
    this.budget = setup.budget;
    this.dialect = setup.dialect;
    this.platform = setup.platform;
  }

  // Errors, as GRUB keeps one and prints it after the command.

  /** Sets the pending error and answers its number, for `return machine.fail(...)`. */
  fail(errno: number, message: string): number {
    this.#errno = errno;
    this.#message = message;
    return errno;
  }

  get errno(): number {
    return this.#errno;
  }

  /** Forgets the pending error, if it is `errno` or none is given. */
  clearError(errno?: number): void {
    if (errno === undefined || this.#errno === errno) this.#errno = 0;
  }

  takeError(): { errno: number; message: string } {
    const taken = { errno: this.#errno, message: this.#message };
    this.#errno = 0;
    return taken;
  }

  restoreError(saved: { errno: number; message: string }): void {
    this.#errno = saved.errno;
    this.#message = saved.message;
  }

  printError(): void {
    if (this.#errno !== 0) {
      this.budget.spend("output", this.#message.length);
      this.transcript.push({ kind: "error", text: this.#message, at: this.at });
      this.printedErrors += 1;
    }
    this.#errno = 0;
  }

  print(text: string): void {
    this.budget.spend("output", text.length + 1);
    this.transcript.push({ kind: "output", text, at: this.at });
  }

  // What the image cannot tell.

  /** The status of the running command rests on something unknowable. */
  doubt(what: string): void {
    this.#doubt ??= what;
  }

  remark(kind: Doubt["kind"], what: string, at = this.at): void {
    if (this.doubts.length < 1000) this.doubts.push({ kind, what, at });
  }

  /** Why the arguments of the running command cannot be known, if they cannot. */
  get argumentDoubt(): string | undefined {
    return this.#doubt;
  }

  set argumentDoubt(what: string | undefined) {
    this.#doubt = what;
  }

  set(name: string, value: string, unknown: string | undefined = undefined): void {
    this.budget.check("stringLength", value.length);
    this.environment.set(name, value, this.at, unknown);
  }

  // Menus and contexts.

  openContext(): void {
    // Each context begins with copies of the exported variables: many of both would be a product.
    this.budget.spend("steps", this.environment.size >> 4);
    this.environment.open();
    this.menus.push(undefined);
  }

  closeContext(): void {
    this.environment.close();
    this.menus.pop();
  }

  get menu(): Entry[] | undefined {
    return this.menus.at(-1);
  }

  beginMenu(): Entry[] {
    const entries: Entry[] = this.menus.at(-1) ?? [];
    this.menus[this.menus.length - 1] = entries;
    return entries;
  }

  addEntry(entry: Entry): number {
    const { menu } = this;
    if (menu === undefined) return this.fail(GRUB_ERRNO.menu, "no menu context");
    this.budget.spend("entries");
    menu.push(entry);
    return GRUB_ERRNO.none;
  }
}

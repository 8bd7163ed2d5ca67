import { GRUB_ERRNO } from "../errno.js";
import type { Command, FunctionDefinition, SimpleCommand, Unit } from "./ast.js";
import type { Budget } from "./budget.js";
import type { Dialect, Platform } from "./dialect.js";
import { Environment } from "./environment.js";
import { expandWords, type Scope } from "./expand.js";
import { listDirectory } from "./files.js";
import type { GlobView } from "./glob.js";
import { type OptionTable, type ParsedOptions, parseOptions } from "./options.js";
import { parseUnits } from "./parser.js";
import type { Position, Source } from "./source.js";
import type { Volume, World } from "./world.js";

/** Something a run printed, or an error GRUB would print. */
export interface TranscriptEntry {
  readonly kind: "output" | "error";
  /** Output as it is, newlines included; of an error the text after "error: ". */
  readonly text: string;
  readonly at: Position | undefined;
}

/** A remark about the run: a command that is not modelled, or an answer that the image cannot give. */
export interface Doubt {
  readonly kind: "unknown" | "not-modelled" | "unknown-command";
  readonly what: string;
  readonly at: Position | undefined;
}

/** An entry as `menuentry` defines it: its body is run only when it is chosen. */
export interface Entry {
  readonly title: string;
  readonly id: string;
  readonly submenu: boolean;
  readonly classes: readonly string[];
  /** Undefined: `--unrestricted`. */
  readonly users: string | undefined;
  readonly hotkey: string | undefined;
  readonly args: readonly string[];
  readonly body: () => Source;
  readonly at: Position;
}

export interface LoadedFile {
  readonly device: string | undefined;
  readonly path: string;
  readonly args: string;
  readonly at: Position;
  readonly found: boolean;
}

/** What the loader commands have put in memory. */
export interface Loaded {
  readonly command: string;
  readonly kernel: LoadedFile;
  readonly cmdline: string;
  initrds: readonly LoadedFile[];
  modules: readonly LoadedFile[];
}

/** Why a script stopped before its end. */
export type HaltReason = "boot" | "exit" | "halt" | "reboot" | "menu" | "waits-for-key";

/** Unwinds the interpreter: GRUB would have left it here. */
export class Halt {
  readonly reason: HaltReason;

  constructor(reason: HaltReason) {
    this.reason = reason;
  }
}

/** One call of a command. */
export interface Call {
  readonly name: string;
  readonly args: readonly string[];
  readonly at: Position;
  readonly block: SimpleCommand["block"];
  readonly options: ParsedOptions;
}

export interface CommandSpec {
  readonly options?: OptionTable;
  /** Answers GRUB's status. Errors are set by `machine.fail`. */
  readonly run: (machine: Machine, call: Call) => Promise<number>;
}

export interface MachineSetup {
  readonly world: World;
  readonly budget: Budget;
  readonly dialect: Dialect;
  readonly platform: Platform;
  readonly commands: ReadonlyMap<string, CommandSpec>;
  /** Shows a menu: leaves by Halt, or answers when GRUB would go on. */
  readonly showMenu: (machine: Machine, entries: readonly Entry[], nested: boolean) => Promise<void>;
}

const NO_OPTIONS: ParsedOptions = { given: new Map(), args: [] };

/** GRUB while it runs scripts: the interpreter and everything its commands can change. */
export class Machine {
  readonly world: World;
  readonly budget: Budget;
  readonly dialect: Dialect;
  readonly platform: Platform;
  environment = new Environment();
  functions: ReadonlyMap<string, FunctionDefinition> = new Map();
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
  #statusDoubt: string | undefined;
  #loops = 0;
  #breaks = 0;
  #continues = false;
  #returning = false;
  #depth = 0;

  readonly setup: MachineSetup;

  constructor(setup: MachineSetup) {
    this.setup = setup;
    this.world = setup.world;
    this.budget = setup.budget;
    this.dialect = setup.dialect;
    this.platform = setup.platform;
  }

  /** A machine in the same state, whose changes stay its own, but for entries added to a menu that was begun before. */
  fork(setup: Partial<MachineSetup> = {}): Machine {
    const copy = new Machine({ ...this.setup, ...setup });
    Object.assign(copy, {
      environment: this.environment.fork(),
      functions: this.functions,
      scope: this.scope === undefined ? undefined : { args: this.scope.args },
      menus: [...this.menus],
      loaded: this.loaded,
      legacyKernel: this.legacyKernel,
      loopbacks: this.loopbacks,
      written: this.written,
      searchCache: this.searchCache,
      printedErrors: this.printedErrors,
    });
    copy.#returning = this.#returning;
    copy.#depth = this.#depth;
    return copy;
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

  set(name: string, value: string, unknown: string | undefined = undefined): void {
    this.budget.check("stringLength", value.length);
    this.environment.set(name, value, this.at, unknown);
  }

  // Running.

  /** A configuration file or a text; errors of one unit do not stop the next. */
  async runFile(source: Source): Promise<void> {
    for (const unit of parseUnits(source)) {
      this.printError();
      await this.#runUnit(unit);
    }
    this.printError();
  }

  /** The body of an entry, or the argument of `eval`: a syntax error ends it. */
  async runText(source: Source): Promise<number> {
    let status = 0;
    for (const unit of parseUnits(source)) {
      if (unit.problem !== undefined) {
        this.#refuse(unit);
        return this.errno;
      }
      status = await this.#runUnit(unit);
    }
    return status;
  }

  async runInScope(source: Source, args: readonly string[]): Promise<number> {
    const outer = this.scope;
    this.scope = { args };
    const status = await this.#nested(() => this.runText(source));
    this.scope = outer;
    return status;
  }

  async #runUnit(unit: Unit): Promise<number> {
    this.at = unit.at;
    for (const definition of unit.functions) {
      this.budget.spend("steps");
      this.functions = new Map(this.functions).set(definition.name, definition);
    }
    if (unit.problem !== undefined) {
      this.#refuse(unit);
      return 0;
    }
    return unit.commands.length === 0 ? 0 : this.#list(unit.commands);
  }

  #refuse(unit: Unit): void {
    const { printed, at, message } = unit.problem!;
    this.at = at;
    for (const text of printed) {
      this.fail(GRUB_ERRNO["invalid-command"], text);
      this.printError();
    }
    this.remark("not-modelled", `refused by GRUB's parser: ${message}`, at);
  }

  /** Counts how deep functions, files, menus and blocks stand inside each other. */
  async #nested<T>(run: () => Promise<T>): Promise<T> {
    this.#depth += 1;
    this.budget.check("depth", this.#depth);
    try {
      return await run();
    } finally {
      this.#depth -= 1;
    }
  }

  nested<T>(run: () => Promise<T>): Promise<T> {
    return this.#nested(run);
  }

  #setStatus(status: number): number {
    this.environment.set("?", String(status), undefined, this.#statusDoubt);
    return status;
  }

  /** Commands in a row; a `break` or `return` under way skips what is left. */
  async #list(commands: readonly Command[]): Promise<number> {
    let status = 0;
    this.#statusDoubt = undefined;
    for (const command of commands) {
      if (this.#breaks > 0) break;
      status = this.#setStatus(await this.#command(command));
      if (this.#returning) break;
    }
    return this.#setStatus(status);
  }

  async #command(command: Command): Promise<number> {
    this.budget.spend("steps");
    switch (command.kind) {
      case "simple":
        return this.#simple(command);
      case "if":
        return this.#if(command);
      case "for":
        return this.#for(command);
      default:
        return this.#while(command);
    }
  }

  async #if(command: Command & { kind: "if" }): Promise<number> {
    for (let clause = command; ; ) {
      const status = await this.#list(clause.condition);
      if (this.#returning) return status;
      const truth = this.environment.get("?");
      if (truth?.unknown !== undefined) this.remark("unknown", truth.unknown, clause.at);
      this.#errno = 0;
      if (truth?.value === "0") return this.#list(clause.body);
      const [next] = clause.otherwise;
      if (next === undefined) {
        this.#statusDoubt = undefined;
        return 0;
      }
      if (clause.otherwise.length > 1 || next.kind !== "if") return this.#list(clause.otherwise);
      this.budget.spend("steps");
      clause = next;
    }
  }

  async #for(command: Command & { kind: "for" }): Promise<number> {
    const { args, unknown } = await this.#expand(command.words);
    this.#loops += 1;
    let status = 0;
    for (const arg of args) {
      this.budget.spend("steps");
      if (this.#continues && this.#breaks === 1) this.#breaks = 0;
      if (this.#breaks > 0) continue;
      this.at = command.at;
      this.set(command.variable, arg, unknown);
      status = await this.#list(command.body);
      if (this.#returning) break;
    }
    if (this.#breaks > 0) this.#breaks -= 1;
    this.#loops -= 1;
    return status;
  }

  async #while(command: Command & { kind: "while" | "until" }): Promise<number> {
    this.#loops += 1;
    let status: number;
    for (;;) {
      this.budget.spend("steps");
      status = await this.#list(command.condition);
      if (this.#returning) break;
      const doubt = this.environment.get("?")?.unknown;
      if (doubt !== undefined) this.remark("unknown", doubt, command.at);
      if (command.kind === "until" ? status === 0 : status !== 0) break;
      status = await this.#list(command.body);
      if (this.#returning) break;
      if (this.#breaks === 1 && this.#continues) this.#breaks = 0;
      if (this.#breaks > 0) break;
    }
    if (this.#breaks > 0) this.#breaks -= 1;
    this.#loops -= 1;
    return status;
  }

  readonly #glob: GlobView = {
    devices: () => this.devices(),
    list: (directory) => listDirectory(this, directory),
  };

  /** Loopback devices come before the disks: their driver was registered later. */
  async devices(): Promise<readonly string[]> {
    const disks = await this.world.devices();
    return this.loopbacks.size === 0 ? disks : [...[...this.loopbacks.keys()].reverse(), ...disks];
  }

  #expand(words: SimpleCommand["words"]) {
    const { environment, scope, budget } = this;
    return expandWords(words, { environment, scope, budget, glob: this.#glob });
  }

  async #simple(command: SimpleCommand): Promise<number> {
    this.at = command.at;
    this.#statusDoubt = undefined;
    const expansion = await this.#expand(command.words);
    let words = expansion.args;
    if (command.block !== undefined) {
      const body = command.block.source().lines.map((line) => line.text);
      words = [...words, `{${body.join("\n")}}`];
    }
    let invert = false;
    if (words[0] === "!") {
      invert = true;
      words = words.slice(1);
      if (words.length === 0) {
        this.fail(GRUB_ERRNO["bad-argument"], "no command is specified");
        const status = this.errno;
        return status;
      }
    }
    const name = words[0];
    if (name === undefined) return this.errno;
    this.#doubt = expansion.unknown;
    const status = await this.#call(name, words.slice(1), command, expansion.unknown);
    if (status === undefined) return 0;
    return this.#finish(status, invert, command.at);
  }

  /** What follows every command: `!`, and the error it left. */
  #finish(status: number, invert: boolean, at: Position): number {
    this.at = at;
    let result = status;
    if (invert) {
      if (status === GRUB_ERRNO["test-failure"]) {
        result = 0;
        this.#errno = 0;
      } else if (status === 0) {
        result = this.fail(GRUB_ERRNO["test-failure"], "false");
      } else {
        this.printError();
        result = 0;
      }
    }
    if (this.#errno === GRUB_ERRNO["test-failure"]) this.#errno = 0;
    this.printError();
    return result;
  }

  /** The status, or undefined for what was neither a command nor a function. */
  async #call(
    name: string,
    args: readonly string[],
    command: SimpleCommand,
    unknown: string | undefined,
  ): Promise<number | undefined> {
    const answer = await this.world.onCommand?.({ name, args, at: command.at });
    if (answer !== undefined) {
      for (const [variable, value] of Object.entries(answer.set ?? {})) this.set(variable, value);
      if (answer.output !== undefined) this.print(answer.output);
      if (answer.status > 1) this.fail(answer.status, answer.message ?? name);
      return answer.status;
    }
    const spec = this.setup.commands.get(name);
    if (spec !== undefined) {
      const status = await this.#builtin(spec, name, args, command);
      // What a test says of something unknowable is unknowable; a loader's success is not.
      if (PREDICATES.has(name) || unknown === undefined) this.#statusDoubt = this.#doubt;
      return status;
    }
    const definition = this.functions.get(name);
    if (definition !== undefined) return this.#function(definition, args);
    const equals = name.indexOf("=");
    if (equals >= 0) {
      const variable = name.slice(0, equals);
      if (/^[0-9#*@]/.test(variable)) this.fail(GRUB_ERRNO["bad-argument"], `invalid variable name \`${variable}'`);
      else this.set(variable, name.slice(equals + 1), unknown);
    } else {
      this.fail(GRUB_ERRNO["unknown-command"], `can't find command \`${name}'`);
      this.remark(
        "unknown-command",
        `\`${name}' is neither a command nor a function here; GRUB goes on as if it had succeeded`,
      );
    }
    this.printError();
    return undefined;
  }

  async #builtin(
    spec: CommandSpec,
    name: string,
    args: readonly string[],
    { at, block }: SimpleCommand,
  ): Promise<number> {
    let options: ParsedOptions = { ...NO_OPTIONS, args };
    if (spec.options !== undefined) {
      const parsed = parseOptions(spec.options, args);
      if ("error" in parsed) return parsed.message === undefined ? 0 : this.fail(parsed.error, parsed.message);
      options = parsed;
    }
    const status = await spec.run(this, { name, args: options.args, at, block, options });
    this.at = at;
    return status;
  }

  async #function(definition: FunctionDefinition, args: readonly string[]): Promise<number> {
    const outer = { scope: this.scope, loops: this.#loops };
    this.scope = { args };
    this.#loops = 0;
    const status = await this.#nested(() => this.#list(definition.body));
    this.#returning = false;
    this.#loops = outer.loops;
    this.scope = outer.scope;
    return status;
  }

  /** `break` and `continue`: takes effect when the running command is done. */
  leaveLoops(count: number, again: boolean): void {
    this.#continues = again;
    this.#breaks = Math.min(count, this.#loops);
  }

  /** `return`. */
  leaveFunction(): void {
    this.#returning = true;
  }

  /** Runs a command by name as another command does it, without expansion. */
  async invoke(name: string, args: readonly string[], at: Position): Promise<number | undefined> {
    const spec = this.setup.commands.get(name);
    if (spec === undefined) return undefined;
    return this.#builtin(spec, name, args, { kind: "simple", at, words: [], block: undefined });
  }

  // Menus and contexts.

  openContext(): void {
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

/** Commands whose status is a judgement about their arguments. */
const PREDICATES: ReadonlySet<string> = new Set(["test", "[", "regexp"]);

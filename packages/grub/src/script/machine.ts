import { GRUB_ERRNO } from "../errno.js";
import type { Command, FunctionDefinition, SimpleCommand, Unit } from "./ast.js";
import { expandWords } from "./expand.js";
import { listDirectory } from "./files.js";
import type { GlobView } from "./glob.js";
import { MachineState } from "./machine-state.js";
import type { CommandSpec, MachineSetup } from "./machine-types.js";
import { type ParsedOptions, parseOptions } from "./options.js";
import { parseUnits } from "./parser.js";
import type { Position, Source } from "./source.js";

const NO_OPTIONS: ParsedOptions = { given: new Map(), args: [] };

/** GRUB while it runs scripts: the interpreter. */
export class Machine extends MachineState {
  #statusDoubt: string | undefined;
  #loops = 0;
  #breaks = 0;
  #continues = false;
  #returning = false;
  #depth = 0;
  /** Whether a fork has the same map of functions: then a new one goes into a copy. */
  #sharesFunctions = true;

  /** A machine in the same state, whose changes stay its own, but for entries added to a menu that was begun before. */
  fork(setup: Partial<MachineSetup> = {}): Machine {
    const copy = new Machine({ ...this.setup, ...setup });
    this.#sharesFunctions = true;
    this.budget.spend("steps", this.environment.size >> 4);
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
      if (this.#sharesFunctions) this.functions = new Map(this.functions);
      this.#sharesFunctions = false;
      this.functions.set(definition.name, definition);
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
    const turn = this.budget.turn();
    if (turn !== undefined) await turn;
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
      this.clearError();
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
    const expansion = this.#expand(command.words);
    const { args, unknown } = expansion instanceof Promise ? await expansion : expansion;
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
    const expanded = this.#expand(command.words);
    const expansion = expanded instanceof Promise ? await expanded : expanded;
    let words = expansion.args;
    if (command.block !== undefined) {
      words = [...words, `{${command.block.text()}}`];
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
    this.argumentDoubt = expansion.unknown;
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
        this.clearError();
      } else if (status === 0) {
        result = this.fail(GRUB_ERRNO["test-failure"], "false");
      } else {
        this.printError();
        result = 0;
      }
    }
    this.clearError(GRUB_ERRNO["test-failure"]);
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
    const { world } = this;
    const answer = world.onCommand === undefined ? undefined : await world.onCommand({ name, args, at: command.at });
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
      if (PREDICATES.has(name) || unknown === undefined) this.#statusDoubt = this.argumentDoubt;
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
}

/** Commands whose status is a judgement about their arguments. */
const PREDICATES: ReadonlySet<string> = new Set(["test", "[", "regexp"]);

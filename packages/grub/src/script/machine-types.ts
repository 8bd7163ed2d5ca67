import type { SimpleCommand } from "./ast.js";
import type { Budget } from "./budget.js";
import type { Dialect, Platform } from "./dialect.js";
import type { Machine } from "./machine.js";
import type { OptionTable, ParsedOptions } from "./options.js";
import type { Position, Source } from "./source.js";
import type { World } from "./world.js";

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
  /** Its commands come from the editor of the menu. */
  readonly edited?: true;
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

import type { Position, Source } from "./source.js";

/**
 * One piece of a word.
 * - `text`: unquoted; a backslash still stands before the character it protects, and `*` and `?` are live;
 * - `quoted`: from quotes, literal;
 * - `variable`: `$name` outside quotes, split into words and globbed; `quotedVariable`: inside double quotes;
 * - `translated`: `$"..."`; variables in it are expanded when it runs.
 */
export interface WordPart {
  readonly kind: "text" | "quoted" | "variable" | "quotedVariable" | "translated";
  /** The text, or the variable's name. */
  readonly text: string;
}

export interface Word {
  readonly kind: "word";
  readonly at: Position;
  readonly parts: readonly WordPart[];
}

/** `{ ... }` as the last argument of a command. GRUB keeps its text and parses it again when it is run. */
export interface Block {
  readonly kind: "block";
  readonly at: Position;
  readonly commands: readonly Command[];
  /** What stands between the braces, to be run. */
  readonly source: () => Source;
  /** The same as text. */
  readonly text: () => string;
}

export interface SimpleCommand {
  readonly kind: "simple";
  readonly at: Position;
  /** The name of the command and its arguments. */
  readonly words: readonly Word[];
  readonly block: Block | undefined;
}

export interface IfCommand {
  readonly kind: "if";
  readonly at: Position;
  readonly condition: readonly Command[];
  readonly body: readonly Command[];
  /** An `elif` is an `if` alone in here. */
  readonly otherwise: readonly Command[];
}

export interface ForCommand {
  readonly kind: "for";
  readonly at: Position;
  readonly variable: string;
  readonly words: readonly Word[];
  readonly body: readonly Command[];
}

export interface WhileCommand {
  readonly kind: "while" | "until";
  readonly at: Position;
  readonly condition: readonly Command[];
  readonly body: readonly Command[];
}

export type Command = SimpleCommand | IfCommand | ForCommand | WhileCommand;

export interface FunctionDefinition {
  readonly kind: "function";
  readonly at: Position;
  readonly name: string;
  readonly body: readonly Command[];
}

/** Why a unit was refused. */
export interface SyntaxProblem {
  /** What GRUB prints, each after "error: ". */
  readonly printed: readonly string[];
  /** For people: what was found, and where. */
  readonly message: string;
  readonly at: Position;
}

/**
 * What GRUB parses and runs at once: a line, and the lines that its quotes, backslashes and open constructs pull in.
 * Functions are defined while parsing, so those before an error exist although the rest of the unit does not.
 */
export interface Unit {
  readonly at: Position;
  readonly functions: readonly FunctionDefinition[];
  /** Empty when `problem` is set: nothing of the unit is run. */
  readonly commands: readonly Command[];
  readonly problem: SyntaxProblem | undefined;
}

export type {
  Block,
  Command,
  ForCommand,
  FunctionDefinition,
  IfCommand,
  SimpleCommand,
  SyntaxProblem,
  Unit,
  WhileCommand,
  Word,
  WordPart,
} from "./ast.js";
export { DEFAULT_LIMITS, type LimitName, type ScriptLimits } from "./budget.js";
export { DIALECTS, type Dialect, type DialectName, type Platform } from "./dialect.js";
export type { Doubt, HaltReason, TranscriptEntry } from "./machine-types.js";
export { memoryWorld } from "./memory-world.js";
export { parseScript, parseUnits } from "./parser.js";
export { type BootResult, type EntryChoice, type RunOptions, runFile, runText, type ScriptRun } from "./run.js";
export { type Position, type Source, type SourceLine, sourceFromFile } from "./source.js";
export { decodeText, encodeText } from "./text.js";
export type { CommandAnswer, CommandCall, DeviceFacts, LoadCall, Volume, World, WorldEntry } from "./world.js";

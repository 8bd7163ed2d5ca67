import type { CommandSpec } from "../machine.js";

export const FOREIGN_COMMANDS: Readonly<Record<string, CommandSpec>> = {};

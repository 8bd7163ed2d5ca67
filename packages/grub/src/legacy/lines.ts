import { type Position, positionIn, type SourceLine, sourceFromFile } from "../script/source.js";
import { withoutEnd } from "../script/text.js";

/** A command of a line-oriented configuration: a name, and the text after it as it stands. */
export interface LegacyCommand {
  readonly name: string;
  readonly rest: string;
  /** The whole line, blanks before it left out. */
  readonly text: string;
  readonly at: Position;
  readonly line: SourceLine;
}

/**
 * Commands of a menu.lst. The name ends at a blank or `=`; what follows is not interpreted: the language has no quotes,
 * no variables and no continuation lines. Lines whose first character after blanks is `#` are comments.
 */
export function legacyCommands(file: string, bytes: Uint8Array): readonly LegacyCommand[] {
  const commands: LegacyCommand[] = [];
  for (const line of sourceFromFile(file, bytes).lines) {
    const match = /^[ \t]*([^ \t=#][^ \t=]*)[ \t=]*(.*)$/s.exec(line.text);
    if (match === null) continue;
    const start = line.text.indexOf(match[1]!);
    const text = line.text.slice(start);
    commands.push({
      name: match[1]!,
      rest: withoutEnd(match[2]!, " \t"),
      text,
      at: positionIn(file, line, start),
      line,
    });
  }
  return commands;
}

import { isImageError } from "@guestprobe/block";
import { CommanderError } from "commander";
import { isOnHost } from "./arguments.js";
import { makeContext } from "./context.js";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "./exit.js";
import { escapeGuestText } from "./output/escape.js";
import { standardError } from "./output/standard.js";
import { buildProgram, type Invocation, putVerbFirst } from "./program.js";

/**
 * Runs one command line and answers its exit code. Nothing that an image holds makes it throw.
 *
 * @param cache A folder of the user's own, in which what was unpacked is kept for later runs; nothing is kept without.
 */
export async function run(argv: readonly string[], cache?: string): Promise<ExitCode> {
  let invocation: Invocation | undefined;
  let words: readonly string[] = [];
  try {
    const choose = (chosen: Invocation): void => {
      invocation = chosen;
    };
    if (argv.length === 0) {
      buildProgram(choose, argv).outputHelp({ error: true });
      return EXIT.usage;
    }
    words = putVerbFirst(argv, isOnHost);
    const program = buildProgram(choose, words);
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    // Help and version arrive as errors whose exit code is 0.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.yes;
    return complain(error, words[0]);
  }
  if (invocation === undefined) return EXIT.usage;
  try {
    if (invocation.options.sandbox === true)
      return await (await import("./sandbox.js")).runSandboxed(words, invocation);
    return await runVerb(invocation, cache);
  } catch (error) {
    // The reader of a pipe went away (`| head`): nobody is left to tell.
    if ((error as NodeJS.ErrnoException | undefined)?.code === "EPIPE") return EXIT.host;
    return complain(error, invocation.verb.name);
  }
}

async function runVerb({ verb, words, options }: Invocation, cache: string | undefined): Promise<ExitCode> {
  const context = makeContext(options, cache);
  try {
    const work = await verb.load();
    const code = await work(context, words, options);
    // A limit may pass for a miss on the way: GRUB's search takes every error for one.
    const { over } = context.watch;
    const ended = await context.finish(over === undefined ? code : exitCodeOf(over));
    if (over !== undefined) complain(over);
    return ended;
  } catch (caught) {
    if (!isImageError(caught)) throw caught;
    // A reader may have told of a limit as of damage to what it was decoding.
    const error = context.watch.over ?? caught;
    // What was answered until then is kept, and the findings may say why it ended.
    const { out } = context;
    if (out.options.json && verb.jsonLines !== true) out.jsonError(error);
    const code = await context.finish(exitCodeOf(error));
    complain(error);
    return code;
  } finally {
    await context.close();
  }
}

function complain(error: unknown, verb?: string): ExitCode {
  const say = (text: string): void => void standardError.write(`guestprobe: ${escapeGuestText(text)}\n`);
  if (error instanceof CommanderError) {
    // "error: unknown option '--lng'\n(Did you mean --long?)"
    const [message = "", meant] = error.message.replace(/^error: /, "").split("\n(Did you mean ");
    say(message);
    const next = meant?.replace(/\?\)$/, "") ?? `guestprobe ${verb === undefined ? "" : `${verb} `}--help`;
    standardError.write(`  try: ${escapeGuestText(next)}\n`);
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    say(error.message);
    const next = error.next.length > 0 ? error.next : [`guestprobe ${verb === undefined ? "" : `${verb} `}--help`];
    for (const step of next) standardError.write(`  try: ${step}\n`);
    return EXIT.usage;
  }
  if (isImageError(error)) {
    say(error.message);
    return exitCodeOf(error);
  }
  // A mistake of this program, or a host error that nobody foresaw: said in one line, never as a stack trace.
  const text = error instanceof Error ? error.message : String(error);
  say((error as NodeJS.ErrnoException | undefined)?.code === undefined ? `internal error: ${text}` : text);
  return EXIT.host;
}

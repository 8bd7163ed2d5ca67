import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { UsageError } from "./exit.js";
import { nearest } from "./nearest.js";
import { COMMON_OPTIONS, type OptionSpec, type Options, VERBS, type Verb } from "./verbs.js";

export interface Invocation {
  readonly verb: Verb;
  readonly words: readonly string[];
  readonly options: Options;
}

const HEAD = `Examples:
  guestprobe guest.img                           what is on the disk: partitions, volumes, boot files
  guestprobe search guest.img                    where GRUB would find the boot files
  guestprobe cat guest.img /boot/grub/grub.cfg   one file of the guest
`;

const TAIL = `
Images are opened read-only and never changed. A path is (DEVICE)/path, as (xen/xvda,msdos1)/etc/fstab, or /path
alone: the first volume that has it.

Exit codes: 0 yes, 1 no, 2 wrong usage, 3 cannot tell, 4 damaged or a limit was hit, 5 the host side failed.`;

export function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * The command line as a commander program; `chosen` is told which verb was called with what.
 *
 * @param words What is to be parsed, its verb first. The options of twenty verbs take longer to set up than a small disk
 *   to search, so only those of this verb are there, unless the program itself is asked for something.
 */
export function buildProgram(chosen: (invocation: Invocation) => void, words: readonly string[]): Command {
  const verb = words.some((word) => VERSION.has(word)) ? undefined : VERBS.find(({ name }) => name === words[0]);
  const program = verb === undefined ? wholeProgram() : new Command("guestprobe");
  program.exitOverride().configureOutput({ outputError: () => {} });
  for (const each of verb === undefined ? VERBS : [verb]) program.addCommand(buildVerb(each, chosen));
  return program;
}

function wholeProgram(): Command {
  const program: Command = new Command("guestprobe")
    .usage("VERB [options] IMAGE...\n       guestprobe IMAGE...")
    .description("Answers questions about the disks of a guest without mounting, booting or changing them.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "this help; VERB --help has the verb's own")
    .helpCommand("help [verb]", "the help of a verb")
    .addHelpText("beforeAll", (context) => (context.command === program ? HEAD : ""))
    .addHelpText("after", TAIL)
    .configureHelp({ subcommandTerm: (command) => command.name() });
  return program;
}

function buildVerb(verb: Verb, chosen: (invocation: Invocation) => void): Command {
  const command = new Command(verb.name)
    .summary(verb.summary)
    .description(`${verb.summary[0]?.toUpperCase()}${verb.summary.slice(1)}.`)
    .usage(verb.usage)
    .argument("[words...]")
    .helpOption("-h, --help", "this help")
    .configureHelp({ visibleArguments: () => [] })
    .addHelpText("beforeAll", `Examples:\n${verb.examples.map((example) => `  ${example}`).join("\n")}\n`)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .action((words: string[], options: Options) => chosen({ verb, words, options }));
  for (const spec of [...verb.options, ...COMMON_OPTIONS]) command.addOption(buildOption(spec));
  return command;
}

function buildOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description);
  if (spec.choices !== undefined) option.choices([...spec.choices]);
  if (spec.default !== undefined) option.default(spec.default);
  if (spec.repeatable === true)
    option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  return option;
}

/** Long and short options of the common set that take the next word as their value. */
const TAKES_VALUE = new Set(
  COMMON_OPTIONS.filter((option) => option.flags.includes("<")).flatMap((option) =>
    option.flags.split(/[ ,]+/).filter((word) => word.startsWith("-")),
  ),
);

/**
 * Finds the verb, which common options may precede, and puts it first. Without a verb the words are images to
 * inspect; a lone word that is no file is taken for a mistyped verb.
 *
 * @param isFile Whether a word names something on the host.
 */
export function putVerbFirst(argv: readonly string[], isFile: (word: string) => boolean): string[] {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at]!;
    // No verb can come any more: what follows are images.
    if (word === "--") return ["inspect", ...argv];
    if (word.startsWith("-") && word !== "-") {
      if (TAKES_VALUE.has(word)) at += 1;
      continue;
    }
    if (word === "help") return helpOf(argv.slice(at + 1).find((next) => !next.startsWith("-")));
    if (isVerb(word)) return [word, ...argv.slice(0, at), ...argv.slice(at + 1)];
    if (isFile(word) || /[./\\]/.test(word)) return ["inspect", ...argv];
    throw new UsageError(`"${word}" is neither a verb nor a file`, [nearestVerb(word, (near) => `${near} ...`)]);
  }
  // Options alone: those of the program itself, or of an inspection that has no image.
  return argv.some((word) => OF_PROGRAM.has(word)) ? [...argv] : ["inspect", ...argv];
}

const VERSION = new Set(["-V", "--version"]);
const OF_PROGRAM = new Set(["-h", "--help", ...VERSION]);
const isVerb = (word: string): boolean => VERBS.some((verb) => verb.name === word);

function helpOf(verb: string | undefined): string[] {
  if (verb === undefined) return ["--help"];
  if (isVerb(verb)) return [verb, "--help"];
  throw new UsageError(`"${verb}" is no verb`, [nearestVerb(verb, (near) => `help ${near}`)]);
}

/** The step to take after a mistyped verb. An empty word is near to nothing. */
function nearestVerb(word: string, step: (near: string) => string): string {
  const names = VERBS.map((verb) => verb.name);
  const near = word === "" ? undefined : nearest(word, names);
  return `guestprobe ${near === undefined ? "--help" : step(near)}`;
}

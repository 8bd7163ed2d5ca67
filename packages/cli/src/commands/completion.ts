import { EXIT, UsageError } from "../exit.js";
import { COMMON_OPTIONS, type Run, VERBS, type Verb } from "../verbs.js";

export const completion: Run = async (context, words) => {
  const makers: Record<string, () => string[]> = { bash, zsh, fish };
  const maker = makers[words[0] ?? ""];
  if (maker === undefined || words.length > 1) {
    throw new UsageError("completion takes one of bash, zsh and fish", ['eval "$(guestprobe completion bash)"']);
  }
  context.out.lines(maker());
  return EXIT.yes;
};

/** The flags of an option: `-f, --file <file>` gives `-f` and `--file`. */
const flagsOf = (flags: string): string[] => flags.split(/[ ,]+/).filter((word) => word.startsWith("-"));
const optionsOf = (verb: Verb) => [...verb.options, ...COMMON_OPTIONS];
const wordsOf = (verb: Verb): string =>
  optionsOf(verb)
    .flatMap((option) => flagsOf(option.flags))
    .join(" ");

/** Each option with a fixed set of values, once for all verbs. */
function choices(): { flags: string[]; values: readonly string[] }[] {
  const found = new Map<string, { flags: string[]; values: readonly string[] }>();
  for (const option of VERBS.flatMap(optionsOf)) {
    if (option.choices !== undefined) found.set(option.flags, { flags: flagsOf(option.flags), values: option.choices });
  }
  return [...found.values()];
}

function bash(): string[] {
  return [
    "_guestprobe() {",
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word",
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    case $word in ${VERBS.map((verb) => verb.name).join("|")}) verb=$word; break;; esac`,
    "  done",
    "  case $prev in",
    ...choices().map(
      ({ flags, values }) =>
        `    ${flags.join("|")}) COMPREPLY=($(compgen -W '${values.join(" ")}' -- "$cur")); return;;`,
    ),
    "  esac",
    "  if [[ $cur == -* ]]; then",
    "    case $verb in",
    ...VERBS.map((verb) => `      ${verb.name}) COMPREPLY=($(compgen -W '${wordsOf(verb)}' -- "$cur"));;`),
    "    esac",
    "    return",
    "  fi",
    "  case $verb in",
    `    '') COMPREPLY=($(compgen -W '${VERBS.map((verb) => verb.name).join(" ")}' -- "$cur") $(compgen -f -- "$cur"));;`,
    "    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\"));;",
    '    *) COMPREPLY=($(compgen -f -- "$cur"));;',
    "  esac",
    "}",
    "complete -o filenames -F _guestprobe guestprobe",
  ];
}

const zshQuote = (text: string): string => text.replaceAll("'", "'\\''").replaceAll(":", "\\:");

function zsh(): string[] {
  return [
    "#compdef guestprobe",
    "_guestprobe() {",
    "  local -a verbs=(",
    ...VERBS.map((verb) => `    '${verb.name}:${zshQuote(verb.summary)}'`),
    "  )",
    `  local verb=${"$"}{words[(r)(${VERBS.map((verb) => verb.name).join("|")})]}`,
    "  case $words[CURRENT-1] in",
    ...choices().map(({ flags, values }) => `    ${flags.join("|")}) compadd ${values.join(" ")}; return;;`),
    "  esac",
    "  if [[ $words[CURRENT] == -* ]]; then",
    "    case $verb in",
    ...VERBS.map((verb) => `      ${verb.name}) compadd -- ${wordsOf(verb)};;`),
    "    esac",
    "  elif [[ -z $verb ]]; then",
    "    _describe verb verbs; _files",
    "  elif [[ $verb == completion ]]; then",
    "    compadd bash zsh fish",
    "  else",
    "    _files",
    "  fi",
    "}",
    "compdef _guestprobe guestprobe",
  ];
}

const fishQuote = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("'", "\\'");

function fish(): string[] {
  const lines: string[] = [];
  for (const verb of VERBS) {
    lines.push(`complete -c guestprobe -n __fish_use_subcommand -a ${verb.name} -d '${fishQuote(verb.summary)}'`);
    for (const option of optionsOf(verb)) {
      const names = flagsOf(option.flags)
        .map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(" ");
      const values =
        option.choices === undefined
          ? option.flags.includes("<")
            ? " -r"
            : ""
          : ` -x -a '${option.choices.join(" ")}'`;
      lines.push(
        `complete -c guestprobe -n '__fish_seen_subcommand_from ${verb.name}' ${names}${values} -d '${fishQuote(option.description)}'`,
      );
    }
  }
  lines.push("complete -c guestprobe -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'");
  return lines;
}

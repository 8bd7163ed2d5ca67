import type { Position, Source, SourceLine } from "../script/source.js";
import { sourceFromFile } from "../script/source.js";
import { isSpace, parseNumber, withoutEnd } from "../script/text.js";

/** What `legacy_configfile` does with a menu.lst, in order. */
export type LegacyStep =
  | { readonly kind: "run"; readonly source: Source; readonly at: Position }
  /** An entry; all but the last are for the user `legacy` once there are superusers. */
  | {
      readonly kind: "entry";
      readonly title: string;
      readonly source: Source;
      readonly last: boolean;
      readonly at: Position;
    };

export interface LegacyTranslation {
  readonly steps: readonly LegacyStep[];
  /** Run after everything else: `hiddenmenu`, and the menu behind a password. */
  readonly suffix: Source;
  /** Commands that become comments. */
  readonly unsupported: readonly { readonly text: string; readonly at: Position }[];
}

type ArgumentKind = "word" | "file" | "fileKept" | "rest" | "option" | "kernelOption" | "number" | "boolean" | "force";

interface Translation {
  readonly args: readonly ArgumentKind[];
  /** Words past the last argument are dropped; otherwise the last takes the rest of the line. */
  readonly ignoreRest?: boolean;
  /** The form for fewer arguments is another one. */
  readonly without?: Translation;
  readonly text: (...args: string[]) => string;
  /** Put at the end of the menu instead of here. */
  readonly suffix?: (...args: string[]) => string;
  readonly only?: "settings" | "entries";
}

const legacyInitrd = (name: string): Translation => ({
  args: ["fileKept", "rest"],
  text: (file, rest) => `${name} '${file}' ${rest}`,
});

const invertColor = (color: string) => {
  const slash = color.indexOf("/");
  return slash < 0 ? color : `${color.slice(slash + 1)}/${color.slice(0, slash)}`;
};

const setRoot: Translation = {
  args: ["file", "number"],
  text: (device, bias) => `set root='${device}'; set legacy_hdbias='${bias}'`,
  without: { args: [], text: () => 'echo "$root"' },
};

const SUPERUSERS = 'if [ "$superusers" = "" ]; then superusers=legacy; fi;\n';

/** The commands that GRUB 2 knows how to translate, and the script each becomes (GRUB 2.06, lib/legacy_parse.c). */
const TRANSLATIONS: Readonly<Record<string, readonly Translation[]>> = {
  blocklist: [{ args: ["file"], text: (file) => `blocklist '${file}'` }],
  boot: [{ args: [], text: () => "boot" }],
  cat: [{ args: ["file"], text: (file) => `cat '${file}'` }],
  chainloader: [{ args: ["force", "file"], text: (force, file) => `chainloader ${force} '${file}'` }],
  clear: [{ args: [], text: () => "clear" }],
  cmp: [{ args: ["file", "file"], ignoreRest: true, text: (a, b) => `cmp '${a}' '${b}'` }],
  color: [
    {
      args: ["word", "word"],
      ignoreRest: true,
      text: (normal, highlight) => `set color_normal='${normal}'; set color_highlight='${highlight}'`,
      without: {
        args: ["word"],
        ignoreRest: true,
        text: (normal) => `set color_normal='${normal}'; set color_highlight='${invertColor(normal!)}'`,
      },
    },
  ],
  configfile: [{ args: ["file"], text: (file) => `legacy_configfile '${file}'` }],
  debug: [{ args: [], text: () => 'if [ -z "$debug" ]; then set debug=all; else set debug=; fi' }],
  default: [
    {
      args: ["word"],
      text: (entry) =>
        `set default='${entry}'; if [ x"$default" = xsaved ]; then load_env; set default="$saved_entry"; fi`,
    },
  ],
  displaymem: [{ args: [], text: () => "lsmmap" }],
  fallback: [{ args: ["word"], text: (list) => `set fallback='${list}'` }],
  find: [{ args: ["file"], text: (file) => `search -f '${file}'` }],
  geometry: [{ args: ["word"], text: (drive) => `insmod regexp; ls -l (${drive}*)` }],
  halt: [{ args: [], text: () => "halt" }],
  hiddenmenu: [
    { args: [], text: () => "", suffix: () => "if sleep -i $timeout; then timeout=0; else timeout=-1; fi\n" },
  ],
  hide: [{ args: ["file"], text: (partition) => `parttool '${partition}' hidden+` }],
  initrd: [legacyInitrd("legacy_initrd")],
  kernel: [
    {
      args: ["kernelOption", "kernelOption", "fileKept", "rest"],
      text: (a, b, file, rest) => `legacy_kernel ${a} ${b} '${file}' ${rest}`,
    },
  ],
  lock: [{ args: [], text: () => "if ! authenticate legacy; then return; fi" }],
  makeactive: [{ args: [], text: () => 'parttool "$root" boot+' }],
  map: [{ args: ["file", "file"], ignoreRest: true, text: (to, from) => `drivemap '${to}' '${from}'` }],
  module: [legacyInitrd("legacy_initrd")],
  modulenounzip: [legacyInitrd("legacy_initrd_nounzip")],
  parttype: [{ args: ["file", "number"], text: (part, type) => `parttool '${part}' type=${type}` }],
  password: [
    {
      args: ["option", "word", "file"],
      ignoreRest: true,
      only: "settings",
      // With a menu behind the password GRUB puts only that menu in, and no password.
      text: () => "",
      suffix: (_option, _word, file) => `menuentry "Superuser menu" --users "legacy" { configfile '${file}'; }\n`,
      without: {
        args: ["option", "word"],
        ignoreRest: true,
        text: (option, word) => `${SUPERUSERS}legacy_password ${option} '${word}'`,
      },
    },
    {
      args: ["option", "word", "file"],
      ignoreRest: true,
      only: "entries",
      text: (option, word, file) =>
        `if legacy_check_password ${option} '${word}'; then configfile '${file}'; else return; fi`,
      without: {
        args: ["option", "word"],
        ignoreRest: true,
        // As GRUB has it: this `if` is never closed, and the entry fails to parse.
        text: (option, word) => `if ! legacy_check_password ${option} '${word}'; then return fi;`,
      },
    },
  ],
  pause: [{ args: ["rest"], text: (message) => `echo ${message}; if ! sleep -i 60; then return; fi` }],
  print: [{ args: ["rest"], text: (message) => `echo ${message}` }],
  read: [{ args: ["number"], text: (address) => `read_dword ${address}` }],
  reboot: [{ args: [], text: () => "reboot" }],
  root: [setRoot],
  rootnoverify: [{ args: setRoot.args, text: setRoot.text }],
  savedefault: [{ args: [], text: () => "saved_entry=$chosen; save_env saved_entry" }],
  serial: [{ args: ["rest"], text: (rest) => `serial ${rest}` }],
  terminal: [{ args: ["rest"], text: () => "" }],
  testload: [{ args: ["file"], text: (file) => `testload '${file}'` }],
  timeout: [{ args: ["number"], text: (seconds) => `set timeout=${seconds}` }],
  unhide: [{ args: ["file"], text: (partition) => `parttool '${partition}' hidden-` }],
  uuid: [{ args: ["word"], text: (uuid) => `search --set=root --fs-uuid '${uuid}'` }],
};

/** A word between single quotes. */
function quote(text: string): string {
  return text.replaceAll("'", "'\\''");
}

/** `(hd0,0)` becomes `(hd0,1)`, `(hd0,0,a)` becomes `(hd0,1,1)`, `(nd)` becomes `(tftp)`. */
function adjustFile(text: string): string {
  if (text.startsWith("(nd)")) return `(tftp)${text.slice(4).replace(/['\\]/g, "\\$&")}`;
  const match = /^\(([^,)]*),(.*)$/s.exec(text);
  if (match === null) return quote(text);
  const { value, end } = parseNumber(match[2]!);
  const slice = /^,([a-z])/.exec(match[2]!.slice(end));
  const rest = match[2]!.slice(end + (slice === null ? 0 : 2));
  const part = Number(BigInt.asIntN(32, value)) + 1;
  const sub = slice === null ? "" : `,${slice[1]!.charCodeAt(0) - 96}`;
  return `(${match[1]!.replace(/['\\]/g, "\\$&")},${part}${sub}${rest.replace(/['\\]/g, "\\$&")}`;
}

const KERNEL_OPTION = /^--(?:type=(?:netbsd|freebsd|openbsd|linux|biglinux|multiboot)|no-mem-option)$/;

/** The arguments of a line by the kinds a command takes; a missing one is undefined. */
function takeArguments(rest: string, { args, ignoreRest }: Translation): (string | undefined)[] {
  const taken: (string | undefined)[] = [];
  let at = 0;
  for (const [index, kind] of args.entries()) {
    while (isSpace(rest[at])) at += 1;
    const start = at;
    if (start >= rest.length) {
      taken.push(undefined);
      continue;
    }
    while (at < rest.length && !isSpace(rest[at])) at += 1;
    const whole = index === args.length - 1 && !ignoreRest;
    const text = withoutEnd(whole ? rest.slice(start) : rest.slice(start, at), " \t\r\n");
    if (kind === "rest") {
      // One blank ends a word, more begin the next: two at the end of the line make an empty one.
      const words = rest.slice(start).match(/[ \t\r\n]*[^ \t\r\n]+[ \t\r\n]?|[ \t\r\n]+/g) ?? [];
      taken.push(words.map((word) => `'${quote(word.trim())}'`).join(" "));
      at = rest.length;
    } else if (kind === "file" || kind === "fileKept") {
      taken.push(adjustFile(text));
      // The kernel's own name is also the first word of its command line.
      if (kind === "fileKept") at = start;
    } else if (kind === "word") taken.push(quote(text));
    else if (kind === "number") taken.push(/^(0x[0-9a-fA-F]*|0[0-7]*|[0-9]+)/.exec(text)?.[0] ?? "0");
    else if (kind === "boolean") taken.push(text === "on" ? "1" : "0");
    else {
      const fits =
        kind === "option" ? text.startsWith("--") : kind === "force" ? text === "--force" : KERNEL_OPTION.test(text);
      taken.push(fits ? text : "");
      if (!fits) at = start;
    }
  }
  return taken;
}

function translate(name: string, rest: string, inEntry: boolean): { text: string; suffix: string } | undefined {
  const forms = TRANSLATIONS[name];
  let form = forms?.find(({ only }) => only === undefined || (only === "entries") === inEntry);
  if (form === undefined) return undefined;
  let args = takeArguments(rest, form);
  while (form.without !== undefined && args.length > 0 && lacks(args, form.without.args.length)) {
    form = form.without;
    args = args.slice(0, form.args.length);
  }
  const words = args.map(
    (arg, index) => arg ?? (form.args[index] === "number" || form.args[index] === "boolean" ? "0" : ""),
  );
  return { text: form.suffix === undefined ? form.text(...words) : "", suffix: form.suffix?.(...words) ?? "" };
}

/** The last argument is missing, and so is the one that the shorter form does not take. */
function lacks(args: readonly (string | undefined)[], shorter: number): boolean {
  return args.at(-1) === undefined && args[shorter] === undefined;
}

/** What GRUB 2's `legacy_configfile` makes of a menu.lst. */
export function translateLegacy(file: string, bytes: Uint8Array): LegacyTranslation {
  const steps: LegacyStep[] = [];
  const suffix: SourceLine[] = [];
  const unsupported: { text: string; at: Position }[] = [];
  let entry: { title: string; at: Position; lines: SourceLine[]; open: boolean } | undefined;
  const source = (lines: readonly SourceLine[]): Source => ({ file, lines, skipsHashLines: false });
  const close = (last: boolean) => {
    if (entry === undefined) return;
    steps.push({ kind: "entry", title: entry.title, source: source(entry.lines), last, at: entry.at });
  };
  for (const line of sourceFromFile(file, bytes).lines) {
    const text = line.text.replace(/^[ \t]+/, "");
    const match = /^([^ \t=]*)[ \t=]*(.*)$/s.exec(text)!;
    const name = match[1]!;
    const at: Position = { file, line: line.line, column: line.column, byte: line.byte };
    const lines = (script: string): SourceLine[] => script.split("\n").map((piece) => ({ ...line, text: piece }));
    if (name === "title") {
      close(false);
      entry = { title: withoutEnd(match[2]!, " \t"), at, lines: [], open: false };
      continue;
    }
    if (text === "" || text.startsWith("#")) continue;
    const made = translate(name, match[2]!, entry !== undefined);
    if (made === undefined) {
      unsupported.push({ text, at });
      continue;
    }
    if (made.suffix !== "") suffix.push(...lines(made.suffix));
    if (made.text === "") continue;
    if (entry === undefined) {
      steps.push({ kind: "run", source: source(lines(made.text)), at });
      continue;
    }
    const added = lines(made.text);
    if (entry.open) {
      // GRUB puts no newline after what `lock` becomes, so the next line runs into it.
      const before = entry.lines.pop()!;
      added[0] = { ...before, text: before.text + added[0]!.text };
    }
    entry.lines.push(...added);
    entry.open = name === "lock";
  }
  close(true);
  return { steps, suffix: source(suffix), unsupported };
}

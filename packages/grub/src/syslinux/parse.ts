import { type Position, positionIn, sourceFromFile } from "../script/source.js";

/** A label and what belongs to it. */
export interface SyslinuxEntry {
  readonly label: string;
  /** `MENU LABEL`, its `^` taken out. */
  readonly title: string | undefined;
  readonly hotkey: string | undefined;
  /** The directive that names the file: "kernel", "linux", "com32", "localboot", ... */
  readonly loader: string | undefined;
  readonly file: string | undefined;
  readonly append: string | undefined;
  readonly initrds: readonly { readonly path: string; readonly at: Position }[];
  readonly menuDefault: boolean;
  /** Not shown, or not selectable. */
  readonly hidden: boolean;
  readonly password: boolean;
  /** Titles of the submenus around it, outermost first. */
  readonly menus: readonly string[];
  readonly at: Position;
  /** Where the file to load is named. */
  readonly fileAt: Position;
}

export interface SyslinuxSetting {
  readonly value: string;
  readonly at: Position;
}

export interface SyslinuxConfig {
  readonly entries: readonly SyslinuxEntry[];
  /** Settings outside of labels by lower-case name ("timeout", "default", "menu title"); of two the later counts. */
  readonly settings: ReadonlyMap<string, SyslinuxSetting>;
  /** Lines that were not understood, and files that could not be read. */
  readonly problems: readonly { readonly what: string; readonly at: Position }[];
}

export interface SyslinuxReader {
  /** The bytes of an included file, its path as written; undefined when it is not there. */
  read(path: string): Promise<Uint8Array | undefined>;
}

/** Bounds on INCLUDE: SYSLINUX itself stops at 16 levels. */
const MAX_DEPTH = 16;
/** Submenus inside each other. */
const MAX_MENUS = 64;
const MAX_FILES = 200;
const MAX_LINES = 1_000_000;
/** Bytes of all files: one that includes itself counts each time. */
const MAX_BYTES = 1 << 25;

const LOADERS: ReadonlySet<string> = new Set([
  "kernel",
  "linux",
  "boot",
  "bss",
  "pxe",
  "fdimage",
  "comboot",
  "com32",
  "config",
  "localboot",
]);

const SETTINGS: ReadonlySet<string> = new Set([
  "default",
  "timeout",
  "totaltimeout",
  "ontimeout",
  "onerror",
  "prompt",
  "ui",
  "noescape",
  "nocomplete",
  "nohalt",
  "implicit",
  "allowoptions",
  "serial",
  "console",
  "font",
  "kbdmap",
  "display",
  "say",
  "path",
  "sendcookies",
  "ipappend",
  "sysappend",
  "fdt",
  "fdtdir",
  "devicetree",
  "devicetreedir",
]);

type Draft = { -readonly [Key in keyof SyslinuxEntry]: SyslinuxEntry[Key] };

/** Reads a syslinux, isolinux or extlinux configuration with the files it includes. */
export async function parseSyslinux(file: string, bytes: Uint8Array, reader?: SyslinuxReader): Promise<SyslinuxConfig> {
  const parser = new Parser(reader);
  await parser.file(file, bytes, 0);
  return parser.result();
}

class Parser {
  readonly #reader: SyslinuxReader | undefined;
  readonly #entries: Draft[] = [];
  readonly #settings = new Map<string, SyslinuxSetting>();
  readonly #problems: { what: string; at: Position }[] = [];
  readonly #menus: string[] = [];
  #entry: Draft | undefined;
  #inHelp = false;
  /** Submenus that were begun past the bound. */
  #tooDeep = 0;
  #files = 0;
  #bytes = 0;
  #lines = 0;

  constructor(reader: SyslinuxReader | undefined) {
    this.#reader = reader;
  }

  result(): SyslinuxConfig {
    return { entries: this.#entries, settings: this.#settings, problems: this.#problems };
  }

  #problem(what: string, at: Position): void {
    if (this.#problems.length < 1000) this.#problems.push({ what, at });
  }

  async file(file: string, bytes: Uint8Array, depth: number): Promise<void> {
    this.#bytes += bytes.length;
    for (const line of sourceFromFile(file, bytes).lines) {
      this.#lines += 1;
      if (this.#lines > MAX_LINES) return;
      const match = /^(\S+)\s*(.*)$/s.exec(line.text.trim());
      if (match === null) continue;
      const at = positionIn(file, line, line.text.indexOf(match[1]!));
      const word = match[1]!.toLowerCase();
      if (this.#inHelp) {
        if (word === "endtext") this.#inHelp = false;
      } else if (!word.startsWith("#")) await this.#directive(word, match[2]!, at, depth);
    }
  }

  async #directive(word: string, rest: string, at: Position, depth: number): Promise<void> {
    if (word === "include") return this.#include(rest, at, depth);
    if (word === "label") {
      this.#begin(rest, at);
    } else if (word === "menu") await this.#menu(rest, at, depth);
    else if (word === "text") this.#inHelp = true;
    else if (LOADERS.has(word) && this.#entry !== undefined) {
      Object.assign(this.#entry, { loader: word, file: rest, fileAt: at });
    } else if (word === "append") {
      // Before any label it is for the labels that have none; "-" means none.
      if (this.#entry === undefined) this.#settings.set("append", { value: rest, at });
      else this.#entry.append = rest;
    } else if (word === "initrd" && this.#entry !== undefined) {
      const paths = rest.split(",").filter((path) => path !== "");
      this.#entry.initrds = paths.map((path) => ({ path, at }));
    } else if (SETTINGS.has(word) || /^f[0-9]+$/.test(word)) this.#settings.set(word, { value: rest, at });
    else this.#problem(`unknown directive ${word}`, at);
  }

  #begin(label: string, at: Position): void {
    this.#entry = {
      label,
      title: undefined,
      hotkey: undefined,
      loader: undefined,
      file: undefined,
      append: undefined,
      initrds: [],
      menuDefault: false,
      hidden: false,
      password: false,
      menus: [...this.#menus],
      at,
      fileAt: at,
    };
    this.#entries.push(this.#entry);
  }

  async #menu(rest: string, at: Position, depth: number): Promise<void> {
    const [, name, value = ""] = /^(\S+)\s*(.*)$/s.exec(rest) ?? [];
    const word = name?.toLowerCase();
    const entry = this.#entry;
    if (word === "include") return this.#include(value.split(/\s/)[0]!, at, depth);
    if (word === "begin") {
      // Every label keeps the titles around it: without a bound that is the square of the file.
      if (this.#menus.length < MAX_MENUS) this.#menus.push(value);
      else {
        this.#tooDeep += 1;
        this.#problem(`more than ${MAX_MENUS} submenus inside each other`, at);
      }
      this.#entry = undefined;
    } else if (word === "end") {
      if (this.#tooDeep > 0) this.#tooDeep -= 1;
      else this.#menus.pop();
      this.#entry = undefined;
    } else if (word === "title" && this.#menus.length > 0 && entry === undefined) {
      this.#menus[this.#menus.length - 1] = value;
    } else if (entry !== undefined && word === "label") {
      entry.title = value.replace(/\^(.)/, "$1");
      entry.hotkey = /\^(.)/.exec(value)?.[1]?.toLowerCase();
    } else if (entry !== undefined && word === "default") entry.menuDefault = true;
    else if (entry !== undefined && (word === "hide" || word === "disable")) entry.hidden = true;
    else if (entry !== undefined && word === "passwd") entry.password = true;
    else if (word !== undefined) this.#settings.set(`menu ${word}`, { value, at });
  }

  async #include(path: string, at: Position, depth: number): Promise<void> {
    this.#files += 1;
    if (depth >= MAX_DEPTH || this.#files > MAX_FILES || this.#bytes > MAX_BYTES) {
      this.#problem(`${path} is included too deep or after too much else`, at);
      return;
    }
    const bytes = await this.#reader?.read(path);
    if (bytes === undefined) this.#problem(`${path} could not be read`, at);
    else await this.file(path, bytes, depth + 1);
  }
}

import type { Position } from "../script/source.js";

/** The language a menu was written in. */
export type MenuLanguage = "grub" | "grub-legacy" | "bls" | "syslinux" | "lilo";

/** An entry as a person would see it. */
export interface MenuEntry {
  readonly kind: "entry" | "submenu";
  readonly title: string;
  /** What `default` may name it by; the title where the language has no ids. */
  readonly id: string;
  /** Position in its menu, from 0. */
  readonly index: number;
  readonly at: Position;
  /** Users who may start it once a superuser exists; undefined: anybody. Empty: superusers only. */
  readonly users: readonly string[] | undefined;
  /** Key that selects it. */
  readonly hotkey: string | undefined;
  readonly classes: readonly string[];
  /** Entries of a submenu; undefined for an entry, or where a limit was reached. */
  readonly entries: readonly MenuEntry[] | undefined;
}

/** Which entry is taken when nobody touches a key. */
export interface DefaultChoice {
  /** Indices from the outermost menu inwards; empty when there is no entry. */
  readonly path: readonly number[];
  /** One sentence. */
  readonly why: string;
  /** The line that decided it, if a line did. */
  readonly at: Position | undefined;
}

export interface BootMenu {
  readonly language: MenuLanguage;
  readonly entries: readonly MenuEntry[];
  readonly default: DefaultChoice;
  /** Entries tried in turn when the default fails. */
  readonly fallback: readonly number[];
  /** Seconds; 0 starts the default at once, undefined waits for a key for ever. */
  readonly timeout: number | undefined;
  readonly style: "menu" | "countdown" | "hidden";
  /** Names that a password guards the menu for; empty: none does. */
  readonly superusers: readonly string[];
}

/** A file that a loader takes, and the line that names it. */
export interface PlanFile {
  /** GRUB's name of the device, without parentheses; undefined where the language has no devices. */
  readonly device: string | undefined;
  readonly path: string;
  /** Text after the file's name: a module's own command line. */
  readonly args: string;
  readonly at: Position;
  /** Undefined when nobody looked. */
  readonly found: boolean | undefined;
}

/** Something that the plan rests on and that this package does not model, or cannot know. */
export interface PlanDoubt {
  readonly what: string;
  readonly at: Position | undefined;
}

/** What starting an entry would load. */
export interface BootPlan {
  /** The entry's path, as in `DefaultChoice`. */
  readonly path: readonly number[];
  readonly title: string;
  /** The loader's command: "linux", "multiboot", "chainloader", "kernel". Undefined: it loads nothing. */
  readonly command: string | undefined;
  readonly kernel: PlanFile | undefined;
  /** The command line, blanks and all as the kernel would get it. */
  readonly cmdline: string | undefined;
  readonly initrds: readonly PlanFile[];
  readonly modules: readonly PlanFile[];
  /** The device that paths without one are on, and the line that set it. */
  readonly root: { readonly device: string; readonly at: Position | undefined } | undefined;
  /** Errors on the way; the plan holds all the same unless `command` is undefined. */
  readonly problems: readonly PlanDoubt[];
  /** What was not understood, or cannot be known from the image. */
  readonly doubts: readonly PlanDoubt[];
  /** A password would be asked for. */
  readonly locked: boolean;
}

import { DEFAULT_GRUB_VERSION, GRUB_VERSIONS } from "@guestprobe/grub";
import type { Context } from "./context.js";
import type { ExitCode } from "./exit.js";

/** An option of the command line, in commander's notation. */
export interface OptionSpec {
  readonly flags: string;
  readonly description: string;
  /** The values it takes; the shell completion offers them. */
  readonly choices?: readonly string[];
  readonly default?: string;
  /** May be given several times; the values are collected. */
  readonly repeatable?: boolean;
}

export type Options = Readonly<Record<string, unknown>>;
export type Run = (context: Context, words: readonly string[], options: Options) => Promise<ExitCode>;

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** The words behind the verb, as the help shows them. */
  readonly usage: string;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** Writes one JSON document a line, with or without --json. */
  readonly jsonLines?: true;
  /** Loaded only when the verb runs: starting up must not pay for the others. */
  readonly load: () => Promise<Run>;
}

/** Options that every verb takes. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { flags: "--json", description: "one JSON document on standard output" },
  { flags: "--color <when>", description: "colour", choices: ["auto", "always", "never"], default: "auto" },
  { flags: "-q, --quiet", description: "no remarks on standard error" },
  { flags: "-v, --verbose", description: "more remarks: notes, and how much was read" },
  { flags: "--limit-memory <size>", description: "most memory, as 256M or 1G (default 1G)" },
  { flags: "--limit-time <time>", description: "most time, as 30s or 5m" },
  { flags: "--limit-entries <n>", description: "most files and directories visited (default 10000000)" },
  { flags: "--limit-depth <n>", description: "most directories inside one another (default 4096)" },
  { flags: "--limit-symlinks <n>", description: "most symbolic links followed to one file (default 40)" },
  { flags: "--limit-decoded <size>", description: "most bytes that decoders make in all (default 1T)" },
  { flags: "--limit-reads <size>", description: "most bytes read from the images" },
  {
    flags: "--sandbox",
    description: "read in a process of its own that can open nothing but the images, and is ended at the limits",
  },
];

/** Options of every verb that opens images. */
const IMAGE_OPTIONS: readonly OptionSpec[] = [
  { flags: "--as <names>", description: "names of the disks, as xvda1,xvda2 or hd0 (default xvda,xvdb,...)" },
  {
    flags: "--input-format <format>",
    description: "format of the images, instead of probing",
    choices: ["raw", "qcow2", "vhd", "vpc", "vhdx", "vmdk", "vdi"],
  },
  {
    flags: "--backing <file>",
    description: "a file that an image names: its backing file, an extent, a data file",
    repeatable: true,
  },
  {
    flags: "--allow-backing <dir>",
    description: "files that images name may be opened in this folder",
    repeatable: true,
  },
  {
    flags: "--snapshot <name>",
    description: "an internal snapshot of qcow2 images, by id or by name, instead of what they hold now",
  },
];

/** Options of every verb that reads file systems. */
const FS_OPTIONS: readonly OptionSpec[] = [
  ...IMAGE_OPTIONS,
  {
    flags: "--journal <mode>",
    description: "ignore shows what GRUB sees, replay what Linux would see after recovery (in memory)",
    choices: ["ignore", "replay"],
    default: "ignore",
  },
  {
    flags: "--checksums <policy>",
    description: "what a checksum that does not match means; with require those of btrfs's file data are verified too",
    choices: ["require", "report", "ignore"],
    default: "report",
  },
  {
    flags: "--subvol <which>",
    description: "where a btrfs volume begins: top (as GRUB sees it), default (as Linux mounts it), an id, or a path",
    default: "top",
  },
  { flags: "--rt <file>", description: "the realtime device of an XFS volume" },
];

/** Of the verbs that read whole files. */
const LIMIT_FILE: OptionSpec = {
  flags: "--limit-file <size>",
  description: "largest file whose content is read (default 64G, or 16 times its volume if that is more)",
};

/** Options of the verbs that run GRUB's language. */
const GRUB_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--grub <version>",
    description: "whose rules apply",
    choices: Object.keys(GRUB_VERSIONS),
    default: DEFAULT_GRUB_VERSION.id,
  },
  {
    flags: "--platform <platform>",
    description: "what GRUB was built for",
    choices: ["xen", "xen_pvh", "pc", "efi"],
    default: "xen",
  },
];

const GRUB_OPTION: OptionSpec = {
  flags: "--grub <version>",
  description: "whose rules decide what GRUB can read",
  choices: Object.keys(GRUB_VERSIONS),
  default: DEFAULT_GRUB_VERSION.id,
};
const ENTRY_OPTION: OptionSpec = {
  flags: "--entry <entry>",
  description: "this entry of the menu: a number, a title or an id",
};
/** Options that say which host the guest is to boot on. */
const HOST_OPTIONS: readonly OptionSpec[] = [
  { flags: "--host <host>", description: "a known host, or a grub-xen image whose own script is run" },
  { flags: "--mode <mode>", description: "how the guest is started", choices: ["pv", "pvh", "direct", "pygrub"] },
  { flags: "--all-hosts", description: "every known host, side by side" },
  GRUB_OPTION,
];

/** Verbs whose words are images alone. */
const XL_OPTION: OptionSpec = { flags: "--xl <file>", description: "take the disks from a Xen guest configuration" };

export const VERBS: readonly Verb[] = [
  {
    name: "inspect",
    summary: "disks, partitions, file systems, labels and boot files",
    usage: "IMAGE...",
    options: [XL_OPTION, ...FS_OPTIONS],
    examples: ["guestprobe inspect guest.img", "guestprobe inspect --json a.img b.img"],
    load: async () => (await import("./commands/inspect.js")).inspect,
  },
  {
    name: "search",
    summary: "what GRUB's search would find, in the order GRUB would find it",
    usage: "[-f FILE]... [-l LABEL]... [-u UUID]... IMAGE...",
    options: [
      { flags: "-f, --file <file>", description: "volumes that hold this file", repeatable: true },
      { flags: "-l, --label <label>", description: "volumes with this label", repeatable: true },
      { flags: "-u, --fs-uuid <uuid>", description: "volumes with this UUID", repeatable: true },
      { flags: "-s, --set", description: "stop at the first hit, as search --set does" },
      { flags: "-n, --no-floppy", description: "pass over fd0 to fd9" },
      {
        flags: "--hint <device>",
        description: "try this device first; with a trailing comma, its partitions too",
        repeatable: true,
      },
      {
        flags: "--grub <version>",
        description: "whose rules decide what GRUB can read",
        choices: Object.keys(GRUB_VERSIONS),
        default: DEFAULT_GRUB_VERSION.id,
      },
      XL_OPTION,
      ...FS_OPTIONS,
    ],
    examples: [
      "guestprobe search guest.img",
      "guestprobe search -s -f /boot/grub/grub.cfg disk0.img disk1.img",
      "guestprobe search -u 2f3c9a5e-4cf2-4c3c-8c0e-5f0d1f0a7a11 --json guest.img",
    ],
    load: async () => (await import("./commands/search.js")).search,
  },
  {
    name: "parts",
    summary: "partition tables and the gaps between partitions",
    usage: "IMAGE...",
    options: [XL_OPTION, ...IMAGE_OPTIONS],
    examples: ["guestprobe parts guest.img", "guestprobe parts --json guest.img"],
    load: async () => (await import("./commands/parts.js")).parts,
  },
  {
    name: "ls",
    summary: "lists a directory",
    usage: "[-l] [-a] [-R] IMAGE... PATH",
    options: [
      { flags: "-l, --long", description: "mode, links, owner, size and time" },
      { flags: "-a, --all", description: "names that begin with a dot too" },
      { flags: "-R, --recursive", description: "directories below too" },
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe ls guest.img /boot", "guestprobe ls -l guest.img '(xen/xvda,msdos1)/etc'"],
    load: async () => (await import("./commands/ls.js")).ls,
  },
  {
    name: "tree",
    summary: "a directory and all below it, as a tree",
    usage: "IMAGE... PATH",
    options: [
      { flags: "-a, --all", description: "names that begin with a dot too" },
      { flags: "-L, --max-depth <n>", description: "directories below this depth are not entered" },
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe tree guest.img /boot", "guestprobe tree -L 2 guest.img /"],
    load: async () => (await import("./commands/tree.js")).tree,
  },
  {
    name: "stat",
    summary: "all that is known about one file: times, attributes, where it lies",
    usage: "IMAGE... PATH",
    options: [{ flags: "-L, --dereference", description: "follow a symbolic link" }, ...FS_OPTIONS],
    examples: ["guestprobe stat guest.img /boot/grub/grub.cfg", "guestprobe stat --json guest.img /etc/shadow"],
    load: async () => (await import("./commands/stat.js")).stat,
  },
  {
    name: "cat",
    summary: "writes the content of a file",
    usage: "IMAGE... PATH",
    options: [
      { flags: "--raw", description: "do not escape control bytes, even on a terminal" },
      LIMIT_FILE,
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe cat guest.img /boot/grub/grub.cfg", "guestprobe cat guest.img /boot/vmlinuz > vmlinuz"],
    load: async () => (await import("./commands/cat.js")).cat,
  },
  {
    name: "find",
    summary: "files below a directory that match",
    usage: "IMAGE... PATH",
    options: [
      { flags: "--name <glob>", description: "name matches *, ? and [...]" },
      { flags: "--iname <glob>", description: "the same, letter case ignored" },
      { flags: "--type <letter>", description: "type of file", choices: ["f", "d", "l", "c", "b", "p", "s"] },
      { flags: "--size <size>", description: "size, as 100, +1M (larger) or -4K (smaller)" },
      { flags: "--max-depth <n>", description: "most directories below PATH" },
      { flags: "-0, --print0", description: "unescaped paths, each ended by a NUL byte" },
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe find --name 'vmlinuz*' guest.img /boot", "guestprobe find --type l guest.img /"],
    load: async () => (await import("./commands/find.js")).find,
  },
  {
    name: "cp",
    summary: "copies files out of the image into a directory on the host",
    usage: "IMAGE... PATH... DEST",
    options: [
      { flags: "--links", description: "create symbolic links (default: they are left out)" },
      {
        flags: "--force",
        description: "replace files that exist in DEST, and copy into directories that have content",
      },
      LIMIT_FILE,
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe cp guest.img /boot/grub/grub.cfg out/", "guestprobe cp guest.img /etc /boot out/"],
    load: async () => (await import("./commands/cp.js")).cp,
  },
  {
    name: "manifest",
    summary: "one NDJSON line per file, with its SHA-256",
    usage: "[--no-hash] IMAGE... [PATH]",
    jsonLines: true,
    options: [{ flags: "--no-hash", description: "leave the content unread" }, LIMIT_FILE, ...FS_OPTIONS],
    examples: ["guestprobe manifest guest.img > guest.ndjson", "guestprobe manifest --no-hash guest.img /boot"],
    load: async () => (await import("./commands/manifest.js")).manifest,
  },
  {
    name: "menu",
    summary: "the boot menu as a user would see it, and what its default loads",
    usage: "IMAGE...",
    options: [
      { flags: "--file <path>", description: "the configuration, instead of the first that is found" },
      { flags: "--entry <id>", description: "what this entry loads: an id, a title or a number, as 1>2 in submenus" },
      {
        flags: "-i, --interactive",
        description: "walk the menu by the keyboard, edit commands, see what would be booted; nothing is changed",
      },
      ...GRUB_OPTIONS,
      ...FS_OPTIONS,
    ],
    examples: [
      "guestprobe menu guest.img",
      "guestprobe menu -i guest.img",
      "guestprobe menu --file /boot/grub2/grub.cfg --json guest.img",
    ],
    load: async () => (await import("./commands/menu.js")).menu,
  },
  {
    name: "grub",
    summary: "GRUB's language by itself: runs a script against a guest, or checks its syntax",
    usage: "run SCRIPT --image IMAGE... | check SCRIPT",
    options: [
      { flags: "--image <image>", description: "a disk of the guest", repeatable: true },
      ...GRUB_OPTIONS,
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe grub run host.cfg --image guest.img", "guestprobe grub check grub.cfg"],
    load: async () => (await import("./commands/grub.js")).grub,
  },
  {
    name: "boot",
    summary: "what a host's loader would boot from the guest, step by step, and whether it would come up",
    usage: "[--host NAME|ELF] [--mode MODE] IMAGE...",
    options: [...HOST_OPTIONS, ENTRY_OPTION, XL_OPTION, ...FS_OPTIONS],
    examples: [
      "guestprobe boot guest.img",
      "guestprobe boot --all-hosts guest.img",
      "guestprobe boot --xl /etc/xen/guest.cfg",
      "guestprobe boot --host /usr/lib/grub-xen/grub-x86_64-xen.bin --json guest.img",
    ],
    load: async () => (await import("./commands/boot.js")).boot,
  },
  {
    name: "lint",
    summary: "all findings about the guest: its disks, its file systems and how it boots",
    usage: "[--sarif] [--host NAME|ELF] IMAGE...",
    options: [
      ...HOST_OPTIONS,
      { flags: "--sarif", description: "as a SARIF 2.1.0 document" },
      XL_OPTION,
      ...FS_OPTIONS,
    ],
    examples: ["guestprobe lint guest.img", "guestprobe lint --all-hosts --sarif guest.img > guest.sarif"],
    load: async () => (await import("./commands/lint.js")).lint,
  },
  {
    name: "extract-boot",
    summary: "takes kernel and ramdisk out of the guest, as pygrub does for the toolstack",
    usage: "[--output-format FORMAT] IMAGE... DIR",
    options: [
      {
        flags: "--output-format <format>",
        description: "how the answer is written",
        choices: ["sxp", "simple", "simple0"],
        default: "sxp",
      },
      { flags: "--mode <mode>", description: "by whose rules", choices: ["direct", "pygrub"], default: "direct" },
      ENTRY_OPTION,
      GRUB_OPTION,
      ...FS_OPTIONS,
    ],
    examples: [
      "guestprobe extract-boot guest.img /run/boot",
      "guestprobe extract-boot --output-format simple0 guest.img out",
    ],
    load: async () => (await import("./commands/extract-boot.js")).extractBoot,
  },
  {
    name: "host",
    summary: "what a grub-xen host image holds: architecture, modules, embedded script",
    usage: "ELF",
    options: [],
    examples: ["guestprobe host /usr/lib/grub-xen/grub-x86_64-xen.bin"],
    load: async () => (await import("./commands/host.js")).host,
  },
  {
    name: "explain",
    summary: "the long text for a finding's code",
    usage: "[CODE]",
    options: [],
    examples: ["guestprobe explain ext-journal-dirty", "guestprobe explain"],
    load: async () => (await import("./commands/explain.js")).explain,
  },
  {
    name: "completion",
    summary: "a completion script for the shell",
    usage: "bash|zsh|fish",
    options: [],
    examples: [
      'eval "$(guestprobe completion bash)"',
      "guestprobe completion fish > ~/.config/fish/completions/guestprobe.fish",
    ],
    load: async () => (await import("./commands/completion.js")).completion,
  },
];

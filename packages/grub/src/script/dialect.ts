/** Behaviours in which GRUBs differ. Each is asked for by name; a release is a set of answers. */
export interface Dialect {
  readonly name: string;
  /** `default` and `fallback` are compared with ids and titles before they are read as numbers. */
  readonly idsBeforeNumbers: boolean;
  /** An entry that ends without an error and without a loader is a success, and no fallback is tried. */
  readonly emptyEntryIsSuccess: boolean;
  /** `default` stays set while an entry runs, unless it is a path. */
  readonly keepsDefault: boolean;
  /** The command `blscfg`. */
  readonly blscfg: boolean;
}

export const DIALECTS = {
  "debian-2.06": {
    name: "debian-2.06",
    idsBeforeNumbers: false,
    emptyEntryIsSuccess: false,
    keepsDefault: false,
    blscfg: false,
  },
  "2.12": {
    name: "2.12",
    idsBeforeNumbers: false,
    emptyEntryIsSuccess: false,
    keepsDefault: false,
    blscfg: false,
  },
  "redhat-2.12": {
    name: "redhat-2.12",
    idsBeforeNumbers: true,
    emptyEntryIsSuccess: true,
    keepsDefault: true,
    blscfg: true,
  },
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof DIALECTS;

/** What GRUB was built for; `$grub_platform`. */
export type Platform = "xen" | "xen_pvh" | "pc" | "efi" | "emu";

/** Commands that a platform's GRUB lacks; a script that calls one gets "can't find command". */
export const ABSENT_COMMANDS: Readonly<Record<Platform, readonly string[]>> = {
  xen: ["chainloader", "linux16", "initrd16", "linuxefi", "initrdefi", "multiboot2", "module2", "fwsetup", "drivemap"],
  xen_pvh: ["chainloader", "linuxefi", "initrdefi", "fwsetup", "drivemap"],
  pc: ["linuxefi", "initrdefi", "fwsetup"],
  efi: ["drivemap"],
  emu: [
    "chainloader",
    "linux",
    "initrd",
    "linux16",
    "initrd16",
    "linuxefi",
    "initrdefi",
    "multiboot",
    "module",
    "multiboot2",
    "module2",
    "fwsetup",
    "drivemap",
    "cpuid",
  ],
};

/** Kinds of `--hint-...` that `search` heeds besides `--hint`, in this order; the others are compiled out. */
export const PLATFORM_HINTS: Readonly<Record<Platform, readonly string[]>> = {
  xen: ["hint-baremetal"],
  xen_pvh: ["hint-baremetal"],
  pc: ["hint-bios", "hint-baremetal"],
  efi: ["hint-efi", "hint-baremetal"],
  emu: ["hint-baremetal"],
};

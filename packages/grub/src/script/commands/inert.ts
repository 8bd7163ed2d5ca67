import { GRUB_ERRNO } from "../../errno.js";
import type { Machine } from "../machine.js";
import type { CommandSpec } from "../machine-types.js";
import { parseNumber } from "../text.js";

/** Succeeds and changes nothing that a plan rests on: screens, sounds, modules, keyboards. */
const INERT = [
  "insmod",
  "rmmod",
  "lsmod",
  "terminal",
  "terminal_input",
  "terminal_output",
  "background_image",
  "background_color",
  "play",
  "serial",
  "clear",
  "help",
  "videoinfo",
  "lsfonts",
  "outb",
  "outw",
  "outl",
  "gptsync",
  "parttool",
  "trust",
  "distrust",
  "hiddenmenu",
  "normal_exit",
  "drivemap",
  "password",
  "password_pbkdf2",
  "legacy_password",
  "xnu_uuid",
  "date",
] as const;

/** Answers that depend on the machine and not on the image: taken as a success (or not), and reported. */
const UNKNOWABLE: Readonly<Record<string, { readonly status: number; readonly what: string }>> = {
  keystatus: { status: GRUB_ERRNO["test-failure"], what: "whether a key is held down: taken as not" },
  videotest: { status: GRUB_ERRNO["test-failure"], what: "the video mode" },
  read: { status: 0, what: "what is typed: taken as nothing" },
  lspci: { status: 0, what: "the PCI devices" },
  hwmatch: { status: 0, what: "the hardware" },
  cryptomount: { status: GRUB_ERRNO["file-not-found"], what: "whether the passphrase would be given: taken as not" },
  authenticate: { status: 0, what: "whether a password would be given: taken as given" },
  legacy_check_password: { status: 0, what: "whether a password would be given: taken as given" },
  net_bootp: { status: GRUB_ERRNO["file-not-found"], what: "the network: taken as absent" },
  net_dhcp: { status: GRUB_ERRNO["file-not-found"], what: "the network: taken as absent" },
  net_get_dhcp_option: { status: GRUB_ERRNO["file-not-found"], what: "the network: taken as absent" },
  net_ls_addr: { status: 0, what: "the network: taken as absent" },
  smbios: { status: 0, what: "the machine's SMBIOS tables" },
  inb: { status: 0, what: "an I/O port" },
  inw: { status: 0, what: "an I/O port" },
  inl: { status: 0, what: "an I/O port" },
  rdmsr: { status: 0, what: "a register of the CPU" },
};

/** Known commands whose effect on scripts is not modelled; they are reported, and count as a success. */
const NOT_MODELLED = [
  "extract_entries_source",
  "extract_entries_configfile",
  "extract_legacy_entries_source",
  "extract_legacy_entries_configfile",
  "extract_syslinux_entries_source",
  "extract_syslinux_entries_configfile",
  "verify_detached",
  "hashsum",
  "md5sum",
  "sha1sum",
  "sha256sum",
  "sha512sum",
  "crc",
  "cmp",
  "gettext",
  "tr",
  "blocklist",
  "hexdump",
  "time",
  "zfs-bootfs",
  "zfsinfo",
  "kfreebsd",
  "knetbsd",
  "kopenbsd",
  "xnu_kernel64",
  "ntldr",
  "plan9",
  "truecrypt",
] as const;

async function succeed(): Promise<number> {
  return GRUB_ERRNO.none;
}

/** `sleep [-i] [-v] SECONDS`: nobody presses a key meanwhile. */
const sleep: CommandSpec = {
  options: {
    options: [
      { long: "verbose", short: "v" },
      { long: "interruptible", short: "i" },
    ],
  },
  async run(machine, { args }) {
    if (args.length !== 1) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
    const { fault } = parseNumber(args[0]!, 10);
    if (fault !== undefined) machine.fail(GRUB_ERRNO["bad-number"], "unrecognized number");
    return GRUB_ERRNO.none;
  },
};

/** `cpuid -l` and `cpuid -p`: long mode and PAE; a GRUB built for x86_64 stands on both. */
const cpuid: CommandSpec = {
  options: {
    options: [
      { long: "long-mode", short: "l" },
      { long: "pae", short: "p" },
    ],
  },
  async run(machine) {
    if (machine.environment.value("grub_cpu") !== "x86_64")
      machine.doubt("whether the CPU has long mode: taken as yes");
    return GRUB_ERRNO.none;
  },
};

function unknowable(name: string): CommandSpec {
  const { status, what } = UNKNOWABLE[name]!;
  return {
    async run(machine: Machine, { args }) {
      machine.doubt(what);
      if (name === "read" && args[0] !== undefined) machine.set(args[0], "", what);
      const set = args.indexOf("--set");
      const variable = set >= 0 ? args[set + 1] : args.find((arg) => arg.startsWith("--set="))?.slice(6);
      if (variable !== undefined) machine.set(variable, "", what);
      return status === 0 ? GRUB_ERRNO.none : machine.fail(status, what);
    },
  };
}

function notModelled(name: string): CommandSpec {
  return {
    async run(machine) {
      machine.remark("not-modelled", `the command ${name}`);
      machine.doubt(`what ${name} would answer`);
      return GRUB_ERRNO.none;
    },
  };
}

export const INERT_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  ...Object.fromEntries(INERT.map((name) => [name, { run: succeed }])),
  ...Object.fromEntries(Object.keys(UNKNOWABLE).map((name) => [name, unknowable(name)])),
  ...Object.fromEntries(NOT_MODELLED.map((name) => [name, notModelled(name)])),
  sleep,
  cpuid,
};
